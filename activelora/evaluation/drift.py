"""Has the pool changed? New items against those that were there when holdout and pool were drawn.

Texts are compared without a model: as bags of hashed words and character trigrams, each of length 1. Two numbers come
of it. A p-value: of a permutation test on the squared distance of the two mean vectors, which is the maximum mean
discrepancy with a linear kernel (Gretton et al. 2012, JMLR 13). And how far they differ, for people: the AUC of a
classifier that sees only the texts and says which are new (a classifier two-sample test, Lopez-Paz and Oquab 2017):
0.5 is chance, 1 tells them apart always. Its direction, the difference of the means, is of one half of the texts, and
its AUC of the other, both ways.

Letters: N old texts, M new texts, D features, C answers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_FEATURES = 2048
NUM_PERMUTATIONS = 1999
MAX_CHARS = 2000
"""More of a text is not looked at."""
LEAST_TEXTS = 20
"""Fewest texts of a side that anything is said of."""
MAX_P, MIN_AUC, MIN_SHARE = 0.001, 0.6, 0.05
"""A difference is worth a warning from here: it is no accident (each round asks anew, so seldom is not enough), it can
be seen, and it is of more than a few items."""
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TwoSample:
    """How two samples of texts differ.

    Attributes:
        num_old: Texts of the first.
        num_new: Texts of the second.
        distance: Distance of the two mean vectors, in [0, √2].
        auc: AUC of the classifier, in [0, 1].
        p_value: Probability of so large a distance if both were drawn alike, in (0, 1].
    """

    num_old: int
    num_new: int
    distance: float
    auc: float
    p_value: float

    @property
    def is_different(self) -> bool:
        """Whether the difference is no accident and can be seen."""
        return self.p_value <= MAX_P and self.auc >= MIN_AUC


def compare_texts(old: Sequence[str], new: Sequence[str], seed: int) -> TwoSample | None:
    """Return how two samples of texts differ; None if one of them is too small.

    Args:
        old: N texts.
        new: M texts.
        seed: Seed of the halves and the permutations.
    """
    if min(len(old), len(new)) < LEAST_TEXTS:
        return None
    random = np.random.default_rng(seed)
    old_ND, new_MD = features(old), features(new)
    distance, p_value = _distance_test(old_ND, new_MD, random)
    return TwoSample(len(old), len(new), distance, _cross_fitted_auc(old_ND, new_MD, random), p_value)


def features(texts: Sequence[str]) -> FloatArray:
    """Return a vector of length 1 for each text, (N, D): hashed words and trigrams, counts to the power of ½."""
    vectors_ND = np.zeros((len(texts), NUM_FEATURES))
    for row, text in enumerate(texts):
        words = text[:MAX_CHARS].lower().split()
        joined = f" {' '.join(words)} "
        grams = [*words, *(joined[start : start + 3] for start in range(len(joined) - 2))]
        hashes = [zlib.crc32(gram.encode("utf-8", "surrogatepass")) % NUM_FEATURES for gram in grams]
        np.add.at(vectors_ND[row], hashes, 1.0)
    vectors_ND = np.sqrt(vectors_ND)
    lengths_N = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(lengths_N, 1e-12))


def auc(lower_N: FloatArray, higher_M: FloatArray) -> float:
    """Return the share of pairs whose second score is the higher one; ties count half."""
    ordered = np.sort(lower_N)
    below, up_to = (np.searchsorted(ordered, higher_M, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(ordered)))


def total_variation(one_C: FloatArray, other_C: FloatArray) -> float:
    """Return how far two distributions differ, in [0, 1]: the share that would have to move."""
    return float(np.abs(one_C - other_C).sum() / 2)


def cosine_distance(one_D: FloatArray, other_D: FloatArray) -> float:
    """Return 1 − cos of the angle between two vectors, in [0, 2]; 0 where one of them is 0."""
    lengths = float(np.linalg.norm(one_D) * np.linalg.norm(other_D))
    return 0.0 if lengths == 0 else float(1.0 - np.clip(one_D @ other_D / lengths, -1.0, 1.0))


def _distance_test(old_ND: FloatArray, new_MD: FloatArray, random: np.random.Generator) -> tuple[float, float]:
    """Return the distance of the means and its p-value: a mean difference is a weighted sum, so a Gram matrix does."""
    both = np.concatenate([old_ND, new_MD])
    gram, weights = both @ both.T, np.repeat([-1.0 / len(old_ND), 1.0 / len(new_MD)], [len(old_ND), len(new_MD)])
    permuted = random.permuted(np.tile(weights, (NUM_PERMUTATIONS, 1)), axis=1)
    squares = np.einsum("ij,ij->i", permuted @ gram, permuted)
    found = float(weights @ gram @ weights)
    at_least = int((squares >= found - 1e-12).sum())
    return float(np.sqrt(max(0.0, found))), (1 + at_least) / (1 + NUM_PERMUTATIONS)


def _cross_fitted_auc(old_ND: FloatArray, new_MD: FloatArray, random: np.random.Generator) -> float:
    old, new = (np.array_split(side[random.permutation(len(side))], 2) for side in (old_ND, new_MD))
    found = []
    for fitted, judged in ((0, 1), (1, 0)):
        direction_D = new[fitted].mean(axis=0) - old[fitted].mean(axis=0)
        found.append(auc(old[judged] @ direction_D, new[judged] @ direction_D))
    return float(np.mean(found))
