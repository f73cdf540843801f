"""Prodigy's export (``db-out``): an answer a line, which its annotator accepts, rejects or ignores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from activelora.formats.exports.export import EMPTY, Asked, Export, as_object, spans

TOOL = "Prodigy"
_PASSED = {"reject": "rejected", "ignore": "ignored"}


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    return "answer" in names


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's."""
    answer = row.get("answer")
    if answer not in ("accept", "reject", "ignore") or "answer" in (*asked.columns, *asked.labels):
        return None
    column = next((name for name in (*asked.labels, "label", "user_input") if name in row), None)
    if column is None and not {"accept", "spans", "_task_hash", "_view_id"} & row.keys():
        return None
    export = Export(TOOL, {**as_object(row.get("meta")), **row})
    if not asked.labels:
        return export
    if answer != "accept":
        export.passed.append(_PASSED[answer])
        return export
    if isinstance(row.get("accept"), list):
        labels = [_named(one, row.get("options"), asked) for one in row["accept"]]
    elif column is not None:
        labels = row[column] if isinstance(row[column], list) else [row[column]]
    elif row.get("spans"):
        raise spans(TOOL, "`spans`")
    else:
        labels = []
    if labels or isinstance(row.get("accept"), list):
        export.add(asked, labels, row.get("_annotator_id") or row.get("_session_id"), row.get("_timestamp"))
    else:
        export.passed.append(EMPTY)
    return export


def _named(chosen: object, options: object, asked: Asked) -> object:
    """Return an option's id, or its text where that is the label's name and the id is none."""
    if asked.knows(chosen) or not isinstance(options, list):
        return chosen
    texts = (one.get("text") for one in options if isinstance(one, Mapping) and one.get("id") == chosen)
    text = next(texts, None)
    return text if asked.knows(text) else chosen
