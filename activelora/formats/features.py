"""What Parquet and Arrow columns hold besides plain values: names of label numbers, JSON, text as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

Convert = Callable[[Any], Any]
"""Value as pyarrow gives it → value of a row. Raises ValueError where there is none."""


def features_of(schema: pa.Schema) -> dict[str, Any]:
    """Return what the library ``datasets`` has written about a file's columns; nothing if it has not."""
    try:
        document = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = document["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def label_names(feature: Any) -> list[str] | None:
    """Return the names of a column of label numbers, by number; None if it is none."""
    if not isinstance(feature, Mapping) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else None


def converter(kind: pa.DataType, feature: Any) -> Convert | None:
    """Return what makes values of a row out of a column's; None where they are the same.

    Numbers of labels become their names, and −1 none. Bytes become text. JSON becomes what it says.

    Args:
        kind: The column's type.
        feature: What the metadata says of it.
    """
    if (names := label_names(feature)) is not None and not _is_list(kind):
        return _optional(lambda value: _name(value, names))
    if _is_json(kind, feature):
        return _optional(_decoded_json)
    if isinstance(kind, pa.ExtensionType):
        return converter(kind.storage_type, feature)
    if pa.types.is_dictionary(kind):
        return converter(kind.value_type, feature)
    if _is_binary(kind):
        return _optional(lambda value: value.decode())
    if _is_list(kind):
        inner = converter(kind.value_type, _inner_feature(feature))
        return inner and _optional(lambda values: [inner(value) for value in values])
    if pa.types.is_map(kind):
        key, value = (converter(part, None) or (lambda one: one) for part in (kind.key_type, kind.item_type))
        return _optional(lambda pairs: {str(key(one)): value(other) for one, other in pairs})
    if pa.types.is_struct(kind):
        given = feature if isinstance(feature, Mapping) else {}
        parts = {field.name: converter(field.type, given.get(field.name)) for field in kind}
        if any(parts.values()):
            return _optional(lambda values: {name: _by(parts.get(name), value) for name, value in values.items()})
    return None


def _by(convert: Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _name(number: Any, names: list[str]) -> Any:
    if not isinstance(number, int):
        return number
    if number == -1:  # as `datasets` writes that there is none
        return None
    if not 0 <= number < len(names):
        raise ValueError(f"the label number {number} has no name in the file's metadata, which names {len(names)}")
    return names[number]


def _decoded_json(value: Any) -> Any:
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value)
    except RecursionError:
        raise ValueError("a value is JSON that is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"a value of a JSON column is no JSON: {error.msg}") from None


def _is_json(kind: pa.DataType, feature: Any) -> bool:
    if isinstance(feature, Mapping) and feature.get("_type") == "Json":
        return True
    return getattr(kind, "extension_name", "") == "arrow.json"


def _is_binary(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def _inner_feature(feature: Any) -> Any:
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return feature.get("feature") if isinstance(feature, Mapping) else None
