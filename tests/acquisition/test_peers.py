"""The same numbers as other libraries from the same probabilities, where they are right; and where not, why.

scikit-activeml 1.0.1 is asked itself. small-text and baal would bring whole frameworks with them: what they compute is
stated here by hand, from small-text 1.4.1 and baal 2.1.0 (dispersion and prediction entropy, least confidence and
breaking ties; BALD as baal.active.heuristics writes it).
"""

import numpy as np
import pytest
from skactiveml.pool import (
    ContrastiveAL,
    ProbCover,
    average_kl_divergence,
    uncertainty_scores,
    variation_ratios,
    vote_entropy,
)

from activelora.acquisition import badge, batch_bald, cal, probcover
from activelora.uncertainty.gradient_length import expected_length, head_lengths
from activelora.uncertainty.measures import MEASURES
from tests.acquisition.conftest import drawn_embeddings, drawn_log_probs, drawn_probs

LOG_PROBS_NKC = drawn_log_probs(0, 50, 7, 5)
PROBS_NC = np.exp(LOG_PROBS_NKC).mean(axis=1)
VOTES_NK = LOG_PROBS_NKC.argmax(axis=2)


@pytest.mark.parametrize(
    ("ours", "theirs", "offset"),
    [
        ("least_confidence", "least_confident", 0.0),
        ("margin", "margin_sampling", -1.0),  # they write 1 − (p₁ − p₂)
        ("predictive_entropy", "entropy", 0.0),
    ],
)
def test_uncertainty_is_scikit_activemls(ours, theirs, offset):
    expected_N = uncertainty_scores(PROBS_NC, method=theirs) + offset
    np.testing.assert_allclose(MEASURES[ours](LOG_PROBS_NKC), expected_N, atol=1e-12)


def test_vote_entropy_is_scikit_activemls():
    np.testing.assert_allclose(MEASURES["vote_entropy"](LOG_PROBS_NKC), vote_entropy(VOTES_NK, np.arange(5)))


def test_variation_ratio_is_scikit_activemls():
    np.testing.assert_allclose(MEASURES["variation_ratio"](LOG_PROBS_NKC), variation_ratios(VOTES_NK))


def test_consensus_kl_is_scikit_activemls():
    """They raise probabilities to 1e-7 first, so that theirs is only nearly the formula."""
    expected_N = average_kl_divergence(np.exp(LOG_PROBS_NKC).transpose(1, 0, 2).copy())
    np.testing.assert_allclose(MEASURES["consensus_kl"](LOG_PROBS_NKC), expected_N, atol=1e-5)


def test_bald_is_baals_formula():
    """H[mean] − mean H, with 1e-5 added inside the logarithms as baal does."""
    probs_NKC = np.exp(LOG_PROBS_NKC)
    total_N = -(PROBS_NC * np.log(PROBS_NC + 1e-5)).sum(axis=1)
    expected_N = -(probs_NKC * np.log(probs_NKC + 1e-5)).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(MEASURES["bald"](LOG_PROBS_NKC), total_N - expected_N, atol=1e-3)


def test_baals_certainty_is_not_least_confidence():
    """It takes the maximum of whatever it is given: of logits, the ranking is another one."""
    logits_NC = np.array([[10.0, 9.9], [5.0, 0.0]])
    log_probs_NKC = (logits_NC - np.logaddexp.reduce(logits_NC, axis=1, keepdims=True))[:, None]
    assert np.argmax(MEASURES["least_confidence"](log_probs_NKC)) == 0
    assert np.argmin(logits_NC.max(axis=1)) == 1


@pytest.mark.filterwarnings("ignore:The maximum purity was -1")  # theirs, where there is one radius to choose from
@pytest.mark.parametrize("radius", [0.9, 1.6])
def test_probcover_is_scikit_activemls(radius):
    """As long as something is left to cover; ties are theirs to draw, so gains are compared."""
    points_ND, labeled_LD = drawn_embeddings(3, 60), drawn_embeddings(4, 4)
    chosen = probcover.greedy(points_ND, labeled_LD, radius, 6)
    rows = np.concatenate([points_ND, labeled_LD]).astype(np.float64)
    labels = np.concatenate([np.full(60, np.nan), [0, 1, 0, 1]])
    strategy = ProbCover(deltas=[radius], random_state=0)
    _, gains = strategy.query(rows, labels, batch_size=1, return_utilities=True)
    assert chosen[0][1] == int(np.nanmax(gains))
    assert gains[0, chosen[0][0]] == chosen[0][1]


def test_cal_is_scikit_activemls():
    """Their ContrastiveAL, too, has its neighbours among the labelled. small-text's has them among all points."""
    from skactiveml.classifier import SklearnClassifier
    from sklearn.linear_model import LogisticRegression

    points_ND = drawn_embeddings(5, 30).astype(np.float64)
    labeled_LD = drawn_embeddings(6, 12).astype(np.float64)
    labels = (labeled_LD[:, 0] > 0.5).astype(float)
    model = SklearnClassifier(LogisticRegression(C=10.0), classes=[0, 1]).fit(labeled_LD, labels)
    rows, known = np.concatenate([points_ND, labeled_LD]), np.concatenate([np.full(30, np.nan), labels])
    strategy = ContrastiveAL(nearest_neighbors_dict={"n_neighbors": 3}, eps=1e-12, random_state=0)
    _, utilities = strategy.query(rows, known, model, fit_clf=False, return_utilities=True)
    probs_NC, probs_LC = model.predict_proba(points_ND), model.predict_proba(labeled_LD)
    scores_N = cal.contrast(points_ND.astype(np.float32), probs_NC, labeled_LD.astype(np.float32), probs_LC, 3)
    np.testing.assert_allclose(scores_N, utilities[0, :30], atol=1e-6)


def test_small_texts_badge_embeds_minus_p():
    """Right is p − onehot: its norm falls with confidence. That of −p rises, so the sure items would come first."""
    probs_NC = drawn_probs(7, 300)
    right_N = np.linalg.norm(badge.residuals(probs_NC), axis=1)
    confidence_N = probs_NC.max(axis=1)
    assert np.corrcoef(right_N, confidence_N)[0, 1] < -0.9
    assert np.corrcoef(np.linalg.norm(-probs_NC, axis=1), confidence_N)[0, 1] > 0.9


def test_scikit_activemls_badge_makes_the_origin_a_centre():
    """k-means++ knows picks only. With the origin as a centre, small gradients would never be drawn, however apart."""
    residuals_NC = np.array([[3.0, 0.0], [-0.1, 0.0], [2.0, 0.0]])
    ones_N1 = np.ones((3, 1), dtype=np.float32)
    seconds = [badge.kmeans_plus_plus(residuals_NC, ones_N1, 2, seed)[1][0] for seed in range(200)]
    from_pick = np.array([3.1, 1.0]) ** 2
    share = np.mean([second == 1 for second in seconds])
    assert share == pytest.approx(from_pick[0] / from_pick.sum(), abs=0.07)
    assert 0.1**2 / (0.1**2 + 1.0) < 0.01  # what it would be with the origin among the centres


def test_small_texts_and_altoolboxes_gradient_length_is_an_l1_norm():
    """Which ranks these two items the other way round."""
    probs_NC = np.array([[0.5, 0.5, 0.0, 0.0], [0.65, 0.15, 0.1, 0.1]])
    ours_N = expected_length(probs_NC, head_lengths(probs_NC, np.ones(2)))
    theirs_N = [sum(p[y] * np.abs(p - np.eye(4)[y]).sum() for y in range(4)) for p in probs_NC]
    assert np.argmax(ours_N) == 0
    assert np.argmax(theirs_N) == 1


def test_baals_batch_bald_stops_below_a_gain_of_a_tenth():
    """It then fills the ranking with zeros. A gain of less than 0.1 nats is a gain, and orders the items."""
    probs_NKC = np.exp(drawn_log_probs(1, 30, 6, 3, spread=0.3))
    gains = [gain for _, gain in batch_bald.greedy(probs_NKC, 6, 5000, seed=0)]
    assert max(gains) < 0.1
    assert all(gain > 0 for gain in gains)
    assert gains == sorted(gains, reverse=True)
