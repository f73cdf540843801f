"""The training loss at which labels count as learned, where some of them contradict each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from activelora.modeling.answer_loss import Example
from activelora.modeling.preference_loss import Pair


def learned_below(examples: Sequence[Example] | Sequence[Pair], converged_loss: float) -> float:
    """Return the mean loss of a pass below which all that can be learned is: as far above the least one as is allowed.

    The least loss is that of a model whose answers to a text are as often this and that as its labels are: the entropy
    of soft labels, and of labels that contradict each other.

    Args:
        examples: The labelled items, or which of two answers is better.
        converged_loss: How far above it, in nats for a weight of 1.
    """
    groups: defaultdict[Hashable, defaultdict[Hashable, float]] = defaultdict(lambda: defaultdict(float))
    for one in examples:
        asked, answer, weight = _parts(one)
        groups[asked][answer] += weight
    least = sum(
        weight * math.log(sum(answers.values()) / weight) for answers in groups.values() for weight in answers.values()
    )
    return (least + converged_loss * sum(one.weight for one in examples)) / len(examples)


def _parts(one: Example | Pair) -> tuple[Hashable, Hashable, float]:
    """Return what is asked, what is answered, and how much the answer's log-likelihood counts."""
    if isinstance(one, Pair):
        answers = [example.ids + example.targets for example in (one.better, one.worse)]
        return frozenset(answers), answers[0], one.weight
    prompt = one.ids[: len(one.ids) - len(one.targets) + 1]
    return prompt, one.targets, one.weight / len(one.targets)
