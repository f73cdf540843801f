"""Hidden states of the frozen trunk, kept on this machine across steps and rounds.

What lies below the first adapted layer never changes in a campaign, and neither do the texts that run through it. Their
states are kept as they were computed, byte for byte, under a key that names all that their rounding depends on: the
trunk's weights, the tokens and the rows with which they were batched, the library versions, the threads and the
processor. So a run gets the same numbers whether it finds them or computes them.

Letters: M tokens in all, D features.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from activelora.modeling.builtin import cache_folder
from activelora.modeling.decoder_parts import DecoderParts

logger = logging.getLogger(__name__)

_SUFFIX = ".states"
_PARTIAL = ".partial-"
_ABANDONED_SECONDS = 3600
_NAME = "states"
_LOOK_SHARE = 64
"""The folder is looked through when a process has written this part of the limit: with many files that takes long."""
_DIGEST_BYTES = hashlib.sha256().digest_size
_digests: WeakKeyDictionary[nn.Module, dict[int, str]] = WeakKeyDictionary()


class TrunkStates:
    """A bounded store of states on disk, for any number of processes at once.

    A file is safetensors and then the sha256 of that. It appears whole or not at all, and what was not read for longest
    goes first. A disk that cannot be written
    costs time, never a result.

    Args:
        folder: Folder of the files.
        limit_bytes: Their size in all; each process may exceed it by a 64th between two looks into the folder.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._unseen_bytes = limit_bytes

    def get(self, key: str) -> torch.Tensor | None:
        """Return the states (M, D) that were kept under a key, or None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("kept trunk states cannot be read and are computed again: %s", error)
            return None
        body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            logger.warning("kept trunk states are damaged and are computed again: %s", path)
            return None
        return load(body)[_NAME]

    def put(self, key: str, states: torch.Tensor) -> None:
        """Keep states (M, D), unless they alone exceed the limit, and let the oldest go where it gets too much."""
        if states.nbytes > self._limit_bytes:
            return
        partial = self._folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        body = save({_NAME: states.detach().cpu().contiguous()})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                file.write(body)
                file.write(hashlib.sha256(body).digest())
            partial.replace(self._path(key))
            self._unseen_bytes += len(body) + _DIGEST_BYTES
            if self._unseen_bytes * _LOOK_SHARE > self._limit_bytes:
                self._shrink()
                self._unseen_bytes = 0
        except OSError as error:
            logger.warning("trunk states cannot be kept, so that later rounds compute them again: %s", error)
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _shrink(self) -> None:
        """Remove the files that were not read for longest, and what killed processes left half written."""
        found: list[tuple[float, int, str]] = []
        for entry in os.scandir(self._folder):
            try:
                facts = entry.stat()
            except FileNotFoundError:  # another process was faster
                continue
            if entry.name.endswith(_SUFFIX):
                found.append((facts.st_mtime, facts.st_size, entry.path))
            elif entry.name.startswith(_PARTIAL) and facts.st_mtime < time.time() - _ABANDONED_SECONDS:
                Path(entry.path).unlink(missing_ok=True)
        excess = sum(size for _, size, _ in found) - self._limit_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            Path(path).unlink(missing_ok=True)
            excess -= size


def trunk_state_cache(limit_gb: float) -> TrunkStates | None:
    """Return the store in the cache folder, or None where nothing is to be stored.

    Args:
        limit_gb: Its size in all, in 10⁹ bytes; 0 keeps nothing.
    """
    return TrunkStates(cache_folder() / "trunk", int(limit_gb * 1e9)) if limit_gb > 0 else None


def states_key(parts: DecoderParts, num_layers: int, groups: Iterable[Sequence[Sequence[int]]]) -> str:
    """Return the key of the states of some token sequences.

    Args:
        parts: The decoder.
        num_layers: L0, how many of its layers are the trunk.
        groups: Token ids of each sequence, grouped as they are run together.
    """
    digest = hashlib.sha256()
    digest.update(repr([trunk_digest(parts, num_layers), *_environment(parts.decoder)]).encode())
    for group in groups:
        lengths = [len(group), *(len(ids) for ids in group)]
        for numbers in (lengths, *group):
            digest.update(np.asarray(numbers, dtype=np.int64).tobytes())
    return digest.hexdigest()


def trunk_digest(parts: DecoderParts, num_layers: int) -> str:
    """Return a digest of the settings and all weights that the first layers' states depend on.

    It is computed once a model in memory.
    """
    decoder: Any = parts.decoder
    digests = _digests.setdefault(decoder, {})
    if num_layers not in digests:
        settings = {name: value for name, value in decoder.config.to_dict().items() if name != "_name_or_path"}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        for part in (parts.embeddings, *parts.layers[:num_layers]):
            for name, value in part.state_dict().items():
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(_bytes(value))
        digests[num_layers] = digest.hexdigest()
    return digests[num_layers]


def _environment(decoder: nn.Module) -> list[str]:
    """Return what else rounding depends on."""
    import transformers

    device = next(decoder.parameters()).device
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return [
        torch.__version__,
        transformers.__version__,
        str(getattr(getattr(decoder, "config", None), "_attn_implementation", None)),
        device.type,
        where,
        torch.backends.cpu.get_cpu_capability(),
        str(torch.get_num_threads()),
        torch.get_float32_matmul_precision(),
    ]


@lru_cache(maxsize=1)
def _processor() -> str:
    """Return the processor's name, by which libraries choose their kernels."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8", errors="replace").splitlines() if facts.exists() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def _bytes(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
