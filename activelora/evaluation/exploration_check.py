"""What the randomly drawn share of the batches tells: accuracy on the unlabelled pool, and whether the strategy pays.

A random draw from the unlabelled pool stands for it; the strategy's picks do not. Each draw is judged by the model that
was current when it was drawn, by its prediction of that moment. Rounds are added up, round 0 (a model without adapter)
only while there is no other: the estimate is a mean over the models and the unlabelled items of those rounds, without
bias for that, and behind the present model where the campaign learns. Draws that nobody labelled are left out: if
people skip the hard ones, the estimate is too high.

A strategy that finds what the model does not know picks items on which it errs more often than on random ones. That is
a sign, and quick to come by; whether the labels then teach more is seen by a campaign with `random` beside.
Letters: N items, C answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import View, snapshot_of
from activelora.evaluation.classification_metrics import PROBABILITY_FLOOR
from activelora.evaluation.proportions import difference_interval
from activelora.intervals import wilson_interval

PREDICTIONS = "predictions.parquet"
PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("explored", pa.bool_(), nullable=False),  # drawn at random, not by the strategy
        pa.field("probs", pa.list_(pa.float64()), nullable=False),  # of the model that the round selected with
    ]
)


@dataclass(frozen=True)
class Group:
    """Labelled picks of one kind.

    Attributes:
        num: How many.
        num_wrong: Number of them on which the model erred.
        nll: Mean −log p of the label, in nats.
    """

    num: int
    num_wrong: int
    nll: float

    @property
    def error(self) -> float:
        """The share on which the model erred."""
        return self.num_wrong / self.num


@dataclass(frozen=True)
class LiveCheck:
    """The check over some rounds.

    Attributes:
        rounds: Whose picks were counted.
        level: Confidence level of the intervals, in (0, 1).
        explored: Random draws.
        picked: The strategy's picks; None if there are none.
        num_by_round: Round to number of random draws.
    """

    rounds: tuple[int, ...]
    level: float
    explored: Group
    picked: Group | None
    num_by_round: Mapping[int, int] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the accuracy on random draws."""
        return wilson_interval(self.explored.num - self.explored.num_wrong, self.explored.num, self.level)

    @property
    def gain(self) -> tuple[float, float] | None:
        """The interval of the strategy's error minus the random draws'; None without picks."""
        if self.picked is None:
            return None
        return difference_interval(
            (self.picked.num_wrong, self.picked.num), (self.explored.num_wrong, self.explored.num), self.level
        )

    @property
    def verdict(self) -> str | None:
        """``better``, ``not distinguishable`` or ``worse`` than random draws; None without picks."""
        if self.gain is None:
            return None
        return "better" if self.gain[0] > 0 else "worse" if self.gain[1] < 0 else "not distinguishable"

    def metrics(self) -> dict[str, float]:
        """Return the numbers for manifests and MLflow."""
        low, high = self.interval
        found = {
            "explored_accuracy": 1.0 - self.explored.error,
            "explored_accuracy_low": low,
            "explored_accuracy_high": high,
            "num_explored": float(self.explored.num),
            "exploration_error": self.explored.error,
            "exploration_nll": self.explored.nll,
        }
        if self.picked is not None:
            found |= {"strategy_error": self.picked.error, "strategy_nll": self.picked.nll}
        return found

    def details(self) -> dict[str, Any]:
        """Return rounds, verdict and sentences, ready for JSON."""
        return {"rounds": list(self.rounds), "verdict": self.verdict, "sentences": self._sentences()}

    def _sentences(self) -> list[str]:
        low, high = self.interval
        first, last = self.rounds[0], self.rounds[-1]
        when = f"round {first}" if first == last else f"rounds {first} to {last}"
        items = "1 item" if self.explored.num == 1 else f"{self.explored.num} items"
        right = self.explored.num - self.explored.num_wrong
        said = [
            f"Of {items} drawn at random from the pool in {when}, the model of that moment answered {right} correctly: "
            f"{_percent(right / self.explored.num)} ({self.level:.0%} interval {_percent(low)} to {_percent(high)}). "
            f"That estimates how {_models(first, last)} did on what was unlabelled then, not how this round's does."
        ]
        if self.picked is None or self.gain is None:
            return said
        shares = (
            f"It was wrong on {_percent(self.picked.error)} of the strategy's {self.picked.num} picks and on "
            f"{_percent(self.explored.error)} of the random ones"
        )
        span = f"{100 * self.gain[0]:+.0f} to {100 * self.gain[1]:+.0f} points"
        found = f"{shares} (difference {span}): {_MEANING[self.verdict or '']}."
        return [*said, found, "Whether the labels also teach more is what `activelora compare` measures."]


_MEANING = {
    "better": "the strategy finds what the model does not know better than random draws do",
    "not distinguishable": "so far the strategy does not beat random draws at finding what the model does not know",
    "worse": "random draws find what the model does not know better than the strategy does",
}


def live_check(campaign: View, before_round: int) -> tuple[LiveCheck | None, list[Manifest]]:
    """Return the check over the rounds before the given one, and the manifests that it rests on.

    None if no random draw has a label and a prediction yet. Of tasks where a prediction is right or wrong only
    (:attr:`activelora.tasks.task.Kind.checks_exploration`).
    """
    if campaign.config.acquisition.exploration == 0:
        return None, []
    seen = snapshot_of(campaign)
    rounds = range(1, before_round) if before_round > 1 else range(before_round)
    selections = {round_: seen.require(Unit("select_batch", round_)) for round_ in rounds}
    predicted = {round_: selection for round_, selection in selections.items() if PREDICTIONS in selection.files}
    labels = label_snapshot(seen, before_round).labels
    rows = [
        {**row, "label": labels[row["item_id"]], "round": round_}
        for round_, selection in predicted.items()
        for row in seen.table(selection, PREDICTIONS).to_pylist()
        if row["item_id"] in labels
    ]
    sources = [*predicted.values(), *(seen.require(Unit("await_labels", round_)) for round_ in range(before_round))]
    explored = [row for row in rows if row["explored"]]
    if not explored:
        return None, []
    picked = [row for row in rows if not row["explored"]]
    by_round = Counter(int(row["round"]) for row in explored)
    level = campaign.config.evaluation.confidence_level
    group = _group(picked) if picked else None
    return LiveCheck(tuple(sorted(by_round)), level, _group(explored), group, by_round), sources


def _group(rows: list[dict[str, Any]]) -> Group:
    wrong = sum(int(np.argmax(row["probs"])) != row["label"] for row in rows)
    losses = [-float(np.log(max(row["probs"][row["label"]], PROBABILITY_FLOOR))) for row in rows]
    return Group(len(rows), int(wrong), float(np.mean(losses)))


def _models(first: int, last: int) -> str:
    return f"round {first}'s model" if first == last else "those rounds' models"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
