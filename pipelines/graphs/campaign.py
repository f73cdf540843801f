"""The campaign pipeline: the loop over rounds in one run. Labels are waited for within each round, for a bounded time.

A round whose labels do not come in time leaves the later ones nothing to do; run it again, or schedule the tick.
"""

from typing import Any

from kfp import dsl

from pipelines.graphs.accelerators import accelerator_classes, named, parameters_of, with_accelerator_parameters
from pipelines.graphs.exit_task import notice_at_the_end
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph, round_graph, uncached


def campaign_pipeline(placement: Placement, max_rounds: int) -> Graph:
    """Return the pipeline. Its parameters are the campaign's URI, the rounds to go through, and the accelerators.

    Args:
        placement: Placement of its tasks.
        max_rounds: The campaign's planned queries; the default rounds are 0 to this number.
    """
    graph = round_graph(placement)
    planned = list(range(max_rounds + 1))
    classes, defaults = accelerator_classes(placement.resources), parameters_of(placement.resources)

    # Its own sub-pipeline: a loop that stands in an exit handler itself fails (kubeflow/pipelines#12390, open).
    @dsl.pipeline(name="rounds")
    @with_accelerator_parameters(classes)
    def rounds_one_by_one(campaign_uri: str, rounds: list[int], *accelerators: Any) -> None:
        with dsl.ParallelFor(items=rounds, name="rounds", parallelism=1) as round:
            graph(campaign_uri=campaign_uri, round=round, **named(classes, accelerators))

    loop = uncached(rounds_one_by_one, placement)

    @dsl.pipeline(
        name="activelora-campaign",
        description="Run an active-learning campaign, round after round",
        pipeline_config=placement.pipeline_config,
    )
    @with_accelerator_parameters(classes, defaults)
    def activelora_campaign(campaign_uri: str, rounds: list[int] = planned, *accelerators: Any) -> None:
        with notice_at_the_end(placement, campaign_uri):
            loop(campaign_uri=campaign_uri, rounds=rounds, **named(classes, accelerators))

    return activelora_campaign
