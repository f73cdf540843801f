"""Discriminative: what a classifier takes for unlabelled, sub-batch by sub-batch."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from activelora.acquisition import discriminative
from tests.acquisition.conftest import context_of, drawn_embeddings, drawn_log_probs, pool_of


def test_the_first_sub_batch_is_the_classifiers_ranking():
    points_ND, labeled_LD = drawn_embeddings(0, 30), drawn_embeddings(1, 8)
    pool = pool_of(drawn_log_probs(0, 30), embeddings_ND=points_ND, labeled_LD=labeled_LD)
    picks = discriminative.select(pool, 5, context_of("discriminative", sub_batch=5))
    middle, scale = points_ND.mean(axis=0), points_ND.std(axis=0)
    rows = (np.concatenate([points_ND, labeled_LD]) - middle) / scale
    plain = LogisticRegression(class_weight="balanced", max_iter=1000).fit(rows, [1] * 30 + [0] * 8)
    scores = plain.predict_proba(rows[:30])[:, 1]
    assert [pick.index for pick in picks] == np.argsort(-scores)[:5].tolist()
    assert [pick.score for pick in picks] == pytest.approx(np.sort(scores)[::-1][:5].tolist(), abs=1e-3)


def test_the_far_side_comes_first():
    points_ND = np.concatenate([drawn_embeddings(0, 20), drawn_embeddings(1, 5) + 8])
    pool = pool_of(drawn_log_probs(0, 25), embeddings_ND=points_ND, labeled_LD=drawn_embeddings(2, 10))
    picks = discriminative.select(pool, 3, context_of("discriminative", sub_batch=3))
    assert all(pick.index >= 20 for pick in picks)


def test_sub_batches_count_as_labelled():
    """Two far groups: after one item of the first, the other one is more unlike what is labelled."""
    points_ND = np.array([[0, 0]] * 10 + [[9, 0.1], [9, 0], [-0.5, 8], [-0.5, 8.1]], dtype=np.float32)
    points_ND += drawn_embeddings(3, 14, 2) * np.float32(0.01)
    pool = pool_of(drawn_log_probs(0, 14), embeddings_ND=points_ND, labeled_LD=points_ND[:4] + np.float32(0.1))
    picks = discriminative.select(pool, 2, context_of("discriminative", sub_batch=1))
    assert sorted(pick.index // 2 for pick in picks) == [5, 6]


def test_without_labels_the_first_is_in_the_middle():
    pool = pool_of(drawn_log_probs(0), embeddings_ND=drawn_embeddings(5))
    picks = discriminative.select(pool, 3, context_of("discriminative"))
    standard = (pool.embeddings_ND - pool.embeddings_ND.mean(axis=0)) / pool.embeddings_ND.std(axis=0)
    assert picks[0].index == np.linalg.norm(standard, axis=1).argmin()
    assert picks[0].reason == "nearest to the pool's middle, as nothing is labelled yet, pick 1"
    assert 0 < picks[1].score < 1
