"""BatchBALD against enumeration of every joint answer."""

import itertools
import math

import numpy as np
import pytest

from activelora.acquisition import batch_bald
from tests.acquisition.conftest import context_of, drawn_log_probs, pool_of


def joint_information(probs_BKC):
    """I(y_1…y_b; w) of a batch by the definition: H of the joint minus its expectation under each sample."""
    num_items, num_samples, num_answers = probs_BKC.shape
    joint, conditional = 0.0, 0.0
    for answers in itertools.product(range(num_answers), repeat=num_items):
        under = [math.prod(probs_BKC[i, k, c] for i, c in enumerate(answers)) for k in range(num_samples)]
        mean = sum(under) / num_samples
        joint -= mean * math.log(mean) if mean > 0 else 0.0
        conditional -= sum(p * math.log(p) for p in under if p > 0) / num_samples
    return joint - conditional


def naive_greedy(probs_NKC, num):
    """The paper's algorithm 1: add the item with which the batch's joint information is largest."""
    batch, total, gains = [], 0.0, []
    for _ in range(num):
        rest = [index for index in range(len(probs_NKC)) if index not in batch]
        values = [joint_information(probs_NKC[[*batch, index]]) for index in rest]
        best = int(np.argmax(values))
        batch.append(rest[best])
        gains.append(values[best] - total)
        total = values[best]
    return batch, gains


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("num_samples", "num_classes"), [(3, 2), (5, 3), (2, 4)])
def test_exact_batches_equal_enumeration(seed, num_samples, num_classes):
    probs_NKC = np.exp(drawn_log_probs(seed, 9, num_samples, num_classes))
    chosen = batch_bald.greedy(probs_NKC, 4, 10_000, seed=0)
    batch, gains = naive_greedy(probs_NKC, 4)
    assert [row for row, _ in chosen] == batch
    np.testing.assert_allclose([gain for _, gain in chosen], gains, atol=1e-8)


def test_items_with_fewer_answers_and_sure_samples():
    probs_NKC = np.exp(drawn_log_probs(4, 7, 3, 3))
    probs_NKC[2, :, 2] = 0
    probs_NKC[2] /= probs_NKC[2].sum(axis=1, keepdims=True)
    probs_NKC[5] = 0.9 * np.eye(3) + 0.1 / 3
    batch, gains = naive_greedy(probs_NKC, 4)
    chosen = batch_bald.greedy(probs_NKC, 4, 10_000, seed=0)
    assert [row for row, _ in chosen] == batch
    np.testing.assert_allclose([gain for _, gain in chosen], gains, atol=1e-8)
    assert batch[0] == 5
    drawn = batch_bald.greedy(probs_NKC, 4, 100, seed=0)
    assert drawn[0] == chosen[0]


@pytest.mark.parametrize("seed", range(3))
def test_draws_approach_the_exact_gains(seed):
    probs_NKC = np.exp(drawn_log_probs(seed, 12, 4, 3))
    joint, exact = batch_bald._Joint(4, 2000, seed), batch_bald._Joint(4, 10**6, seed)
    for row in range(8):
        joint.add(probs_NKC[row])
        exact.add(probs_NKC[row])
        np.testing.assert_allclose(
            joint.conditional_entropy(probs_NKC), exact.conditional_entropy(probs_NKC), atol=0.01
        )
    assert len(exact._log_joint_MK) == 3**8
    assert len(joint._log_joint_MK) == 2000


@pytest.mark.parametrize("pool_seed", range(5))
def test_a_batch_of_one_is_balds_top(pool_seed):
    pool = pool_of(drawn_log_probs(pool_seed, 60))
    (pick,) = batch_bald.select(pool, 1, context_of("batch_bald"))
    assert pick.index == int(np.argmax(pool.measures["bald"]))
    assert pick.score == pytest.approx(pool.measures["bald"].max(), abs=1e-8)


def test_runs_with_other_seeds_agree_in_nine_of_ten_picks():
    """20 samples and 4 answers: of ten picks the last are drawn, since 4^8 configurations are more than the limit."""
    pool = pool_of(drawn_log_probs(11, 150, 20, 4, spread=1.5))
    batches = [
        {pick.index for pick in batch_bald.select(pool, 10, context_of("batch_bald", seed=seed))} for seed in range(5)
    ]
    assert min(len(one & two) for one, two in itertools.combinations(batches, 2)) >= 9


def test_copies_are_not_picked_twice():
    """Three copies of BALD's favourite, and an item of less information, but about something else."""
    favourite = np.array([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]])
    other = np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.2, 0.8]])
    pool = pool_of(np.log(np.stack([favourite, favourite, other, favourite])))
    assert pool.measures["bald"].argmin() == 2
    assert [pick.index for pick in batch_bald.select(pool, 2, context_of("batch_bald"))] == [0, 2]


def test_the_joint_information_of_copies_is_less_than_twice():
    probs_NKC = np.exp(drawn_log_probs(3, 1, 6, 3)).repeat(2, axis=0)
    (_, first), (_, second) = batch_bald.greedy(probs_NKC, 2, 1000, seed=0)
    assert first + second == pytest.approx(joint_information(probs_NKC), abs=1e-8)
    assert second < first


def test_gains_never_rise():
    """Information is submodular."""
    gains = [gain for _, gain in batch_bald.greedy(np.exp(drawn_log_probs(5, 30, 6, 3)), 7, 10_000, seed=0)]
    assert gains == sorted(gains, reverse=True)


def drawn_joint(probs_NKC, num_picked, num_configurations=4000):
    joint = batch_bald._Joint(probs_NKC.shape[1], num_configurations, seed=0)
    for row in range(num_picked):
        joint.add(probs_NKC[row])
    return joint


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("num_picked", [7, 12, 25])
def test_few_configurations_stand_for_all(monkeypatch, pairs, num_picked):
    monkeypatch.setattr(batch_bald, "FEW", 200)
    probs_NKC = np.exp(drawn_log_probs(12, 400, 6, 5, spread=1.5))
    joint = drawn_joint(probs_NKC, num_picked)
    weights_MK = batch_bald._softmax(joint._log_joint_MK)
    few = batch_bald._Few.of(weights_MK, pairs)
    assert len(few.shares_S) <= 305
    mean_F = batch_bald._functions(weights_MK, pairs).mean(axis=0)
    np.testing.assert_allclose(few.shares_S @ few._functions_SF, mean_F, atol=1e-7)

    whole_N, noise_N = joint.entropy_with_error(probs_NKC)
    highest_N, few_noise_N = few.entropy_at_most(probs_NKC.astype(np.float32))
    assert (highest_N + batch_bald.ROUNDING >= whole_N).mean() >= 0.995
    assert np.median(few_noise_N) == pytest.approx(np.median(noise_N), rel=0.15)
    # So many configurations by themselves would be off by this in one standard error, and a bound by four.
    alone = np.median(noise_N) * math.sqrt(len(weights_MK) / len(few.shares_S))
    assert np.median(highest_N - whole_N) < 0.25 * batch_bald.STANDARD_ERRORS * alone


def test_systematic_draws_keep_their_chances():
    """Chances are in proportion to the shares up to 1, and who has 1 is drawn."""
    shares_M = np.random.default_rng(0).dirichlet(np.full(40, 0.3))
    chances_M = batch_bald._chances(shares_M, 12)
    assert chances_M.sum() == pytest.approx(12, abs=1e-6)
    assert chances_M.max() == 1.0
    free_M = chances_M < 1.0
    np.testing.assert_allclose(chances_M[free_M] / shares_M[free_M], (chances_M / shares_M)[free_M][0])
    drawn = batch_bald._systematic(chances_M, np.argsort(shares_M))
    assert len(drawn) == 12
    assert set(np.flatnonzero(chances_M == 1.0)) <= set(drawn)


def test_picks_from_few_configurations_are_those_from_all(monkeypatch):
    monkeypatch.setattr(batch_bald, "FEW", 200)
    probs_NKC = np.exp(drawn_log_probs(13, 300, 6, 5, spread=1.5))
    chosen = batch_bald.greedy(probs_NKC, 14, 4000, seed=0)
    joint = drawn_joint(probs_NKC, 0)
    expected_N = batch_bald._entropy(probs_NKC).mean(axis=1)
    free_N = np.ones(len(probs_NKC), dtype=bool)
    for row, gain in chosen:
        gains_N = np.where(free_N, joint.conditional_entropy(probs_NKC) - expected_N, -1.0)
        assert row == int(np.argmax(gains_N))
        assert gain == pytest.approx(max(gains_N[row], 0.0), abs=1e-8)
        free_N[row] = False
        joint.add(probs_NKC[row])
    assert len(joint.screens()) == 2


def test_few_configurations_are_not_taken_where_they_would_not_be_few():
    probs_NKC = np.exp(drawn_log_probs(14, 20, 6, 5))
    joint = drawn_joint(probs_NKC, 8, 1000)
    assert joint.screens() == [joint.entropy_with_error]


def test_blocks_do_not_change_the_result(monkeypatch):
    probs_NKC = np.exp(drawn_log_probs(6, 30, 6, 4))
    whole = batch_bald.greedy(probs_NKC, 8, 2000, seed=1)
    monkeypatch.setattr(batch_bald, "BLOCK_NUMBERS", 1000)
    assert batch_bald.greedy(probs_NKC, 8, 2000, seed=1) == whole


def test_only_the_top_by_bald_are_candidates():
    pool = pool_of(drawn_log_probs(7, 60))
    picks = batch_bald.select(pool, 5, context_of("batch_bald", candidates=8))
    assert {pick.index for pick in picks} <= set(np.argsort(-pool.measures["bald"])[:8].tolist())


def test_one_sample_tells_nothing():
    pool = pool_of(drawn_log_probs(8, 6, 1, 3))
    picks = batch_bald.select(pool, 3, context_of("batch_bald"))
    assert len({pick.index for pick in picks}) == 3
    assert {pick.score for pick in picks} == {None}  # drawn at random
