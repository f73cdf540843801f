"""Density weighting against the double loop over the pool."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition import density_weighted
from activelora.errors import ConfigError, ModelError
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def loop(embeddings_ND):
    """Mean cosine similarity to every item, one pair at a time."""
    rows = embeddings_ND.astype(np.float64)
    return [np.mean([a @ b / np.sqrt((a @ a) * (b @ b)) for b in rows]) for a in rows]


@pytest.mark.parametrize("seed", range(3))
def test_density_equals_the_loop(seed):
    embeddings_ND = drawn_embeddings(seed, 50, 12)
    np.testing.assert_allclose(density_weighted.density(embeddings_ND), loop(embeddings_ND), atol=1e-8)


@pytest.mark.parametrize("measure", ["predictive_entropy", "bald", "margin"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_scores_equal_the_formula(pool, measure, beta):
    picks = density_weighted.select(pool, 40, context_of("density_weighted", measure=measure, beta=beta))
    uncertainty_N = pool.measures[measure] + (measure == "margin")
    expected_N = [u * max(d, 0) ** beta for u, d in zip(uncertainty_N, loop(pool.embeddings_ND), strict=True)]
    np.testing.assert_allclose([pick.score for pick in picks], sorted(expected_N, reverse=True), atol=1e-6)
    np.testing.assert_allclose([pick.score for pick in picks], [expected_N[pick.index] for pick in picks], atol=1e-6)


@pytest.mark.parametrize("measure", ["predictive_entropy", "margin"])
def test_beta_zero_is_the_measures_ranking(pool, measure):
    picks = density_weighted.select(pool, 40, context_of("density_weighted", measure=measure, beta=0.0))
    assert [pick.index for pick in picks] == np.argsort(-pool.measures[measure]).tolist()


def test_an_outlier_comes_after_the_crowd_at_the_same_uncertainty():
    embeddings_ND = np.array([[1, 0], [1, 0.1], [1, -0.1], [0, 1]], dtype=np.float32)
    pool = pool_of(drawn_log_probs(0, 1).repeat(4, axis=0), embeddings_ND=embeddings_ND)
    assert [p.index for p in density_weighted.select(pool, 4, context_of("density_weighted"))][-1] == 3


def test_a_density_below_zero_counts_as_zero():
    embeddings_ND = np.array([[1, 0]] * 5 + [[-1, 0], [0, 0]], dtype=np.float32)
    pool = pool_of(drawn_log_probs(0, 7), embeddings_ND=embeddings_ND)
    scores = {p.index: p.score for p in density_weighted.select(pool, 7, context_of("density_weighted", beta=2.0))}
    assert scores[5] == scores[6] == 0.0
    assert min(scores[index] for index in range(5)) > 0


def test_a_measure_that_is_unknown_or_no_number_is_refused(pool):
    with pytest.raises(ConfigError, match="no scores of `entropy`"):
        density_weighted.select(pool, 3, context_of("density_weighted", measure="entropy"))
    pool.measures["margin"][7] = np.nan
    with pytest.raises(ModelError, match=r"`margin` under the current model is nan .* item-0007"):
        density_weighted.select(pool, 3, context_of("density_weighted", measure="margin"))


def test_centred_density_equals_the_loop_about_the_mean():
    """What all embeddings have in common says nothing: without it, cosines are as of the differences alone."""
    differences_ND = drawn_embeddings(1, 50, 12)
    embeddings_ND = differences_ND + np.float32(30.0)
    middle_D = embeddings_ND.mean(axis=0, dtype=np.float64)
    found_N = density_weighted.density(embeddings_ND, middle_D)
    np.testing.assert_allclose(found_N, (1 + np.array(loop(embeddings_ND - middle_D))) / 2, atol=1e-8)
    assert density_weighted.density(embeddings_ND).min() > 0.99
    assert 0 < found_N.min() < 0.5 < found_N.max() < 1


def test_the_pools_middle_is_taken_off_before_cosines(pool):
    middle_D = pool.embeddings_ND.mean(axis=0, dtype=np.float64) + 0.1
    picks = density_weighted.select(replace(pool, middle_D=middle_D), 40, context_of("density_weighted"))
    expected_N = pool.measures["predictive_entropy"] * (1 + np.array(loop(pool.embeddings_ND - middle_D))) / 2
    np.testing.assert_allclose([pick.score for pick in picks], [expected_N[pick.index] for pick in picks], atol=1e-6)


def test_copies_of_one_item_have_no_direction_but_rounding_and_one_density():
    embeddings_ND = np.tile(drawn_embeddings(2, 1, 12), (9, 1)) * 7
    middle_D = embeddings_ND.mean(axis=0, dtype=np.float64)
    assert density_weighted.density(embeddings_ND, middle_D).tolist() == [0.5] * 9


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_of_two_equally_uncertain_items_the_one_like_more_others_comes_first_about_the_mean_too(beta):
    """Also where both densities are below the middle: no weight is cut off at 0."""
    embeddings_ND = np.array([[9, 1], [9, 1.1], [9, 0.9], [-9, 0.5], [-3, -9]], dtype=np.float32)
    pool = pool_of(drawn_log_probs(0, 1).repeat(5, axis=0), embeddings_ND=embeddings_ND)
    centred = replace(pool, middle_D=np.zeros(2))
    scores = {p.index: p.score for p in density_weighted.select(centred, 5, context_of("density_weighted", beta=beta))}
    assert min(scores[index] for index in range(3)) > max(scores[3], scores[4]) > min(scores[3], scores[4]) > 0
