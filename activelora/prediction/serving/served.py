"""A loaded model as the server asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any

from activelora.errors import DataError
from activelora.formats.row import Row
from activelora.labeling.redaction import SOURCE_ID, WITHHELD, redacted
from activelora.prediction.answers import Answer
from activelora.prediction.bundle import Bundle
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import NO_THRESHOLDS, Thresholds
from activelora.prediction.serving.batching import Rows, Wish


class ServedModel:
    """A model in memory, with all that it holds until it is closed.

    Attributes:
        columns: The columns that a row must have.
        gives_numbers: Whether its labels are numbers on a scale.
        about: What clients are told of it.

    Args:
        opened: What gives the model's files.
        name: Its name for clients; None is the campaign's.
        num_samples: Posterior samples to average; None are as many as the evaluation used.
        thresholds: What is asked of answers that stand alone, where a request does not say.

    Raises:
        ActiveLoRAError: It cannot be loaded.
    """

    def __init__(
        self,
        opened: AbstractContextManager[Bundle],
        name: str | None = None,
        num_samples: int | None = None,
        thresholds: Thresholds = NO_THRESHOLDS,
    ) -> None:
        with ExitStack() as held:
            bundle = held.enter_context(opened)
            self._model = held.enter_context(LoadedModel.load(bundle, num_samples, thresholds, caches_prefixes=True))
            self._held = held.pop_all()
        self._bundle = bundle
        self._names = self._model.wanted.names
        self.columns = self._model.columns
        self.gives_numbers = self._model.task.values is not None
        self.about: Mapping[str, Any] = {
            "name": name or bundle.config.name,
            "version": str(bundle.round),
            "round": bundle.round,
            "kind": self._model.task.kind.name,
            "digest": bundle.digest,
        }

    @property
    def id_column(self) -> str | None:
        """The column of a row's own id, where the campaign has one."""
        return self._bundle.config.data.columns.id

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """The columns that the pool reads: those of the prompt, and the id's."""
        return tuple(dict.fromkeys((*self._names, *([self.id_column] if self.id_column else ()))))

    def redact(self, column: str, value: Any) -> Any:
        """Return a value as annotators may see it, whatever it is made of.

        Args:
            column: Its column.
            value: The value, as it came in JSON.
        """
        labeling = self._bundle.config.labeling
        if column == self.id_column and SOURCE_ID in labeling.withhold:
            return None
        if column in labeling.withhold:
            return WITHHELD
        if isinstance(value, str):
            return redacted(labeling, value)
        if isinstance(value, list):
            return [self.redact(column, one) for one in value]
        if isinstance(value, dict):
            return {redacted(labeling, key): self.redact(column, one) for key, one in value.items()}
        return value

    def check(self, wish: Wish) -> None:
        """Refuse what the model cannot tell."""
        self._model.reviewer_of(self._thresholds(wish))

    def answer(self, requests: Sequence[Rows], *, probabilities: bool) -> list[list[Answer]]:
        """Return what it predicts for the rows of several requests."""
        rows = [Row(dict(row), "row", number) for own in requests for number, row in enumerate(own, 1)]
        found = iter(self._model.predict(rows, probabilities=probabilities, strict=False, description=""))
        return [[next(found) for _ in own] for own in requests]

    def finish(self, found: Sequence[Answer], wish: Wish) -> list[dict[str, Any]]:
        """Return the answers to a request."""
        for answer in found:
            if answer.problem is not None:
                raise DataError(answer.problem)
        reviewer = self._model.reviewer_of(self._thresholds(wish))
        marked = [replace(answer, review=reviewer.needs_review(answer)) for answer in found]
        return [_document(answer, probabilities=wish.probabilities) for answer in marked]

    def close(self) -> None:
        """Give back the model, its memory and its files, whoever still knows this object: a log asks it on."""
        self._held.close()
        vars(self).pop("_model", None)

    def _thresholds(self, wish: Wish) -> Thresholds:
        own = self._model.thresholds
        return Thresholds(
            own.min_confidence if wish.min_confidence is None else wish.min_confidence,
            own.max_risk if wish.max_risk is None else wish.max_risk,
        )


def _document(answer: Answer, *, probabilities: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "label": answer.label,
        "probability": answer.probability,
        "uncertainty": answer.uncertainty,
        "prediction_set": answer.prediction_set,
        "review": answer.review,
    }
    if answer.low is not None:
        document |= {"low": answer.low, "high": answer.high}
    if probabilities:
        document["probabilities"] = answer.probabilities
    return document
