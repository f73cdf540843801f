"""What the compiled pipelines cost, and that both forms of the graph run the same steps in the same order."""

from __future__ import annotations

import tempfile
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp.compiler import Compiler

from activelora.config import ResourcesConfig
from components.image import images
from pipelines.graphs.campaign import campaign_pipeline
from pipelines.graphs.compile import compile_text
from pipelines.graphs.costs import busiest, cost_of, idle, most_rounds
from pipelines.graphs.placement import Placement
from pipelines.graphs.tick import tick_pipeline

URI = "s3://bucket/campaign"
RESOURCES = ResourcesConfig(parallel_shards=2)
NOTIFIED = ResourcesConfig.model_validate({"notify": {"secret": "webhook"}, "parallel_shards": 4})
FUSED = ResourcesConfig(graph="fused")
ALL_THAT_MAY_BE_DUE = [*product([True, False], [True, False], [["none"], ["0-1", "2-3"]])]
"""Whether a step is due, whether labels are wanted, and who scores what."""


@cache
def _compiled(resources: str, *, loop: bool) -> str:
    return compile_text(ResourcesConfig.model_validate_json(resources), 4, images(), loop=loop)


@cache
def _compiled_nested(resources: str, *, loop: bool) -> str:
    placement = Placement(ResourcesConfig.model_validate_json(resources), images(), in_pods=False)
    pipeline = campaign_pipeline(placement, 4) if loop else tick_pipeline(placement)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nested.yaml"
        Compiler().compile(pipeline, package_path=str(path))
        return path.read_text(encoding="utf-8")


def spec_of(resources: ResourcesConfig, *, loop: bool = False) -> dict[str, Any]:
    return next(yaml.safe_load_all(_compiled(resources.model_dump_json(), loop=loop)))


def nested_of(resources: ResourcesConfig, *, loop: bool = False) -> dict[str, Any]:
    """The form for KFP's local runner."""
    return next(yaml.safe_load_all(_compiled_nested(resources.model_dump_json(), loop=loop)))


@pytest.mark.parametrize(
    ("resources", "pods"), [(RESOURCES, 4), (NOTIFIED, 7), (FUSED, 3)], ids=["steps", "notified", "fused"]
)
def test_an_idle_tick_is_few_pods(resources, pods):
    """14 before the graph was flat, which is what a cluster was seen to start."""
    assert idle(spec_of(resources)).pods == pods


def test_a_busy_round_is_few_pods_after_each_other():
    """41 pods with one that scores, 39 of them one after another, before the graph was flat."""
    spec = spec_of(RESOURCES)
    for num_pods in (1, 2):
        assert busiest(spec, num_pods).pods == 16 + 3 * num_pods
    assert busiest(spec, 1).hops == 19
    assert busiest(spec, 2).hops == 19
    assert busiest(spec, 4).hops == 19 + 3, "two at once, so in two waves"
    loop = spec_of(RESOURCES, loop=True)
    rounds = [busiest(loop, 1, list(range(number))).pods for number in (1, 2, 3)]
    assert [b - a for a, b in pairwise(rounds)] == [19, 19]


def test_a_round_of_a_fused_loop_is_one_task():
    assert most_rounds(spec_of(FUSED, loop=True), 4) > 50
    spec = spec_of(FUSED, loop=True)
    assert busiest(spec, 4, [0, 1]).pods - busiest(spec, 4, [0]).pods == 3


def test_the_workflow_object_stays_small():
    """1,000 shards are shares of few pods, and the loop has as many rounds as fit, and no more."""
    assert busiest(spec_of(NOTIFIED), 4).workflow_bytes < 300_000
    loop = spec_of(NOTIFIED, loop=True)
    most = most_rounds(loop, 4)
    assert busiest(loop, 4, list(range(most))).workflow_bytes <= 700_000
    assert busiest(loop, 4, list(range(most + 1))).workflow_bytes > 700_000


@pytest.mark.parametrize("resources", [RESOURCES, NOTIFIED], ids=["steps", "notified"])
@pytest.mark.parametrize(("work", "label", "shares"), ALL_THAT_MAY_BE_DUE)
def test_both_forms_run_the_same_steps_with_the_same_parameters(resources, work, label, shares):
    answers = {"plan": {"round": 3, "work": work}, "evaluate-adapter": {"label": label, "shares": shares}}
    expected = ["plan"]
    if work:
        expected += ["ingest-pool", "train-adapter", "evaluate-adapter"]
        expected += [*["score-pool"] * len(shares), "select-batch", "await-labels"] if label else []
    expected += ["tell-the-end"] if resources.notify else []
    for given, loop in ({"campaign_uri": URI}, False), ({"campaign_uri": URI, "rounds": [2, 3]}, True):
        found = []
        for spec in (spec_of(resources, loop=loop), nested_of(resources, loop=loop)):
            cost = cost_of(spec, given, lambda name, _: answers.get(name, {}))
            found.append([(step, told(step, parameters)) for step, parameters in cost.steps])
        assert found[0] == found[1]
        steps = [step for step, _ in found[0]]
        assert steps == expected if not loop else steps.count("plan") == 2
        asked = [parameters["round"] for step, parameters in found[0] if step == "plan"]
        assert asked == ([2, 3] if loop else [-1])
        of_round = {parameters["round"] for step, parameters in found[0] if step in ("train-adapter", "await-labels")}
        assert of_round == ({3} if work else set())
        if work and label:
            assert [parameters["share"] for step, parameters in found[0] if step == "score-pool"] == shares * (1 + loop)


def told(step, parameters):
    """A component's own parameters, without those of its pod."""
    names = {"campaign_uri", "round", "num_pods", "share"}
    return {name: value for name, value in parameters.items() if name in names}


def test_a_true_condition_of_another_form_is_not_passed_over():
    spec = spec_of(RESOURCES)
    (task,) = [one for one in spec["root"]["dag"]["tasks"].values() if "triggerPolicy" in one]
    task["triggerPolicy"]["condition"] = "1 == 1"
    with pytest.raises(ValueError, match="a condition of another form"):
        idle(spec)
