"""Stratified random: a random draw with equally many items of every predicted class, as far as there are any.

The classes take turns, in an order drawn once; each gives one of its items, drawn uniformly
(stratified sampling with equal allocation; Cochran 1977, chapter 5). Rare classes, which a plain draw seldom meets, are
found sooner. No measure of uncertainty is used. Predicted class = argmax p̄, the first of equals.
Letters: N unlabelled items, C answers.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from activelora.acquisition.strategy import Pick, ScoredPool, SelectionContext, Strategy
from activelora.acquisition.top import answer_name
from activelora.errors import ModelError
from activelora.seeding import item_draw


def select(pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
    """Draw the batch at random, class by class."""
    if not pool.item_ids:
        return []
    if not np.isfinite(pool.mean_probs_NC).all():
        raise ModelError("the pool's mean probabilities are not all finite numbers")
    answers = pool.mean_probs_NC.argmax(axis=1).tolist()
    size = Counter(answers)
    numbers = [item_draw(context.seed, item_id) for item_id in pool.item_ids]
    class_numbers = {answer: item_draw(context.seed, f"class {answer}") for answer in size}
    seen: Counter[int] = Counter()
    turns = []
    for index in sorted(range(len(answers)), key=lambda index: (numbers[index], pool.item_ids[index])):
        answer = answers[index]
        turns.append((seen[answer], class_numbers[answer], answer, index))
        seen[answer] += 1
    return [
        Pick(index, None, f"drawn at random from {size[answer]} items predicted as {answer_name(pool, answer)}")
        for _, _, answer, index in sorted(turns)[:num]
    ]


STRATEGY = Strategy(
    "stratified_random", "drawn at random, equally many of each predicted class", select, needs_answers=True
)
