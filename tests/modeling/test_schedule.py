"""How long an adapter is trained, and at what rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from activelora.config import TrainingConfig
from activelora.modeling.schedule import Schedule, num_steps


@pytest.mark.parametrize(
    ("num_labels", "settings", "expected"),
    [
        (25, {"epochs": 5}, 60),
        (1, {"epochs": 5}, 60),
        (300, {"epochs": 5}, 188),
        (25, {"min_steps": 0}, 16),
        (3, {"min_steps": 0, "epochs": 0.1}, 1),
        (4, {"min_steps": 30}, 30),
        (100, {"min_steps": 0, "epochs": 1.0}, 13),
    ],
)
def test_the_number_of_steps(num_labels, settings, expected):
    config = TrainingConfig(**settings)
    assert num_steps(num_labels, config) == expected
    schedule = Schedule(num_labels, config)
    assert schedule.most_steps == schedule.total([]) == expected


@pytest.mark.parametrize(
    ("settings", "bound", "total"),
    [
        ({}, 0.3, None),
        ({"learning_rate": 1e-4}, 0.3, None),
        ({"epochs": 3}, None, 60),
        ({"min_steps": 7}, None, 16),
        ({"min_steps": 7, "max_steps": 50}, 0.3, None),
        ({"epochs": 3, "converged_loss": 0.4}, 0.4, None),
        ({"converged_loss": None}, None, 60),
    ],
)
def test_a_length_that_is_given_holds_and_else_the_loss_decides(settings, bound, total):
    config = TrainingConfig.model_validate(settings)
    assert config.converged_loss == bound
    assert Schedule(25, config).total([]) == total
    assert TrainingConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("num_labels", "settings", "fewest", "most"),
    [
        (25, {}, 60, 600),
        (800, {}, 100, 600),  # one pass
        (800, {"epochs": 0.5, "converged_loss": 0.1}, 60, 600),
        (4000, {}, 500, 2500),  # five
        (25, {"min_steps": 700, "converged_loss": 0.1}, 700, 700),
    ],
)
def test_the_fewest_and_the_most_steps_where_the_loss_decides(num_labels, settings, fewest, most):
    config = TrainingConfig.model_validate(settings)
    assert num_steps(num_labels, config) == fewest
    assert Schedule(num_labels, config).total([0.0] * fewest) == fewest
    schedule = Schedule(num_labels, config)
    assert schedule.most_steps == schedule.total([9.0] * most) == most


def rates(num_labels, peak=1.0, losses=(), **settings):
    schedule = Schedule(num_labels, TrainingConfig(**settings))
    given = [*losses, *[9.0] * schedule.most_steps]
    steps = schedule.total(given) if settings.get("converged_loss") else schedule.most_steps
    return [schedule.rate(given[:step], peak) for step in range(steps)]


def test_the_rate_falls_to_the_last_step():
    ten = {"min_steps": 10, "warmup_fraction": 0.2}
    found = rates(1, **ten)
    assert found[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert found[2:] == sorted(found[2:], reverse=True)
    assert 0 < found[-1] == pytest.approx(1 / 8)
    ten["warmup_fraction"] = 0.0
    assert rates(1, **ten, schedule="constant")[5] == 1.0
    assert rates(1, **ten, schedule="cosine")[5] == pytest.approx(0.5)
    assert rates(1, peak=0.2, **ten)[5] == pytest.approx(0.1)


LEARNING = {"converged_loss": 0.1, "min_steps": 40, "max_steps": 200, "batch_size": 8, "epochs": 1.0}


def slow_total(losses, num_labels, fewest, most, bound):
    """The definition, read aloud."""
    one_pass = -(-num_labels // 8)
    for turn in range(1, most + 1):
        if turn < 0.75 * fewest:
            continue
        if turn >= 0.75 * most or np.mean(losses[turn - one_pass : turn]) < bound:
            return min(most, turn + math.ceil(turn / 3))
    raise AssertionError


@pytest.mark.parametrize("seed", range(20))
def test_it_trains_until_the_loss_of_a_pass_is_low_and_a_third_longer(seed):
    generator = np.random.default_rng(seed)
    num_labels = int(generator.integers(8, 200))
    losses = (2 * np.exp(-np.arange(200) / generator.uniform(5, 120)) * generator.uniform(0.5, 1.5, 200)).tolist()
    schedule = Schedule(num_labels, TrainingConfig(**LEARNING))
    expected = slow_total(losses, num_labels, 40, 200, 0.1)
    assert schedule.total(losses) == expected
    known = [schedule.total(losses[:step]) for step in range(expected + 1)]
    turn = known.index(expected)
    assert known == [None] * turn + [expected] * (expected + 1 - turn), "what is known once is known for good"
    found = [schedule.rate(losses[:step], 1.0) for step in range(expected)]
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert set(found[3:turn]) == {1.0}
    assert np.diff(found[turn:]) == pytest.approx(np.full(expected - turn - 1, -1 / (expected - turn)))
    assert found[-1] == pytest.approx(1 / (expected - turn))


def test_what_is_never_learned_ends_at_the_most_steps():
    assert len(rates(25, **LEARNING)) == 200
    assert len(rates(25, **{**LEARNING, "max_steps": 20})) == 40, "the fewest are kept to"


def test_what_is_learned_at_once_takes_the_fewest():
    assert len(rates(25, losses=[0.0] * 300, **LEARNING)) == 40
