"""How far annotators agree: with each other beyond chance, and each with the label that counts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

from activelora.campaign.records import SETTLED_SOURCES, Label
from activelora.labeling.request import Ballot, Collected, Request

AGREEMENT_FILE = "agreement.json"
"""The file of await_labels with :meth:`Agreement.as_json`."""
Level = Literal["nominal", "interval"]
"""Whether labels are names, or numbers whose distance counts."""


@dataclass(frozen=True)
class AnnotatorReport:
    """How one annotator answered.

    Attributes:
        num_votes: Items labelled.
        num_skipped: Items passed over.
        agreement: Share of the answers that equal the label that counts, over items that others answered too; None
            without any.
        num_judged: Number of answers that this share is of.
        kappa: Mean of Cohen's kappa with each other annotator, weighted by shared items; None without any.
        num_shared: The sum of these weights: pairs of an item and another annotator.
        num_gold: Gold questions answered.
        gold_accuracy: Share of these that were answered rightly; None without any.
    """

    num_votes: int
    num_skipped: int = 0
    agreement: float | None = None
    num_judged: int = 0
    kappa: float | None = None
    num_shared: int = 0
    num_gold: int = 0
    gold_accuracy: float | None = None


@dataclass(frozen=True)
class Agreement:
    """How far the annotators of a round agree.

    Attributes:
        alpha: Krippendorff's alpha, 1 for perfect agreement, 0 for chance; None where no item has two answers.
        fleiss_kappa: Fleiss' kappa over items with at least two answers; None as above.
        num_overlapping: Items with at least two answers.
        annotators: Each annotator's report, by name.
    """

    alpha: float | None
    fleiss_kappa: float | None
    num_overlapping: int
    annotators: Mapping[str, AnnotatorReport]

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that are there, as metrics of the round."""
        found = {"krippendorff_alpha": self.alpha, "fleiss_kappa": self.fleiss_kappa}
        gold = [(one.num_gold, one.gold_accuracy) for one in self.annotators.values() if one.gold_accuracy is not None]
        if gold:
            found["gold_accuracy"] = sum(count * share for count, share in gold) / sum(count for count, _ in gold)
        return {name: value for name, value in found.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return asdict(self)


def measure(
    votes: Sequence[Mapping[str, Any]],
    labels: Mapping[str, Label],
    level: Level = "nominal",
    skips: Mapping[str, int] | None = None,
    gold: Mapping[str, tuple[int, int]] | None = None,
) -> Agreement:
    """Measure the agreement of one round's annotators.

    Args:
        votes: One an item and annotator, with ``item_id``, ``annotator`` and ``label``.
        labels: The labels that count.
        level: What kind of labels they are.
        skips: Annotator → items passed over.
        gold: Annotator → (gold questions answered rightly, gold questions answered).
    """
    skips, gold = skips or {}, gold or {}
    answers: dict[str, dict[str, Label]] = defaultdict(dict)
    for vote in votes:
        answers[vote["annotator"]][vote["item_id"]] = vote["label"]
    counts = Counter(item_id for given in answers.values() for item_id in given)
    shared = {item_id for item_id, count in counts.items() if count > 1}
    units = [[given[item_id] for given in answers.values() if item_id in given] for item_id in sorted(shared)]
    kappas = _mean_kappas(answers)
    reports = {}
    for name in sorted({*answers, *skips, *gold}):
        given = answers.get(name, {})
        judged = [given[item_id] == labels[item_id] for item_id in given if item_id in shared and item_id in labels]
        right, asked = gold.get(name, (0, 0))
        reports[name] = AnnotatorReport(
            num_votes=len(given),
            num_skipped=skips.get(name, 0),
            agreement=sum(judged) / len(judged) if judged else None,
            num_judged=len(judged),
            kappa=kappas.get(name),
            num_shared=sum(counts[item_id] - 1 for item_id in given),
            num_gold=asked,
            gold_accuracy=right / asked if asked else None,
        )
    return Agreement(krippendorff_alpha(units, level), fleiss_kappa(units), len(units), reports)


def round_agreement(request: Request, collected: Collected, labels: Mapping[str, Label]) -> Agreement | None:
    """Measure a round; None if one annotator answered alone, and no gold question was asked.

    What adjudicators say is left out: they see what the others said.

    Args:
        request: What was asked for.
        collected: What came.
        labels: The labels that count, this round's included.
    """
    votes = [one for one in collected.records if one["source"] not in SETTLED_SOURCES]
    ballots = collected.ballots or [Ballot(one["item_id"], one["annotator"], one["label"]) for one in votes]
    adjudicators = request.campaign.config.labeling.adjudicators
    own = [one for one in ballots if one.item_id in request.reasons and one.annotator not in adjudicators]
    asked = [one for one in ballots if one.item_id in request.gold and one.label is not None]
    if not asked and len({one.annotator for one in own}) < 2:
        return None
    right = Counter(one.annotator for one in asked if one.label == request.gold[one.item_id].label)
    total = Counter(one.annotator for one in asked)
    return measure(
        [one._asdict() for one in own if one.label is not None],
        labels,
        request.task.kind.agreement,
        Counter(one.annotator for one in own if one.label is None),
        {name: (right[name], total[name]) for name in total},
    )


def krippendorff_alpha(units: Sequence[Sequence[Label]], level: Level = "nominal") -> float | None:
    """Return Krippendorff's alpha (Krippendorff 2004, chapter 11); 1 if only one label was ever given.

    Args:
        units: The answers of each item that has at least two.
        level: What kind of labels they are.

    Returns:
        None without items.
    """
    values = sorted({label for unit in units for label in unit})
    if not units:
        return None
    if len(values) < 2:
        return 1.0  # nothing to disagree about was ever said
    import krippendorff
    import numpy as np

    index_of = {value: index for index, value in enumerate(values)}
    counts_NV = np.zeros((len(units), len(values)), dtype=np.int64)
    for row, unit in enumerate(units):
        for label in unit:
            counts_NV[row, index_of[label]] += 1
    domain = values if level == "interval" else list(range(len(values)))
    return float(krippendorff.alpha(value_counts=counts_NV, value_domain=np.array(domain), level_of_measurement=level))


def fleiss_kappa(units: Sequence[Sequence[Label]]) -> float | None:
    """Return Fleiss' kappa (Fleiss 1971), for items that may have unlike numbers of answers; 1 with only one label.

    Agreement of an item is the share of its pairs of answers that are equal; chance comes from all answers.

    Args:
        units: The answers of each item that has at least two.

    Returns:
        None without items.
    """
    if not units:
        return None
    total = Counter(label for unit in units for label in unit)
    num_answers = sum(total.values())
    chance = sum((count / num_answers) ** 2 for count in total.values())
    if math.isclose(chance, 1.0):
        return 1.0
    observed = [
        sum(count * (count - 1) for count in Counter(unit).values()) / (len(unit) * (len(unit) - 1)) for unit in units
    ]
    return (sum(observed) / len(observed) - chance) / (1.0 - chance)


def _mean_kappas(answers: Mapping[str, Mapping[str, Label]]) -> dict[str, float]:
    """Return each annotator's mean Cohen's kappa with the others, weighted by shared items."""
    sums: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for one, other in combinations(sorted(answers), 2):
        both = sorted(answers[one].keys() & answers[other].keys())
        if not both:
            continue
        kappa = cohen_kappa([answers[one][item] for item in both], [answers[other][item] for item in both])
        sums[one].append((len(both), kappa))
        sums[other].append((len(both), kappa))
    return {name: sum(n * k for n, k in pairs) / sum(n for n, _ in pairs) for name, pairs in sums.items()}


def cohen_kappa(first: Sequence[Label], second: Sequence[Label]) -> float:
    """Return Cohen's kappa (Cohen 1960) of two annotators on the same items; 1 if both gave one and the same label."""
    size = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / size
    left, right = Counter(first), Counter(second)
    chance = sum(left[label] * right[label] for label in left) / size**2
    return 1.0 if math.isclose(chance, 1.0) else (observed - chance) / (1.0 - chance)
