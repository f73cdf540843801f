"""The tick pipeline: one idempotent attempt to move a campaign on. Scheduled, it holds nothing while people label."""

from typing import Any

from kfp import dsl

from pipelines.graphs.accelerators import named, parameters_of, steered, steered_classes
from pipelines.graphs.exit_task import told_at_the_end
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph, round_graph


def tick_pipeline(place: Placement) -> Graph:
    """Return the pipeline. Its parameters are the URI of a campaign that was created, and its accelerators."""
    graph = round_graph(place)
    classes, defaults = steered_classes(place.resources), parameters_of(place.resources)

    @dsl.pipeline(
        name="activelora-tick",
        description="Move an active-learning campaign on by one round",
        pipeline_config=place.pipeline_config,
    )
    @steered(classes, defaults)
    def activelora_tick(campaign_uri: str, *steer: Any) -> None:
        with told_at_the_end(place, campaign_uri):
            graph(campaign_uri=campaign_uri, round=-1, **named(classes, steer))

    return activelora_tick
