"""What strategies that read embeddings pick by one or another embedding, judged without training an adapter.

A linear probe stands for the adapter: logistic regression on the states of the prompts' last tokens, from which the
model answers. It is the same probe whatever the strategy's embeddings are, so that only the picks differ. Its answers
on the pool are what strategies read that need a model.
Letters: N items of the pool, D features, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.centering import middle
from activelora.acquisition.registry import get_strategy, own_settings
from activelora.acquisition.strategy import ScoredPool, SelectionContext
from activelora.config import AcquisitionConfig
from activelora.seeding import derive_seed

STRATEGIES = ("core_set", "typiclust", "probcover", "badge", "density_weighted", "cal", "cluster_margin")
COLD = ("core_set", "typiclust", "probcover")
"""Strategies that begin with nothing; the others begin with a random batch."""
BATCH, ROUNDS = 25, 3
STRENGTH = 0.01
"""Inverse strength of the probe's penalty, on standardised features."""
Array = NDArray[np.float64]
Points = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """A pool and items to judge by.

    Attributes:
        pool: Rows of the pool.
        test: Rows to judge by, the same for all draws.
        seed: Number of the draw.
    """

    pool: Labels
    test: Labels
    seed: int


def draws(num: int, pool: int, test: int, seeds: int) -> list[Drawn]:
    """Return as many draws as seeds: pools from all rows but the last ones, which judge."""
    rest = np.arange(num - test, num)
    pools = (np.sort(np.random.default_rng(seed).permutation(num - test)[:pool]) for seed in range(seeds))
    return [Drawn(rows, rest, seed) for seed, rows in enumerate(pools)]


def answers(probe_ND: Points, labels_N: Labels, picked: Sequence[int], asked_ND: Points, num_labels: int) -> Array:
    """Return the probabilities (N, C) that a probe, learned from the picks, gives for other items.

    Args:
        probe_ND: Features of the pool.
        labels_N: Its labels.
        picked: Rows with a label.
        asked_ND: Features of the items to answer.
        num_labels: C.
    """
    from sklearn.linear_model import LogisticRegression

    middle_D, scale_D = probe_ND.mean(axis=0), probe_ND.std(axis=0) + 1e-6
    found_NC = np.zeros((len(asked_ND), num_labels))
    known = np.unique(labels_N[list(picked)])
    if len(known) == 1:
        found_NC[:, known[0]] = 1.0
        return found_NC
    model = LogisticRegression(C=STRENGTH, max_iter=1000)
    model.fit((probe_ND[list(picked)] - middle_D) / scale_D, labels_N[list(picked)])
    found_NC[:, model.classes_] = model.predict_proba((asked_ND - middle_D) / scale_D)
    return found_NC


def curve(
    strategy: str, embeddings_ND: Points, centers: bool, probe_ND: Points, labels_N: Labels, drawn: Drawn
) -> Array:
    """Return the probe's accuracy after each round.

    Args:
        strategy: Its name.
        embeddings_ND: What it reads, of all items.
        centers: Whether it is told the embeddings' mean.
        probe_ND: The probe's features, of all items.
        labels_N: Their labels.
        drawn: The pool and the items to judge by.
    """
    num_labels, pool_N = int(labels_N.max()) + 1, drawn.pool
    picked: list[int] = []
    accuracies = []
    for round_ in range(ROUNDS):
        name = strategy if round_ or strategy in COLD else "random"
        probs_NC = np.full((len(pool_N), num_labels), 1.0 / num_labels)
        if picked:
            probs_NC = answers(probe_ND[pool_N], labels_N[pool_N], picked, probe_ND[pool_N], num_labels)
        picked += picks(name, embeddings_ND[pool_N], centers, probs_NC, picked, (drawn.seed, round_))
        told_NC = answers(probe_ND[pool_N], labels_N[pool_N], picked, probe_ND[drawn.test], num_labels)
        accuracies.append(float((told_NC.argmax(axis=1) == labels_N[drawn.test]).mean()))
    return np.array(accuracies)


def picks(
    name: str, embeddings_ND: Points, centers: bool, probs_NC: Array, picked: Sequence[int], key: tuple[int, int]
) -> list[int]:
    """Return the rows of a strategy's batch.

    Args:
        name: The strategy.
        embeddings_ND: Of the pool.
        centers: Whether the pool has their mean.
        probs_NC: The model's answers.
        picked: Rows that have a label.
        key: Numbers of the draw and the round.
    """
    free = np.setdiff1d(np.arange(len(embeddings_ND)), picked)
    log_NC = np.log(np.maximum(probs_NC, 1e-12))
    ordered_NC = np.sort(probs_NC, axis=1)
    measures = {
        "predictive_entropy": -(probs_NC * log_NC).sum(axis=1),
        "margin": ordered_NC[:, -2] - ordered_NC[:, -1],
    }
    pool = ScoredPool(
        item_ids=tuple(f"{row:06d}" for row in free),
        measures={measure: scores_N[free] for measure, scores_N in measures.items()},
        base_measures={},
        mean_probs_NC=probs_NC[free],
        label_names=tuple(map(str, range(probs_NC.shape[1]))),
        embeddings_ND=embeddings_ND[free],
        labeled_embeddings_LD=embeddings_ND[list(picked)],
        labeled_probs_LC=probs_NC[list(picked)],
        middle_D=middle([embeddings_ND]) if centers else None,
    )
    strategy, config = get_strategy(name), AcquisitionConfig(strategy=name, measure="predictive_entropy")
    seed, round_ = derive_seed(key[0], "embeddings", key[1]), key[1]
    context = SelectionContext(seed, round_, ROUNDS, config, None, own_settings(strategy, config))
    return [int(free[pick.index]) for pick in strategy.picks(pool, BATCH, context)]
