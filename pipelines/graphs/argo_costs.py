"""What an Argo workflow of :mod:`pipelines.graphs.argo` costs, counted from its template: a pod for each container."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from activelora.quantities import quantity
from pipelines.cluster.train_jobs import Document
from pipelines.graphs.costs import Cost

_REFERENCE = re.compile(r"\{\{([^{}]+)\}\}")
_ARGUMENT = re.compile(r"--([a-z-]+)=(.*)", re.DOTALL)
_CONDITION = re.compile(r"(true|false) == true")
Run = Callable[[str, list[str]], Mapping[str, str]]
"""Runs a pod, and returns its outputs, from its template's name and its command with all references filled in."""


def cost_of(template: Document, parameters: Mapping[str, str], run: Run) -> Cost:
    """Return what a workflow costs in which all goes well.

    Args:
        template: The WorkflowTemplate.
        parameters: Parameters of the workflow; those that it lacks have the template's values.
        run: What the pods put out.

    Raises:
        ValueError: The template refers to what is not there, or has a condition of another form.
    """
    spec = template["spec"]
    given = {one["name"]: one["value"] for one in spec["arguments"]["parameters"] if "value" in one} | {**parameters}
    scope = {f"workflow.parameters.{name}": value for name, value in given.items()}
    walk = _Walk(spec["templates"], scope, run)
    cost = walk.template(spec["entrypoint"], {})[0]
    if "onExit" not in spec:
        return cost
    ends = {"workflow.status": "Succeeded", "workflow.failures": json.dumps("null")}
    exit_ = _Walk(spec["templates"], scope | ends, run).template(spec["onExit"], {})[0]
    return Cost(cost.pods + exit_.pods, cost.hops + exit_.hops, cost.steps + exit_.steps)


def busiest(template: Document, num_pods: int) -> Cost:
    """Return what a tick costs in which every step is due.

    Args:
        template: The WorkflowTemplate.
        num_pods: How many pods score.
    """
    shares = json.dumps([f"{one}-{one}" for one in range(num_pods)])
    outputs = {"plan": {"round": "1", "work": "true"}, "evaluate-adapter": {"label": "true", "shares": shares}}
    return cost_of(template, {"campaign-uri": ""}, lambda name, _: outputs.get(name, {}))


def idle(template: Document) -> Cost:
    """Return what a tick costs in which nothing is due."""
    outputs = {"plan": {"round": "1", "work": "false"}}
    return cost_of(template, {"campaign-uri": ""}, lambda name, _: outputs.get(name, {}))


def in_words(template: Document, num_pods: int) -> str:
    """Return what a workflow costs, for people.

    Args:
        template: The WorkflowTemplate.
        num_pods: How many pods score.
    """
    nothing, all_ = idle(template), busiest(template, num_pods)
    return (
        f"a tick with nothing to do {quantity(nothing.pods, 'pod')}, one with every step "
        f"{quantity(all_.pods, 'pod')}, {all_.hops} of them one after another"
    )


class _Walk:
    """Goes through a workflow as Argo does.

    Args:
        templates: The templates.
        scope: What all of them may refer to, by name.
        run: What the pods put out.
    """

    def __init__(self, templates: list[Document], scope: Mapping[str, str], run: Run) -> None:
        self._templates = {one["name"]: one for one in templates}
        self._scope = scope
        self._run = run

    def template(self, name: str, inputs: Mapping[str, str]) -> tuple[Cost, Mapping[str, str]]:
        """Return what a template costs, and its outputs."""
        template = self._templates[name]
        declared = [one["name"] for one in template.get("inputs", {}).get("parameters", ())]
        if sorted(declared) != sorted(inputs):
            raise ValueError(f"template {name} takes {sorted(declared)}, and is given {sorted(inputs)}")
        scope = {**self._scope, **{f"inputs.parameters.{one}": value for one, value in inputs.items()}}
        if "dag" in template:
            return self._dag(template["dag"]["tasks"], scope), {}
        container = template["container"]
        command = [*container["command"], *(_filled(one, scope) for one in container["args"])]
        made = self._run(name, command)
        expected = [one["name"] for one in template.get("outputs", {}).get("parameters", ())]
        if missing := sorted(set(expected) - set(made)):
            raise ValueError(f"{name} does not put out {missing}")
        return Cost(1, 1, ((name, _parameters_of(command)),)), made

    def _dag(self, tasks: list[Document], scope: dict[str, str]) -> Cost:
        ends: dict[str, int] = {}
        pods, steps = 0, list[tuple[str, Mapping[str, Any]]]()
        while len(ends) < len(tasks):
            ready = [one for one in tasks if one["name"] not in ends and set(one.get("dependencies", ())) <= set(ends)]
            if not ready:
                waiting = sorted({one["name"] for one in tasks} - set(ends))
                raise ValueError(f"tasks that wait for each other: {waiting}")
            task = ready[0]
            cost, made = self._task(task, scope)
            after = max((ends[one] for one in task.get("dependencies", ())), default=0)
            ends[task["name"]] = after + cost.hops
            scope |= {f"tasks.{task['name']}.outputs.parameters.{name}": value for name, value in made.items()}
            pods += cost.pods
            steps += cost.steps
        return Cost(pods, max(ends.values(), default=0), tuple(steps))

    def _task(self, task: Document, scope: Mapping[str, str]) -> tuple[Cost, Mapping[str, str]]:
        if "when" in task:
            condition = _CONDITION.fullmatch(_filled(task["when"], scope))
            if condition is None:
                raise ValueError(f"a condition of another form: {task['when']}")
            if condition.group(1) == "false":
                return Cost(), {}
        if "withParam" not in task:
            return self.template(task["template"], _arguments(task, scope))
        items = json.loads(_filled(task["withParam"], scope))
        costs = [self.template(task["template"], _arguments(task, {**scope, "item": item}))[0] for item in items]
        return Cost(
            sum(one.pods for one in costs),
            max((one.hops for one in costs), default=0),
            tuple(step for one in costs for step in one.steps),
        ), {}


def _arguments(task: Document, scope: Mapping[str, str]) -> dict[str, str]:
    parameters = task.get("arguments", {}).get("parameters", ())
    return {one["name"]: _filled(one["value"], scope) for one in parameters}


def _filled(text: str, scope: Mapping[str, str]) -> str:
    """Return a text with its references filled in."""

    def value(found: re.Match[str]) -> str:
        if found.group(1) not in scope:
            raise ValueError(f"a reference to what is not there: {found.group()}")
        return scope[found.group(1)]

    return _REFERENCE.sub(value, text)


def _parameters_of(command: list[str]) -> dict[str, str]:
    """Return what a step is given, by the names that its component has."""
    found = [_ARGUMENT.fullmatch(one) for one in command]
    return {one.group(1).replace("-", "_"): one.group(2) for one in found if one}
