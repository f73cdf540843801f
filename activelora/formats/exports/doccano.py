"""doccano's exports: JSONL with lists of labels, CSV with ``#`` between them, and its older JSON with annotations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from activelora.formats.exports.export import EMPTY, Asked, Export, as_object, person, spans

TOOL = "doccano"
_LABELS = ("label", "labels")


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    return bool({"Comments", "entities"} & {*names}) or _has_data(names) or {"id", "labels"} <= {*names}


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's, or as plain as any."""
    if _is_document(row) and isinstance(row.get("annotations"), list) and not {*_LABELS, *asked.labels} & row.keys():
        return _annotated(row, row["annotations"], asked)
    names = (*asked.labels, *_LABELS) if _is_document(row) else asked.labels
    name = next((name for name in names if name in row and name not in asked.columns), None)
    raw = None if name is None else row[name]
    is_list = isinstance(raw, list) and (_is_document(row) or all(isinstance(one, str) for one in raw))
    if isinstance(raw, list) and name in asked.labels and asked.takes_several and _is_flat(raw):
        is_list = False  # as such a task's labels are written anyway
    parts = _parts(raw, asked)
    if not is_list and parts is None and not ("text" in asked.columns and _has_data(row)) and not _entities(row):
        return None
    export = Export(TOOL if _is_document(row) else "", {**as_object(row.get("meta")), **row})
    if _has_data(row):
        export.values["text"] = row["data"]
    if not asked.labels:
        return export
    if raw is None and _entities(row):
        raise spans(TOOL, "entities")
    found = raw if isinstance(raw, list) else parts if parts is not None else [] if raw in (None, "") else [raw]
    if not _is_flat(found):
        raise spans(TOOL, "spans [start, end, label]")
    if found or (isinstance(raw, list) and asked.takes_several):
        export.add(asked, found, row.get("annotator") or row.get("user"))
    else:
        export.passed.append(EMPTY)
    return export


def _annotated(row: Mapping[str, Any], annotations: list[Any], asked: Asked) -> Export:
    """Read what each user said of a document: one label, or several."""
    export = Export(TOOL, {**as_object(row.get("meta")), **row})
    given: dict[str, list[Any]] = {}
    for one in map(as_object, annotations if asked.labels else []):
        if "start_offset" in one:
            raise spans(TOOL, "spans")
        given.setdefault(person(one.get("user")) or "", []).append(one.get("label", one.get("text")))
    for user, labels in given.items():
        export.add(asked, labels, user)
    return export


def _is_document(row: Mapping[str, Any]) -> bool:
    return "id" in row and ("text" in row or "data" in row)


def _entities(row: Mapping[str, Any]) -> bool:
    return _is_document(row) and isinstance(row.get("entities"), list) and bool(row["entities"])


def _has_data(names: Collection[str]) -> bool:
    return "data" in names and "text" not in names and any(label in names for label in _LABELS)


def _is_flat(labels: list[Any]) -> bool:
    return not any(isinstance(one, list | Mapping) for one in labels)


def _parts(raw: object, asked: Asked) -> list[str] | None:
    """Return the labels of a cell such as ``a#b``, where it is no label itself, and each part is one."""
    if not isinstance(raw, str) or "#" not in raw or asked.knows(raw):
        return None
    parts = [part.strip() for part in raw.split("#")]
    return parts if all(map(asked.knows, parts)) else None
