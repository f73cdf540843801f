"""How the checks get at a label source, and at what is behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from activelora.campaign.records import vote_table
from activelora.labeling.conformance.trial import PRIVACY, Trial, begin
from activelora.labeling.request import Collected, Request
from activelora.labeling.source import Source

Result = TypeVar("Result")
ALL = frozenset({"skip", "invalid", "change", "late", "correct", "overlap", "unknown", "gold"})


class NonconformingError(AssertionError):
    """A source does not do what the rest of the project relies on."""


@dataclass(frozen=True)
class Bench:
    """How the checks get at what is behind a source.

    Attributes:
        source: The source.
        labeling: The campaign file's section ``labeling``, with ``source``. A function gets the check's folder.
        answer: Lets somebody answer: request, item id, annotator, and the label as a person gives it (None passes the
            item over). None for a source that answers by itself.
        num_questions: Counts what was asked where people label: a task of an item counts once. None where that cannot
            be counted.
        can: Which of :data:`ALL` can happen there: ``skip`` an item; an ``invalid`` label; ``change`` of mind;
            ``late`` answers; ``correct`` a label of an earlier round; ``overlap``: several annotators an item; answers
            about ``unknown`` items; ``gold`` questions among the others, which all people can be asked.
        annotator: Who is recorded; None where that is whoever answers.
        timeout_seconds: The longest that one call may take.
        cache: Beginning of the keys in the campaign's store where the source keeps what it could ask for again; None
            for none. Collecting must not change anything else.
        shown: Returns all that people were shown of each question, by item id, as text or JSON. Without it the checks
            of what is shown are skipped.
    """

    source: Source
    labeling: Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]
    answer: Callable[[Request, str, str, str | None], None] | None = None
    num_questions: Callable[[Request], int] | None = None
    can: frozenset[str] = field(default=ALL)
    annotator: str | None = None
    timeout_seconds: float = 60.0
    cache: str | None = None
    shown: Callable[[Request], Mapping[str, object]] | None = None

    def begin(self, folder: Path, **labeling: Any) -> Trial:
        """Return a campaign that waits for the labels of its first batch."""
        return begin(folder, self._section(folder, labeling))

    def begin_private(self, folder: Path, **labeling: Any) -> Trial:
        """Return one whose items hold what must not be shown."""
        return begin(folder, {**self._section(folder, labeling), **PRIVACY}, is_private=True)

    def _section(self, folder: Path, labeling: Mapping[str, Any]) -> dict[str, Any]:
        section = self.labeling(folder) if callable(self.labeling) else self.labeling
        return {**section, **labeling}

    def give(self, request: Request, item_id: str, label: str | None, annotator: str = "ann") -> None:
        """Let somebody answer, and let the source ask whom it asks."""
        if self.answer is None:
            raise AssertionError("only sources that are answered are checked so")
        self.answer(request, item_id, annotator, label)

    def publish(self, request: Request) -> None:
        """Call ``publish`` within the time."""
        within(self.timeout_seconds, "publish", lambda: self.source.publish(request))

    def collect(self, request: Request) -> Collected:
        """Call ``collect`` within the time, and check what holds always."""
        found = within(self.timeout_seconds, "collect", lambda: self.source.collect(request))
        require(list(found.states) == request.item_ids, "states are not the round's items in the order of selection")
        labeled = {one for one, state in found.states.items() if state == "labeled"}
        own = {record["item_id"] for record in found.records if record["item_id"] in request.reasons}
        require(own == labeled, f"labelled are {sorted(labeled)}, and there are records of {sorted(own)}")
        try:
            vote_table([*found.records, *found.corrections])
        except (KeyError, ValueError, TypeError) as error:
            raise NonconformingError(f"records do not fit LABEL_SCHEMA: {error}") from error
        return found


def require(holds: bool, what: str) -> None:
    """Complain unless something holds."""
    if not holds:
        raise NonconformingError(what)


def essence(found: Collected) -> Any:
    """Return what two looks have in common; answers without a time are dated at each look."""
    records = [{name: one[name] for name in one if name != "labeled_at"} for one in found.records]
    return json.loads(json.dumps([records, dict(found.states), [vars(one) for one in found.rejected]]))


def within(seconds: float, what: str, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or complain that it hangs."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # it belongs to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    require(not thread.is_alive(), f"{what} has not ended after {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]
