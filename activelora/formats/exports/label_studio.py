"""Label Studio's exports: JSON (tasks with annotations), JSON-MIN and CSV (an annotation a row)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from activelora.errors import DataError
from activelora.formats.exports.export import EMPTY, Asked, Export, as_list, as_object, spans

TOOL = "Label Studio"
CHOICES = '{"choices"'
"""How a cell with several choices begins."""
CHOICES_CELL = '{""choices""'
"""How it does in a file of CSV."""
_OWN = {
    "id", "inner_id", "annotation_id", "annotator", "annotation", "completed_by", "agreement", "cancelled_annotations",
    "comment_authors", "comment_count", "created_at", "updated_at", "draft_exists", "file_upload", "ground_truth",
    "last_comment_updated_at", "lead_time", "meta", "predictions", "project", "result", "reviewers", "sentiment_crowd",
    "total_annotations", "total_predictions", "unresolved_comment_count", "updated_by", "was_cancelled",
}  # fmt: skip
"""Columns of JSON-MIN and CSV that are the tool's own."""
_WORKSHEET = {
    "item_id", "source_id", "choices", "allowed_labels", "reason", "label", "labeled_at", "activelora_id", "round",
    "priority",
}  # fmt: skip
"""Columns that the campaign's own worksheets and tasks bring with them."""
_VALUES = ("choices", "rating", "number", "text", "taxonomy")


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    return bool({"annotations", "completions", "annotation_id"} & {*names}) or {"data", "predictions"} <= {*names}


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's."""
    annotations = next((row[key] for key in ("annotations", "completions") if isinstance(row.get(key), list)), None)
    if isinstance(row.get("data"), Mapping) and (annotations is not None or "predictions" in row):
        return _task(row, annotations or [], asked)
    if "annotation_id" in row and {"annotator", "lead_time", "created_at"} & row.keys():
        return _flat(row, asked)
    if any(_chosen(cell) is not None for name, cell in row.items() if name not in asked.columns):
        return _flat(row, asked)
    return None


def _task(row: Mapping[str, Any], annotations: list[Any], asked: Asked) -> Export:
    export = Export(TOOL, {"id": row.get("id"), **as_object(row.get("meta")), **row["data"]})
    if not asked.labels:
        return export
    for annotation in annotations:
        if not isinstance(annotation, Mapping):
            continue
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            export.passed.append("cancelled")
            continue
        time = annotation.get("updated_at") or annotation.get("created_at")
        labels = _labels(as_list(annotation.get("result")), asked)
        if labels is None:
            export.passed.append(EMPTY)
        else:
            export.add(asked, labels, annotation.get("completed_by"), time)
    return export


def _labels(results: list[Any], asked: Asked) -> list[Any] | None:
    """Return what an annotation chose; None where it is empty."""
    chosen: dict[str, list[Any]] = defaultdict(list)
    marked = unread = ""
    for result in results:
        value = result.get("value") if isinstance(result, Mapping) else None
        if not isinstance(value, Mapping):
            continue
        found = None if "start" in value or "x" in value else _answers(value)
        if found is None and _is_region(result, value):
            marked = str(result.get("type", "regions"))[:40]
        elif found is None:
            unread = str(result.get("type", next(iter(value), "")))[:40]
        else:
            chosen[str(result.get("from_name", ""))] += found
    name = asked.question(chosen, "controls of Label Studio")
    if name is None and marked:
        raise spans(TOOL, f"`{marked}`")
    if name is None and unread:
        read = ", ".join(f"`{kind}`" for kind in _VALUES)
        raise DataError(
            f"holds `{unread}` of {TOOL}, which is not read as a label", remedy=f"What is read as labels: {read}."
        )
    return None if name is None else chosen[name]


def _is_region(result: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Tell whether a control marked a part of a text, a picture or a recording."""
    return bool({"start", "x", "points", "rle"} & value.keys()) or str(result.get("type", "")).endswith("labels")


def _flat(row: Mapping[str, Any], asked: Asked) -> Export:
    export = Export(TOOL, dict(row))
    if not asked.labels:
        return export
    if str(row.get("was_cancelled", "")).casefold() == "true":
        export.passed.append("cancelled")
        return export
    raw = row[name] if (name := _column(row, asked)) else None
    chosen = _chosen(raw) or (_answers(raw) if isinstance(raw, Mapping) else None)
    if chosen is None:
        chosen = _leaves(raw) if isinstance(raw, list) else [] if _is_blank(raw) else [raw]
    if any(isinstance(one, Mapping) for one in chosen):
        raise spans(TOOL, "regions")
    time = row.get("updated_at") or row.get("created_at")
    if chosen:
        export.add(asked, chosen, row.get("annotator"), time)
    else:
        export.passed.append(EMPTY)
    return export


def _column(row: Mapping[str, Any], asked: Asked) -> str | None:
    """Return the column that holds the labels: of the name that is asked for, or the only one that is left over."""
    for name in asked.labels:
        if name in row and not _is_blank(row[name]):
            return name
    left = [name for name in row if name not in _OWN | _WORKSHEET | asked.columns and name not in asked.labels]
    plain = [name for name in left if _chosen(row[name]) is not None] or left
    if len(plain) <= 1:
        return next(iter(plain), None)
    problem = f"no column is called `{asked.labels[0]}`, and each of these may be the label: {', '.join(plain[:20])}"
    raise DataError(problem, remedy="Say which one it is by `data.columns.label`.")


def _answers(value: Mapping[str, Any]) -> list[Any] | None:
    """Return what one control was given; None where it is no answer about the whole task."""
    kind = next((kind for kind in _VALUES if kind in value), None)
    if kind is None:
        return None
    found = value[kind] if isinstance(value[kind], list) else [value[kind]]
    return _leaves(found) if kind == "taxonomy" else found


def _leaves(paths: list[Any]) -> list[Any]:
    """Return the last part of each path of a taxonomy."""
    return [path[-1] if isinstance(path, list) and path else path for path in paths]


def _chosen(cell: object) -> list[Any] | None:
    """Return what a cell such as ``{"choices": ["a", "b"]}`` holds; None for any other."""
    if isinstance(cell, str) and cell.lstrip().startswith(CHOICES):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return None
    if isinstance(cell, Mapping) and set(cell) == {"choices"}:
        return cell["choices"] if isinstance(cell["choices"], list) else [cell["choices"]]
    return None


def _is_blank(value: object) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())
