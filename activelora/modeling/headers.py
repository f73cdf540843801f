"""What a folder's safetensors say of themselves: names, types and shapes of tensors, read without their values."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.errors import ModelError

WHOLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_LENGTH_BYTES = 8
_MAX_JSON_BYTES = 100_000_000  # safetensors' own limit of a header
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_AGAIN = "Copy or fetch the model again."
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_BEGINNINGS = {
    b"version https://git-lfs": (
        "is a pointer of Git LFS, not the weights themselves",
        "Fetch them where the model was cloned: git lfs pull.",
    ),
    b"PK\x03\x04": ("holds pickled weights under the name of safetensors", ""),
    b"GGUF": ("is a GGUF file under the name of safetensors", ""),
}
_SAVE = (
    "Save it as safetensors with transformers' save_pretrained, in a program of your own that you trust it in; weights "
    "in other formats are not loaded, as they could run code."
)


@dataclass(frozen=True)
class TensorHeader:
    """What a file says of a tensor.

    Attributes:
        dtype: Type of its values by safetensors' name, such as ``BF16``.
        shape: Its shape.
    """

    dtype: str
    shape: tuple[int, ...]


def read_headers(folder: Path, named: str | None = None) -> dict[str, TensorHeader]:
    """Return all tensors of the files that a model is loaded from, by name.

    Args:
        folder: The model's folder.
        named: File of weights or index of its parts that ``config.json`` names (``transformers_weights``).

    Raises:
        ModelError: A file is not there, is cut off, or is none of safetensors.
    """
    headers: dict[str, TensorHeader] = {}
    for file in weight_files(folder, named):
        headers |= _read_header(file)
    return headers


def has_weights(folder: Path) -> bool:
    """Tell whether all weights of a folder are there: a folder of the hub's client fills file by file.

    Args:
        folder: The model's folder.
    """
    try:
        return bool(weight_files(folder))
    except ModelError:
        return False


def weight_files(folder: Path, named: str | None = None) -> list[Path]:
    """Return the safetensors that a model is loaded from: one file, or the parts that an index names.

    Args:
        folder: The model's folder.
        named: File or index that ``config.json`` names.

    Raises:
        ModelError: One of them is not there, or the index is none.
    """
    if named is not None and Path(named).name != named:
        problem = f"transformers_weights names {named!r}, and must name a file of the folder"
        raise ModelError(problem, where=str(folder / "config.json"), remedy=_AGAIN)
    chosen = folder / (named or (WHOLE_FILE if (folder / WHOLE_FILE).is_file() else INDEX_FILE))
    if not chosen.is_file():
        raise _no_weights(folder, chosen if named else folder / WHOLE_FILE)
    if chosen.suffix != ".json":
        return [chosen]
    files = [folder / name for name in _parts(chosen)]
    if missing := [file for file in files if not file.is_file()]:
        words = (
            f"the model's weights (safetensors) are missing: {len(missing)} of the {len(files)} files in {chosen.name}"
        )
        raise ModelError(words, where=str(missing[0]), remedy=_AGAIN)
    return files


def _no_weights(folder: Path, expected: Path) -> ModelError:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    problem = "the model's weights (safetensors) are missing"
    if pickled := [name for name in names if name.endswith(_PICKLED) and "model" in name]:
        return ModelError(f"{problem}; pickled ones are there: {pickled[0]}", where=str(expected), remedy=_SAVE)
    if gguf := [name for name in names if name.endswith(".gguf")]:
        return ModelError(f"{problem}; a GGUF file is there: {gguf[0]}", where=str(expected), remedy=_SAVE)
    if "adapter_model.safetensors" in names:
        remedy = "Merge it into its base model with peft (merge_and_unload, save_pretrained), or name the base model."
        return ModelError(f"{problem}; the folder holds an adapter of peft", where=str(expected), remedy=remedy)
    if others := [name for name in names if name.endswith(".safetensors")]:
        remedy = f"Name the file {WHOLE_FILE}, or give {INDEX_FILE} for its parts."
        return ModelError(f"{problem}; there is {others[0]}", where=str(expected), remedy=remedy)
    remedy = f"{_AGAIN} Weights in other formats than safetensors are not loaded, as they could run code."
    return ModelError(problem, where=str(expected), remedy=remedy)


def _parts(index: Path) -> list[str]:
    """Return the names of the files that an index names, sorted."""
    content = _read_json(index) if index.stat().st_size <= _MAX_JSON_BYTES else None
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names or not all(_is_file_name(name) for name in names.values()):
        raise ModelError(
            "is not an index of safetensors (`weight_map`: tensor to file)", where=str(index), remedy=_AGAIN
        )
    return sorted(set(names.values()))


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _read_header(path: Path) -> dict[str, TensorHeader]:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES)
            _refuse_other_formats(path, start + file.read(24))
            length = struct.unpack("<Q", start)[0] if len(start) == _LENGTH_BYTES else size
            if length > min(_MAX_JSON_BYTES, size - _LENGTH_BYTES):
                raise _broken(path, f"its header would have {length} bytes" if size > _LENGTH_BYTES else "it is empty")
            file.seek(_LENGTH_BYTES)
            content = json.loads(file.read(length))
            entries = {name: entry for name, entry in content.items() if name != "__metadata__"}
            headers = {name: _tensor(entry) for name, entry in entries.items()}
            end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except OSError as error:
        raise _broken(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _broken(path, "its header cannot be read") from error
    expected = _LENGTH_BYTES + length + end
    if size != expected:
        how = "is cut off" if size < expected else "has more than its header says"
        raise ModelError(f"{how}: {size} of {expected} bytes", where=str(path), remedy=_AGAIN)
    return headers


def _tensor(entry: dict[str, Any]) -> TensorHeader:
    """Return what an entry of a header says.

    Raises:
        ValueError: It contradicts itself.
    """
    header = TensorHeader(str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
    begin, end = entry["data_offsets"]
    if any(size < 0 for size in header.shape) or begin < 0 or end < begin:
        raise ValueError("negative sizes")
    if header.dtype in _BITS and 8 * (end - begin) != _BITS[header.dtype] * math.prod(header.shape):
        raise ValueError("shape and bytes do not go together")
    return header


def _refuse_other_formats(path: Path, start: bytes) -> None:
    for beginning, (problem, remedy) in _BEGINNINGS.items():
        if start.startswith(beginning):
            raise ModelError(problem, where=str(path), remedy=remedy or _SAVE)


def _broken(path: Path, why: str) -> ModelError:
    return ModelError(f"is not a whole safetensors file: {why}", where=str(path), remedy=_AGAIN)
