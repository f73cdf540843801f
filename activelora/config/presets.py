"""Presets: published settings that fill what a campaign file leaves out. What the file says itself always holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAPER_CODE: dict[str, Any] = {
    "adapter": {
        "method": "c_lora",
        "rank": 8,
        "alpha": 16.0,
        "dropout": 0.0,
        "targets": ["q_proj", "v_proj", "lm_head"],
        "constraint": {"form": "none"},
        "c_lora": {
            "width": 64,
            "mean": "net",
            "noise": "token",
            "prior_std": 0.2,
            "kl_weight": 1e-6,
            "learning_rate": 0.02,
        },
    },
    "training": {
        "batch_size": 4,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "warmup_fraction": 0.06,
        "min_steps": 1500,
        "epochs": 0.01,
        "max_grad_norm": 1e9,
    },
    "scoring": {"num_samples": 10},
}
"""The C-LoRA authors' released code (arXiv 2505.17773): 1,500 steps by `min_steps` alone, gradients not clipped."""


def with_preset(document: Any) -> Any:
    """Return the campaign document with what the preset that it names adds; what is no mapping comes back as it is."""
    if _named(document) != "paper_code":
        return document
    return _filled(document, PAPER_CODE)


def _named(document: Any) -> Any:
    for key in ("adapter", "c_lora", "preset"):
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _filled(given: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(given)
    for key, value in preset.items():
        if key not in result:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(result[key], Mapping):
            result[key] = _filled(result[key], value)
    return result
