"""The predict pipeline: a table answered by several pods at once, which write into one folder."""

from typing import Any

from kfp import dsl

from components.predict_table.component import predict_table
from pipelines.graphs.accelerators import accelerator_classes, named, parameters_of, with_accelerator_parameters
from pipelines.graphs.placement import Placement
from pipelines.graphs.round import Graph


def predict_pipeline(placement: Placement) -> Graph:
    """Return the pipeline.

    Its parameters are the URI of a campaign, what its pods are told, their numbers, and their accelerators.
    """
    classes = [one for one in accelerator_classes(placement.resources) if one == "score"]
    defaults = parameters_of(placement.resources)

    @dsl.pipeline(name="answer-parts")
    @with_accelerator_parameters(classes)
    def answer_parts(campaign_uri: str, request: str, workers: list[int], *accelerators: Any) -> None:
        with dsl.ParallelFor(items=workers, name="workers", parallelism=placement.resources.parallel_shards) as worker:
            placement.score(predict_table(campaign_uri=campaign_uri, request=request, worker=worker), *accelerators)

    @dsl.pipeline(
        name="activelora-predict",
        description="Answer a table with a campaign's model",
        pipeline_config=placement.pipeline_config,
    )
    @with_accelerator_parameters(classes, defaults)
    def activelora_predict(campaign_uri: str, request: str, workers: list[int], *accelerators: Any) -> None:
        where = named(classes, accelerators)
        placement.graph(answer_parts(campaign_uri=campaign_uri, request=request, workers=workers, **where))

    return activelora_predict
