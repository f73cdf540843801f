"""Presets: published settings that fill what a campaign file leaves out. What the file says itself always holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

C_LORA: dict[str, Any] = {
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
        "converged_loss": None,
        "epochs": 0.01,
        "max_grad_norm": 1e9,
    },
    "scoring": {"num_samples": 10},
}
"""The C-LoRA authors' released code (arXiv 2505.17773): 1,500 steps by `min_steps` alone, gradients not clipped."""


STAR: dict[str, Any] = {
    "adapter": {
        "method": "lora",
        "rank": 64,
        "alpha": 16.0,
        "dropout": 0.1,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"],
        "constraint": {"form": "decoupled", "strength": 0.5},
    },
    "training": {
        "batch_size": 8,
        "learning_rate": 1.5e-4,
        "schedule": "linear",
        "warmup_fraction": 0.0,
        "min_steps": 0,
        "converged_loss": None,
        "epochs": 3.0,
    },
    "scoring": {"num_samples": 3, "mask": "token"},
    "acquisition": {
        "strategy": "star",
        "initial": "random",
        "measure": "expected_entropy",
        "batch_size": 500,
        "star": {"scaling": "minmax"},
    },
    "stopping": {"max_rounds": 10},
}
"""STAR's paper and code (arXiv 2403.01165): 500 random labels, then nine times 500; the mean entropy of three samples.
"""
PAPER_CODE: Mapping[tuple[str, str], dict[str, Any]] = {("adapter", "c_lora"): C_LORA, ("acquisition", "star"): STAR}
"""The section whose ``preset`` is ``paper_code`` → what that fills."""


def with_preset(document: Any) -> Any:
    """Return the campaign document with what the presets that it names add; what is no mapping comes back as it is."""
    for section, settings in PAPER_CODE.items():
        if _named(document, section) == "paper_code":
            document = _filled(document, settings)
    return document


def _named(document: Any, section: tuple[str, str]) -> Any:
    for key in (*section, "preset"):
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
