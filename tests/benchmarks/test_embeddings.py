"""What the benchmark of embeddings counts, against loops, and its simulated picks."""

import numpy as np
import pytest

from benchmarks.embedding_picks import BATCH, ROUNDS, STRATEGIES, curve, draws
from benchmarks.embeddings import agreement, euclidean


def loop(states_ND, labels_N, distance):
    """Share of the five nearest that have the same label, item by item."""
    right = []
    for index, row_D in enumerate(states_ND):
        others = [other for other in range(len(states_ND)) if other != index]
        nearest = sorted(others, key=lambda other: distance(row_D, states_ND[other]))[:5]
        right += [labels_N[other] == labels_N[index] for other in nearest]
    return np.mean(right)


def cosine(a_D, b_D):
    return a_D @ b_D / np.linalg.norm(a_D) / np.linalg.norm(b_D)


@pytest.mark.parametrize("centered", [False, True])
def test_neighbours_are_those_of_the_loop(centered):
    rng = np.random.default_rng(1)
    states_ND, labels_N = rng.normal(0.6, 1.0, (40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    moved_ND = states_ND - states_ND.mean(axis=0) * centered
    mean, same = agreement(states_ND, labels_N, centered)
    assert same == loop(moved_ND, labels_N, lambda a, b: -cosine(a, b))
    pairs = [cosine(moved_ND[i], moved_ND[j]) for i in range(40) for j in range(40) if i != j]
    assert mean == pytest.approx(np.mean(pairs), abs=1e-5)
    assert euclidean(states_ND, labels_N) == loop(states_ND, labels_N, lambda a, b: np.linalg.norm(a - b))


@pytest.mark.parametrize("strategy", ["random", *STRATEGIES])
def test_a_probe_learns_from_the_picks_what_can_be_told_apart(strategy):
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 3, 300)
    points_ND = (4 * np.eye(3)[labels_N] + rng.normal(0, 0.3, (300, 3))).astype(np.float32)
    (drawn,) = draws(300, 150, 100, 1)
    assert not set(drawn.pool) & set(drawn.test)
    accuracies = curve(strategy, points_ND, True, points_ND, labels_N, drawn)
    assert accuracies.shape == (ROUNDS,)
    assert len(drawn.pool) > BATCH * ROUNDS
    assert accuracies[-1] > 0.6  # a third by chance; uncertain items alone leave a class to its prior
