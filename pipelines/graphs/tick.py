"""The tick pipeline: one idempotent attempt to move a campaign on. Scheduled, it holds nothing while people label."""

from typing import Any

from kfp import dsl

from components.plan.step import ANY_ROUND
from pipelines.graphs.accelerators import accelerator_classes, named, parameters_of, with_accelerator_parameters
from pipelines.graphs.exit_task import notice_at_the_end
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph, round_of
from pipelines.graphs.steps import CAMPAIGN, ROUND


def tick_pipeline(placement: Placement) -> Graph:
    """Return the pipeline. Its parameters are the URI of a campaign that was created, and its accelerators."""
    add_round = round_of(placement)
    classes, defaults = accelerator_classes(placement.resources), parameters_of(placement.resources)

    @dsl.pipeline(
        name="activelora-tick",
        description="Move an active-learning campaign on by one round",
        pipeline_config=placement.pipeline_config,
    )
    @with_accelerator_parameters(classes, defaults)
    def activelora_tick(campaign_uri: str, *accelerators: Any) -> None:
        with notice_at_the_end(placement, campaign_uri):
            add_round({CAMPAIGN: campaign_uri, ROUND: ANY_ROUND, **named(classes, accelerators)})

    return activelora_tick
