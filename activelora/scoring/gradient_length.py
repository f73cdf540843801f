"""How far each item's label would move a round's model: expected gradient length over a pool shard.

The model is the round's adapter as it is, without dropout; in round 0 a fresh adapter, as training would begin with (B
is zero then, and only B has a gradient). The label distribution is the one that score_pool keeps, p̄.

- ``head``: closed form at the answer head, a softmax over the item's answers. h is the last hidden state at the
  position that predicts the answer's first token, also where answers are scored by their text. One forward pass.
- ``adapter``: the L2 norm of the training loss's gradient with respect to all A and B, for every answer: exact, by one
  forward pass a row through copies of the parameters (``torch.func``), and a backward pass an answer.

Letters: N items, C answers, B rows of a batch, T tokens, D features, V vocabulary, S answer positions of a row,
J answers read off one row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item
from activelora.modeling import lora
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import EncodedItem, Encoder
from activelora.modeling.head import Head
from activelora.modeling.length_limit import length_limit
from activelora.modeling.rows import Rows
from activelora.modeling.split import SplitDecoder
from activelora.modeling.training import first_adapted
from activelora.progress import track
from activelora.scoring.batch_size import batch_tokens
from activelora.uncertainty.gradient_length import FloatArray, expected_length, head_lengths

GRADIENT_BYTES = 256 << 20
"""Gradients of one batch's rows are held at once: their size sets how many rows a batch has."""


def expected_gradient_lengths(
    campaign: Campaign, round_: int, items: Sequence[Item], probs_NC: FloatArray
) -> FloatArray:
    """Return E_{y ~ p̄} ‖∇ℓ(x, y)‖₂ of every item under the round's model, shape (N,).

    Args:
        campaign: The campaign; its setting ``acquisition.expected_gradient_length.gradient`` says of which parameters.
        round_: 0 for the base model with a fresh adapter; else the round's train_adapter must be done.
        items: N items.
        probs_NC: p̄.
    """
    config = campaign.config
    base = load_base(config.model)
    encoded = Encoder(base.tokenizer, config.task, length_limit(base.model.config)).encode(items)
    with round_adapter(campaign, base, round_) as adapted:
        # As many rows as a training step has: what training needs for its backward pass, this needs too.
        gradients = Gradients(base, adapted, batch_tokens(config.scoring, base), config.training.batch_size)
        if config.acquisition.expected_gradient_length.gradient == "head":
            lengths_NC = head_lengths(probs_NC, gradients.hidden_norms(encoded))
        else:
            lengths_NC = gradients.adapter_lengths(encoded)
    return expected_length(probs_NC, np.pad(lengths_NC, [(0, 0), (0, probs_NC.shape[1] - lengths_NC.shape[1])]))


@contextmanager
def round_adapter(campaign: Campaign, base: BaseModel, round_: int) -> Iterator[PeftModel]:
    """Attach the adapter whose gradients count: the round's own, in round 0 the fresh one that round 1 starts from."""
    if round_ == 0:
        adapted = lora.attach(base, campaign.config.adapter, campaign.seed("adapter", 1))
        adapted.eval()
    else:
        with tempfile.TemporaryDirectory() as folder:
            manifest = campaign.require(Unit("train_adapter", round_))
            adapted = lora.load(base, campaign.download_folder(manifest, "adapter", Path(folder)))
    with lora.attached(adapted):
        yield adapted


@dataclass(frozen=True)
class _Row:
    """Token ids to run, and the answers that are read off them.

    Attributes:
        item: Index of the item.
        ids: The prompt, and the answer but for its last token.
        answers: Numbers of the J answers.
        targets: Their ids, predicted at the last S positions: (J, S).
    """

    item: int
    ids: tuple[int, ...]
    answers: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]


class Gradients:
    """Gradient lengths of one model.

    Args:
        base: The base model, with the adapter attached to it.
        adapted: The adapter, in eval mode.
        batch_tokens: Token budget of a batch, padding included.
        max_rows: Rows of a batch with a backward pass, at most.
        gradient_bytes: Memory for the gradients of a batch's rows.
    """

    def __init__(
        self,
        base: BaseModel,
        adapted: PeftModel,
        batch_tokens: int,
        max_rows: int = 8,
        gradient_bytes: int = GRADIENT_BYTES,
    ) -> None:
        self._base = base
        self._batch_tokens = batch_tokens
        self._max_rows = max_rows
        self._gradient_bytes = gradient_bytes
        self._split = SplitDecoder.of(base, first_adapted(adapted))
        self._losses = _Losses(base, adapted, self._split)
        self._parameters = {
            f"adapted.{name}": value.detach() for name, value in adapted.named_parameters() if "lora_" in name
        }

    def hidden_norms(self, encoded: Sequence[EncodedItem]) -> FloatArray:
        """Return ‖h‖₂ of every item, h the last hidden state of the prompt's last token, shape (N,)."""
        rows = [_Row(index, item.prompt_ids, (), ()) for index, item in enumerate(encoded)]
        norms_N = np.zeros(len(rows))
        for batch in self._track(rows, len(rows), "gradient lengths"):
            with torch.no_grad():
                final_BTD = self._split.top(self._split.trunk(self._ids(batch)))
            last_BD = final_BTD[torch.arange(len(batch)), [len(row.ids) - 1 for row in batch]]
            norms_N[[row.item for row in batch]] = last_BD.double().norm(dim=1).cpu().numpy()
        return norms_N

    def adapter_lengths(self, encoded: Sequence[EncodedItem]) -> FloatArray:
        """Return lengths_NC, the L2 norm of the adapter's gradient for each answer; 0 where an item has fewer."""
        rows = _rows(encoded)
        lengths_NC = np.zeros((len(encoded), max((len(item.answer_ids) for item in encoded), default=0)))
        num_bytes = sum(value.numel() * 4 for value in self._parameters.values())
        max_rows = max(1, min(self._max_rows, self._gradient_bytes // num_bytes))
        for batch in self._track(rows, max_rows, "gradients of the adapter"):
            # The kernels for attention have no batching rule; plain mathematics has one.
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
                lengths_BJ = self._batch_lengths(batch)
            for row, lengths_J in zip(batch, lengths_BJ, strict=True):
                lengths_NC[row.item, list(row.answers)] = lengths_J[: len(row.answers)]
        return lengths_NC

    def _batch_lengths(self, rows: list[_Row]) -> FloatArray:
        """Return lengths_BJ. A loss depends on its own row's copy of the parameters only: one pass gives all rows."""
        size = len(rows)
        copies = {
            name: value.expand(size, *value.shape).clone().requires_grad_() for name, value in self._parameters.items()
        }
        hidden = self._split.trunk(self._ids(rows))

        def losses(parameters: dict[str, torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = functional_call(self._losses, parameters, inputs)
            return found

        losses_BJ = vmap(losses)(copies, hidden, *self._answers(rows))
        lengths = np.zeros(tuple(losses_BJ.shape))
        for answer in range(losses_BJ.shape[1]):
            last = answer + 1 == losses_BJ.shape[1]
            found = torch.autograd.grad(losses_BJ[:, answer].sum(), list(copies.values()), retain_graph=not last)
            squared_B = sum(gradient.double().flatten(1).square().sum(dim=1) for gradient in found)
            lengths[:, answer] = torch.as_tensor(squared_B).sqrt().cpu().numpy()
        return lengths

    def _answers(self, rows: list[_Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return positions_BS, weights_BS and targets_BJS, padded with weight 0 and copies of the first answer."""
        num_read = max(len(row.targets[0]) for row in rows)
        num_answers = max(len(row.targets) for row in rows)
        positions_BS = np.zeros((len(rows), num_read), dtype=np.int64)
        weights_BS = np.zeros((len(rows), num_read), dtype=np.float32)
        targets_BJS = np.zeros((len(rows), num_answers, num_read), dtype=np.int64)
        for index, row in enumerate(rows):
            read = len(row.targets[0])
            positions_BS[index, :read] = np.arange(len(row.ids) - read, len(row.ids))
            weights_BS[index, :read] = 1.0 / read
            targets_BJS[index, :, :read] = [*row.targets, *row.targets[:1] * (num_answers - len(row.targets))]
        device = self._base.device
        positions, weights, targets = (torch.from_numpy(a).to(device) for a in (positions_BS, weights_BS, targets_BJS))
        return positions, weights, targets

    def _ids(self, rows: list[_Row]) -> torch.Tensor:
        ids = [torch.tensor(row.ids) for row in rows]
        return nn.utils.rnn.pad_sequence(ids, batch_first=True).to(self._base.device)

    def _track(self, rows: list[_Row], max_rows: int, description: str) -> Iterator[list[_Row]]:
        batches = _batches(rows, self._batch_tokens, max_rows)
        return track(batches, description, len(batches))


class _Losses(nn.Module):
    """The training loss of one row for each of its answers.

    Args:
        base: The base model.
        adapted: The adapter, whose parameters are exchanged.
        split: Runs the adapted layers.
    """

    def __init__(self, base: BaseModel, adapted: PeftModel, split: SplitDecoder) -> None:
        super().__init__()
        self.adapted = adapted
        self._head = Head.of(base)
        self._split = split

    def forward(
        self, hidden: torch.Tensor, positions_S: torch.Tensor, weights_S: torch.Tensor, targets_JS: torch.Tensor
    ) -> torch.Tensor:
        """Return losses_J in nats: the mean over an answer's tokens of −log p(token), over the whole vocabulary."""
        final_TD = self._split.top(hidden[None])[0]
        logits_SV = self._head.logits(final_TD[positions_S], Rows(torch.zeros_like(positions_S), positions_S)).float()
        picked_SJ = torch.log_softmax(logits_SV, dim=-1).gather(1, targets_JS.T)
        return -(picked_SJ * weights_S[:, None]).sum(dim=0)


def _rows(encoded: Sequence[EncodedItem]) -> list[_Row]:
    """Return what is to be run: answers that are read off the same tokens share a row."""
    rows = []
    for index, item in enumerate(encoded):
        answers: dict[tuple[int, ...], list[int]] = {}
        for number, ids in enumerate(item.answer_ids):
            answers.setdefault(item.prompt_ids + ids[:-1], []).append(number)
        for ids, numbers in answers.items():
            rows.append(_Row(index, ids, tuple(numbers), tuple(item.answer_ids[number] for number in numbers)))
    return rows


def _batches(rows: list[_Row], batch_tokens: int, max_rows: int) -> list[list[_Row]]:
    """Return rows of like lengths together, within the token budget and the number of rows."""
    batches: list[list[_Row]] = []
    room = 0
    for row in sorted(rows, key=lambda row: (-len(row.ids), row.item, row.answers)):
        if room < 1:
            batches.append([])
            room = max(1, min(max_rows, batch_tokens // len(row.ids)))
        batches[-1].append(row)
        room -= 1
    return batches
