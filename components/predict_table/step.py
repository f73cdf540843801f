"""predict_table: answer one worker's share of a table with a campaign's model.

It is no unit of work: it leaves the campaign as it is.
"""

from __future__ import annotations

from activelora.campaign.store import open_store
from activelora.prediction.parts import PartsRequest, answer_parts
from activelora.prediction.sources import open_bundle
from components.task_context import task


def run(campaign_uri: str, request: PartsRequest, worker: int) -> int:
    """Answer the share, as far as it is not there, and return how many rows that were.

    Args:
        campaign_uri: The campaign.
        request: What all workers are told.
        worker: Number of this one, from 0.
    """
    with open_bundle(campaign_uri, request.round) as bundle:
        return answer_parts(bundle, open_store(request.out), request, worker)


def predict_at(campaign_uri: str, request: str, worker: int) -> None:
    """Do what a pod is asked to.

    Args:
        campaign_uri: The campaign.
        request: The text of a :class:`~activelora.prediction.parts.PartsRequest`.
        worker: Number of the pod. KFP hands over whole numbers as floats.
    """
    with task("predict_table", campaign_uri):
        run(campaign_uri, PartsRequest.of(request), int(worker))
