"""The tick pipeline: one idempotent attempt to move a campaign on. Scheduled, it holds nothing while people label."""

from kfp import dsl

from pipelines.ending import told_at_the_end
from pipelines.placement import Placement
from pipelines.round import Graph, round_graph


def tick_pipeline(place: Placement) -> Graph:
    """Return the pipeline. Its parameter is the campaign's URI; the campaign must have been created."""
    graph = round_graph(place)

    @dsl.pipeline(
        name="activelora-tick",
        description="Move an active-learning campaign on by one round",
        pipeline_config=place.pipeline_config,
    )
    def activelora_tick(campaign_uri: str) -> None:
        with told_at_the_end(place, campaign_uri):
            graph(campaign_uri=campaign_uri, round=-1)

    return activelora_tick
