"""Dropout masks for training in several processes: those that one process would draw.

Letters: B batch, T tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from activelora.modeling.lora import ADAPTER_NAME, lora_layers
from activelora.modeling.parallel import Part


@dataclass
class SharedDropout:
    """Dropout masks that are drawn for all examples of all processes, as one process would draw them.

    Attributes:
        part: This process's part of the examples under way.
    """

    part: Part = field(default_factory=lambda: Part([], 0.0, 0, 0, 0))

    @contextmanager
    def installed(self, adapted: PeftModel) -> Iterator[None]:
        """Put it in the place of LoRA's own dropout. The generators of all processes must be in step."""
        before: dict[Any, nn.Module] = {}
        for layer in lora_layers(adapted).values():
            module = layer.lora_dropout[ADAPTER_NAME]
            if isinstance(module, nn.Dropout):
                before[layer] = module
                layer.lora_dropout[ADAPTER_NAME] = _RowDropout(module.p, self)
        try:
            yield
        finally:
            for layer, module in before.items():
                layer.lora_dropout[ADAPTER_NAME] = module


class _RowDropout(nn.Module):
    def __init__(self, probability: float, shared: SharedDropout) -> None:
        super().__init__()
        self._probability = probability
        self._shared = shared

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Drop entries: those that are dropped where all rows are together and padded to the longest."""
        if not self.training:
            return x_BTD
        part = self._shared.part
        ones = x_BTD.new_ones(part.num_rows, part.num_tokens, x_BTD.shape[-1])
        mask = nn.functional.dropout(ones, self._probability)
        own = mask[part.first : part.first + len(x_BTD), : x_BTD.shape[1]]
        return x_BTD * own.contiguous()
