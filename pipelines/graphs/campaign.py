"""The campaign pipeline: the loop over rounds in one run. Labels are waited for within each round, for a bounded time.

A round whose labels do not come in time leaves the later ones nothing to do; run it again, or schedule the tick.
"""

from typing import Any

from kfp import dsl

from pipelines.graphs.accelerators import accelerator_classes, named, parameters_of, with_accelerator_parameters
from pipelines.graphs.exit_task import notice_at_the_end
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph, rounds_of
from pipelines.graphs.steps import CAMPAIGN, ROUNDS


def campaign_pipeline(placement: Placement, max_rounds: int) -> Graph:
    """Return the pipeline. Its parameters are the campaign's URI, the rounds to go through, and the accelerators.

    Args:
        placement: Placement of its tasks.
        max_rounds: The campaign's planned queries; the default rounds are 0 to this number.
    """
    add_rounds = rounds_of(placement)
    planned = list(range(max_rounds + 1))
    classes, defaults = accelerator_classes(placement.resources), parameters_of(placement.resources)

    @dsl.pipeline(
        name="activelora-campaign",
        description="Run an active-learning campaign, round after round",
        pipeline_config=placement.pipeline_config,
    )
    @with_accelerator_parameters(classes, defaults)
    def activelora_campaign(campaign_uri: str, rounds: list[int] = planned, *accelerators: Any) -> None:
        with notice_at_the_end(placement, campaign_uri):
            add_rounds({CAMPAIGN: campaign_uri, ROUNDS: rounds, **named(classes, accelerators)})

    return activelora_campaign
