"""spaCy's categories: ``cats``, label to 0, 1 or a score between them.

They stand beside a text (``Doc.to_json()``, and the JSONL of training corpora), in ``Example.to_dict()``, where the
text is in pieces, and in the paragraphs of spaCy 2 (``docs_to_json``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from activelora.errors import DataError
from activelora.formats.exports.export import EMPTY, Asked, Export, as_list, as_object

TOOL = "spaCy"
LEAST_SCORE = 0.5
"""What a category needs to be a label."""


def is_marked(names: Collection[str]) -> bool:
    """Tell whether columns of these names may be this tool's."""
    return bool({"cats", "doc_annotation", "paragraphs"} & {*names})


def read(row: Mapping[str, Any], asked: Asked) -> Export | None:
    """Return what a row says; None if it is not this tool's."""
    inner = _paragraph(row) or _example(row) or row
    cats = inner.get("cats")
    if not isinstance(cats, Mapping) or "cats" in asked.columns:
        return None
    export = Export(TOOL, {**as_object(row.get("meta")), **row, **inner})
    if not asked.labels:
        return export
    scores = {name: score for name, value in cats.items() if (score := _score(name, value)) is not None}
    chosen = [name for name, score in scores.items() if score >= LEAST_SCORE]
    if not asked.takes_several and chosen:
        best = max(scores.values())
        chosen = [name for name in chosen if scores[name] == best]
    if chosen or (asked.takes_several and scores):
        export.add(asked, chosen)
    else:
        export.passed.append(EMPTY if not scores else f"of scores below {LEAST_SCORE:g}")
    return export


def _example(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return text and categories of ``Example.to_dict()``; None for anything else."""
    said, pieces = row.get("doc_annotation"), row.get("token_annotation")
    if not isinstance(said, Mapping) or not isinstance(pieces, Mapping):
        return None
    words, blanks = pieces.get("ORTH"), pieces.get("SPACY")
    if not isinstance(words, list) or not isinstance(blanks, list) or len(words) != len(blanks):
        return None
    text = "".join(f"{word}{' ' * bool(blank)}" for word, blank in zip(words, blanks, strict=True))
    return {"text": text, "cats": said.get("cats")}


def _paragraph(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return text and categories of the only paragraph of ``docs_to_json``; None for anything else."""
    paragraphs = row.get("paragraphs")
    if not isinstance(paragraphs, list) or not all(isinstance(one, Mapping) and "cats" in one for one in paragraphs):
        return None
    if len(paragraphs) != 1:
        problem = f"holds {len(paragraphs)} paragraphs of spaCy, expected one text a row"
        raise DataError(problem, remedy="Write each document by itself, for example by Doc.to_json().")
    [paragraph] = paragraphs
    cats = {str(one["label"]): one.get("value") for one in map(as_object, as_list(paragraph["cats"])) if "label" in one}
    return {"text": paragraph.get("raw"), "cats": cats}


def _score(name: object, value: object) -> float | None:
    """Return a category's score; None where nothing is known of it."""
    if value is None:
        return None
    if isinstance(value, int | float) and 0 <= value <= 1:  # True and False too
        return float(value)
    raise DataError(f"`cats` gives `{name}` the score {str(value)[:40]!r}, expected a number from 0 to 1")
