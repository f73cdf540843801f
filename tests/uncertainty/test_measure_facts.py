"""What measures declare is what their formulas do."""

import numpy as np
import pytest

from activelora.kinds.registry import get_kind
from activelora.uncertainty.measure_facts import MeasureFacts
from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES, facts_of
from activelora.uncertainty.text_measures import TEXT_MEASURES, TokenScores

VALUES_C = np.arange(4.0)


def drawn(num_samples, *shape):
    logits = np.random.default_rng(3).normal(0, 2, (num_samples, *shape))
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def scores_of(form, samples_KNC):
    """Every measure's scores of N items, by its name."""
    if form == "text":
        entropies_KN = -(np.exp(samples_KNC) * samples_KNC).sum(axis=2)
        texts = [
            TokenScores(samples_KNC[:, item, :2], entropies_KN[:, [item, item]]) for item in range(samples_KNC.shape[1])
        ]
        return {name: np.array([measure(one, "sum") for one in texts]) for name, measure in TEXT_MEASURES.items()}
    log_probs_NKC = samples_KNC.transpose(1, 0, 2)
    scores = {name: measure(log_probs_NKC) for name, measure in MEASURES.items()}
    if form == "number":
        scores |= {name: measure(log_probs_NKC, VALUES_C) for name, measure in NUMBER_MEASURES.items()}
    return scores


@pytest.mark.parametrize("form", ["choice", "number", "text"])
def test_measures_of_disagreement_are_those_that_are_0_where_samples_agree(form):
    same_KNC, different_KNC = np.repeat(drawn(1, 20, 4), 5, axis=0), drawn(5, 20, 4)
    agreeing, differing = scores_of(form, same_KNC), scores_of(form, different_KNC)
    for name in agreeing:
        is_zero = bool(np.allclose(agreeing[name], 0.0, atol=1e-9))
        single = form == "number" and name in get_kind("regression").single_sample_measures
        assert (facts_of(name).compares_samples and not single) == is_zero, name
        assert not np.allclose(differing[name], 0.0, atol=1e-9)


@pytest.mark.parametrize("form", ["choice", "number", "text"])
def test_no_score_is_below_the_declared_end(form):
    certain_KNC = np.full((5, 20, 4), -np.inf)
    certain_KNC[:, :, 0] = 0.0
    for samples_KNC in (drawn(5, 20, 4), drawn(5, 20, 4) * 30, certain_KNC) if form != "text" else (drawn(5, 20, 4),):
        normal_KNC = samples_KNC - np.logaddexp.reduce(samples_KNC, axis=-1, keepdims=True)
        for name, scores_N in scores_of(form, normal_KNC).items():
            assert scores_N.min() >= facts_of(name).lowest - 1e-9, name
    if form == "choice":
        assert scores_of(form, certain_KNC)["margin"].max() == facts_of("margin").lowest


def test_an_unknown_measure_declares_nothing():
    assert facts_of("entropi") == MeasureFacts()
