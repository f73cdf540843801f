"""The simple form: ``{"rows": [{...}]}`` in, ``{"answers": [{...}], "model": {...}}`` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activelora.prediction.serving.batching import Reply, Wish
from activelora.prediction.serving.json_body import WISHES, check_rows, kind_of, wish_of
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.refusal import bad

_KEYS = ("rows", *WISHES)


def read_request(document: Mapping[str, Any], limits: Limits) -> tuple[list[dict[str, Any]], Wish]:
    """Return the rows of a request, and what it wants to know.

    Args:
        document: Body of the request.
        limits: What a request may have.

    Raises:
        RefusedError: It is not what the form says.
    """
    if unknown := sorted(set(document) - set(_KEYS)):
        raise bad(f"the request has `{unknown[0][:80]}`, expected {', '.join(_KEYS)}")
    rows = document.get("rows")
    if not isinstance(rows, list):
        said = f"`rows` is {kind_of(rows)}" if "rows" in document else "the request has no `rows`"
        raise bad(f"{said}, expected a list of objects")
    check_rows(rows, (), limits)
    return rows, wish_of(document)


def response(reply: Reply) -> dict[str, Any]:
    """Return the body of a response."""
    return {"answers": reply.answers, "model": dict(reply.about)}
