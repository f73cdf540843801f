"""Answers' scores with gradients, and what flows through the adapter's matrices on the way.

Letters: B items of a batch, C answers, R rows, T tokens, M valid tokens, I inputs, O outputs, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from activelora.modeling import lora
from activelora.modeling.answer_paths import grouped_paths
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import EncodedItem, Scoring
from activelora.modeling.head import Head
from activelora.modeling.rows import Rows
from activelora.modeling.split import SplitDecoder
from activelora.modeling.training import first_adapted

CHAIN_ROWS = 4
"""Rows that count as one item where a batch is sized by the chain rule: as many as a question with four texts has."""


@dataclass(frozen=True)
class _Row:
    """Tokens to run: of a whole item, of one answer by text, or of the answers on one path (chain rule)."""

    batch_index: int
    answer: int | None
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    paths: tuple[tuple[int, tuple[int, ...]], ...] = ()


class AnswerScores:
    """Runs items in batches and differentiates their answers' scores by what each A and B puts out.

    The scores are those of the engine's softmax: logits of the answers' tokens, or their texts' log-likelihoods: the
    mean over the tokens or, by the chain rule, the sum.
    Call :meth:`run`, then :meth:`differentiate` as often as wanted, each followed by the reading methods.

    Args:
        base: The base model, with the adapter attached to it.
        adapted: The adapter, in eval mode, whose weights take gradients.
        items: The items.
        scoring: How an answer's score comes from its tokens: ``token``, ``text`` or ``chain``.
    """

    def __init__(self, base: BaseModel, adapted: PeftModel, items: Sequence[EncodedItem], scoring: Scoring) -> None:
        self._base = base
        self._split = SplitDecoder.of(base, first_adapted(adapted))
        self._head = Head.of(base)
        self._items = items
        self._scoring = scoring
        self._layers: dict[str, nn.Module] = {}
        for name, layer in lora.lora_layers(adapted).items():
            self._layers[f"{name}.lora_A.weight"] = layer.lora_A[lora.ADAPTER_NAME]
            self._layers[f"{name}.lora_B.weight"] = layer.lora_B[lora.ADAPTER_NAME]
        self._inputs: dict[str, torch.Tensor] = {}
        self._outputs: dict[str, torch.Tensor] = {}
        self._gradients: dict[str, torch.Tensor] = {}
        self._valid_RT = torch.zeros(0, 0, dtype=torch.bool)
        self.owners: list[int] = []
        self.num_answers = max((len(item.answer_ids) for item in items), default=0)

    def batches(self, size: int) -> list[list[int]]:
        """Return the items' indices in batches of like lengths, of fewer items where labels give each many rows."""
        if self._scoring == "chain" and self._items:
            size = max(1, min(size, size * CHAIN_ROWS // len(self._rows(0, self._items[0]))))
        order = sorted(range(len(self._items)), key=lambda i: (-len(self._items[i].prompt_ids), i))
        return [order[begin : begin + size] for begin in range(0, len(order), size)]

    def run(self, batch: Sequence[int]) -> torch.Tensor:
        """Return scores_BC of a batch, −inf where an item has fewer answers."""
        rows = [row for batch_index, index in enumerate(batch) for row in self._rows(batch_index, self._items[index])]
        self.owners = [batch[row.batch_index] for row in rows]
        device = self._base.device
        ids_RT = nn.utils.rnn.pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True).to(device)
        lengths_R = torch.tensor([len(row.ids) for row in rows], device=device)
        self._valid_RT = torch.arange(ids_RT.shape[1], device=device) < lengths_R[:, None]
        with ExitStack() as hooks, torch.enable_grad():
            for name, layer in self._layers.items():
                hooks.callback(layer.register_forward_hook(self._keeper(name)).remove)
            final_RTD = self._split.top(self._split.trunk(ids_RT))
        scores_BC = torch.full((len(batch), self.num_answers), -torch.inf, device=device)
        batch_indices, answers, values = self._read(rows, final_RTD)
        return scores_BC.index_put((torch.tensor(batch_indices), torch.tensor(answers)), torch.cat(values))

    def differentiate(self, scalar: torch.Tensor) -> None:
        """Compute the scalar's gradients by the outputs of every A and B; the graph stays for the next one."""
        names = list(self._outputs)
        outputs = [self._outputs[name] for name in names]
        found = torch.autograd.grad(scalar, outputs, retain_graph=True)
        self._gradients = dict(zip(names, found, strict=True))

    @property
    def num_tokens(self) -> int:
        """How many tokens of the batch are no padding."""
        return int(self._valid_RT.sum())

    def inputs(self, name: str) -> torch.Tensor:
        """Return what a matrix took in at every valid token, shape (M, I)."""
        return self._inputs[name][self._valid_RT]

    def gradients(self, name: str) -> torch.Tensor:
        """Return the gradients by what a matrix put out at every valid token, shape (M, O)."""
        return self._gradients[name][self._valid_RT]

    def slopes(self, name: str) -> torch.Tensor:
        """Return the gradient by the matrix itself, row by row, shape (R, O, I)."""
        return torch.einsum("rto,rti->roi", self._gradients[name].float(), self._inputs[name].float())

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            self._inputs[name], self._outputs[name] = inputs[0].detach(), output

        return keep

    def _rows(self, batch_index: int, item: EncodedItem) -> list[_Row]:
        if self._scoring == "token":
            return [_Row(batch_index, None, item.prompt_ids, tuple(ids[0] for ids in item.answer_ids))]
        if self._scoring == "chain":
            return [
                _Row(batch_index, number, item.prompt_ids + paths[0][1][:-1], paths[0][1], paths)
                for number, paths in enumerate(grouped_paths(item.answer_ids))
            ]
        return [
            _Row(batch_index, answer, item.prompt_ids + ids[:-1], ids) for answer, ids in enumerate(item.answer_ids)
        ]

    def _read(self, rows: list[_Row], final_RTD: torch.Tensor) -> tuple[list[int], list[int], list[torch.Tensor]]:
        """Return the rows' scores and where in scores_BC they belong."""
        batch_indices: list[int] = []
        answers: list[int] = []
        values: list[torch.Tensor] = []
        for row, hidden_TD in zip(rows, final_RTD, strict=True):
            targets = torch.tensor(row.targets, device=hidden_TD.device)
            if row.answer is None:
                last_1D = hidden_TD[len(row.ids) - 1 : len(row.ids)]
                values.append(self._head.logits_onto(last_1D, targets[None], _rows_at(row, 1, last_1D))[0])
                answers += range(len(row.targets))
                batch_indices += [row.batch_index] * len(row.targets)
                continue
            read_TD = hidden_TD[len(row.ids) - len(row.targets) : len(row.ids)]
            logits_TV = self._head.logits(read_TD, _rows_at(row, len(read_TD), read_TD))
            log_probs_TV = torch.log_softmax(logits_TV.float(), dim=-1)
            for answer, ids in row.paths or ((row.answer, row.targets),):
                found_T = log_probs_TV[range(len(ids)), ids]
                values.append((found_T.sum() if row.paths else found_T.mean())[None])
                answers.append(answer)
                batch_indices.append(row.batch_index)
        return batch_indices, answers, values


def _rows_at(row: _Row, count: int, like: torch.Tensor) -> Rows:
    """Return the origin of a row's last tokens."""
    positions = torch.arange(len(row.ids) - count, len(row.ids), device=like.device)
    return Rows(torch.zeros_like(positions), positions)
