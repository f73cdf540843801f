"""Which of two answers is better, learned by direct preference optimisation (DPO).

Rafailov et al. 2023, arXiv 2305.18290, equation 7: ``−log σ(β·[(log π(y_w|x) − log π_ref(y_w|x)) − (log π(y_l|x) −
log π_ref(y_l|x))])``, with the better answer y_w, the other one y_l, the model with its adapter as π and without it as
π_ref. An answer's log π is the sum over all its tokens, its end too.

Letters: P pairs of answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from activelora.modeling.answer_loss import AnswerLoss, Example, example
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import EncodedItem
from activelora.modeling.lora import switched_off
from activelora.modeling.trunk_states import TrunkStates


@dataclass(frozen=True)
class Pair:
    """Two answers of one item.

    Attributes:
        better: The one that the label names.
        worse: The other one.
        beta: β.
        weight: How much the pair counts, as in :class:`~activelora.modeling.answer_loss.Example`.
    """

    better: Example
    worse: Example
    beta: float
    weight: float = 1.0

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids to run: those of both."""
        return self.better.ids + self.worse.ids


def lessons(
    items: Sequence[EncodedItem], labels: Sequence[int], weights: Sequence[float]
) -> Sequence[Example] | Sequence[Pair]:
    """Return what labelled items teach: their answers' texts, or where they have a β that one answer is the better.

    Args:
        items: Labelled items.
        labels: An index into each one's answers.
        weights: How much each counts.
    """
    if any(item.beta is not None for item in items):
        return [_pair(*one) for one in zip(items, labels, weights, strict=True)]
    return [example(*one) for one in zip(items, labels, weights, strict=True)]


def _pair(item: EncodedItem, label: int, weight: float) -> Pair:
    if item.beta is None or len(item.answer_ids) != 2:
        raise ValueError(f"a preference is about two answers, and the item has {len(item.answer_ids)}")
    return Pair(example(item, label), example(item, 1 - label), item.beta, weight)


class PreferenceLoss(AnswerLoss):
    """Mean DPO loss of pairs of answers. What the base model says of them is computed once.

    Args:
        base: The base model, with the adapter attached to it.
        first_top_layer: L0.
        pairs: The labelled items.
        trunk_cache: Store of the trunk's states across runs, if there is one.
        packing: Whether answers of a batch are run as one, as in :class:`~activelora.modeling.answer_loss.AnswerLoss`;
            two answers then share their prompt.
        narrowing: Whether the last layer runs for the answers' positions only, as there.
    """

    def __init__(
        self,
        base: BaseModel,
        first_top_layer: int,
        pairs: Sequence[Pair],
        trunk_cache: TrunkStates | None = None,
        packing: bool = False,
        narrowing: bool = False,
    ) -> None:
        both = [one for pair in pairs for one in (pair.better, pair.worse)]
        super().__init__(base, first_top_layer, both, trunk_cache, packing=packing, narrowing=narrowing)
        self._pairs = pairs
        self._reference_P: torch.Tensor | None = None

    def prepare(self) -> None:
        """Compute what the base model says of all pairs, with the adapter switched off."""
        self._reference()

    def _reference(self) -> torch.Tensor:
        if self._reference_P is None:
            with switched_off(self._base.model), torch.no_grad():
                # One by one: rounding depends on neighbours, and a resumed run must find the same.
                self._reference_P = torch.cat([self._margins([index]) for index in range(len(self._pairs))])
        return self._reference_P

    def forward(self, indices: list[int]) -> torch.Tensor:
        """Return the loss of some pairs, in nats: the weighted mean over pairs."""
        reference_P = self._reference()
        device = reference_P.device
        pairs = [self._pairs[index] for index in indices]
        beta_P = torch.tensor([pair.beta for pair in pairs], device=device)
        weights_P = torch.tensor([pair.weight / len(pairs) for pair in pairs], device=device)
        gain_P = self._margins(indices) - reference_P[torch.tensor(indices, device=device)]
        return -(weights_P * nn.functional.logsigmoid(beta_P * gain_P)).sum()

    def _margins(self, indices: list[int]) -> torch.Tensor:
        """Return log p(better) − log p(worse) of some pairs, shape (P,)."""
        losses, rows = self.token_losses([2 * index + which for index in indices for which in (0, 1)])
        total = losses.new_zeros(2 * len(indices)).index_add(0, torch.tensor(rows, device=losses.device), losses)
        return total[1::2] - total[::2]


def loss_of(
    base: BaseModel,
    first_top_layer: int,
    examples: Sequence[Example] | Sequence[Pair],
    trunk_cache: TrunkStates | None = None,
    *,
    packing: bool,
    narrowing: bool,
) -> AnswerLoss:
    """Return the loss of what is to be learned: see :class:`AnswerLoss` and :class:`PreferenceLoss`."""
    pairs = [one for one in examples if isinstance(one, Pair)]
    if pairs:
        return PreferenceLoss(base, first_top_layer, pairs, trunk_cache, packing, narrowing)
    texts = [one for one in examples if isinstance(one, Example)]
    return AnswerLoss(base, first_top_layer, texts, trunk_cache, packing=packing, narrowing=narrowing)
