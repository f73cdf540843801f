"""Answers that the model writes itself, and what samples of its posterior say about a text.

Letters: N items, K samples, T tokens, V vocabulary, D features, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from activelora.campaign.records import Item
from activelora.modeling.base import BaseModel
from activelora.modeling.head import Head
from activelora.modeling.key_values import cache_name, new_cache
from activelora.modeling.rows import Rows
from activelora.modeling.sampling import Sampler
from activelora.modeling.split import SplitDecoder
from activelora.progress import track
from activelora.scoring.engine import Engine
from activelora.scoring.finals import Finals
from activelora.scoring.layout import Listing, Row
from activelora.uncertainty.text_measures import TokenScores

MIN_WRITING_TOKENS = 4096
"""Per batch, prompts and answers: a step writes one token a row, and needs many rows to pay."""
Choose = Callable[[Sequence[int], int, torch.Tensor], torch.Tensor]
"""Places of B prompts, number of the token, logits_BV → the next tokens (B,)."""


def write_answers(
    engine: Engine, items: Sequence[Item], sampler: Sampler, max_tokens: int, description: str
) -> list[tuple[int, ...]]:
    """Return the model's own greedy answers as ids, each up to and with its end token, or cut at ``max_tokens``.

    Near ties between tokens are decided by rounding, which depends on the batch.

    Args:
        engine: Knows the model.
        items: N items.
        sampler: Its sample None is the model that writes.
        max_tokens: Tokens after which an answer is cut.
        description: Text of the progress display.
    """
    prompts = [one.prompt_ids for one in engine.encoder.encode(items)]
    answers: dict[int, tuple[int, ...]] = {}
    batches = batches_of(engine, prompts, max_tokens)
    with engine.activate(sampler, None), torch.no_grad():
        for batch in track(batches, description, len(batches)):
            written = greedy(engine.base, [prompts[index] for index in batch], max_tokens, engine.encoder.end)
            answers |= dict(zip(batch, written, strict=True))
    return [answers[index] for index in range(len(items))]


def batches_of(engine: Engine, prompts: Sequence[tuple[int, ...]], max_tokens: int) -> list[list[int]]:
    """Return the places of prompts in batches for writing, the longest first.

    Args:
        engine: Knows how many tokens a batch may have.
        prompts: N prompts.
        max_tokens: Tokens of an answer at most.
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index)):
        if room < 1:
            batches.append([])
            room = max(1, max(engine.batch_tokens, MIN_WRITING_TOKENS) // (len(prompts[index]) + max_tokens))
        batches[-1].append(index)
        room -= 1
    return batches


def rescore(
    engine: Engine,
    items: Sequence[Item],
    answers: Sequence[tuple[int, ...]],
    sampler: Sampler,
    samples: Sequence[int | None],
    description: str,
) -> tuple[list[TokenScores], NDArray[np.float32]]:
    """Return what every sample says about a given text of each item, token by token.

    Args:
        engine: Runs the model.
        items: N items.
        answers: Their texts as ids, at least one each.
        sampler: Puts a sample into effect.
        samples: K sample numbers; None is the model without dropout.
        description: Text of the progress display.

    Returns:
        Token scores of each item, and embeddings (N, D), as :meth:`Engine.log_probs_and_embeddings` has them.
    """
    encoded = [replace(one, answer_ids=(ids,)) for one, ids in zip(engine.encoder.encode(items), answers, strict=True)]
    scores = [TokenScores(*np.zeros((2, len(samples), len(ids)))) for ids in answers]
    embeddings_ND = np.zeros((len(items), engine.head.width), dtype=np.float32)

    def read(index: int, rows: list[Row], finals: Finals) -> None:
        counts = [row.num_read for row in rows]
        for row, hidden_TD in zip(rows, torch.split(finals.at(finals.indices(counts)), counts), strict=True):
            positions = torch.tensor(row.positions_read, device=hidden_TD.device)
            logits_TV = engine.head.logits(hidden_TD, Rows(torch.zeros_like(positions), positions))
            log_probs_TV = torch.log_softmax(logits_TV.float(), dim=-1)
            targets = torch.tensor(row.targets, device=log_probs_TV.device)
            entropies_T = torch.special.entr(log_probs_TV.exp()).sum(dim=-1)
            scores[row.item].log_probs_KT[index] = log_probs_TV.gather(1, targets[:, None])[:, 0].cpu().numpy()
            scores[row.item].entropies_KT[index] = entropies_T.cpu().numpy()

    listing = Listing(encoded, range(len(encoded)), keep=False)  # the answers are other ones in every round
    engine.run(listing, sampler, samples, description, read, embeddings_ND)
    for item, one in zip(items, scores, strict=True):
        one.check(f"item {item.item_id}")
    embeddings_ND /= len(samples)
    return scores, embeddings_ND


def greedy(base: BaseModel, prompts: Sequence[tuple[int, ...]], max_tokens: int, end: int) -> list[tuple[int, ...]]:
    """Return each prompt's most probable continuation, token by token, with a key-value cache.

    The model's own sampling settings (temperature, penalties) play no part.

    Args:
        base: The model as it is in effect now.
        prompts: B prompts.
        max_tokens: Tokens after which a continuation is cut.
        end: The token after which it is complete; part of the result.
    """
    return continued(base, prompts, max_tokens, end, lambda _rows, _step, logits_BV: logits_BV.argmax(dim=-1))


def continued(
    base: BaseModel, prompts: Sequence[tuple[int, ...]], max_tokens: int, end: int, choose: Choose
) -> list[tuple[int, ...]]:
    """Return a continuation of each prompt, token by token, with a key-value cache.

    Args:
        base: The model as it is in effect now.
        prompts: B prompts.
        max_tokens: Tokens after which a continuation is cut.
        end: The token after which it is complete; part of the result.
        choose: Chooses the next tokens; what it returns for a continuation that is complete is not looked at.
    """
    if not base.paths.prefix:  # what this model keeps of earlier tokens does not stand for them
        return _continued_anew(base, prompts, max_tokens, end, choose)
    ids_BT, mask_BT = _padded_left(prompts, base.device)
    positions_BT = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
    model: Any = base.model
    cache = {cache_name(model): new_cache(model)}
    rows = range(len(prompts))
    written: list[list[int]] = [[] for _ in prompts]
    for step in range(max_tokens):
        inputs = {"input_ids": ids_BT, "attention_mask": mask_BT, "position_ids": positions_BT}
        output = model(**inputs, **cache, use_cache=True, logits_to_keep=1)
        next_B = choose(rows, step, output.logits[:, -1])
        for answer, token in zip(written, next_B.tolist(), strict=True):
            if not answer or answer[-1] != end:
                answer.append(token)
        if all(answer[-1] == end for answer in written):
            break
        ids_BT = next_B[:, None]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(prompts), 1)], dim=1)
        positions_BT = positions_BT[:, -1:] + 1
    return [tuple(answer) for answer in written]


def _continued_anew(
    base: BaseModel, prompts: Sequence[tuple[int, ...]], max_tokens: int, end: int, choose: Choose
) -> list[tuple[int, ...]]:
    """Return what :func:`continued` does, by running each whole text again for each token."""
    decoder, head = SplitDecoder.of(base, 0), Head.of(base)
    texts = [list(prompt) for prompt in prompts]
    for step in range(max_tokens):
        going = [row for row, text in enumerate(texts) if text[len(prompts[row]) :][-1:] != [end]]
        if not going:
            break
        tensors = [torch.tensor(texts[row]) for row in going]
        ids_BT = nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(base.device)
        rows = torch.arange(len(going), device=base.device)
        ends = torch.tensor([len(text) - 1 for text in tensors], device=base.device)
        logits_BV = head.logits(decoder.whole(ids_BT)[rows, ends], Rows(rows, ends))
        for row, token in zip(going, choose(going, step, logits_BV).tolist(), strict=True):
            texts[row].append(token)
    return [tuple(text[len(prompt) :]) for text, prompt in zip(texts, prompts, strict=True)]


def _padded_left(prompts: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask; on the left, so that all continuations begin at one place."""
    length = max(len(prompt) for prompt in prompts)
    ids_BT = torch.zeros(len(prompts), length, dtype=torch.long)
    mask_BT = torch.zeros(len(prompts), length, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids_BT[row, length - len(prompt) :] = torch.tensor(prompt)
        mask_BT[row, length - len(prompt) :] = 1
    return ids_BT.to(device), mask_BT.to(device)
