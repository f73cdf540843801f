"""What a compiled pipeline costs on a cluster, counted from its YAML: pods, pods after each other, Argo's object.

The rules are what Kubeflow Pipelines 2.17 on Argo Workflows 4.0 was seen to do: a graph, a condition (also one that is
false), a loop and each of its iterations have a driver pod; a task has a driver pod and its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from activelora.quantities import quantity

NODES_PER_POD = 143 / 39
"""Nodes of the Workflow object for each pod: 143 were counted for 39 pods."""
BYTES_PER_NODE = 300
"""Compressed size of a node in the Workflow object: 333 nodes took 94 kB."""
MAX_WORKFLOW_BYTES = 700_000
"""Argo refuses a Workflow over 1 MiB; what is over this here is refused before it starts."""
_CONDITION = re.compile(r"^inputs\.parameter_values\['([^']+)'\] == true$")
_NUMBER = re.compile(r"(-\d+)+$")
Outputs = Mapping[str, Mapping[str, Any]]
Decide = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Says what a component puts out, from its name and the parameters that it gets."""


@dataclass(frozen=True)
class Cost:
    """What running something costs.

    Attributes:
        pods: Pods that are started.
        hops: Pods on the longest path, each of which starts after the one before.
        steps: The components that ran, in an order in which they may, with their parameters.
    """

    pods: int = 0
    hops: int = 0
    steps: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @property
    def workflow_bytes(self) -> int:
        """About how large the Workflow object is, compressed."""
        return round(self.pods * NODES_PER_POD * BYTES_PER_NODE)


def cost_of(spec: Mapping[str, Any], parameters: Mapping[str, Any], decide: Decide) -> Cost:
    """Return what a run of a pipeline costs.

    Args:
        spec: The first document of a compiled pipeline.
        parameters: Parameters of the run; those that it lacks have their defaults.
        decide: What the components put out.
    """
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: one.get("defaultValue") for name, one in defined.items()}
    return _Walk(spec, decide).dag(spec["root"]["dag"], {**defaults, **parameters})


def busiest(spec: Mapping[str, Any], num_pods: int, rounds: list[int] | None = None) -> Cost:
    """Return what a run costs in which every step is due.

    Args:
        spec: The first document of a compiled pipeline.
        num_pods: How many pods score.
        rounds: Rounds of the campaign pipeline; None for the tick.
    """
    outputs: dict[str, Mapping[str, Any]] = {
        "plan": {"round": 1, "work": True},
        "evaluate-adapter": {"label": True, "shares": [f"{one}-{one}" for one in range(num_pods)]},
    }
    given = {} if rounds is None else {"rounds": rounds}
    return cost_of(spec, given, lambda name, _: outputs.get(name, {}))


def idle(spec: Mapping[str, Any]) -> Cost:
    """Return what a tick costs in which nothing is due."""
    return cost_of(spec, {}, lambda name, _: {"round": 1, "work": False} if name == "plan" else {})


def most_rounds(spec: Mapping[str, Any], num_pods: int) -> int:
    """Return how many rounds one run of the campaign pipeline may have, as far as its Workflow object goes.

    Args:
        spec: The first document of the compiled campaign pipeline.
        num_pods: How many pods score.
    """
    one, two = (busiest(spec, num_pods, list(range(number))).workflow_bytes for number in (1, 2))
    return 1 + math.floor((MAX_WORKFLOW_BYTES - one) / (two - one))


def in_words(text: str, num_pods: int, *, loop: bool) -> str:
    """Return what a compiled pipeline costs, for people.

    Args:
        text: The pipeline's YAML.
        num_pods: How many pods score.
        loop: It is the campaign pipeline.
    """
    spec = next(yaml.safe_load_all(text))
    size = f"{len(text.encode()) / 1000:.0f} kB"
    if loop:
        round_ = busiest(spec, num_pods, [0, 1]).pods - busiest(spec, num_pods, [0]).pods
        return f"{size}; a round {round_} pods; one run may have {most_rounds(spec, num_pods)} rounds"
    nothing, all_ = idle(spec), busiest(spec, num_pods)
    return (
        f"{size}; a tick with nothing to do {quantity(nothing.pods, 'pod')}, one with every step {all_.pods} pods, "
        f"{all_.hops} of them one after another"
    )


class _Walk:
    """Goes through a pipeline as its engine does.

    Args:
        spec: The pipeline.
        decide: What the components put out.
    """

    def __init__(self, spec: Mapping[str, Any], decide: Decide) -> None:
        self._components = spec["components"]
        self._decide = decide

    def dag(self, dag: Mapping[str, Any], given: Mapping[str, Any]) -> Cost:
        """Return what a graph costs: its driver, and its tasks, each after those that it depends on."""
        tasks = dag["tasks"]
        found: dict[str, Cost] = {}
        outputs: dict[str, Mapping[str, Any]] = {}
        ends: dict[str, int] = {}
        pods, steps = 1, list[tuple[str, Mapping[str, Any]]]()
        while len(found) < len(tasks):
            for name, task in sorted(tasks.items()):
                after = set(task.get("dependentTasks", ()))
                if name not in found and after <= set(found):
                    break
            else:
                raise ValueError(f"tasks that wait for each other: {sorted(set(tasks) - set(found))}")
            found[name], outputs[name] = self._task(task, self._inputs(task, given, outputs))
            ends[name] = found[name].hops + max((ends[one] for one in after), default=0)
            pods += found[name].pods
            steps += found[name].steps
        return Cost(pods, 1 + max(ends.values(), default=0), tuple(steps))

    def _inputs(self, task: Mapping[str, Any], given: Mapping[str, Any], outputs: Outputs) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, source in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in source:
                values[name] = given[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:
                made = source["taskOutputParameter"]
                values[name] = outputs[made["producerTask"]].get(made["outputParameterKey"])
            elif "runtimeValue" in source:
                values[name] = source["runtimeValue"]["constant"]
        return values

    def _task(self, task: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Cost, Mapping[str, Any]]:
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition is not None and not self._holds(condition, values):
            return Cost(1, 1), {}
        if iterator := task.get("parameterIterator"):
            return self._loop(task, iterator, values), {}
        return self._once(task, values)

    def _once(self, task: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Cost, Mapping[str, Any]]:
        name = task["componentRef"]["name"]
        if "dag" in self._components[name]:
            return self.dag(self._components[name]["dag"], values), {}
        short = _NUMBER.sub("", name.removeprefix("comp-"))
        return Cost(2, 2, ((short, values),)), self._decide(short, values)

    def _loop(self, task: Mapping[str, Any], iterator: Mapping[str, Any], values: Mapping[str, Any]) -> Cost:
        items = values[iterator["items"]["inputParameter"]]
        costs = [self._once(task, {**values, iterator["itemInput"]: item})[0] for item in items]
        limit = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0)) or max(len(costs), 1)
        waves = [costs[begin : begin + limit] for begin in range(0, len(costs), limit)]
        return Cost(
            1 + sum(one.pods for one in costs),
            1 + sum(max(one.hops for one in wave) for wave in waves),
            tuple(step for one in costs for step in one.steps),
        )

    @staticmethod
    def _holds(condition: str, values: Mapping[str, Any]) -> bool:
        found = _CONDITION.match(condition)
        if found is None:
            raise ValueError(f"a condition of another form: {condition}")
        return values[found.group(1)] is True
