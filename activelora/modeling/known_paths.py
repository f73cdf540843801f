"""What was found of a model's ways to save time, kept in the cache folder.

It is kept under a digest of all that it depends on, so that it is found again only for the same model in the same
precision on the same kind of device, run by the same code.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import files
from typing import Any

import torch
from transformers import PreTrainedModel

from activelora.modeling.builtin import cache_folder
from activelora.modeling.fast_paths import FastPaths

_VALUES = 64
"""Values of each parameter that its digest is made of, evenly spaced."""
_ENGINE = ("decoder_parts", "fast_paths", "fidelity", "head", "key_values", "packing", "small_copy", "split")
"""Modules whose change makes what was found old."""


def known(key: str, measure: Callable[[], FastPaths]) -> FastPaths:
    """Return what is kept under a key, or what is measured now, which is then kept."""
    path = cache_folder() / "fidelity" / f"{key}.json"
    with suppress(OSError, ValueError, TypeError):
        return FastPaths(**json.loads(path.read_text(encoding="utf-8")))
    paths = measure()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".partial-{uuid.uuid4().hex}")
        partial.write_text(json.dumps(asdict(paths)), encoding="utf-8")
        partial.replace(path)
    return paths


@lru_cache(maxsize=1)
def _engine_version() -> str:
    """Return a digest of the code that runs models and compares: what another one has found is found again."""
    digest, modules = hashlib.sha256(), files("activelora.modeling")  # in a registered model they lie in a zip file
    for name in _ENGINE:
        digest.update(modules.joinpath(f"{name}.py").read_bytes())
    return digest.hexdigest()


def kind_key(model: PreTrainedModel) -> str:
    """Return a digest of a model's configuration and of the libraries."""
    import transformers

    settings = {name: value for name, value in model.config.to_dict().items() if name != "_name_or_path"}
    facts = [_engine_version(), type(model).__name__, transformers.__version__, torch.__version__]
    return hashlib.sha256(json.dumps([facts, settings], sort_keys=True, default=str).encode()).hexdigest()


def weights_key(model: PreTrainedModel) -> str:
    """Return a digest of that, the kind of device and the weights, by some values of each."""
    digest = hashlib.sha256(f"{kind_key(model)} {model.device.type} {_implementation(model)}".encode())
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}".encode())
        values = parameter.detach().flatten()
        some = values[:: max(1, len(values) // _VALUES)].float().cpu()
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()


def _implementation(model: Any) -> str:
    return str(getattr(model.config, "_attn_implementation", None))
