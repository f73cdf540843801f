"""Answers that are given in a terminal: each is stored before the next is asked for.

They lie in the campaign, under :data:`FOLDER`, as JSONL files in the form of the inbox. A file belongs to one session
of one annotator and is replaced as a whole, atomically, with every answer: a crash loses nothing that was answered, and
two sessions never write the same file. An answer that was taken back stays in the file as a line without a label.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item, Label
from activelora.campaign.store import Store
from activelora.errors import ConfigError
from activelora.labeling.inbox import MAX_ANNOTATOR_CHARS, Answer, Inbox
from activelora.labeling.request import Rejected
from activelora.labeling.worked import Known
from activelora.tasks.task import Task

FOLDER = "labeling/answers"
SOURCE = "terminal"
MAX_LINES = 500
"""A session goes on in another file after this number of answers, so that an answer never rewrites more."""


@dataclass
class Session:
    """One sitting of one annotator.

    Attributes:
        store: The campaign's.
        annotator: Who answers.
        task: Knows how labels are written.
        num_stored: Answers so far, without those that were taken back.
    """

    store: Store
    annotator: str
    task: Task
    num_stored: int = 0
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False)
    _last: datetime = field(default=datetime.min.replace(tzinfo=UTC), init=False, repr=False)
    _name: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        check_annotator(self.annotator)

    def answer(self, item: Item, label: Label | None) -> None:
        """Store an answer durably; None passes the item over.

        Args:
            item: The item.
            label: The label, as the task understands it.
        """
        if not self._name or len(self._lines) >= MAX_LINES:
            self._name = f"{FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.jsonl"
            self._lines = []
        given = {"skipped": True} if label is None else {}
        written = None if label is None else self.task.written_label(label, item)
        document = {"item_id": item.item_id, "label": written, "annotator": self.annotator, "labeled_at": self._now()}
        self._lines.append({**document, **given})
        self._save()
        self.num_stored += 1

    def undo(self) -> str | None:
        """Take back the last answer of this session, and return its item; None if there is none (in this file)."""
        for line in reversed(self._lines):
            if "undone" not in line:
                line["undone"] = line["label"]
                line["label"] = None
                line.pop("skipped", None)
                self._save()
                self.num_stored -= 1
                return str(line["item_id"])
        return None

    def _save(self) -> None:
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines)
        self.store.write(self._name, content.encode())

    def _now(self) -> str:
        """Return the time; never the same twice, since of an annotator's answers the latest counts."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last.isoformat(timespec="microseconds")


class Answers:
    """All answers of all sessions of a campaign; what has not changed is not read twice.

    Args:
        campaign: The campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._inbox = Inbox(campaign.store, f"{FOLDER}/", Known.of(campaign.config))

    def read(self) -> tuple[list[Answer], list[Rejected]]:
        """Return the answers, and lines that cannot be read."""
        answers, rejected = self._inbox.read()
        return [replace(answer, source=SOURCE) for answer in answers], rejected


def check_annotator(name: str) -> str:
    """Return an annotator's name, or refuse one that cannot be recorded.

    Raises:
        ConfigError: It is empty, too long, or has characters that cannot be printed.
    """
    if not name.strip() or not name.isprintable() or len(name) > MAX_ANNOTATOR_CHARS:
        raise ConfigError(
            f"{name[:40]!r} is no name that can be recorded: 1 to {MAX_ANNOTATOR_CHARS} printable characters",
            where="--annotator",
        )
    return name.strip()
