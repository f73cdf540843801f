"""D-optimal design against log determinants that are computed anew for every candidate."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition import badge, d_optimal
from activelora.acquisition.class_floor import _from_class
from activelora.acquisition.hybrid import subset
from activelora.errors import ConfigError, ModelError
from tests.acquisition.conftest import (
    context_of,
    drawn_embeddings,
    drawn_log_probs,
    drawn_probs,
    ids_of,
    permuted,
    pool_of,
)


def log_det(ridge, points_MD, weights_MC):
    """Σ_c log det(λI + Σ w_c v vᵀ)."""
    total = 0.0
    for weights_M in weights_MC.T:
        hessian_DD = ridge * np.eye(points_MD.shape[1])
        for weight, point_D in zip(weights_M, points_MD, strict=True):
            hessian_DD += weight * np.outer(point_D, point_D)
        total += np.linalg.slogdet(hessian_DD)[1]
    return total


def naive(points_ND, weights_NC, labeled_LD, weights_LC, ridge, num):
    """Rows and gains, by the log determinant with every candidate in turn."""
    points_ND, labeled_LD = points_ND.astype(np.float64), labeled_LD.astype(np.float64)
    scale = np.mean([weights_C.mean() * (v_D @ v_D) for weights_C, v_D in zip(weights_NC, points_ND, strict=True)])
    ridge = ridge * scale / points_ND.shape[1]
    known_MD, known_MC, picked = labeled_LD, weights_LC, []
    while len(picked) < num:
        before = log_det(ridge, known_MD, known_MC)
        gains = [
            -np.inf
            if row in {one for one, _ in picked}
            else log_det(ridge, np.vstack([known_MD, points_ND[row]]), np.vstack([known_MC, weights_NC[row]])) - before
            for row in range(len(points_ND))
        ]
        best = int(np.argmax(gains))
        picked.append((best, gains[best]))
        known_MD, known_MC = np.vstack([known_MD, points_ND[best]]), np.vstack([known_MC, weights_NC[best]])
    return picked


def pairs(seed=0, num_items=30, num_labeled=0, num_features=6, same_probs=False):
    """A pool of pairs of answers: two answers, and features that differ from the embeddings."""
    rng = np.random.default_rng(seed)
    labeled_LD = (rng.normal(size=(num_labeled, num_features)) + 1).astype(np.float32)
    log_probs_NKC = drawn_log_probs(seed, num_items, 2, 2)
    if same_probs:
        log_probs_NKC = np.full_like(log_probs_NKC, np.log(0.5))
    pool = pool_of(log_probs_NKC, label_names=("first", "second"), labeled_LD=drawn_embeddings(9, num_labeled))
    return replace(
        pool,
        features_ND=(rng.normal(size=(num_items, num_features)) + 1).astype(np.float32),
        labeled_features_LD=labeled_LD,
    )


def picked(pool, num=8, **options):
    return [pick.index for pick in d_optimal.select(pool, num, context_of("d_optimal", **options))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_labeled", [0, 1, 4, 12])
@pytest.mark.parametrize("num_classes", [2, 3, 5])
@pytest.mark.parametrize("ridge", [0.01, 1.0, 30.0])
def test_picks_and_gains_are_those_of_the_log_determinant(seed, num_labeled, num_classes, ridge):
    """With fewer labelled items than features and with more."""
    points_ND, probs_NC = drawn_embeddings(seed, 25, 6), drawn_probs(seed, 25, num_classes)
    labeled_LD, probs_LC = drawn_embeddings(seed + 9, num_labeled, 6), drawn_probs(seed + 9, num_labeled, num_classes)
    weights_NC, weights_LC = d_optimal.weights(probs_NC), d_optimal.weights(probs_LC)
    design = d_optimal.Design(points_ND, weights_NC, ridge)
    design.begin(labeled_LD, weights_LC)
    chosen = d_optimal.greedy(design, 10)
    expected = naive(points_ND, weights_NC, labeled_LD, weights_LC, ridge, 10)
    assert [row for row, _ in chosen] == [row for row, _ in expected]
    np.testing.assert_allclose([gain for _, gain in chosen], [gain for _, gain in expected], atol=1e-8)


@pytest.mark.parametrize("block_bytes", [1, 100, 10**9])
def test_picks_do_not_depend_on_blocks(monkeypatch, block_bytes, labeled_pool):
    whole = d_optimal.select(labeled_pool, 12, context_of("d_optimal"))
    monkeypatch.setattr("activelora.acquisition.spill.BLOCK_BYTES", block_bytes)
    assert [pick.index for pick in d_optimal.select(labeled_pool, 12, context_of("d_optimal"))] == [
        pick.index for pick in whole
    ]


@pytest.mark.parametrize("num_classes", [3, 5])
def test_the_sum_over_answers_bounds_the_log_determinant_of_the_softmax_s_hessian(num_classes):
    points_ND, probs_NC = drawn_embeddings(1, 12, 4).astype(np.float64), drawn_probs(1, 12, num_classes)
    hessian = 0.3 * np.eye(4 * num_classes)
    for p_C, v_D in zip(probs_NC, points_ND, strict=True):
        hessian += np.kron(np.diag(p_C) - np.outer(p_C, p_C), np.outer(v_D, v_D))
    assert np.linalg.slogdet(hessian)[1] <= log_det(0.3, points_ND, d_optimal.weights(probs_NC))


def test_two_answers_weigh_as_the_curvature_of_logistic_loss():
    """−d²/dz² log σ(z), by differences."""
    logits_N, step = np.linspace(-4, 4, 9), 1e-4
    losses = [np.logaddexp(0, -(logits_N + move)) for move in (-step, 0, step)]
    curvature_N = (losses[0] - 2 * losses[1] + losses[2]) / step**2
    first_N = 1 / (1 + np.exp(-logits_N))
    np.testing.assert_allclose(d_optimal.weights(np.stack([first_N, 1 - first_N], 1))[:, 0], curvature_N, atol=1e-6)


def test_two_answers_are_two_equal_blocks():
    probs_NC = drawn_probs(3, 20, 2)
    assert d_optimal.weights(probs_NC).shape == (20, 1)
    points_ND, both_NC = drawn_embeddings(3, 20), probs_NC * (1 - probs_NC)
    one = d_optimal.greedy(d_optimal.Design(points_ND, d_optimal.weights(probs_NC), 1.0), 8)
    two = d_optimal.greedy(d_optimal.Design(points_ND, both_NC, 1.0), 8)
    assert [row for row, _ in one] == [row for row, _ in two]
    np.testing.assert_allclose([2 * gain for _, gain in one], [gain for _, gain in two], atol=1e-8)


@pytest.mark.parametrize("num_labeled", [0, 5, 20])
def test_exchanging_answers_changes_nothing(num_labeled):
    pool = pairs(1, num_labeled=num_labeled)
    signs_N, signs_L = (np.where(np.arange(num) % 3 == 0, -1, 1) for num in (30, num_labeled))
    swapped = replace(
        pool,
        mean_probs_NC=np.where(signs_N[:, None] < 0, pool.mean_probs_NC[:, ::-1], pool.mean_probs_NC),
        features_ND=pool.features_ND * signs_N[:, None].astype(np.float32),
        labeled_probs_LC=np.where(signs_L[:, None] < 0, pool.labeled_probs_LC[:, ::-1], pool.labeled_probs_LC),
        labeled_features_LD=pool.labeled_features_LD * signs_L[:, None].astype(np.float32),
        middle_D=np.full(6, 3.0),  # of embeddings: differences have an origin of their own
    )
    one, two = (d_optimal.select(one, 10, context_of("d_optimal")) for one in (pool, swapped))
    assert [(pick.index, pick.score) for pick in one] == [(pick.index, pick.score) for pick in two]
    first, second = (badge.select(one, 10, context_of("badge")) for one in (pool, swapped))
    assert [pick.index for pick in first] == [pick.index for pick in second]


def test_turned_and_scaled_features_give_the_same_picks():
    pool = pairs(2, num_labeled=7)
    turn_DD = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    turned = replace(
        pool,
        features_ND=(5 * pool.features_ND @ turn_DD).astype(np.float32),
        labeled_features_LD=(5 * pool.labeled_features_LD @ turn_DD).astype(np.float32),
    )
    assert picked(turned, 12) == picked(pool, 12)


def test_what_a_label_has_told_is_not_asked_again():
    """Four directions, one of them labelled many times: the other three come first."""
    directions_ND = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    pool = replace(pairs(3, 12, same_probs=True), features_ND=directions_ND)
    assert len({index // 3 for index in picked(pool, 4)}) == 4
    labeled = replace(
        pool,
        labeled_features_LD=np.repeat(directions_ND[:1], 9, axis=0),
        labeled_probs_LC=np.full((9, 2), 0.5),
        labeled_embeddings_LD=np.zeros((9, 5), dtype=np.float32),
    )
    first = picked(labeled, 9)
    assert {index // 3 for index in first[:3]} == {1, 2, 3}
    assert {index // 3 for index in first} == {1, 2, 3}
    certain = replace(labeled, labeled_probs_LC=np.tile([[1.0, 0.0]], (9, 1)))
    assert picked(certain, 9) == picked(pool, 9), "labels of which the model was certain have told nothing"


def test_a_copy_of_a_pick_waits_for_what_tells_more_and_is_worth_half_of_it():
    """A second noisy answer in a direction tells log(3/2) where the first told log 2, with λ = w‖v‖²."""
    points_ND = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    design = d_optimal.Design(points_ND, np.full((4, 1), 0.25), ridge=2.0)
    chosen = d_optimal.greedy(design, 4)
    assert [row for row, _ in chosen] == [0, 2, 1, 3]
    expected = [np.log(2), np.log(2), np.log(1.5), np.log(1.5)]
    np.testing.assert_allclose([gain for _, gain in chosen], expected, atol=1e-8)


def test_the_uncertain_come_first_among_equal_features_and_the_certain_add_nothing():
    probs_NC = np.array([[0.5, 0.5], [0.8, 0.2], [1.0, 0.0], [0.6, 0.4]])
    pool = replace(pairs(4, 4), mean_probs_NC=probs_NC, features_ND=np.ones((4, 6), dtype=np.float32))
    picks = d_optimal.select(pool, 4, context_of("d_optimal"))
    assert [pick.index for pick in picks] == [0, 3, 1, 2]
    assert picks[-1].score == 0.0


def test_gains_never_rise():
    """The log determinant is submodular."""
    scores = [pick.score for pick in d_optimal.select(pairs(5, num_labeled=6), 30, context_of("d_optimal"))]
    assert scores == sorted(scores, reverse=True)


def test_a_large_ridge_leaves_the_ranking_by_weight_and_length():
    pool = pairs(6)
    weight_N = pool.mean_probs_NC.prod(axis=1) * np.square(pool.features_ND.astype(np.float64)).sum(axis=1)
    assert picked(pool, 30, ridge=1e5) == np.argsort(-weight_N).tolist()


def test_embeddings_are_taken_about_their_middle_where_it_is_told(labeled_pool):
    middle_D = np.linspace(3.0, 40.0, 5)
    moved = replace(
        labeled_pool,
        embeddings_ND=(labeled_pool.embeddings_ND + middle_D).astype(np.float32),
        labeled_embeddings_LD=(labeled_pool.labeled_embeddings_LD + middle_D).astype(np.float32),
        middle_D=middle_D,
    )
    assert picked(moved) == picked(labeled_pool)
    assert picked(replace(moved, middle_D=None)) != picked(labeled_pool)


def test_features_go_with_their_items_through_prefilter_and_floor():
    pool = pairs(7, num_labeled=3)
    order = np.random.default_rng(1).permutation(30)
    other = replace(
        permuted(pool, order), features_ND=pool.features_ND[order], labeled_features_LD=pool.labeled_features_LD
    )
    assert [order[index] for index in picked(other)] == picked(pool)
    rows = np.arange(5, 20)
    np.testing.assert_array_equal(subset(pool, rows).features_ND, pool.features_ND[rows])

    def ask(part, num):
        assert len(part.labeled_features_LD) == len(part.labeled_probs_LC) == 3 + 2
        np.testing.assert_array_equal(part.labeled_features_LD[3:], pool.features_ND[[2, 4]])
        return d_optimal.select(part, num, context_of("d_optimal"))

    batch = d_optimal.select(subset(pool, np.array([2, 4])), 2, context_of("d_optimal"))
    batch = sorted((replace(pick, index=[2, 4][pick.index]) for pick in batch), key=lambda pick: pick.index)
    assert all(pick.index in range(10, 20) for pick in _from_class(ask, pool, np.arange(10, 20), batch, 3))


def test_too_many_answers_and_features_are_refused_before_the_work(labeled_pool):
    with pytest.raises(ConfigError, match=r"`d_optimal` takes .* GB of memory"):
        d_optimal.select(labeled_pool, 40, context_of("d_optimal", memory_gb=1e-9))


def test_features_that_are_no_numbers_are_refused_with_their_item():
    pool = pairs(8, num_labeled=2)
    pool.features_ND[3] = np.nan
    with pytest.raises(
        ModelError, match=r"what the answers differ by is not finite for 1 of 30 items, first item-0003"
    ):
        picked(pool)
    pool = pairs(8, num_labeled=2)
    pool.labeled_features_LD[1] = np.inf
    with pytest.raises(ModelError, match="what the answers of labelled items differ by is not all finite"):
        picked(pool)


def test_equal_items_go_by_the_seeded_draw():
    pool = replace(pairs(9, 12, same_probs=True), features_ND=np.ones((12, 6), dtype=np.float32))
    batches = {tuple(ids_of(pool, d_optimal.select(pool, 3, context_of("d_optimal", seed=seed)))) for seed in range(6)}
    assert len(batches) > 1
