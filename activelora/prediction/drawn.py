"""What was drawn of an unlabelled table, as it lies beside the rows that people label: ``NAME.draw.json``.

It holds all that an estimate needs besides the labels: which rows were drawn with which probability, what the model
says of them, and what it expects over the whole table. The rows themselves show nothing of it: annotators who see a
model's answer tend to agree with it. Letters: N rows, M draws, C answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from activelora.errors import DataError, ModelError
from activelora.evaluation.classification_metrics import FloatArray
from activelora.evaluation.lure import TableMeans
from activelora.tasks.task import Task
from activelora.uncertainty.measures import entropy

DRAW_COLUMN, ID_COLUMN = "draw", "item_id"
"""Columns that the drawn rows have beside their own and the label's: the number of the draw, and the item's id."""
MIN_LABELS = 10
"""Fewer labels are no estimate."""
_VERSION = 1


@dataclass(frozen=True)
class Expectations:
    """What the model expects over the whole table.

    Attributes:
        error: Moments of its own answer's being wrong.
        labels: Those of each label, by name; empty where items have choices of their own.
        nll: Mean entropy, in nats: the NLL that it expects of itself.
        brier: Mean of 1 − Σ p², the Brier score that it expects of itself.
    """

    error: TableMeans
    labels: dict[str, TableMeans]
    nll: float
    brier: float


@dataclass(frozen=True)
class DrawnRow:
    """One draw.

    Attributes:
        item_id: The item.
        row: Index of the row in the table, from 0.
        probability: q_m, with which it was drawn among the rows left.
        probs: Probability of each answer, after the temperature.
    """

    item_id: str
    row: int
    probability: float
    probs: list[float]


@dataclass(frozen=True)
class Draw:
    """All that an estimate needs besides the labels.

    Attributes:
        model: Digest of the model.
        round: Its round.
        table: Digest of the table.
        table_name: Its path.
        num_rows: N.
        label_column: The column that labels are written in.
        uniform_share: τ.
        seed: Seed of the draws.
        expected: Means over the table.
        drawn: The M draws, in order.
    """

    model: str
    round: int
    table: str
    table_name: str
    num_rows: int
    label_column: str
    uniform_share: float
    seed: int
    expected: Expectations
    drawn: list[DrawnRow]

    def as_bytes(self) -> bytes:
        """Return it as JSON with a digest."""
        content = {"version": _VERSION, **asdict(self)}
        return (json.dumps({"sha256": _digest(content), **content}, indent=1) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> Draw:
        """Return what :meth:`as_bytes` wrote.

        Raises:
            DataError: There is none, it was changed, or a newer version wrote it.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError
        except FileNotFoundError:
            remedy = "Put it there, or give the file of labels its name without `.draw.json`, whatever its format."
            raise DataError("the draw that belongs to the rows is not there", where=str(path), remedy=remedy) from None
        except ValueError:
            raise DataError("is no draw", where=str(path), remedy=_RESTORE) from None
        stated, version = content.pop("sha256", None), content.pop("version", None)
        if isinstance(version, int) and version > _VERSION:
            raise DataError("was written by a newer version", where=str(path), remedy="Update ActiveLoRA.")
        if stated != _digest({"version": version, **content}):
            raise DataError("the draw was changed after it was written", where=str(path), remedy=_RESTORE)
        expected, drawn = content.pop("expected"), content.pop("drawn")
        labels = {name: TableMeans(**one) for name, one in expected["labels"].items()}
        error = TableMeans(**expected["error"])
        made = Expectations(error, labels, expected["nll"], expected["brier"])
        return cls(expected=made, drawn=[DrawnRow(**one) for one in drawn], **content)


_RESTORE = "Restore it as `activelora evaluate --budget` wrote it, or draw anew."


def draw_path(rows: Path) -> Path:
    """Return where the draw of a file of drawn rows is: beside it, by its name without the ending."""
    name = rows.name.removesuffix(".gz").removesuffix(".gzip")
    return rows.with_name(f"{Path(name).stem}.draw.json")


def refuse_kind(task: Task, where: str) -> None:
    """Refuse tasks whose answers are not one out of several.

    Raises:
        ModelError: The task is of such a kind.
    """
    if task.kind.writes or not task.kind.checks_exploration:
        problem = f"a `{task.kind.name}` task's answer is not one out of several; rows are drawn for no other kind yet"
        remedy = "Label a test split drawn at random, and measure on it: activelora evaluate WHAT TABLE."
        raise ModelError(problem, where=where, remedy=remedy)


def expectations(probs_NC: FloatArray, first_probability_N: FloatArray, label_names: Sequence[str]) -> Expectations:
    """Return what a model expects over a table.

    Args:
        probs_NC: Its probabilities, padded with zeros.
        first_probability_N: q_1.
        label_names: Names of the C labels; empty where items have choices of their own.
    """
    error = TableMeans.of(1.0 - probs_NC.max(axis=1), first_probability_N)
    labels = {name: TableMeans.of(probs_NC[:, c], first_probability_N) for c, name in enumerate(label_names)}
    return Expectations(error, labels, float(entropy(probs_NC).mean()), float((1.0 - (probs_NC**2).sum(axis=1)).mean()))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
