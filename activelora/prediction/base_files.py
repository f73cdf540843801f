"""The base model's files, by their digests: noted when a model is written, compared when it is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.config import CampaignConfig, ModelConfig
from activelora.errors import ActiveLoRAError, ModelError
from activelora.modeling import builtin
from activelora.modeling.file_digests import file_sha256
from activelora.modeling.locating import cached_snapshot, fetched, local_folder
from activelora.modeling.published import PATTERNS, cached_model_uri, find, model_cache_uri

if TYPE_CHECKING:
    from activelora.prediction.bundle import Bundle

_WEIGHTS = "*.safetensors"
_SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.jinja",
)
"""What beside the weights answers depend on: a licence or a list of results may change."""
_REMEDY = (
    "Put the base model back as it was (`model.revision` names a version of the hub's), or load an export that holds "
    "it: `activelora export WHAT --out FOLDER --with-base`, on a machine that still has it."
)


def base_note(config: CampaignConfig) -> dict[str, Any]:
    """Return what a model notes of its base model's files.

    Args:
        config: The settings.

    Returns:
        ``sha256``, of all files together, and ``files``, that of each file which answers depend on. Both are None where
        the files are neither here nor in an object store.
    """
    found = _digests(config.model)
    if found is None:
        return {"sha256": None, "files": None}
    files = {name: sha256 for name, sha256 in sorted(found.items()) if _counts(name)}
    return {"sha256": _total(found), "files": files}


def base_digest(config: CampaignConfig) -> str | None:
    """Return the digest of the base model's files; None where they are neither here nor in an object store."""
    found = _digests(config.model)
    return None if found is None else _total(found)


def check_base(bundle: Bundle) -> None:
    """Compare the base model that is here with the one that a model was written with.

    Files that one side alone has are not compared, but weights must be among those that were noted. Models of before
    noted no files; a base model that is not here yet is to be compared once it is loaded.

    Args:
        bundle: The model.

    Raises:
        ModelError: A file is another one.
    """
    base = bundle.provenance.get("base") or {}
    noted = base.get("files")
    if not isinstance(noted, dict) or (folder := _folder(bundle.config.model)) is None:
        return
    weights = _weights(folder) if any(fnmatchcase(name, _WEIGHTS) for name in noted) else []
    for name in weights:
        if name not in noted:
            problem = f"`{name}` is none of the base model's weights that the model was written with"
            raise ModelError(problem, where=str(folder / name), remedy=_REMEDY)
    # The built-in model is converted on each machine: transformers writes its own version into what is no weights.
    side_files = [] if base.get("id") == builtin.NAME else sorted({*noted} - {*weights})
    for name in [*weights, *side_files]:
        path = folder / name
        if not path.is_file():
            continue
        try:
            sha256 = file_sha256(path)
        except OSError:  # loading it says why
            continue
        if sha256 != noted[name]:
            problem = (
                f"`{name}` is not the base model's file that the model was written with: its sha256 begins with "
                f"{sha256[:12]}, not {str(noted[name])[:12]}"
            )
            raise ModelError(problem, where=str(path), remedy=_REMEDY)


def _weights(folder: Path) -> list[str]:
    """Return the files of weights that transformers reads."""
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").is_file() and index.is_file():
        try:
            return sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return []  # loading it says what is wrong with it
    names = sorted(path.name for path in folder.glob(_WEIGHTS) if path.is_file())
    return ["model.safetensors"] if "model.safetensors" in names else names


def _counts(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in (_WEIGHTS, *_SIDE_FILES))


def _folder(model: ModelConfig) -> Path | None:
    """Return the folder that a base model is loaded from; None where it is not here yet."""
    if (found := local_folder(model)) is not None:
        return found
    if model_cache_uri() is not None or "://" in model.base:
        found = Path(fetched(model))
        if found.is_dir():
            return found
    return cached_snapshot(model)


def _digests(model: ModelConfig) -> dict[str, str] | None:
    """Return the digest of each of the base model's files, by what is here or what a published model's list says."""
    folder = local_folder(model) or cached_snapshot(model)
    if folder is not None:
        paths = {path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()}
        return {path.name: file_sha256(path) for path in paths}
    uri: str | None = model.base if model.base.startswith("s3://") else None
    if uri is None and (cache := model_cache_uri()) is not None:
        uri = cached_model_uri(cache, model.base, model.revision)
    try:
        found = None if uri is None else find(uri)
    except ActiveLoRAError:  # it is no more than a note
        return None
    return None if found is None else {file.name: file.sha256 for file in found.files}


def _total(files: Mapping[str, str]) -> str:
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()
