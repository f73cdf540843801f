"""Which answers to an item mean the same because each entails the other, in the prompt's context.

Kuhn et al. 2023, "Semantic Uncertainty" (arXiv 2302.09664), algorithm 1. Letters: N items, U different answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from activelora.campaign.records import Item
from activelora.modeling.nli import AnswerPair
from activelora.tasks.written import plain_text

Entails = Callable[[Sequence[AnswerPair]], list[bool]]
"""Pairs of answers → of each whether the premise entails the hypothesis."""
Links = set[tuple[int, int]]
"""Pairs of indices whose answers mean the same, each the first of a cluster and another one of it."""


def linked(prompts: Sequence[str], answers: Sequence[Sequence[str]], entails: Entails) -> list[Links]:
    """Return of each item which of its answers belong to the cluster that another one has begun.

    In their order, an answer joins the first cluster whose first answer it entails and is entailed by; otherwise it
    begins one. Answers that differ in case, white space and punctuation at their ends are one, without asking. The
    u-th answers of all items are asked about together.

    Args:
        prompts: What the answers are to, of N items.
        answers: U different answers to each item.
        entails: Tells whether an answer entails another.
    """
    wordings = [_wordings(own) for own in answers]
    found = [{(first, index) for first, *others in own for index in others} for own in wordings]
    firsts = [[own[0][0]] if own else [] for own in wordings]
    for step in range(1, max(map(len, wordings), default=0)):
        asked = [(item, first) for item, own in enumerate(wordings) if step < len(own) for first in firsts[item]]
        for order in (1, -1):  # the way back is asked about only where the first answer entails the other
            texts = [(answers[item][first], answers[item][wordings[item][step][0]])[::order] for item, first in asked]
            said = entails([AnswerPair(prompts[one[0]], *pair) for one, pair in zip(asked, texts, strict=True)])
            asked = [one for one, is_entailed in zip(asked, said, strict=True) if is_entailed]
        first_of: dict[int, int] = {}
        for item, first in asked:
            first_of.setdefault(item, first)
        for item, own in enumerate(wordings):
            if step >= len(own):
                continue
            index = own[step][0]
            if item in first_of:
                found[item].add((first_of[item], index))
            else:
                firsts[item].append(index)
    return found


def same_by_entailment(
    items: Sequence[Item], prompts: Sequence[str], answers: Sequence[Sequence[str]], entails: Entails
) -> Callable[[Item, Sequence[str]], Links]:
    """Return what tells which answers mean the same, for :func:`activelora.scoring.drawing.meanings_of`.

    Args:
        items: N items.
        prompts: Their prompts.
        answers: The different answers to each, in the order in which they are asked about later.
        entails: Tells whether an answer entails another.
    """
    links = linked(prompts, answers, entails)
    by_item: Mapping[str, Links] = {item.item_id: one for item, one in zip(items, links, strict=True)}
    return lambda item, texts: by_item[item.item_id]


def _wordings(answers: Sequence[str]) -> list[list[int]]:
    """Return the indices of answers that are the same words, in the order of the first of each."""
    indices: dict[str, list[int]] = {}
    for index, text in enumerate(answers):
        indices.setdefault(plain_text(text), []).append(index)
    return [*indices.values()]
