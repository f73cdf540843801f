"""The refreshed holdout against a population all of whose answers are known, drawn from again and again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from activelora.acquisition import exploration
from activelora.acquisition.strategy import Pick
from activelora.campaign.held_out import Draw
from activelora.evaluation import bootstrap, refreshed_holdout
from activelora.evaluation.calibration import ece
from activelora.evaluation.classification_metrics import accuracy, brier, nll
from activelora.evaluation.evaluation import EvaluationSettings
from activelora.evaluation.refreshed_holdout import weigh

SETTINGS = EvaluationSettings(num_bins=10, num_resamples=400, level=0.95, seed=3, label_names=("a", "b"))


def predictions(correct):
    """Return predictions and labels of two classes, sure of the first one; right where asked."""
    correct = np.asarray(correct)
    confidence = 0.6 + 0.35 * (np.arange(len(correct)) % 7) / 7
    return np.stack([confidence, 1 - confidence], axis=1), np.where(correct, 0, 1).astype(np.int64)


def test_weighted_accuracy_is_that_of_the_grown_pool_over_many_draws_and_the_first_holdouts_is_not():
    """Two refreshes arrive, and each of three rounds draws from all that has no label yet, old and new alike."""
    rng = np.random.default_rng(0)
    sizes = [600, 300, 500]
    part = np.repeat([0, 1, 2], sizes)
    right = rng.random(1400) < np.array([0.9, 0.5, 0.3])[part]
    found, first_only, plain = [], [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        holdout = rng.permutation(600)[:60]
        gone, draws, drawn = set(holdout.tolist()), [], []
        for round_, arrived in enumerate((1, 2, 2)):
            candidates = [i for i in range(1400) if part[i] <= arrived and i not in gone]
            picks = rng.permutation(len(candidates))[:50]
            chosen = [candidates[i] for i in picks]
            new = [i for i in chosen if part[i] > 0]
            draws += [Draw(round_, int(part[i]), len(chosen) / len(candidates)) for i in new]
            drawn += new
            gone |= set(chosen)
        weights = weigh(60, draws, [600.0, 300.0, 500.0])
        assert weights.unrepresented == 0
        answers = right[[*holdout, *drawn]].astype(float)
        found.append(float(weights.weights_N @ answers))
        plain.append(answers.mean())
        first_only.append(right[holdout].mean())
    error = 3 * np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(right.mean(), abs=error)
    assert abs(np.mean(first_only) - right.mean()) > 0.25
    assert abs(np.mean(plain) - right.mean()) > 0.01 + error, (
        "without weights, parts count by how often they were drawn"
    )


def test_exploration_includes_every_candidate_alike_whatever_the_strategy_prefers():
    """n of N: the record's probability, counted over seeds, with a strategy that takes the first items always."""
    counts, num_seeds = np.zeros(20), 3000
    pool = SimpleNamespace(item_ids=[f"item {n}" for n in range(20)])
    greedy = SimpleNamespace(
        name="greedy",
        picks=lambda part, num, context: [Pick(n, 1.0, "first") for n in range(num)],
    )
    config = SimpleNamespace(exploration=0.4, per_class_floor=0)
    for seed in range(num_seeds):
        context = SimpleNamespace(seed=seed, config=config)
        for pick in exploration.select(greedy, pool, 10, context):
            counts[pick.index] += pick.reason == exploration.REASON
    share = counts / num_seeds
    assert share == pytest.approx(np.full(20, 4 / 20), abs=4 * np.sqrt(0.2 * 0.8 / num_seeds))


def test_weights_of_parts_of_known_size():
    draws = [Draw(1, 1, 0.1), Draw(2, 1, 0.2), Draw(2, 3, 0.2)]
    weights = weigh(4, draws, [40, 30, 20, 10])
    expected = np.array([10, 10, 10, 10, 20, 10, 10]) / 80
    assert weights.weights_N == pytest.approx(expected)
    assert weights.unrepresented == pytest.approx(0.2), "nothing of refresh 2 has been drawn"
    assert weights.added == {1: 1, 2: 2}
    assert weights.effective_size == pytest.approx(80**2 / (6 * 100 + 400))
    assert weigh(5, [], [50]).effective_size == pytest.approx(5)


def test_metrics_are_those_of_a_holdout_that_repeats_each_item_by_its_weight():
    rng = np.random.default_rng(4)
    probs, labels = predictions(rng.random(40) < 0.7)
    draws = [Draw(1, 1, 0.25)] * 10
    weights = weigh(30, draws, [30.0, 40.0])  # a draw counts four times as much as an item of the first holdout
    times = np.repeat([1, 4], [30, 10])
    document = refreshed_holdout.evaluate(probs, labels, weights, SETTINGS)
    repeated = np.repeat(probs, times, axis=0), np.repeat(labels, times)
    assert document["metrics"] == pytest.approx(
        {"accuracy": accuracy(*repeated), "nll": nll(*repeated), "brier": brier(*repeated), "ece": ece(*repeated, 10)}
    )
    for name, (low, high) in document["intervals"].items():
        assert low <= document["metrics"][name] <= high
    flat = refreshed_holdout.flat_metrics(document)
    assert (flat["refreshed_num"], flat["refreshed_num_added"]) == (40, 10)
    assert flat["refreshed_effective_size"] == pytest.approx(70**2 / (30 + 160))


def test_equal_weights_change_nothing():
    probs, labels = predictions(np.arange(30) % 3 > 0)
    plain = bootstrap.ece_of(probs, labels, 10)
    arguments = {"num_resamples": 200, "level": 0.9, "seed": 1}
    weighted = bootstrap.weighted(plain, np.full(30, 7.0))
    assert bootstrap.centred_interval(weighted, 30, **arguments) == pytest.approx(
        bootstrap.centred_interval(plain, 30, **arguments)
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(8)
    sizes, rates = [2000, 1000], [0.9, 0.4]
    truth = np.average(rates, weights=sizes)
    hits = 0
    for seed in range(150):
        right = np.concatenate([rng.random(80) < rates[0], rng.random(40) < rates[1]])
        weights = weigh(80, [Draw(1, 1, 0.04)] * 40, [float(size) for size in sizes])
        settings = EvaluationSettings(num_bins=10, num_resamples=200, level=0.9, seed=seed)
        probs, labels = predictions(right)
        low, high = refreshed_holdout.evaluate(probs, labels, weights, settings)["intervals"]["accuracy"]
        hits += low <= truth <= high
    assert 0.84 <= hits / 150 <= 0.99
