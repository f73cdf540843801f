"""Answers drawn from samples of the model's posterior, for measures of what answers mean.

Letters: N items, K samples, T tokens, V vocabulary, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from activelora.campaign.records import Item
from activelora.modeling.sampling import Sampler
from activelora.progress import track
from activelora.scoring.engine import Engine
from activelora.scoring.texts import batches_of, continued
from activelora.seeding import derive_seed
from activelora.uncertainty.semantic_entropy import Meanings, clusters
from activelora.uncertainty.text_measures import Reduction

FloatArray = NDArray[np.float64]
Same = Callable[[Item, Sequence[str]], set[tuple[int, int]]]
"""An item and different answers to it → the pairs of places whose answers mean the same."""


@dataclass(frozen=True)
class DrawnAnswer:
    """An answer that was drawn.

    Attributes:
        ids: Its tokens, up to and with the end token, or cut.
        log_probs_T: ln p of each token after those before it, under the sample that wrote the answer.
    """

    ids: tuple[int, ...]
    log_probs_T: FloatArray


class TokenDraws:
    """Draws tokens from the model's own distribution, by numbers that are fixed beforehand.

    Args:
        uniform_BT: A number in [0, 1) for every token that may be written.
    """

    def __init__(self, uniform_BT: FloatArray) -> None:
        self._uniform_BT = uniform_BT
        self.log_probs_BT = np.zeros_like(uniform_BT)
        """ln p of each token that was drawn."""

    def __call__(self, rows: Sequence[int], step: int, logits_BV: torch.Tensor) -> torch.Tensor:
        """Return the token at which the cumulative probabilities first exceed the row's number."""
        log_probs_BV = torch.log_softmax(logits_BV.double(), dim=-1)
        sums_BV = log_probs_BV.exp().cumsum(dim=-1)
        indices = [*rows]
        wanted_B1 = torch.tensor(self._uniform_BT[indices, step], device=sums_BV.device)[:, None] * sums_BV[:, -1:]
        tokens_B1 = torch.searchsorted(sums_BV, wanted_B1, right=True).clamp(max=sums_BV.shape[1] - 1)
        self.log_probs_BT[indices, step] = log_probs_BV.gather(1, tokens_B1)[:, 0].cpu().numpy()
        return tokens_B1[:, 0]


def draw_answers(
    engine: Engine,
    items: Sequence[Item],
    sampler: Sampler,
    samples: Sequence[int | None],
    max_tokens: int,
    seed: int,
    description: str,
) -> list[list[DrawnAnswer]]:
    """Return K answers to each item, the k-th written by sample k.

    Args:
        engine: Knows the model.
        items: N items.
        sampler: Puts a sample into effect.
        samples: K sample numbers; None is the model without dropout, however often.
        max_tokens: Tokens after which an answer is cut.
        seed: Seed of the draws, which depend on the item's id and k.
        description: Text of the progress display.
    """
    prompts = [one.prompt_ids for one in engine.encoder.encode(items)]
    batches = batches_of(engine, prompts, max_tokens)
    answers: list[list[DrawnAnswer]] = [[] for _ in items]
    for number, sample in enumerate(samples):
        shown = f"{description}, {number + 1} of {len(samples)}"
        with engine.activate(sampler, sample), torch.no_grad():
            for batch in track(batches, shown, len(batches)):
                seeds = [derive_seed(seed, items[index].item_id, number) for index in batch]
                draws = TokenDraws(np.stack([np.random.default_rng(one).random(max_tokens) for one in seeds]))
                wanted = [prompts[index] for index in batch]
                written = continued(engine.base, wanted, max_tokens, engine.encoder.end, draws)
                for index, ids, log_probs_T in zip(batch, written, draws.log_probs_BT, strict=True):
                    answers[index].append(DrawnAnswer(ids, log_probs_T[: len(ids)]))
    return answers


def meanings_of(
    item: Item, drawn: Sequence[DrawnAnswer], decode: Callable[[tuple[int, ...]], str], same: Same, reduction: Reduction
) -> Meanings:
    """Return the clusters of an item's answers.

    Args:
        item: The item.
        drawn: K answers to it.
        decode: Returns tokens as a text.
        same: Compares different texts; equal ones are not asked for.
        reduction: Whether an answer's probability is that of all its tokens, or by token.
    """
    texts_K = [decode(one.ids) for one in drawn]
    texts = different(texts_K)
    clusters_U = clusters(len(texts), same(item, texts))
    wordings_K = [texts.index(text) for text in texts_K]
    log_probs = [one.log_probs_T.sum() if reduction == "sum" else one.log_probs_T.mean() for one in drawn]
    return Meanings(clusters_U[wordings_K], [one.ids for one in drawn], np.array(log_probs))


def different(texts_K: Sequence[str]) -> list[str]:
    """Return each text once, in the order in which they come first."""
    return [*dict.fromkeys(texts_K)]


def same_answers(means_the_same: Callable[[str, str], bool]) -> Same:
    """Return what compares answers two by two, whatever the item is.

    Args:
        means_the_same: The task's own comparison.
    """

    def same(item: Item, texts: Sequence[str]) -> set[tuple[int, int]]:
        pairs = [(left, right) for right in range(len(texts)) for left in range(right)]
        return {(left, right) for left, right in pairs if means_the_same(texts[left], texts[right])}

    return same
