"""Labels out of a campaign as a file, and files of answers into its inbox."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.labels import LabelSnapshot, label_snapshot, shown_time, time_of
from activelora.campaign.records import Item, Label, vote_rows
from activelora.campaign.snapshot import View, snapshot_of
from activelora.campaign.store import open_store
from activelora.errors import ActiveLoRAError, ConfigError, LabelError, ProblemsError
from activelora.formats.workbook import workbook_bytes
from activelora.kinds.registry import make_task
from activelora.labeling.counting import count_answers, parse_answer
from activelora.labeling.files import FilesSource, inbox_uri
from activelora.labeling.inbox import Answer, parse_file
from activelora.labeling.request import Rejected, Remark, Request, open_request
from activelora.labeling.worked import Known
from activelora.labeling.worksheet import csv_bytes
from activelora.pool.access import find_items
from activelora.tasks.task import Task

Format = Literal["csv", "jsonl", "xlsx"]
MAX_PROBLEMS = 20
"""Largest number of bad lines of a file that are shown."""


@dataclass(frozen=True)
class Imported:
    """What a file of answers brings, as far as that can be told before a round collects it.

    Attributes:
        key: Its name in the inbox.
        num_answers: Lines that carry a label.
        num_labels: Items that get their first label by it.
        num_disputed: Items that had an answer and get no label now, as this file disagrees with it.
        num_corrected: Items whose label changes.
        num_confirmed: Items whose label another answer agrees with.
        rejected: Answers that contradict others, and so count for nothing now.
        remarks: What is to be said of the file, such as how much of it is no label.
        round: The round that will collect them.
        ended: Why the campaign has ended, so that none will; None while it goes on.
    """

    key: str
    num_answers: int
    num_labels: int
    num_disputed: int
    num_corrected: int
    num_confirmed: int
    rejected: tuple[Rejected, ...]
    remarks: tuple[str, ...]
    round: int
    ended: str | None


def export_labels(campaign: View, before_round: int, kind: Format) -> bytes:
    """Return the labels that a round trains on, one item a row, by item id; as UTF-8.

    ``annotator`` names all who voted for the label, ``labeled_at`` is the latest of their times, ``num_votes`` counts
    the others too. :func:`import_labels` reads such a file.

    Args:
        campaign: The campaign.
        before_round: Labels that earlier rounds brought.
        kind: ``csv``, ``jsonl`` or ``xlsx``.
    """
    task = make_task(campaign.config.task)
    seen = snapshot_of(campaign)
    rows = label_rows(seen, label_snapshot(seen, before_round))
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    header = ["item_id", "source_id", *task.columns, *["choices"] * task.kind.needs_choices, *LABEL_COLUMNS]
    cells = []
    for row in rows:
        fields = [row["fields"][name] for name in task.columns]
        choices = ["\n".join(row["choices"])] * task.kind.needs_choices
        cells.append([row["item_id"], row["source_id"] or "", *fields, *choices])
        cells[-1] += [str(row[name]) for name in LABEL_COLUMNS]
    return workbook_bytes(header, cells) if kind == "xlsx" else csv_bytes(header, cells)


LABEL_COLUMNS = ("label", "annotator", "labeled_at", "source", "num_votes")


def written_label(task: Task, label: Label, item: Item) -> str:
    """Return a label as an annotator writes it: its name, the letter of the item's choice, or the whole text."""
    if isinstance(label, str):
        return label
    name = task.label_name(label, item)
    return name.partition(".")[0] if task.kind.needs_choices else name


def label_rows(campaign: View, snapshot: LabelSnapshot) -> list[dict[str, Any]]:
    """Return the labels of a snapshot ready for JSON, one an item, by item id: see :func:`export_labels`."""
    task, items = make_task(campaign.config.task), find_items(campaign, list(snapshot.labels))
    votes: dict[str, list[dict[str, Any]]] = {}
    for record in vote_rows(snapshot.records):
        votes.setdefault(record["item_id"], []).append(record)
    rows = []
    for item_id, label in snapshot.labels.items():
        item, own = items[item_id], [vote for vote in votes[item_id] if vote["label"] == label]
        latest = max(own or votes[item_id], key=time_of)  # weighed annotators can outweigh what all of them said
        rows.append(
            {
                "item_id": item_id,
                "source_id": item.source_id,
                "fields": dict(item.fields),
                "choices": list(item.choices),
                "label": written_label(task, label, item),
                "annotator": "; ".join(vote["annotator"] for vote in own),
                "labeled_at": shown_time(latest),
                "source": (own or votes[item_id])[0]["source"],
                "num_votes": len(votes[item_id]),
            }
        )
    return rows


def import_labels(campaign: Campaign, uri: str) -> Imported:
    """Check a file of answers and put it into the inbox, whole or not at all. The same file twice is one.

    Args:
        campaign: A campaign whose labels come from files.
        uri: A table of any format, or an export of a labelling tool; local or ``s3://``.

    Raises:
        ConfigError: The campaign reads no inbox.
        ProblemsError: Every line that cannot be used.
        LabelError: The file is not there, or holds no answer.
    """
    source = campaign.config.labeling.source
    if source != "files":
        raise ConfigError(f"labels come from `{source}`, which reads no inbox", where=campaign.store.uri)
    folder, slash, name = uri.rpartition("/")
    try:
        content = open_store(folder or slash or ".").read(name)
    except KeyError:
        raise LabelError("there is no such file", where=uri) from None
    request = open_request(campaign)
    answers, remarks = _checked(request, name, content, uri)
    inbox = open_store(inbox_uri(campaign))
    key = f"imported-{hashlib.sha256(content).hexdigest()[:12]}-{name}"
    there, _ = FilesSource().read(campaign)
    there = [answer for answer in there if answer.file != key]
    new = [replace(answer, file=key) for answer in answers]
    before, after = count_answers(request, there, []), count_answers(request, [*there, *new], [])
    inbox.write(key, content)
    corrected = [found.corrected(request.known, campaign.config.labeling) for found in (before, after)]
    labeled = [{record["item_id"] for record in found.records} for found in (before, after)]
    items = [{record["item_id"] for record in found.corrections} for found in (before, after)]
    return Imported(
        key=key,
        num_answers=len(new),
        num_labels=len(labeled[1] - labeled[0]),
        num_disputed=len(labeled[0] - labeled[1]),
        num_corrected=len(corrected[1] - corrected[0]),
        num_confirmed=len((items[1] - corrected[1]) - items[0]),
        rejected=tuple(one for one in after.rejected if one.file == key),
        remarks=tuple(remarks),
        round=request.round,
        ended=stop_reason(campaign),
    )


def _checked(request: Request, name: str, content: bytes, where: str) -> tuple[list[Answer], list[str]]:
    """Return the answers of a file of which every line can be used, and what is to be said of it.

    Raises:
        ProblemsError: Some cannot.
        LabelError: There is no answer in it.
    """
    answers: list[Answer] = []
    remarks: list[str] = []
    problems: list[ActiveLoRAError] = []
    for found in parse_file(name, content, Known.of(request.campaign.config)):
        if isinstance(found, Remark):
            remarks.append(found.reason)
            continue
        judged = parse_answer(request, found) if isinstance(found, Answer) else found
        if isinstance(judged, Rejected):
            location = where if judged.line is None else f"{where}:{judged.line}"
            problems.append(LabelError(judged.reason, where=f"{location} {judged.item_id}".rstrip()))
        elif isinstance(found, Answer):
            answers.append(found)
    if len(problems) > MAX_PROBLEMS:
        left = LabelError(f"and {len(problems) - MAX_PROBLEMS} more lines that cannot be used", where=where)
        problems = [*problems[:MAX_PROBLEMS], left]
    if problems:
        raise ProblemsError(problems)
    if not answers:
        shown = f": {'; '.join(remarks)}" if remarks else ""
        raise LabelError(f"holds no answer{shown}", where=where, remedy="Fill in the column `label`.")
    return answers, remarks
