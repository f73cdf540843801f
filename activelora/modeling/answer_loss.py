"""The loss that adapters are trained by: the likelihood of the answers' tokens.

Letters: B batch, T tokens, D features, C answers, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from activelora.modeling.base import BaseModel
from activelora.modeling.decoder_parts import decoder_parts
from activelora.modeling.encoding import EncodedItem
from activelora.modeling.head import Head
from activelora.modeling.packing import LONGEST, Pack, can_pack, cheapest, indices_read, layout_of, plain
from activelora.modeling.rows import Rows
from activelora.modeling.split import Layout, SplitDecoder
from activelora.modeling.trunk_states import TrunkStates

logger = logging.getLogger(__name__)

TRUNK_CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Example:
    """One labelled item.

    Attributes:
        ids: Token ids to run: the prompt, and the answer but for its last token.
        targets: The answer's ids, predicted at the last positions.
        weight: How much it counts: with soft labels an item has an example for each label, which share a weight of 1.
    """

    ids: tuple[int, ...]
    targets: tuple[int, ...]
    weight: float = 1.0


def example(item: EncodedItem, label: int, weight: float = 1.0) -> Example:
    """Return the training example of an item and its label."""
    answer = item.answer_ids[label]
    return Example(item.prompt_ids + answer[:-1], answer, weight)


class AnswerLoss(nn.Module):
    """Mean negative log-likelihood of the answers' tokens; projects no other position.

    Args:
        base: The base model, with the adapter attached to it.
        first_top_layer: L0; what lies below is frozen, and computed once per item.
        examples: The labelled items.
        trunk_cache: Store of the trunk's states across runs, if there is one.
        cache_bytes: Size up to which trunk states are held in memory; beyond it every batch computes them again.
        packing: Whether examples of a batch are run as one, where the model allows it: without padding, and what they
            begin with once.
        narrowing: Whether the last layer runs for the answers' positions only after its attention, where the model
            allows it. Not together with gradient checkpointing.
    """

    def __init__(
        self,
        base: BaseModel,
        first_top_layer: int,
        examples: Sequence[Example],
        trunk_cache: TrunkStates | None = None,
        cache_bytes: int = TRUNK_CACHE_BYTES,
        packing: bool = False,
        narrowing: bool = False,
    ) -> None:
        super().__init__()
        self._model = base.model  # registered: what wraps this module finds its parameters
        self._base = base
        self._split = SplitDecoder.of(base, first_top_layer)
        self._head = Head.of(base)
        self._examples = examples
        num_bytes = sum(len(one.ids) for one in examples) * self._head.width * 4
        self._keeps = self._split.first_top_layer > 0 and num_bytes <= cache_bytes
        self._trunk_cache = trunk_cache
        self._states: list[torch.Tensor] | None = None
        self._like = torch.empty(0, dtype=base.model.dtype, device=base.device)
        packing = packing and base.paths.packing
        narrowing = narrowing and base.paths.narrowing
        if packing or narrowing:
            base.model.eval()  # dropout would tell a pack from its rows; training begins by switching it on
        self._packing = packing and can_pack(self._split, self._like)
        self._narrowing = narrowing and self._split.can_narrow()
        if packing and not self._packing:
            logger.info("this model does not attend as a pack needs it; training without `training.packing`")

    @property
    def layers(self) -> list[nn.Module]:
        """The model's transformer layers."""
        return list(decoder_parts(self._base.model).layers)

    @contextmanager
    def checkpointed_layers(self) -> Iterator[None]:
        """Recompute activations in the backward pass instead of keeping them."""
        self._base.model.activation_checkpointing_enable({"use_reentrant": False})
        for layer in self.layers:
            layer.training = True  # transformers checkpoints layers in training only; their parts stay in eval
        try:
            yield
        finally:
            self._base.model.activation_checkpointing_disable()
            self._base.model.disable_input_require_grads()  # a hook that enabling has put on the embeddings
            for layer in self.layers:
                layer.training = False

    def prepare(self) -> None:
        """Compute what all steps need of the base model, before LoRA's dropout is on: nothing here."""

    def forward(self, indices: list[int]) -> torch.Tensor:
        """Return the loss of some examples, in nats: the weighted mean over examples of the mean over answer tokens."""
        losses, rows = self.token_losses(indices)
        shares = [self._examples[indices[row]] for row in rows]
        weights = [one.weight / (len(one.targets) * len(indices)) for one in shares]
        return (losses * torch.tensor(weights, device=losses.device)).sum()

    def each(self, indices: list[int]) -> torch.Tensor:
        """Return losses_B of some examples, in nats: the mean over each one's answer tokens, without its weight."""
        losses, rows = self.token_losses(indices)
        rows_of = torch.tensor(rows, device=losses.device)
        sums_B = losses.new_zeros(len(indices)).index_add(0, rows_of, losses)
        return sums_B / torch.bincount(rows_of, minlength=len(indices))

    def token_losses(self, indices: list[int]) -> tuple[torch.Tensor, list[int]]:
        """Return −log p of every answer token of some examples, in nats, and whose it is: its place in ``indices``."""
        batch = self._packs(indices)
        layout = layout_of(batch, 0, self._like)
        inputs = self._inputs(indices, batch, layout)
        final_BTD = self._split.top(inputs, None, layout, self._indices_read(indices, batch, inputs.shape[1]))
        hidden: list[torch.Tensor] = []
        sequences: list[int] = []
        positions: list[int] = []
        targets: list[int] = []
        rows = [
            (pack_index, *row)
            for pack_index, pack in enumerate(batch)
            for row in zip(pack.rows, pack.paths, strict=True)
        ]
        for pack_index, row, path in rows:
            one = self._examples[indices[row]]
            begin = len(one.ids) - len(one.targets)
            hidden.append(final_BTD[pack_index, list(path[begin:])])
            sequences += [row] * len(one.targets)
            positions += range(begin, len(one.ids))
            targets += one.targets
        device = final_BTD.device
        where = Rows(torch.tensor(sequences, device=device), torch.tensor(positions, device=device))
        logits = self._head.logits(torch.cat(hidden), where).float()
        losses = nn.functional.cross_entropy(logits, torch.tensor(targets, device=device), reduction="none")
        return losses, sequences

    def _packs(self, indices: list[int]) -> list[Pack]:
        """Return the examples as packs, whose rows are their numbers among the indices."""
        ids = [self._examples[index].ids for index in indices]
        if self._packing:
            return cheapest(ids, range(len(ids)), LONGEST)
        return [plain(row, number) for number, row in enumerate(ids)]

    def _indices_read(self, indices: list[int], batch: list[Pack], num_tokens: int) -> torch.Tensor | None:
        """Return the indices of the tokens, of B·T, that the loss reads; None where all are run."""
        if not self._narrowing:
            return None
        counts = [len(self._examples[indices[row]].targets) for pack in batch for row in pack.rows]
        read = sorted(set(indices_read(batch, counts, num_tokens)))
        return torch.tensor(read, device=self._base.device)

    def _inputs(self, indices: list[int], batch: list[Pack], layout: Layout | None) -> torch.Tensor:
        """Return what the top runs on: padded ids, or padded trunk states."""
        if not self._keeps:
            rows = [torch.tensor(pack.ids) for pack in batch]
            ids_BT = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self._base.device)
            return self._split.trunk(ids_BT, None, layout)
        if self._states is None:
            self._states = [self._state(one.ids) for one in self._examples]
        states = []
        for pack in batch:
            first = self._states[indices[pack.rows[0]]]
            states_TD = first.new_empty(len(pack.ids), first.shape[1])
            for row, path in zip(pack.rows, pack.paths, strict=True):
                states_TD[list(path)] = self._states[indices[row]]
            states.append(states_TD)
        return nn.utils.rnn.pad_sequence(states, batch_first=True)

    def _state(self, ids: tuple[int, ...]) -> torch.Tensor:
        """Return an example's trunk states; it is run alone, as rounding depends on neighbours, which rounds change."""
        key = self._split.states_key([[ids]]) if self._trunk_cache is not None else ""
        state = self._trunk_cache.get(key) if self._trunk_cache is not None else None
        if state is None:
            device = self._base.device
            with torch.autocast(device.type, enabled=False):  # whoever finds the state may not be in it
                state = self._split.trunk(torch.tensor([ids], device=device))[0]
            if self._trunk_cache is not None:
                self._trunk_cache.put(key, state)
        return state.to(self._base.device)
