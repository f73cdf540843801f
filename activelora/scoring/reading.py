"""Answers' scores, read off the final states of a batch.

Only the answers' positions are projected, and where one token tells an answer, only onto those tokens.

Letters: N items, C answers, R rows, S positions, D features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.modeling.head import Head
from activelora.modeling.rows import Rows
from activelora.scoring.finals import Finals
from activelora.scoring.layout import Row

BLOCK_POSITIONS = 256
"""Positions that are projected onto the whole vocabulary at once."""


Read = Callable[[int, list[Row], Finals], None]
"""Sample's index among the samples, rows of a batch, their final states."""


def reader(head: Head, scores_NKC: NDArray[np.float64]) -> Read:
    """Return what writes the scores of every batch that it is given into an array."""

    def read(index: int, rows: list[Row], finals: Finals) -> None:
        read_scores(head, scores_NKC[:, index], rows, finals)

    return read


def read_scores(head: Head, scores_NC: NDArray[np.float64], rows: list[Row], finals: Finals) -> None:
    """Project the answers' positions and write the rows' scores.

    Args:
        head: The model's output head.
        scores_NC: Is written to.
        rows: The batch's rows.
        finals: Their final states.
    """
    if rows[0].answer is None:
        _read_tokens(head, scores_NC, rows, finals)
    else:
        _read_texts(head, scores_NC, rows, finals)


def _read_tokens(head: Head, scores_NC: NDArray[np.float64], rows: list[Row], finals: Finals) -> None:
    """Write the logits of the answers' only tokens."""
    hidden_RD = finals.last()
    width = max(len(row.targets) for row in rows)
    targets = torch.tensor([row.targets + row.targets[:1] * (width - len(row.targets)) for row in rows])
    ends = torch.tensor([len(row.ids) - 1 for row in rows], device=hidden_RD.device)
    where = Rows(torch.arange(len(rows), device=ends.device), ends)
    logits_RC = head.logits_onto(hidden_RD, targets.to(hidden_RD.device), where)
    for row, values in zip(rows, logits_RC.cpu().numpy(), strict=True):
        scores_NC[row.item, : len(row.targets)] = values[: len(row.targets)]


def _read_texts(head: Head, scores_NC: NDArray[np.float64], rows: list[Row], finals: Finals) -> None:
    """Write the answers' scores: a text's mean log p of its tokens, a path's sum (chain rule)."""
    counts = [row.num_read for row in rows]
    indices = finals.indices(counts)
    positions = [position for row in rows for position in row.positions_read]
    firsts = np.cumsum([0, *counts[:-1]]).tolist()
    wanted = [_answers(row, first) for row, first in zip(rows, firsts, strict=True)]
    reads = [read for answers in wanted for _, reads in answers for read in reads]
    log_probs = iter(_log_probs_at(head, finals, indices, positions, reads))
    for row, answers in zip(rows, wanted, strict=True):
        for answer, of_answer in answers:
            total = sum(next(log_probs) for _ in of_answer)
            scores_NC[row.item, answer] = total if row.paths else total / len(of_answer)


def _log_probs_at(
    head: Head, finals: Finals, indices: list[int], positions: list[int], reads: list[tuple[int, int]]
) -> list[float]:
    """Return log p of a token at a position, for every read; tokens that rows share are projected once.

    Args:
        head: The model's output head.
        finals: The final states.
        indices: Indices of S tokens in them.
        positions: Positions of these tokens in their texts.
        reads: Numbers of these indices, each with the token that is read there.
    """
    distinct, first_of, number_of = np.unique(indices, return_index=True, return_inverse=True)
    numbers, tokens = number_of[[number for number, _ in reads]], np.array([token for _, token in reads])
    found = np.empty(len(reads))
    for begin in range(0, len(distinct), BLOCK_POSITIONS):
        block = slice(begin, begin + BLOCK_POSITIONS)
        hidden_SD = finals.at(distinct[block].tolist())
        at = torch.tensor([positions[first] for first in first_of[block]], device=hidden_SD.device)
        where = Rows(torch.arange(len(at), device=at.device), at)
        log_probs_SV = torch.log_softmax(head.logits(hidden_SD, where).float(), dim=-1)
        inside = np.flatnonzero((numbers >= begin) & (numbers < begin + BLOCK_POSITIONS))
        chosen = log_probs_SV[torch.from_numpy(numbers[inside] - begin), torch.from_numpy(tokens[inside])]
        found[inside] = chosen.cpu().numpy()
    return found.tolist()


def _answers(row: Row, first: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return the answers that a row tells of, by index, each with its tokens and the numbers of their indices."""
    answers = row.paths or ((row.answer or 0, row.targets),)
    return [(answer, [(first + step, token) for step, token in enumerate(ids)]) for answer, ids in answers]


def log_sum_exp(scores_NKC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log Σ_c exp, shape (N, K, 1), in float64."""
    if scores_NKC.size == 0:
        return np.zeros((*scores_NKC.shape[:2], 1))
    highest = scores_NKC.max(axis=2, keepdims=True)
    total: NDArray[np.float64] = highest + np.log(np.exp(scores_NKC - highest).sum(axis=2, keepdims=True))
    return total
