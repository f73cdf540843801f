from __future__ import annotations

import pytest

from activelora.config import GatesConfig
from activelora.evaluation.gates import base_of, champion, gate_failures
from activelora.evaluation.headline import ACCURACY
from activelora.kinds.registry import get_kind
from tests.tracking.conftest import Builder, write_evaluation

METRICS = {"accuracy": 0.7, "ece": 0.1}


def test_round_zero_never_passes() -> None:
    assert gate_failures(GatesConfig(), 0, METRICS, None, ACCURACY)


def test_each_gate_gives_its_reason() -> None:
    gates = GatesConfig(min_accuracy=0.8, max_ece=0.05)
    reasons = gate_failures(gates, 1, METRICS, None, ACCURACY)
    assert reasons == ["accuracy 0.700 is below the gate's 0.800", "ECE 0.100 is above the gate's 0.050"]
    assert gate_failures(GatesConfig(min_accuracy=0.7, max_ece=0.1), 1, METRICS, None, ACCURACY) == []


def test_limits_hold_for_a_refreshed_holdout_too_and_comparisons_do_not(build_campaign: Builder) -> None:
    refreshed = {**METRICS, "refreshed_accuracy": 0.6, "refreshed_ece": 0.2}
    gates = GatesConfig(min_accuracy=0.65, max_ece=0.15)
    assert gate_failures(gates, 1, METRICS, None, ACCURACY) == []
    assert gate_failures(gates, 1, refreshed, None, ACCURACY) == [
        "accuracy of the refreshed holdout 0.600 is below the gate's 0.650",
        "ECE of the refreshed holdout 0.200 is above the gate's 0.150",
    ]
    base = base_of(build_campaign(1)).model_copy(update={"metrics": METRICS})
    assert gate_failures(GatesConfig(), 1, refreshed, None, ACCURACY, base) == []


@pytest.mark.parametrize(("accuracy", "passes"), [(0.4, False), (0.69, False), (0.7, True), (0.9, True)])
def test_no_champion_is_worse_than_the_base(build_campaign: Builder, accuracy: float, passes: bool) -> None:
    base = base_of(build_campaign(1)).model_copy(update={"metrics": METRICS})
    reasons = gate_failures(GatesConfig(), 1, {"accuracy": accuracy, "ece": 0.1}, None, ACCURACY, base)
    assert reasons == (
        [] if passes else [f"accuracy {accuracy:.3f} is below the 0.700 of the base model, before any training"]
    )
    assert not gate_failures(GatesConfig(improve_on_base=False), 1, {"accuracy": accuracy}, None, ACCURACY, base)


def test_no_error_of_a_champion_is_larger_than_the_base_s(build_campaign: Builder) -> None:
    headline = get_kind("regression").headline
    base = base_of(build_campaign(1)).model_copy(update={"metrics": {"rmse": 0.5}})
    assert gate_failures(GatesConfig(), 1, {"rmse": 0.6}, None, headline, base) == [
        "RMSE 0.6 is above the 0.5 of the base model, before any training"
    ]
    assert not gate_failures(GatesConfig(), 1, {"rmse": 0.4}, None, headline, base)


def test_champion_is_the_latest_round_that_passed(build_campaign: Builder) -> None:
    campaign = build_campaign(1)
    assert champion(campaign).round == 1
    assert champion(campaign, before_round=1) is None
    write_evaluation(campaign, 2, skill=0.0)
    assert champion(campaign).round == 1
    assert gate_failures(GatesConfig(), 3, {"accuracy": 0.01, "ece": 0}, champion(campaign), ACCURACY)[0].endswith(
        "round 1"
    )
    assert not gate_failures(
        GatesConfig(improve_on_champion=False), 3, {"accuracy": 0.01, "ece": 0}, champion(campaign), ACCURACY
    )
    write_evaluation(campaign, 3, skill=5.0)
    assert champion(campaign).round == 3
    assert champion(campaign, before_round=3).round == 1


def test_as_good_as_the_champion_is_enough(build_campaign: Builder) -> None:
    present = champion(build_campaign(1))
    assert (
        gate_failures(GatesConfig(), 2, {"accuracy": present.metrics["accuracy"], "ece": 0.5}, present, ACCURACY) == []
    )


def test_no_round_no_champion(build_campaign: Builder) -> None:
    assert champion(build_campaign(0, finished=False)) is None


@pytest.mark.parametrize(("gate", "value"), [("min_accuracy", 0.99), ("max_ece", 0.0)])
def test_gates_come_from_the_campaign_file(build_campaign: Builder, gate: str, value: float) -> None:
    campaign = build_campaign(1, evaluation={"bootstrap_samples": 100, "gates": {gate: value}})
    assert champion(campaign) is None
