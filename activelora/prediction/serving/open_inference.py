"""KServe's open inference protocol, version 2: columns are tensors of texts, and answers too.

https://github.com/kserve/open-inference-protocol: JSON over HTTP; the binary extension is not offered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from activelora.prediction.serving.batching import Served, Wish
from activelora.prediction.serving.json_body import (
    WISHES,
    check_number,
    kind_of,
    shown,
    wish_of,
)
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.refusal import bad

INTEGERS = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
NUMBERS = {"FP16", "FP32", "FP64", "BF16"}
DATATYPES = {"BYTES", "BOOL"} | INTEGERS | NUMBERS
_REQUEST_KEYS = {"id", "parameters", "inputs", "outputs"}
OUTPUTS = {
    "label": "BYTES",
    "probability": "FP64",
    "uncertainty": "FP64",
    "prediction_set": "BYTES",
    "review": "BOOL",
    "low": "FP64",
    "high": "FP64",
    "probabilities": "BYTES",
}
"""Outputs and their types. Lists and mappings are JSON in a text. A label that is a number (regression) is FP64."""


def read_request(document: Mapping[str, Any], limits: Limits) -> tuple[list[dict[str, Any]], Wish]:
    """Return the rows of a request, and what it wants to know.

    Args:
        document: Body of the request.
        limits: What a request may have.

    Raises:
        RefusedError: It is not what the protocol says.
    """
    if unknown := sorted(set(document) - _REQUEST_KEYS):
        raise bad(f"the request has `{unknown[0][:80]}`, expected id, parameters, inputs and outputs")
    if not isinstance(document.get("id", ""), str):
        raise bad(f"`id` is {shown(document['id'])}, expected a text")
    parameters = document.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise bad(f"`parameters` is {kind_of(parameters)}, expected an object")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise bad("`inputs` has no tensor; expected a list with one for each column")
    columns: dict[str, list[Any]] = {}
    for index, tensor in enumerate(inputs):
        name, values = _column(tensor, f"inputs[{index}]", limits)
        if name in columns:
            raise bad(f"two tensors are named `{name}`")
        columns[name] = values
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise bad(f"the columns differ in their numbers of rows: {shown(lengths)}")
    wanted_outputs(document)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows, wish_of({name: parameters.get(name) for name in WISHES}, "parameters.")


def wanted_outputs(document: Mapping[str, Any]) -> list[str] | None:
    """Return the outputs that a request names; None are all.

    Raises:
        RefusedError: One is not an output.
    """
    outputs = document.get("outputs")
    if outputs is None:
        return None
    if not isinstance(outputs, list):
        raise bad(f"`outputs` is {kind_of(outputs)}, expected a list")
    names = [output.get("name") if isinstance(output, dict) else None for output in outputs]
    for name in names:
        if name not in OUTPUTS:
            raise bad(f"`outputs` names {shown(name)}; there are: {', '.join(OUTPUTS)}")
    return [str(name) for name in names] or None


def response(
    document: Mapping[str, Any], answers: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the body of a response.

    An output that no answer has is left out: texts that a model writes have no prediction set.

    Args:
        document: Body of the request.
        answers: N answers.
        about: What model gave them.
    """
    names = wanted_outputs(document) or list(OUTPUTS)
    outputs = []
    for name in names:
        values = [answer.get(name) for answer in answers]
        if all(value is None for value in values) and (values or name != "label"):
            continue
        is_number = bool(values) and all(isinstance(value, float) for value in values)
        datatype = "FP64" if is_number else OUTPUTS[name]
        data = [_text(value) for value in values] if datatype == "BYTES" else values
        outputs.append({"name": name, "datatype": datatype, "shape": [len(values)], "data": data})
    own = {"id": document["id"]} if "id" in document else {}
    return {"model_name": about["name"], "model_version": about["version"], **own, "outputs": outputs}


def metadata(served: Served) -> dict[str, Any]:
    """Return a model's metadata.

    Args:
        served: The model.
    """
    about, types = served.about, {**OUTPUTS, **({"label": "FP64"} if served.gives_numbers else {})}
    return {
        "name": about["name"],
        "versions": [about["version"]],
        "platform": "activelora",
        "inputs": [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in served.columns],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in types.items()],
    }


def _column(tensor: Any, where: str, limits: Limits) -> tuple[str, list[Any]]:
    """Return a tensor's name and values."""
    if not isinstance(tensor, dict):
        raise bad(f"`{where}` is {kind_of(tensor)}, expected an object")
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(name, str):
        raise bad(f"`{where}.name` is {shown(name)}, expected the name of a column")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise bad(f"`{name}`: the datatype is {shown(datatype)}, expected BYTES or another of the protocol")
    if not isinstance(shape, list) or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape):
        raise bad(f"`{name}`: the shape is {shown(shape)}, expected a list with the number of rows, [N]")
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise bad(f"`{name}`: the shape is {shown(shape)}, expected [N] or [N, 1]; a column has one value a row")
    data = tensor.get("data")
    if not isinstance(data, list):
        raise bad(f"`{name}`: the data is {kind_of(data)}, expected a list of {shape[0]} values")
    check_number(max(shape[0], len(data)), limits)
    if len(shape) == 2 and all(isinstance(value, list) and len(value) == 1 for value in data):
        data = [value[0] for value in data]  # the protocol allows nested lists
    if len(data) != shape[0]:
        raise bad(f"`{name}`: the data has {len(data)} values, and the shape says {shape[0]}")
    for index, value in enumerate(data):
        if not _fits(value, datatype):
            raise bad(f"`{name}`: value {index} is {shown(value)}, which is not {datatype}")
    return name, data


def _fits(value: Any, datatype: str) -> bool:
    """Tell whether a value is of a type. What is missing is null in any; lists are JSON in texts."""
    if value is None:
        return True
    if datatype == "BYTES":
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (datatype in NUMBERS and isinstance(value, float))


def _text(value: Any) -> str | None:
    """Return a value as text: lists and mappings as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
