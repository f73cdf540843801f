"""The graph of one round, from which the tick and the campaign pipelines are made.

Every condition and every loop is a sub-pipeline of its own that gets what it needs as parameters: KFP's local runner
otherwise takes a wrong value, or skips a branch, and reports success.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kfp import dsl

from components.await_labels.component import await_labels
from components.evaluate_adapter.component import evaluate_adapter
from components.ingest_pool.component import ingest_pool
from components.plan.component import plan
from components.score_pool.component import score_pool
from components.select_batch.component import select_batch
from components.train_adapter.component import train_adapter
from pipelines.graphs.accelerators import accelerator_classes, named, with_accelerator_parameters
from pipelines.graphs.placement import Placement
from pipelines.graphs.train_job import train_adapter as train_in_job

Graph = Callable[..., dsl.PipelineTask]


def round_graph(placement: Placement) -> Graph:
    """Return the graph: collect labels that are waited for, then do what is due, up to asking for the next labels.

    Its parameters are the campaign's URI, the round, or -1 for whichever is under way, and those of the accelerators.
    """
    classes = accelerator_classes(placement.resources)
    ingest_if_due = _if_due("ingest-if-due", placement, lambda uri, round: placement.cpu(ingest_pool(campaign_uri=uri)))
    collect_if_due = _if_due(
        "collect-if-due", placement, lambda uri, round: placement.labels(await_labels(campaign_uri=uri, round=round))
    )
    steps_if_due = _steps_if_due(placement)

    @dsl.pipeline(name="round")
    @with_accelerator_parameters(classes)
    def round_pipeline(campaign_uri: str, round: int, *accelerators: Any) -> None:
        opening = placement.cpu(plan(campaign_uri=campaign_uri, round=round, publish=False))
        opening.set_display_name("what is due")
        begun, asked = opening.outputs["ingest"], opening.outputs["collect"]
        ingested = ingest_if_due(campaign_uri=campaign_uri, round=opening.outputs["round"], due=begun)
        collected = collect_if_due(campaign_uri=campaign_uri, round=opening.outputs["round"], due=asked)
        due = placement.cpu(plan(campaign_uri=campaign_uri, round=round, publish=False)).after(ingested, collected)
        due.set_display_name("what is due now")
        outputs = {name: due.outputs[name] for name in ("round", "work", "train", "evaluate")}
        steps_if_due(campaign_uri=campaign_uri, **outputs, **named(classes, accelerators))

    return uncached(round_pipeline, placement)


def _steps_if_due(placement: Placement) -> Graph:
    """Train and measure, ask the ledger whether more labels are wanted, then score, select and ask for them."""
    train = train_adapter if placement.resources.train.num_nodes == 1 else train_in_job
    classes = accelerator_classes(placement.resources)
    of_train, of_score = ([one for one in classes if one == name] for name in ("train", "score"))
    train_if_due = _if_due(
        "train-if-due",
        placement,
        lambda uri, round, *accelerators: placement.train(train(campaign_uri=uri, round=round), *accelerators),
        of_train,
    )
    evaluate_if_due = _if_due(
        "evaluate-if-due",
        placement,
        lambda uri, round, *accelerators: placement.score(
            evaluate_adapter(campaign_uri=uri, round=round), *accelerators
        ),
        of_score,
    )
    label_if_due = _label_if_due(placement, of_score)

    @dsl.pipeline(name="steps")
    @with_accelerator_parameters(classes)
    def steps(campaign_uri: str, round: int, train: bool, evaluate: bool, *accelerators: Any) -> None:
        where = named(classes, accelerators, of_train)
        trained = train_if_due(campaign_uri=campaign_uri, round=round, due=train, **where)
        where = named(classes, accelerators, of_score)
        measured = evaluate_if_due(campaign_uri=campaign_uri, round=round, due=evaluate, **where).after(trained)
        rest = placement.cpu(plan(campaign_uri=campaign_uri, round=round, publish=True)).after(measured)
        rest.set_display_name("are more labels wanted")
        outputs = {name: rest.outputs[name] for name in ("round", "label", "score", "shards", "select")}
        label_if_due(campaign_uri=campaign_uri, **outputs, **where)

    uncached_steps = uncached(steps, placement)

    @dsl.pipeline(name="steps-if-due")
    @with_accelerator_parameters(classes)
    def steps_if_due(
        campaign_uri: str, round: int, work: bool, train: bool, evaluate: bool, *accelerators: Any
    ) -> None:
        where = named(classes, accelerators)
        with dsl.If(work == True, name="work is due"):  # noqa: E712 - builds a condition
            uncached_steps(campaign_uri=campaign_uri, round=round, train=train, evaluate=evaluate, **where)

    return uncached(steps_if_due, placement)


def _label_if_due(placement: Placement, classes: list[str]) -> Graph:
    score_if_due = _score_if_due(placement, classes)
    select_if_due = _if_due(
        "select-if-due", placement, lambda uri, round: placement.cpu(select_batch(campaign_uri=uri, round=round))
    )

    @dsl.pipeline(name="label")
    @with_accelerator_parameters(classes)
    def label(campaign_uri: str, round: int, score: bool, shards: list[int], select: bool, *accelerators: Any) -> None:
        where = named(classes, accelerators)
        scored = score_if_due(campaign_uri=campaign_uri, round=round, shards=shards, due=score, **where)
        selected = select_if_due(campaign_uri=campaign_uri, round=round, due=select).after(scored)
        placement.labels(await_labels(campaign_uri=campaign_uri, round=round)).after(selected)

    uncached_label = uncached(label, placement)

    @dsl.pipeline(name="label-if-due")
    @with_accelerator_parameters(classes)
    def label_if_due(
        campaign_uri: str, round: int, label: bool, score: bool, shards: list[int], select: bool, *accelerators: Any
    ) -> None:
        where = named(classes, accelerators)
        with dsl.If(label == True, name="labels are wanted"):  # noqa: E712 - builds a condition
            uncached_label(campaign_uri=campaign_uri, round=round, score=score, shards=shards, select=select, **where)

    return uncached(label_if_due, placement)


def _score_if_due(placement: Placement, classes: list[str]) -> Graph:
    @dsl.pipeline(name="score-shards")
    @with_accelerator_parameters(classes)
    def score_shards(campaign_uri: str, round: int, shards: list[int], *accelerators: Any) -> None:
        with dsl.ParallelFor(items=shards, name="shards", parallelism=placement.resources.parallel_shards) as shard:
            placement.score(score_pool(campaign_uri=campaign_uri, round=round, shard=shard), *accelerators)

    uncached_shards = uncached(score_shards, placement)

    @dsl.pipeline(name="score-if-due")
    @with_accelerator_parameters(classes)
    def score_if_due(campaign_uri: str, round: int, shards: list[int], due: bool, *accelerators: Any) -> None:
        with dsl.If(due == True, name="shards are unscored"):  # noqa: E712 - builds a condition
            uncached_shards(campaign_uri=campaign_uri, round=round, shards=shards, **named(classes, accelerators))

    return uncached(score_if_due, placement)


def _if_due(
    name: str, placement: Placement, start: Callable[..., dsl.PipelineTask], classes: Sequence[str] = ()
) -> Graph:
    """Return a sub-pipeline that starts a task if it is due.

    Args:
        name: Name of the sub-pipeline.
        placement: Placement of its tasks.
        start: Makes the task from the campaign's URI, the round, and what the class's accelerators are.
        classes: The task's resource class, if it has accelerators.
    """

    @dsl.pipeline(name=name)
    @with_accelerator_parameters(classes)
    def step_if_due(campaign_uri: str, round: int, due: bool, *accelerators: Any) -> None:
        with dsl.If(due == True, name="it is due"):  # noqa: E712 - builds a condition
            start(campaign_uri, round, *accelerators)

    return uncached(step_if_due, placement)


def uncached(graph: Graph, placement: Placement) -> Graph:
    """Return a sub-pipeline whose task in an outer one carries no caching either."""
    return lambda **arguments: placement.graph(graph(**arguments))
