"""How large holdout, calibration split and batches are, for a table of so and so many labelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from activelora.errors import DataError

if TYPE_CHECKING:
    from activelora.pool.labelled_texts import Texts
    from activelora.tasks.task import Kind

_ALL = 0.95
"""Share of labelled items from which on a table counts as labelled."""
_LEAST_LABELLED = 10
_LEAST_ASKED = 8
"""Fewer items without a label than this are not worth a campaign."""
_LEAST_TO_CALIBRATE = 80
_LEAST_CALIBRATION = 20
_TO_ANSWER_ALONE = 90
"""Labelled items from which on half of them can show that at most 5 % of answers are wrong, at 90 % confidence."""
_MAX_HOLDOUT, _MAX_CALIBRATION, _MAX_BATCH = 500, 200, 25
_NUM_ROUNDS = 4
_COVERAGE = 0.9


@dataclass(frozen=True)
class Sizes:
    """Numbers of items.

    Attributes:
        is_simulation: All items have a label, so that nobody need be asked.
        labelled: Items with a label.
        items: All items.
        holdout: Labelled items that measure the result.
        calibration: Labelled items for temperature and prediction sets; 0 leaves them out.
        batch: Items a round.
        rounds: Rounds.
        measures_share: Whether the result is a share of right answers.
    """

    is_simulation: bool
    labelled: int
    items: int
    holdout: int
    calibration: int
    batch: int
    rounds: int
    measures_share: bool

    @property
    def known(self) -> int:
        """Labelled items that are left to train on."""
        return 0 if self.is_simulation else self.labelled - self.holdout - self.calibration

    @property
    def holdout_reason(self) -> str:
        """Why the holdout has its size."""
        share = round(100 * self.holdout / self.labelled)
        text = f"{share} % of the {self.labelled:,} labelled items, drawn at random: they only measure"
        if not self.measures_share:
            return text
        return f"{text}, an accuracy to about ±{100 * (0.25 / self.holdout) ** 0.5 * 1.96:.0f} points"

    @property
    def calibration_reason(self) -> str:
        """Why the calibration split has its size."""
        if not self.calibration:
            return "too few labelled items for a calibration split: no temperature, no prediction sets"
        least = round(1 / (1 - _COVERAGE)) - 1
        return (
            f"for the temperature, and half of them for prediction sets, which need 1/α − 1 = {least} or more for "
            f"{_COVERAGE:.0%} coverage; {_TO_ANSWER_ALONE} or more tell when the model may answer alone"
        )


def sizes_for(texts: Texts, kind: Kind) -> Sizes:
    """Return the sizes for a table.

    Args:
        texts: What it holds.
        kind: The kind of task.

    Raises:
        DataError: It has too few items or labels.
    """
    items, labelled = texts.num_items, texts.num_labelled
    if labelled < _LEAST_LABELLED:
        problem = f"only {labelled} of {items:,} different items have a label"
        remedy = f"Label {_LEAST_LABELLED} or more of them, drawn at random; 100 make a fair measurement."
        raise DataError(problem, remedy=remedy)
    is_simulation = labelled >= _ALL * items or items - labelled < _LEAST_ASKED
    calibrates = kind.has_temperature and labelled >= _LEAST_TO_CALIBRATE
    if is_simulation:
        holdout, calibration = labelled // 5, min(labelled // 5, max(labelled // 10, _TO_ANSWER_ALONE))
    else:
        holdout, calibration = labelled * 2 // 5, labelled * 3 // 10
    holdout = min(_MAX_HOLDOUT, holdout if calibrates or is_simulation else labelled // 2)
    calibration = min(_MAX_CALIBRATION, max(_LEAST_CALIBRATION, calibration)) if calibrates else 0
    left = (labelled if is_simulation else items) - holdout - calibration
    asked = left if is_simulation else items - labelled
    batch = max(1, min(_MAX_BATCH, asked // (2 * _NUM_ROUNDS)))
    rounds = min(_NUM_ROUNDS, asked // batch)
    return Sizes(is_simulation, labelled, items, holdout, calibration, batch, rounds, kind.headline.is_share)
