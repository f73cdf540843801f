"""The graph of one round in two forms, both made from the table in :mod:`pipelines.graphs.steps`.

On a cluster every driver is a pod, and every pod that follows another waits some seconds more: there the form is flat.
KFP's local runner takes wrong values in a condition or a loop that stands beside other tasks, or skips it, and reports
success: there each of them is a sub-pipeline of its own that gets what it needs as parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp import dsl

from pipelines.graphs.accelerators import accelerator_classes, parameter_types
from pipelines.graphs.fused import whole_tick
from pipelines.graphs.placement import Placement
from pipelines.graphs.steps import (
    CAMPAIGN,
    ROUND,
    ROUNDS,
    SHARE,
    TYPES,
    WORDS,
    Step,
    blocks_of,
    dashed,
    needed,
    start,
    steps_of,
)

Graph = Callable[..., dsl.PipelineTask]
Values = Mapping[str, Any]
Add = Callable[[Values], Any]
"""Adds tasks to the pipeline that is being made, from the values by name; returns the last one, if any."""


def round_of(placement: Placement) -> Add:
    """Return what adds a round to a pipeline: collect labels, then do what is due.

    It needs the campaign's URI, the round, or −1 for whichever is under way, and the accelerators.

    Args:
        placement: Placement of its tasks.
    """
    if placement.in_pods and placement.resources.graph == "fused":
        names = parameter_types([one for one in accelerator_classes(placement.resources) if one == "train"])
        return lambda values: placement.whole(
            whole_tick(campaign_uri=values[CAMPAIGN], round=values[ROUND]), *(values[one] for one in names)
        )
    form = _form(placement)
    return form.part("round", [CAMPAIGN, ROUND], form.steps(steps_of(placement.resources), 0))


def rounds_of(placement: Placement) -> Add:
    """Return what adds a loop over rounds to a pipeline, as :func:`round_of`: with the rounds in place of the round."""
    round_ = round_of(placement)

    def one_by_one(values: Values) -> None:
        with dsl.ParallelFor(items=values[ROUNDS], name=WORDS[ROUNDS], parallelism=1) as item:
            round_({**values, ROUND: item})

    return _form(placement).part("rounds", [CAMPAIGN, ROUNDS], one_by_one)


def _form(placement: Placement) -> _Flat:
    return _Flat(placement) if placement.in_pods else _Nested(placement)


class _Flat:
    """Makes the form of as few pods as there can be.

    Args:
        placement: Placement of the tasks.
    """

    def __init__(self, placement: Placement) -> None:
        self._placement = placement

    def part(self, name: str, needs: Sequence[str], add: Add) -> Add:
        """Return a part of the graph that gets some values, of which only :class:`_Nested` makes anything."""
        return add

    def steps(self, steps: Sequence[Step], depth: int) -> Add:
        """Return what adds steps, of whose conditions the first ones hold already."""
        parts: list[tuple[Step | None, Add]] = []
        for condition, block in blocks_of(steps, depth):
            if condition is None:
                parts += [(step, self._step(step)) for step in block]
            else:
                parts.append((None, self._if(condition, block, depth + 1)))

        def add(values: Values) -> None:
            values, made = dict(values), dict[str, dsl.PipelineTask]()
            for step, begin in parts:
                task = begin(values)
                if step is not None:
                    made[step.name] = task.after(*(made[one] for one in step.after))
                    values |= {name: task.outputs[output] for name, output in step.outputs.items()}

        return add

    def _if(self, condition: str, block: Sequence[Step], depth: int) -> Add:
        inner = self.part(dashed(condition), needed(block, depth), self.steps(block, depth))

        def ask(values: Values) -> None:
            with dsl.If(values[condition] == True, name=WORDS[condition]):  # noqa: E712 - builds a condition
                inner(values)

        return self.part(f"if-{dashed(condition)}", [*needed(block, depth), condition], ask)

    def _step(self, step: Step) -> Add:
        each = step.each
        if each is None:
            return lambda values: self._put(step, values)

        def repeat(values: Values) -> dsl.PipelineTask:
            at_once = self._placement.resources.parallel_shards
            with dsl.ParallelFor(items=values[each], name=WORDS[each], parallelism=at_once) as item:
                return self._put(step, {**values, SHARE: item})

        return self.part(f"{step.name}-{dashed(each)}", needed([step], len(step.within)), repeat)

    def _put(self, step: Step, values: Values) -> dsl.PipelineTask:
        """Start a step where it belongs."""
        classes = [one for one in accelerator_classes(self._placement.resources) if one == step.resource_class]
        put: Callable[..., dsl.PipelineTask] = getattr(self._placement, step.resource_class)
        return put(start(step, values), *(values[one] for one in parameter_types(classes)))


class _Nested(_Flat):
    """Makes the form in which each part is a sub-pipeline."""

    def part(self, name: str, needs: Sequence[str], add: Add) -> Add:
        """Return what starts the part with the values that it needs; its task carries no caching either."""
        accelerators = parameter_types(accelerator_classes(self._placement.resources))
        names, kinds = [*needs, *accelerators], {**TYPES, **accelerators}

        def function(*given: Any) -> None:
            add(dict(zip(names, given, strict=True)))

        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # KFP reads it
            [inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kinds[one]) for one in names]
        )
        made = dsl.pipeline(name=name)(function)
        return lambda values: self._placement.graph(made(**{one: values[one] for one in names}))
