from __future__ import annotations

import numpy as np
import pytest

from activelora.evaluation import temperature
from activelora.evaluation.calibration import ece
from activelora.evaluation.classification_metrics import nll


def calibrated(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probs_NC = rng.dirichlet([0.7] * 4, size=num)
    labels_N = (rng.random(num)[:, None] > probs_NC.cumsum(axis=1)).sum(axis=1).clip(max=3)
    return np.log(probs_NC), labels_N


def test_fit_is_the_best_of_a_grid() -> None:
    log_probs_NC, labels_N = calibrated(300, seed=1)
    sharp_NC = log_probs_NC * 3
    grid = np.linspace(0.1, 10, 2000)
    best = min(grid, key=lambda t: nll(temperature.scale(sharp_NC, t), labels_N))
    assert temperature.fit_temperature(sharp_NC, labels_N) == pytest.approx(best, abs=0.01)


def test_undoes_a_known_temperature_and_calibrates() -> None:
    log_probs_NC, labels_N = calibrated(5000, seed=2)
    fitted = temperature.fit_temperature(log_probs_NC * 2.5, labels_N)
    assert fitted == pytest.approx(2.5, rel=0.05)
    before = ece(temperature.scale(log_probs_NC * 2.5, 1.0), labels_N)
    after = ece(temperature.scale(log_probs_NC * 2.5, fitted), labels_N)
    assert after < 0.03 < before


def test_labels_stay_and_one_changes_nothing() -> None:
    log_probs_NC, _ = calibrated(50, seed=3)
    np.testing.assert_allclose(temperature.scale(log_probs_NC, 1.0), np.exp(log_probs_NC))
    for value in (0.2, 5.0):
        scaled_NC = temperature.scale(log_probs_NC, value)
        np.testing.assert_array_equal(scaled_NC.argmax(axis=1), log_probs_NC.argmax(axis=1))


def test_padding_stays_at_zero() -> None:
    probs_NC = temperature.scale(np.array([[-1.0, -2.0, -np.inf], [-1.0, -1.0, -1.0]]), 2.0)
    assert probs_NC[0, 2] == 0.0
    np.testing.assert_allclose(probs_NC.sum(axis=1), 1.0)


def test_a_split_without_mistakes_gets_the_lowest() -> None:
    log_probs_NC = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    fitted = temperature.fit_temperature(log_probs_NC, np.array([0, 1]))
    assert fitted == temperature.LOWEST
    assert temperature.bound_of(fitted) == "lowest"


def test_a_split_of_confident_mistakes_gets_the_highest() -> None:
    log_probs_NC = np.log(np.array([[0.999, 0.001], [0.001, 0.999]]))
    fitted = temperature.fit_temperature(log_probs_NC, np.array([1, 0]))
    assert fitted == temperature.HIGHEST
    assert temperature.bound_of(fitted) == "highest"
    assert temperature.bound_of(1.0) is None


def test_nan_and_impossible_rows_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="log_probs_NC has NaN, infinity or no possible answer in row 1"):
        temperature.scale(np.array([[0.0, -np.inf], [np.nan, 0.0]]), 1.0)
    with pytest.raises(ValueError, match="row 0"):
        temperature.scale(np.full((1, 2), -np.inf), 1.0)
