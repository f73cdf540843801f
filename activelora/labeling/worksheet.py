"""The files for people: what is to be labelled, and which answers could not be used.

A CSV cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return would run as a formula in a
spreadsheet. Such cells get a single quote in front (OWASP, "CSV Injection"); item text is otherwise untouched. The
JSONL holds every text as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from activelora.campaign.records import Item
from activelora.labeling.redaction import shown_source_id
from activelora.labeling.request import Rejected, Request

SKIP = "skip"
"""What an annotator writes to pass an item over, unless it is the name of a label."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_OWN_COLUMNS = ("item_id", "source_id", "choices", "allowed_labels", "label", "annotator", "reason")


def folder_of(round_: int) -> str:
    """Return the key under which a round's files for people lie."""
    return f"labeling/round-{round_:04d}"


def safe_cell(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unsafe_cell(text: str) -> str:
    """Return what :func:`safe_cell` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def to_label_csv(request: Request) -> bytes:
    """Return the round's items as CSV, in the order of the selection, with empty cells for label and annotator.

    It begins with a byte order mark, without which Excel reads UTF-8 as something else.
    """
    fields = request.task.columns
    names = [f"item.{field}" if field.casefold() in _OWN_COLUMNS else field for field in fields]
    labeling = request.campaign.config.labeling
    source_ids = {item_id: shown_source_id(labeling, request.items[item_id]) for item_id in request.asked}
    with_source = any(source_id is not None for source_id in source_ids.values())
    with_choices = request.task.kind.needs_choices
    header = ["item_id", *["source_id"] * with_source, *names, *["choices"] * with_choices]
    rows = []
    for item_id, reason in request.asked.items():
        item = request.items[item_id]
        shown = request.shown(item)
        row = [item_id, *[source_ids[item_id] or ""] * with_source, *(shown[field] for field in fields)]
        row += ["\n".join(_choice_names(request, item))] * with_choices
        rows.append([*row, " | ".join(allowed_labels(request, item)), "", "", reason])
    return csv_bytes([*header, "allowed_labels", "label", "annotator", "reason"], rows, mark="\ufeff")


def to_label_jsonl(request: Request) -> bytes:
    """Return the round's items as JSONL, in the order of the selection, with ``label`` and ``annotator`` null."""
    lines = []
    for item_id, reason in request.asked.items():
        item = request.items[item_id]
        document = {
            "item_id": item_id,
            "source_id": shown_source_id(request.campaign.config.labeling, item),
            "fields": request.shown(item),
            "choices": list(item.choices),
            "allowed_labels": allowed_labels(request, item),
            "label": None,
            "annotator": None,
            "reason": reason,
        }
        lines.append(json.dumps(document, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def rejected_csv(rejected: Sequence[Rejected]) -> bytes:
    """Return the rejected answers as CSV: file, line (empty for the whole file), item, reason."""
    rows = [[one.file, "" if one.line is None else str(one.line), one.item_id, one.reason] for one in rejected]
    return csv_bytes(["file", "line", "item_id", "reason"], rows)


def allowed_labels(request: Request, item: Item) -> list[str]:
    """Return what may be written as the item's label: names, letters of its choices, or a description; and ``skip``."""
    if request.task.label_hint:
        names = [request.task.label_hint]
    elif request.task.label_names:
        names = list(request.task.label_names)
    else:
        names = [name.partition(".")[0] for name in _choice_names(request, item)]
    return names if SKIP in [name.casefold() for name in names] else [*names, SKIP]


def _choice_names(request: Request, item: Item) -> list[str]:
    return [request.task.label_name(index, item) for index in range(len(item.choices))]


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str]], mark: str = "") -> bytes:
    """Return a CSV file that no spreadsheet takes for formulas."""
    # What a reader cannot decode it cannot show: a file's name may hold bytes that are no text.
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([safe_cell(name) for name in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return (mark + text.getvalue()).encode(errors="backslashreplace")
