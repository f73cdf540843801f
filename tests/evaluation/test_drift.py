"""Drift: told where there is some, and not where there is none; each number against a slower one."""

from __future__ import annotations

import numpy as np
import pytest

from activelora.evaluation.drift import (
    LEAST_TEXTS,
    NUM_PERMUTATIONS,
    auc,
    compare_texts,
    cosine_distance,
    features,
    total_variation,
)

OLD_WORDS = ["invoice", "payment", "refund", "card", "charge", "bill", "money", "account"]
NEW_WORDS = ["driver", "crash", "screen", "boot", "cable", "charge", "account", "money"]


def texts(words: list[str], num: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(words, 6)) for _ in range(num)]


def test_auc_is_the_share_of_pairs_in_order():
    random = np.random.default_rng(0)
    low, high = random.integers(0, 6, 40).astype(float), random.integers(2, 9, 30).astype(float)
    pairs = [1.0 if b > a else 0.5 if a == b else 0.0 for a in low for b in high]
    assert auc(low, high) == pytest.approx(np.mean(pairs))


def test_texts_of_other_words_are_told_apart():
    found = compare_texts(texts(OLD_WORDS, 200, 1), texts(NEW_WORDS, 80, 2), seed=0)
    assert found.auc > 0.95
    assert found.p_value == 1 / (1 + NUM_PERMUTATIONS)
    assert found.is_different
    assert (found.num_old, found.num_new) == (200, 80)


def test_texts_of_the_same_words_are_not():
    found = [compare_texts(texts(OLD_WORDS, 60, seed), texts(OLD_WORDS, 40, seed + 100), seed) for seed in range(40)]
    assert sum(one.p_value <= 0.1 for one in found) <= 10  # 4 are expected; more than 10 by chance: 0.1 %
    assert np.mean([one.auc for one in found]) == pytest.approx(0.5, abs=0.05)
    assert not any(one.is_different for one in found)


def test_the_distance_is_that_of_the_mean_vectors():
    old, new = texts(OLD_WORDS, 30, 1), texts(NEW_WORDS, 25, 2)
    expected = np.linalg.norm(features(old).mean(axis=0) - features(new).mean(axis=0))
    assert compare_texts(old, new, 0).distance == pytest.approx(expected)
    assert np.linalg.norm(features(old), axis=1) == pytest.approx(np.ones(30))
    assert not features([""]).any() or np.isfinite(features([""])).all()


def test_of_few_texts_nothing_is_said():
    assert compare_texts(texts(OLD_WORDS, LEAST_TEXTS - 1, 1), texts(NEW_WORDS, 100, 2), 0) is None


def test_distances():
    assert total_variation(np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.5, 0.3])) == pytest.approx(0.3)
    assert cosine_distance(np.array([1.0, 0.0]), np.array([0.0, 2.0])) == pytest.approx(1.0)
    assert cosine_distance(np.array([1.0, 1.0]), np.array([3.0, 3.0])) == pytest.approx(0.0)
    assert cosine_distance(np.zeros(2), np.ones(2)) == 0.0
