"""The holdout of a pool that grows: the first one, and random draws of what came later, weighted.

The first holdout was drawn before the pool grew and stands for the first reading alone. What a refresh brought is stood
for by the random draws among it. Each of these parts counts by its size, which is known; within one, an item counts by
the inverse of its inclusion probability, over the sum of those (Horvitz and Thompson 1952; Hájek 1971; parts of known
size: post-stratification, Holt and Smith 1979). So an item i of part s, of M_s items, has the weight

    w_i = M_s / Σ_s M_s · (1/π_i) / Σ_{j in s} 1/π_j,

Within the first holdout all π are alike. Parts without a labelled draw are stood for by nobody: their share is said.
The draws of a round stand for what was a candidate in it: items of a refresh that a strategy had picked before are not
among them. What was drawn and got no label is taken to be like what got one.

How many items of equal weight tell as much: (Σ w)² / Σ w², Kish's effective size (1965).
Letters: N items, C answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from activelora.campaign.held_out import Draw
from activelora.campaign.refreshes import PoolParts
from activelora.evaluation import bootstrap, primary
from activelora.evaluation import classification_metrics as metrics
from activelora.evaluation.classification_metrics import FloatArray, IntArray
from activelora.evaluation.evaluation import EvaluationSettings, intervals, points

REFRESHED = "refreshed_holdout"
"""The detail of evaluate_adapter with what :func:`details` returns, and the section of its document."""


@dataclass(frozen=True)
class Weights:
    """How much each item of the refreshed holdout counts.

    Attributes:
        weights_N: Weights that sum to 1, those of the first holdout's items first.
        num_first: Items of the first holdout.
        added: Round that drew them → number of items.
        unrepresented: Share of the pool that no item stands for, in [0, 1].
    """

    weights_N: FloatArray
    num_first: int
    added: Mapping[int, int]
    unrepresented: float

    @property
    def effective_size(self) -> float:
        """Kish's effective size, in [1, N]."""
        return float(1.0 / np.square(self.weights_N).sum())


def weigh(num_first: int, draws: Sequence[Draw], sizes: Sequence[float]) -> Weights:
    """Return the weights of the first holdout's items and of the draws, in this order.

    Args:
        num_first: Items of the first holdout, at least one.
        draws: The labelled draws that joined.
        sizes: Number of items of each part: of the first reading, then of every refresh.
    """
    shares: dict[int, float] = defaultdict(float)
    for draw in draws:
        shares[draw.refresh] += 1.0 / draw.probability
    first = np.full(num_first, sizes[0] / num_first)
    later = np.array([sizes[draw.refresh] / draw.probability / shares[draw.refresh] for draw in draws], dtype=float)
    weights_N = np.concatenate([first, later])
    missing = sum(size for part, size in enumerate(sizes) if part > 0 and part not in shares)
    added = dict(sorted(Counter(draw.round for draw in draws).items()))
    return Weights(weights_N / weights_N.sum(), num_first, added, missing / sum(sizes))


def part_sizes(parts: PoolParts, *, splits_pool: bool) -> list[float]:
    """Return how many items the first reading and each refresh brought.

    Args:
        parts: The pool.
        splits_pool: Whether holdout and calibration split were split off the first reading: they belong to it.
    """
    first = parts.manifests[0].metrics
    split = first["num_holdout"] + first["num_calibration"] if splits_pool else 0.0
    return [first["num_pool"] + split, *(refresh.metrics["num_new"] for refresh in parts.refreshes)]


def evaluate(
    probs_NC: FloatArray, labels_N: IntArray, weights: Weights, settings: EvaluationSettings
) -> dict[str, Any]:
    """Return the weighted metrics and their intervals as a JSON document.

    Keys: ``metrics`` and ``intervals`` of accuracy, ECE, NLL and Brier score, ``num_items``, ``num_added``,
    ``effective_size``, ``unrepresented`` and ``added_by_round``. The intervals are of the bootstrap: items are drawn
    alike, and each keeps its weight.

    Args:
        probs_NC: Predictive distributions, padded with zeros where an item has fewer answers.
        labels_N: True labels.
        weights: The items' weights.
        settings: How to measure.
    """
    statistics = {
        "accuracy": bootstrap.mean_of(metrics.correct_predictions(probs_NC, labels_N)),
        "ece": bootstrap.ece_of(probs_NC, labels_N, settings.num_bins),
        "nll": bootstrap.mean_of(metrics.item_nll(probs_NC, labels_N)),
        "brier": bootstrap.mean_of(metrics.item_brier(probs_NC, labels_N)),
    }
    if settings.label_names:
        statistics |= primary.refreshed_of(probs_NC, labels_N, settings.wanted)
    weighted = {name: bootstrap.weighted(statistic, weights.weights_N) for name, statistic in statistics.items()}
    num = len(labels_N)
    found = points(weighted, num)
    return {
        "metrics": found,
        "intervals": intervals({name: weighted[name] for name in found}, num, settings),
        "num_items": num,
        "num_added": num - weights.num_first,
        "effective_size": weights.effective_size,
        "unrepresented": weights.unrepresented,
        "added_by_round": {str(round_): number for round_, number in weights.added.items()},
    }


def flat_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers under the names that manifests and MLflow use: ``refreshed_accuracy``, ..."""
    flat = {f"refreshed_{name}": float(value) for name, value in document["metrics"].items()}
    for name, (low, high) in document["intervals"].items():
        flat |= {f"refreshed_{name}_low": low, f"refreshed_{name}_high": high}
    sizes = {"num_items": "num", "num_added": "num_added", "effective_size": "effective_size"}
    return flat | {f"refreshed_{name}": float(document[key]) for key, name in sizes.items()}


def details(document: Mapping[str, Any], level: float) -> dict[str, Any]:
    """Return what is said of it in words: ``sentences``.

    Args:
        document: What :func:`evaluate` returned.
        level: Confidence level of the intervals, in (0, 1).
    """
    rounds = ", ".join(f"{num} of round {round_}" for round_, num in document["added_by_round"].items())
    low, high = document["intervals"]["accuracy"]
    said = [
        f"The holdout has grown by {document['num_added']} random draws from what came later ({rounds}) to "
        f"{document['num_items']} items, which weighted tell as much as {document['effective_size']:.0f} of equal "
        f"weight. Weighted so that they stand for the pool as it is, accuracy is "
        f"{_percent(document['metrics']['accuracy'])} ({level:.0%} interval {_percent(low)} to {_percent(high)}). "
        "Rounds are compared by the first holdout alone, which all of them answered."
    ]
    if document["unrepresented"] > 0:
        said.append(
            f"{_percent(document['unrepresented'])} of the pool came later and has no labelled random draw yet: the "
            "holdout does not stand for it."
        )
    return {"sentences": said}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
