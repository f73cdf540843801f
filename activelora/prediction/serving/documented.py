"""What ``/openapi.json`` says of the paths that take rows."""

from __future__ import annotations

from typing import Any

from activelora.prediction.serving.batching import Served

_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
_ANY = {"type": "string"}


def described(path: str, served: Served) -> dict[str, Any]:
    """Return what a path is registered with.

    Args:
        path: `predict` or `infer`.
        served: The model, whose columns are named.
    """
    example = {"predict": _simple, "infer": _tensors}[path](served.columns)
    body = {"required": True, "content": {"application/json": example}}
    said = {400: "What is wrong with the request.", 413: "It is too large.", 503: "Too much is asked at once."}
    responses: dict[int, dict[str, Any]] = {status: {"description": words} for status, words in said.items()}
    return {"openapi_extra": {"requestBody": body}, "responses": responses}


def _simple(columns: tuple[str, ...]) -> dict[str, Any]:
    row = {"type": "object", "required": list(columns), "properties": dict.fromkeys(columns, _ANY)}
    wishes = {"min_confidence": _FRACTION, "max_risk": _FRACTION, "probabilities": {"type": "boolean"}}
    properties = {"rows": {"type": "array", "items": row}, **wishes}
    return {
        "schema": {"type": "object", "required": ["rows"], "properties": properties},
        "example": {"rows": [dict.fromkeys(columns, "...")]},
    }


def _tensors(columns: tuple[str, ...]) -> dict[str, Any]:
    tensors = [{"name": name, "datatype": "BYTES", "shape": [1], "data": ["..."]} for name in columns]
    return {"schema": {"type": "object", "required": ["inputs"]}, "example": {"inputs": tensors}}
