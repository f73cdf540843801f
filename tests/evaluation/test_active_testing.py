"""Weighted draws without replacement: no bias, by every sequence of draws of a tiny table; coverage, by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from activelora.evaluation import lure, weighted_draws
from activelora.evaluation.lure import Estimate, TableMeans, share_interval, t_interval
from activelora.evaluation.weighted_draws import UNIFORM_SHARE
from activelora.intervals import wilson_interval

EXPECTED = np.array([0.02, 0.4, 0.1, 0.35, 0.2])
TRUTH = np.array([1.0, 0.0, 0.0, 1.0, 0.0])


def sequences(scores_N, num_draws, uniform_share):
    """Every sequence of draws with its probability and its q, by the definition, one row at a time."""
    for rows in itertools.permutations(range(len(scores_N)), num_draws):
        left, probability_M = list(range(len(scores_N))), []
        for row in rows:
            total = sum(scores_N[i] for i in left)
            probability_M.append((1 - uniform_share) * scores_N[row] / total + uniform_share / len(left))
            left.remove(row)
        yield np.array(rows), np.array(probability_M), np.prod(probability_M)


@pytest.mark.parametrize("num_draws", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("uniform_share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("expected_N", [EXPECTED, np.zeros(5), 1 - EXPECTED], ids=["model", "none", "wrong"])
def test_over_all_sequences_of_draws_the_mean_estimate_is_the_tables_mean(num_draws, uniform_share, expected_N):
    scores_N = weighted_draws.scores(EXPECTED)
    mean = total = variance = martingale = 0.0
    for rows, probability_M, chance in sequences(scores_N, num_draws, uniform_share):
        found = lure.estimate(TRUTH[rows], expected_N[rows], expected_N.mean(), probability_M, 5)
        mean, total = mean + chance * found.value, total + chance
        variance += chance * (found.value - TRUTH.mean()) ** 2
        martingale += chance * found.variance
    assert total == pytest.approx(1.0)
    assert mean == pytest.approx(TRUTH.mean(), abs=1e-12)
    if num_draws > 1:
        assert martingale == pytest.approx(variance, rel=0.35, abs=1e-12)


def test_uniform_draws_are_the_plain_mean_with_the_finite_tables_variance():
    rng = np.random.default_rng(0)
    num_rows, num_draws = 40, 12
    truth_M = rng.random(num_draws)
    probability_M = 1.0 / (num_rows - np.arange(num_draws))
    found = lure.estimate(truth_M, np.zeros(num_draws), 0.0, probability_M, num_rows)
    assert lure.weights(probability_M, num_rows) == pytest.approx(np.ones(num_draws))
    assert found.value == pytest.approx(truth_M.mean())
    textbook = truth_M.var(ddof=1) / num_draws * (1 - num_draws / num_rows)
    assert found.variance == pytest.approx(textbook, rel=0.1)


def test_all_rows_drawn_are_the_table_itself():
    rng = np.random.default_rng(1)
    expected_N, truth_N = rng.random(30), (rng.random(30) < 0.3).astype(float)
    drawn = weighted_draws.draw(weighted_draws.scores(expected_N), 30, 0.5, seed=4)
    assert sorted(drawn.rows_M) == list(range(30))
    args = truth_N[drawn.rows_M], expected_N[drawn.rows_M], expected_N.mean(), drawn.probability_M, 30
    found = lure.estimate(*args)
    first_N = weighted_draws.first_probabilities(weighted_draws.scores(expected_N), 0.5)
    assert found.value == pytest.approx(truth_N.mean(), abs=1e-12)
    assert found.variance == 0.0
    interval = share_interval(found, TableMeans.of(expected_N, first_N), int(truth_N.sum()), 0.95)
    assert interval == pytest.approx((truth_N.mean(), truth_N.mean()))


def test_draws_are_made_with_the_probabilities_that_they_state():
    scores_N = weighted_draws.scores(EXPECTED)
    counts = dict.fromkeys(itertools.permutations(range(5), 2), 0)
    for seed in range(4000):
        counts[tuple(weighted_draws.draw(scores_N, 2, 0.3, seed).rows_M.tolist())] += 1
    expected = [4000 * chance for _, _, chance in sequences(scores_N, 2, 0.3)]
    assert stats.chisquare(list(counts.values()), expected).pvalue > 0.001
    stated = {tuple(rows): probability_M for rows, probability_M, _ in sequences(scores_N, 2, 0.3)}
    drawn = weighted_draws.draw(scores_N, 2, 0.3, seed=7)
    assert drawn.probability_M == pytest.approx(stated[tuple(drawn.rows_M.tolist())])


def test_the_first_draws_do_not_depend_on_how_many_are_made():
    scores_N = weighted_draws.scores(np.random.default_rng(2).random(50))
    short, long = (weighted_draws.draw(scores_N, num, 0.5, seed=1) for num in (10, 30))
    assert short.rows_M.tolist() == long.rows_M[:10].tolist()
    assert short.probability_M == pytest.approx(long.probability_M[:10])


def test_a_model_that_is_sure_of_all_rows_draws_them_alike():
    drawn = weighted_draws.draw(np.zeros(6), 6, 0.5, seed=0)
    assert sorted(drawn.rows_M) == list(range(6))
    assert drawn.probability_M == pytest.approx(1 / np.arange(6, 0, -1))


@pytest.mark.parametrize(
    ("scores_N", "num", "share"), [([0.1], 2, 0.5), ([0.1], 0, 0.5), ([0.1], 1, 0.0), ([np.nan], 1, 0.5)]
)
def test_draws_that_cannot_be_are_refused(scores_N, num, share):
    with pytest.raises(ValueError, match=r"cannot be drawn|is not in|has NaN"):
        weighted_draws.draw(np.array(scores_N), num, share, seed=0)


def test_estimates_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="tell nothing"):
        lure.estimate(np.array([]), np.array([]), 0.1, np.array([]), 5)
    with pytest.raises(ValueError, match="outside"):
        lure.estimate(np.ones(1), np.ones(1), 0.1, np.zeros(1), 5)


def second_moment(theta, expected_N, weight_N):
    """S(θ) of the module's text, row by row."""
    mean = expected_N.mean()

    def moment(truth_N):
        return (weight_N * (truth_N * (1 - expected_N) ** 2 + (1 - truth_N) * expected_N**2)).mean()

    proportional = moment(expected_N * theta / mean)
    if theta <= mean:
        return proportional
    share = (theta - mean) / (1 - mean)
    return (proportional + moment(expected_N + (1 - expected_N) * share)) / 2


@pytest.mark.parametrize(("value", "variance"), [(0.04, 1e-4), (0.31, 1e-5), (-0.01, 1e-6), (0.6, 4e-3)])
def test_the_interval_is_what_a_search_of_all_shares_finds(value, variance):
    rng = np.random.default_rng(3)
    expected_N = rng.beta(0.3, 2, 400)
    first_N = weighted_draws.first_probabilities(weighted_draws.scores(expected_N), 0.5)
    weight_N = 1 / (400 * first_N)
    found = Estimate(value, variance, 400, 40)
    low, high = share_interval(found, TableMeans.of(expected_N, first_N), 1, 0.95)
    inside = []
    for theta in np.linspace(0, 1, 4001):
        null = max(second_moment(theta, expected_N, weight_N), 0.0) - (theta - expected_N.mean()) ** 2
        near = (value - theta) ** 2 <= 1.959964**2 * null * (1 - 40 / 400) / 40
        if near or abs(value - theta) <= stats.t.ppf(0.975, 39) * variance**0.5:
            inside.append(theta)
    assert low == pytest.approx(max(min(inside), 1 / 400), abs=3e-4)
    assert high == pytest.approx(min(max(inside), 1 - 39 / 400), abs=3e-4)


def test_of_uniform_draws_and_a_model_that_knows_the_rate_alone_it_is_wilsons():
    expected_N = np.full(100_000, 0.1)
    means = TableMeans.of(expected_N, np.full(100_000, 1e-5))
    low, high = share_interval(Estimate(0.1, 0.0, 100_000, 50), means, 5, 0.95)
    wilson = wilson_interval(5, 50, 0.95)
    assert (low, high) == pytest.approx(wilson, abs=1e-4)


def test_students_interval():
    found = Estimate(1.5, 0.04, 1000, 10)
    assert t_interval(found, 0.9) == pytest.approx(stats.t.interval(0.9, 9, loc=1.5, scale=0.2))


@pytest.mark.parametrize("sharpness", [1.0, 1.7, 0.6], ids=["calibrated", "overconfident", "underconfident"])
@pytest.mark.parametrize(("error", "num_draws"), [(0.03, 25), (0.1, 50), (0.3, 100)])
def test_the_interval_covers(sharpness, error, num_draws):
    rng = np.random.default_rng(5)
    num_rows, covered, plain, ours = 1500, 0, [], []
    for seed in range(160):
        chance_N = rng.beta(error + 0.02, 1 - error, num_rows)
        chance_N = np.clip(chance_N * error / chance_N.mean(), 1e-4, 0.9)
        truth_N = (rng.random(num_rows) < chance_N).astype(float)
        odds_N = (chance_N / (1 - chance_N)) ** sharpness
        expected_N = np.clip(odds_N / (1 + odds_N), 1e-4, 0.75)
        scores_N = weighted_draws.scores(expected_N)
        drawn = weighted_draws.draw(scores_N, num_draws, UNIFORM_SHARE, seed)
        truth_M = truth_N[drawn.rows_M]
        found = lure.estimate(truth_M, expected_N[drawn.rows_M], expected_N.mean(), drawn.probability_M, num_rows)
        means = TableMeans.of(expected_N, weighted_draws.first_probabilities(scores_N, UNIFORM_SHARE))
        low, high = share_interval(found, means, int(truth_M.sum()), 0.95)
        covered += low <= truth_N.mean() <= high
        ours.append(found.value - truth_N.mean())
        plain.append(truth_N[rng.permutation(num_rows)[:num_draws]].mean() - truth_N.mean())
    assert covered / 160 >= 0.92
    assert np.std(ours) < np.std(plain)
