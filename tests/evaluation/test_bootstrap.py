from __future__ import annotations

import numpy as np
import pytest

from activelora.evaluation import bootstrap, calibration
from activelora.evaluation import classification_metrics as metrics


def resampled_rows(num_items: int, num_resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights_BN and the same resamples as row numbers, shape (B, N)."""
    counts_BN = np.random.default_rng(seed).multinomial(num_items, [1 / num_items] * num_items, num_resamples)
    rows = [np.repeat(np.arange(num_items), counts) for counts in counts_BN]
    return counts_BN / num_items, np.array(rows)


def test_weighted_statistics_equal_the_metrics_of_the_resampled_rows(
    predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    probs_NC, labels_N = predictions
    weights_BN, rows_BN = resampled_rows(len(labels_N), 20, seed=2)
    cases = {
        metrics.accuracy: bootstrap.mean_of(metrics.correct_predictions(probs_NC, labels_N)),
        metrics.nll: bootstrap.mean_of(metrics.item_nll(probs_NC, labels_N)),
        metrics.brier: bootstrap.mean_of(metrics.item_brier(probs_NC, labels_N)),
        metrics.macro_f1: bootstrap.macro_f1_of(probs_NC, labels_N),
        calibration.ece: bootstrap.ece_of(probs_NC, labels_N, 15),
    }
    for metric, statistic in cases.items():
        slow = [metric(probs_NC[rows], labels_N[rows]) for rows in rows_BN]
        np.testing.assert_allclose(statistic(weights_BN), slow, atol=1e-12)


def test_interval_is_that_of_a_loop_and_repeats_with_its_seed() -> None:
    values_N = np.random.default_rng(0).normal(size=50)
    weights_BN, _ = resampled_rows(50, 400, seed=9)
    slow = np.quantile([float((w * values_N).sum()) for w in weights_BN], [0.05, 0.95])
    options = {"num_resamples": 400, "level": 0.9, "seed": 9}
    interval = bootstrap.percentile_interval(bootstrap.mean_of(values_N), 50, **options)
    np.testing.assert_allclose(interval, slow)
    assert bootstrap.percentile_interval(bootstrap.mean_of(values_N), 50, **options) == interval


def test_interval_of_a_share_is_close_to_the_normal_approximation() -> None:
    correct_N = np.array([1.0] * 300 + [0.0] * 100)
    low, high = bootstrap.percentile_interval(bootstrap.mean_of(correct_N), 400, num_resamples=4000, level=0.95, seed=1)
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert low == pytest.approx(0.75 - half, abs=0.006)
    assert high == pytest.approx(0.75 + half, abs=0.006)


def test_one_item_has_an_interval_without_width() -> None:
    interval = bootstrap.percentile_interval(
        bootstrap.mean_of(np.array([0.5])), 1, num_resamples=100, level=0.95, seed=0
    )
    assert interval == (0.5, 0.5)


def test_a_wider_level_gives_a_wider_interval() -> None:
    statistic = bootstrap.mean_of(np.arange(30.0))
    narrow = bootstrap.percentile_interval(statistic, 30, num_resamples=500, level=0.5, seed=4)
    wide = bootstrap.percentile_interval(statistic, 30, num_resamples=500, level=0.99, seed=4)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_many_items_are_drawn_in_chunks_with_the_same_result() -> None:
    values_N = np.arange(60_000.0)
    weights_BN = np.random.default_rng(4).multinomial(60_000, [1 / 60_000] * 60_000, size=80) / 60_000
    slow = np.quantile(weights_BN @ values_N, [0.05, 0.95])
    interval = bootstrap.percentile_interval(bootstrap.mean_of(values_N), 60_000, num_resamples=80, level=0.9, seed=4)
    np.testing.assert_allclose(interval, slow)


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_of_ece_holds_the_ece_that_was_measured(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence_N = random.uniform(0.4, 1.0, size=120)
    correct_N = (random.random(120) < confidence_N).astype(float)  # perfectly calibrated: all of it is noise
    statistic = bootstrap.confidence_ece_of(confidence_N, correct_N, 15)
    measured = statistic(np.full((1, 120), 1 / 120))[0]
    options = {"num_resamples": 400, "level": 0.95, "seed": 1}
    low, high = bootstrap.centred_interval(statistic, 120, **options)
    plain = bootstrap.percentile_interval(statistic, 120, **options)
    assert 0 <= low <= measured <= high
    assert high - low == pytest.approx(plain[1] - plain[0], abs=1e-9) or low == 0
    assert high < plain[1]


def test_the_centred_interval_is_that_of_a_loop() -> None:
    random = np.random.default_rng(3)
    confidence_N, correct_N = random.uniform(0.5, 1.0, size=40), (random.random(40) < 0.4).astype(float)
    weights_BN, _ = resampled_rows(40, 300, seed=9)
    statistic = bootstrap.confidence_ece_of(confidence_N, correct_N, 5)
    slow = [float(statistic(weights_N[None])[0]) for weights_N in weights_BN]
    measured = float(statistic(np.full((1, 40), 1 / 40))[0])
    bias = sum(slow) / len(slow) - measured
    expected = [np.quantile(slow, 0.05) - bias, np.quantile(slow, 0.95) - bias]
    found = bootstrap.centred_interval(statistic, 40, num_resamples=300, level=0.9, seed=9)
    np.testing.assert_allclose(found, expected)


def test_of_plain_intervals_some_did_not_hold_the_ece() -> None:
    missed = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        confidence_N = random.uniform(0.4, 1.0, size=120)
        correct_N = (random.random(120) < confidence_N).astype(float)
        statistic = bootstrap.confidence_ece_of(confidence_N, correct_N, 15)
        low, _ = bootstrap.percentile_interval(statistic, 120, num_resamples=400, level=0.95, seed=1)
        missed += bool(low > statistic(np.full((1, 120), 1 / 120))[0])
    assert missed > 0
