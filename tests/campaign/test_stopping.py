"""Targets and plateaus: the rules by hand, and through the ledger."""

import numpy as np
import pytest

from activelora.campaign import ledger
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.stopping import highest_sure_ece, lowest_sure_accuracy, plateau_reached, target_reached
from activelora.config.stopping import StoppingConfig
from tests.campaign.test_ledger import do, walk

METRICS = {"accuracy": 0.91, "accuracy_low": 0.88, "ece": 0.04, "ece_high": 0.07, "num_holdout": 1000}


@pytest.mark.parametrize(
    ("stopping", "reached"),
    [
        ({}, False),
        ({"target_accuracy": 0.88}, True),
        ({"target_accuracy": 0.9}, False),
        ({"target_accuracy": 0.9, "target_on": "point"}, True),
        ({"target_ece": 0.07}, True),
        ({"target_ece": 0.05}, False),
        ({"target_ece": 0.05, "target_on": "point"}, True),
        ({"target_accuracy": 0.85, "target_ece": 0.08}, True),
        ({"target_accuracy": 0.85, "target_ece": 0.05}, False),
        ({"target_accuracy": 0.9, "target_ece": 0.08}, False),
    ],
)
def test_all_targets_must_be_passed_by_the_safe_end(stopping, reached):
    assert (target_reached(StoppingConfig(**stopping), METRICS, 0.95) is not None) == reached


REFRESHED = {
    "refreshed_accuracy": 0.9,
    "refreshed_accuracy_low": 0.87,
    "refreshed_ece": 0.05,
    "refreshed_ece_high": 0.09,
    "refreshed_effective_size": 700.4,
}


@pytest.mark.parametrize(
    ("stopping", "changes", "reached"),
    [
        ({"target_accuracy": 0.87}, {}, True),
        ({"target_accuracy": 0.88}, {}, False),
        ({"target_accuracy": 0.87}, {"refreshed_effective_size": 20.0}, False),
        ({"target_accuracy": 0.905, "target_on": "point"}, {}, False),
        ({"target_accuracy": 0.9, "target_on": "point"}, {}, True),
        ({"target_ece": 0.08}, {}, False),
        ({"target_ece": 0.045, "target_on": "point"}, {}, False),
        ({"target_ece": 0.05, "target_on": "point"}, {}, True),
    ],
)
def test_a_target_must_be_reached_on_a_refreshed_holdout_too(stopping, changes, reached):
    metrics = {**METRICS, **REFRESHED, **changes}
    assert target_reached(StoppingConfig(**stopping), METRICS, 0.95) is not None
    assert (target_reached(StoppingConfig(**stopping), metrics, 0.95) is not None) == reached


def test_ten_right_answers_of_ten_are_no_sure_accuracy_of_95_percent():
    """The bootstrap's interval has no width there; Wilson's begins at 1 / (1 + z²/N) = 0.72."""
    stopping, perfect = StoppingConfig(target_accuracy=0.95), {"accuracy": 1.0, "accuracy_low": 1.0}
    assert target_reached(stopping, {**perfect, "num_holdout": 10}, 0.95) is None
    assert target_reached(stopping, {**perfect, "num_holdout": 100}, 0.95) is not None


def test_the_target_s_reason_names_the_numbers():
    said = target_reached(StoppingConfig(target_accuracy=0.85, target_ece=0.08), METRICS, 0.95)
    assert said == (
        "the target is reached: the lower end of accuracy's interval is 0.880, and 0.85 was wanted; "
        "the upper end of ECE's interval is 0.070, and 0.08 at most was wanted"
    )


@pytest.mark.parametrize(
    ("rounds", "gain", "accuracies", "reached"),
    [
        (None, 0.0, [0.5, 0.5, 0.5], False),
        (1, 0.0, [0.5], False),
        (1, 0.0, [0.5, 0.5], True),
        (1, 0.0, [0.5, 0.501], False),
        (1, 0.01, [0.5, 0.509], True),
        (2, 0.0, [0.7, 0.6], False),
        (2, 0.0, [0.7, 0.6, 0.65], True),
        (2, 0.0, [0.7, 0.6, 0.71], False),
        (2, 0.0, [0.7, 0.71, 0.6], False),
        (2, 0.05, [0.7, 0.73, 0.74], True),
        (2, 0.05, [0.2, 0.5, 0.7, 0.6, 0.6], True),
    ],
)
def test_plateau(rounds, gain, accuracies, reached):
    stopping = StoppingConfig(plateau_rounds=rounds, plateau_gain=gain)
    assert (plateau_reached(stopping, accuracies) is not None) == reached


@pytest.fixture
def ended(tmp_path, make_config):
    """Return how a campaign of given accuracies ends: its round and the reason."""

    def run(accuracies, **stopping):
        config = make_config(acquisition={"batch_size": 5}, stopping={"max_rounds": 6, **stopping})
        campaign = Campaign.create(str(tmp_path / "campaign"), config)
        while (plan := ledger.next_plan(campaign)).status == "work":
            for unit in plan.units:
                if unit.step == "evaluate_adapter":
                    value = accuracies[unit.round]
                    metrics = {"accuracy": value, "accuracy_low": value - 0.05, "ece": 0.1, "ece_high": 0.15}
                    metrics["num_holdout"] = 1000
                    campaign.attempt(unit).commit(metrics)
                else:
                    do(campaign, unit)
        return plan.round, plan.reason

    return run


CURVE = (0.6, 0.5, 0.7, 0.72, 0.71, 0.8, 0.81)


@pytest.mark.parametrize(
    ("stopping", "round_", "begins"),
    [
        ({}, 6, "all 6 planned rounds are done (30 labels)"),
        ({"target_accuracy": 0.665}, 3, "the target is reached: the lower end of accuracy's interval is 0.670"),
        ({"target_accuracy": 0.67, "target_on": "point"}, 2, "the target is reached: accuracy is 0.700"),
        ({"target_accuracy": 0.5}, 0, "the target is reached"),
        ({"plateau_rounds": 1}, 4, "accuracy is on a plateau: at best 0.710 in the last round and 0.720 before"),
        ({"plateau_rounds": 2, "plateau_gain": 0.02}, 4, "accuracy is on a plateau: at best 0.720 in the last 2"),
        ({"plateau_rounds": 1, "target_accuracy": 0.665}, 3, "the target is reached"),
        ({"target_accuracy": 0.76, "label_budget": 30}, 6, "the target is reached"),
        ({"plateau_rounds": 1, "label_budget": 20}, 4, "the label budget of 20 is spent"),
    ],
)
def test_the_ledger_ends_a_campaign_with_the_first_rule_that_holds(ended, stopping, round_, begins):
    found_round, reason = ended(CURVE, **stopping)
    assert found_round == round_
    assert reason.startswith(begins)
    assert reason.endswith(" labels)")


def test_without_targets_the_evaluation_is_not_even_read(tmp_path, make_config):
    campaign = Campaign.create(str(tmp_path), make_config(stopping={"max_rounds": 1}))
    assert walk(campaign)[-1].reason.startswith("all 1 planned rounds")
    assert campaign.require(Unit("evaluate_adapter", 1)).metrics == {}


@pytest.mark.parametrize(("target", "num", "level"), [(0.9, 200, 0.95), (0.5, 50, 0.8), (0.99, 1000, 0.99)])
def test_the_accuracy_that_must_be_measured_is_where_the_interval_meets_the_target(target, num, level):
    from scipy.stats import norm

    measured = lowest_sure_accuracy(target, num, level)
    half = norm.ppf((1 + level) / 2) * np.sqrt(measured * (1 - measured) / num)
    assert measured - half == pytest.approx(target, abs=1e-12)


def test_the_extremes_of_targets():
    assert lowest_sure_accuracy(1.0, 100, 0.95) == pytest.approx(1.0)
    assert 0 < lowest_sure_accuracy(0.0, 100, 0.95) < 0.05
    assert highest_sure_ece(1.0, 100, 0.95) == 0
    assert highest_sure_ece(0.9, 400, 0.95) == pytest.approx(1.96 * 0.3 / 20, rel=1e-3)
