"""The steps of a round in one table, from which every form of the graph is made.

A value has one name all through: what the graph is given, what a step puts out, what a condition or a loop goes by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from kfp import dsl

from activelora.config import ResourcesConfig
from components.await_labels.component import await_labels
from components.evaluate_adapter.component import evaluate_adapter
from components.ingest_pool.component import ingest_pool
from components.plan.component import plan
from components.score_pool.component import score_pool
from components.select_batch.component import select_batch
from components.train_adapter.component import train_adapter
from pipelines.graphs.train_job import train_adapter as train_in_job

CAMPAIGN, ROUNDS, ROUND, DUE_ROUND, WORK, LABEL, SHARES, SHARE = (
    "campaign_uri",
    "rounds",
    "round",
    "due_round",
    "work",
    "label",
    "shares",
    "share",
)
TYPES: dict[str, Any] = {
    CAMPAIGN: str,
    ROUNDS: list[int],
    ROUND: int,
    DUE_ROUND: int,
    WORK: bool,
    LABEL: bool,
    SHARES: list[str],
}
"""The values that parameters carry. ``round`` is the one that is asked for, ``due_round`` the one that is under way."""
WORDS = {ROUNDS: "rounds", WORK: "work is due", LABEL: "labels are wanted", SHARES: "shares"}
"""What conditions and loops are called where people see them."""
ResourceClass = Literal["labels", "cpu", "train", "score"]
"""Kind of pod: the method of :class:`~pipelines.graphs.placement.Placement`."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        component: The KFP component.
        resource_class: Kind of pod that it runs in.
        within: Conditions that hold where it runs, from the outside inwards: names of truth values.
        inputs: The component's parameters, and the values that they get.
        outputs: The component's outputs by the names of their values.
        constants: Parameters that are settled when the graph is made.
        after: Names of the steps that it follows besides those whose values it needs.
        each: List that it runs over, once for each item, :data:`SHARE`; None is once.
    """

    component: Any
    resource_class: ResourceClass
    within: tuple[str, ...]
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    each: str | None = None

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.component.name)

    def reads(self, depth: int) -> set[str]:
        """Return the values that it needs where so many of its conditions hold already."""
        return ({*self.inputs.values(), *self.within[depth:]} - {SHARE}) | ({self.each} if self.each else set())


def steps_of(resources: ResourcesConfig) -> tuple[Step, ...]:
    """Return the table, in an order in which the steps may run.

    Args:
        resources: Says where training runs, and how many pods score.
    """
    of_round = {"campaign_uri": CAMPAIGN, "round": DUE_ROUND}
    return (
        Step(
            plan, "labels", (), {"campaign_uri": CAMPAIGN, "round": ROUND}, outputs={DUE_ROUND: "round", WORK: "work"}
        ),
        Step(ingest_pool, "cpu", (WORK,), {"campaign_uri": CAMPAIGN}),
        Step(
            train_adapter if resources.train.num_nodes == 1 else train_in_job,
            "train",
            (WORK,),
            of_round,
            after=("ingest-pool",),
        ),
        Step(
            evaluate_adapter,
            "score",
            (WORK,),
            of_round,
            outputs={LABEL: "label", SHARES: "shares"},
            constants={"num_pods": resources.parallel_shards},
            after=("train-adapter",),
        ),
        Step(score_pool, "score", (WORK, LABEL), {**of_round, "share": SHARE}, each=SHARES),
        Step(select_batch, "cpu", (WORK, LABEL), of_round, after=("score-pool",)),
        Step(await_labels, "labels", (WORK, LABEL), of_round, after=("select-batch",)),
    )


def blocks_of(steps: Sequence[Step], depth: int) -> Iterator[tuple[str | None, list[Step]]]:
    """Yield steps of whose conditions the first ones hold already, by the condition that comes next; None is none.

    Args:
        steps: Steps of the table, in its order.
        depth: How many of their conditions hold.
    """
    for condition, block in groupby(steps, key=lambda one: one.within[depth] if len(one.within) > depth else None):
        yield condition, list(block)


def needed(block: Sequence[Step], depth: int) -> list[str]:
    """Return the values that steps need from outside where so many of their conditions hold already."""
    made = {name for step in block for name in step.outputs}
    read = {name for step in block for name in step.reads(depth)}
    return [name for name in TYPES if name in read - made]


def dashed(value: str) -> str:
    """Return what a condition or a loop is called, as a name in a graph."""
    return WORDS[value].replace(" ", "-")


def start(step: Step, values: Mapping[str, Any]) -> dsl.PipelineTask:
    """Make a step's task from the values."""
    task: dsl.PipelineTask = step.component(
        **{name: values[one] for name, one in step.inputs.items()}, **step.constants
    )
    return task
