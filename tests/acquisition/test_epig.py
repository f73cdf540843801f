"""EPIG against a loop over candidates, targets and pairs of answers."""

import math

import numpy as np
import pytest

from activelora.acquisition import epig
from activelora.acquisition.clusters import sample
from activelora.seeding import derive_seed
from activelora.uncertainty.measures import MEASURES
from tests.acquisition.conftest import context_of, drawn_log_probs, permuted, pool_of


def slow(probs_NKC, targets_TKC):
    """Σ p(y, y_t) ln(p(y, y_t) / p(y) p(y_t)), pair by pair, averaged over the targets."""
    scores = []
    for candidate_KC in probs_NKC:
        total = 0.0
        for target_KC in targets_TKC:
            for one in range(candidate_KC.shape[1]):
                for two in range(target_KC.shape[1]):
                    pairs = [p[one] * q[two] for p, q in zip(candidate_KC, target_KC, strict=True)]
                    joint = sum(pairs) / len(pairs)
                    if joint > 0:
                        total += joint * math.log(joint / (candidate_KC[:, one].mean() * target_KC[:, two].mean()))
        scores.append(total / len(targets_TKC))
    return np.array(scores)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("num_samples", "num_classes"), [(2, 2), (5, 3), (8, 6)])
def test_scores_equal_the_loop_and_do_not_depend_on_blocks(monkeypatch, seed, num_samples, num_classes):
    log_probs_NKC = drawn_log_probs(seed, 17, num_samples, num_classes)
    log_probs_NKC[3, :, 1:] -= np.inf  # an item with one answer
    log_probs_NKC[3, :, 0] = 0
    targets_TKC = np.exp(log_probs_NKC[2:9])
    expected_N = slow(np.exp(log_probs_NKC), targets_TKC)
    for numbers, items in ((1, 5), (60, 7), (10**6, 256)):
        monkeypatch.setattr(epig, "BLOCK_NUMBERS", numbers)
        monkeypatch.setattr(epig, "ITEMS", items)
        scores_N = epig.information(log_probs_NKC, targets_TKC)
        np.testing.assert_allclose(scores_N, expected_N, atol=2e-9)
    assert scores_N[3] == 0


def test_a_label_that_settles_half_of_the_targets_is_worth_half_a_bit():
    """Two samples that are sure. They disagree about candidates 0 and 1 and about target 0, not about target 1."""
    yes, no, even = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
    probs_NKC = np.array([[yes, no], [no, yes], [yes, yes], [even, even]])
    targets_TKC = np.array([[no, yes], [yes, yes]])
    with np.errstate(divide="ignore"):
        scores_N = epig.information(np.log(probs_NKC), targets_TKC)
    np.testing.assert_allclose(scores_N, [math.log(2) / 2, math.log(2) / 2, 0, 0], atol=1e-9)


def test_bald_s_top_is_not_epig_s_where_no_prediction_hangs_on_it():
    """Samples 0 and 1 against 2 and 3 decide most targets; item 0 tells other samples apart, and more surely."""
    high, low = [0.99, 0.01], [0.01, 0.99]
    unsure_high, unsure_low = [0.9, 0.1], [0.1, 0.9]
    others = [[high, high, low, low]] * 6
    pool = pool_of(
        np.log(np.array([[high, low, high, low], [unsure_high, unsure_high, unsure_low, unsure_low], *others]))
    )
    scores_N = epig.information(pool.log_probs_NKC, np.exp(pool.log_probs_NKC))
    assert pool.measures["bald"][0] > pool.measures["bald"][1]
    assert scores_N[1] > 3 * scores_N[0]


@pytest.mark.parametrize("seed", range(4))
def test_information_is_at_least_0_and_at_most_bald_of_either(seed):
    log_probs_NKC = drawn_log_probs(seed, 30)
    targets_TKC = np.exp(drawn_log_probs(seed + 10, 12))
    scores_N = epig.information(log_probs_NKC, targets_TKC)
    bald_N, bald_T = MEASURES["bald"](log_probs_NKC), MEASURES["bald"](np.log(targets_TKC))
    smaller_N = np.array([np.mean([min(one, other) for other in bald_T]) for one in bald_N])
    assert (scores_N >= 0).all()
    assert (scores_N <= smaller_N + 1e-9).all()


def test_targets_are_drawn_from_the_pool_by_the_seed_whatever_its_order():
    pool = pool_of(drawn_log_probs(5, 60))
    rows = sample(60, 9, derive_seed(3, "epig"))
    expected_N = slow(np.exp(pool.log_probs_NKC), np.exp(pool.log_probs_NKC[rows]))
    picks = epig.select(pool, 5, context_of("epig", seed=3, targets=9))
    assert [pick.index for pick in picks] == np.argsort(-expected_N)[:5].tolist()
    assert [pick.score for pick in picks] == pytest.approx(np.sort(expected_N)[::-1][:5], abs=2e-9)
    assert picks[0].reason.startswith(
        f"tells {picks[0].score:.4f} nats about an answer, on average over 9 items, rank 1"
    )
    order = np.random.default_rng(0).permutation(60)
    again = epig.select(permuted(pool, order), 5, context_of("epig", seed=3, targets=9))
    assert [order[pick.index] for pick in again] == [pick.index for pick in picks]
    other = epig.select(pool, 5, context_of("epig", seed=4, targets=9))
    assert [pick.score for pick in other] != [pick.score for pick in picks]
