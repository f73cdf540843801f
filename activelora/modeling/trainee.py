"""A LoRA adapter in training, with STAR's constraint on B and nothing else added.

STAR (arXiv 2403.01165): ``B ← (1 − η·β)·B − η·step``, decoupled as in AdamW, on B only; or coupled, ``β·B`` added to
B's gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from activelora.config import ConstraintConfig, TrainingConfig
from activelora.modeling.lora import a_parameters, b_parameters, lora_layers


class PlainTrainee:
    """Trains A and B by the likelihood alone. See :class:`~activelora.modeling.posterior.Trainee`.

    Args:
        adapted: The model with its adapter.
        constraint: STAR's constraint on B.
    """

    def __init__(self, adapted: PeftModel, constraint: ConstraintConfig) -> None:
        self.adapted = adapted
        self.constraint = constraint

    @property
    def a(self) -> list[nn.Parameter]:
        """The A matrices, as they are now: FSDP puts others in their place."""
        return a_parameters(self.adapted)

    @property
    def b(self) -> list[nn.Parameter]:
        """The B matrices."""
        return b_parameters(self.adapted)

    def optimizers(self, config: TrainingConfig) -> list[torch.optim.Optimizer]:
        """Return one AdamW over A and B."""
        return [torch.optim.AdamW(self.groups(config), lr=config.learning_rate, fused=True)]

    def groups(self, config: TrainingConfig) -> list[dict[str, Any]]:
        """Return AdamW's parameter groups, A's and B's."""
        decoupled = self.constraint.strength if self.constraint.form == "decoupled" else 0.0
        # AdamW's own decay is p ← (1 − η·λ)·p before the step: STAR's constraint with λ = β, on B only.
        return [
            {"params": self.a, "weight_decay": config.weight_decay},
            {"params": self.b, "weight_decay": config.weight_decay + decoupled},
        ]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Switch on LoRA's dropout; the base network's own stays off."""
        self.adapted.eval()
        for layer in lora_layers(self.adapted).values():
            layer.lora_dropout.train()
        try:
            yield
        finally:
            self.adapted.eval()

    def penalty(self, step: int, total_steps: int) -> torch.Tensor | None:
        """Return None: the likelihood is all."""
        return None

    def before_update(self) -> None:
        """Add the coupled constraint to B's gradients, where that is asked for."""
        if self.constraint.form == "l2":
            for parameter in self.b:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.data, alpha=self.constraint.strength)
