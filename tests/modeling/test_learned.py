"""The loss at which labels count as learned, against the best distribution that a search finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from activelora.modeling.answer_loss import Example
from activelora.modeling.learned import learned_below
from activelora.modeling.preference_loss import Pair


def by_search(examples):
    """Fit a free distribution over the answers of each prompt by gradient steps, and return its mean loss."""
    asked = sorted({one.ids[: len(one.ids) - len(one.targets) + 1] for one in examples})
    answers = sorted({one.targets for one in examples})
    scores = torch.zeros(len(asked), len(answers), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss():
        log_probs = torch.log_softmax(scores, dim=1)
        return sum(
            -log_probs[asked.index(one.ids[: len(one.ids) - len(one.targets) + 1]), answers.index(one.targets)]
            * one.weight
            / len(one.targets)
            for one in examples
        ) / len(examples)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    return loss().item()


@pytest.mark.parametrize("seed", range(5))
def test_contradicting_and_soft_labels_leave_a_loss(seed):
    generator = np.random.default_rng(seed)
    examples = []
    for _ in range(12):
        targets = tuple(generator.integers(0, 2, int(generator.integers(1, 3))).tolist())
        prompt = (5, int(generator.integers(4)))
        examples.append(Example(prompt + targets[:-1], targets, float(generator.uniform(0.2, 1.0))))
    assert learned_below(examples, 0.0) == pytest.approx(by_search(examples), abs=1e-4)
    weight = np.mean([one.weight for one in examples])
    assert learned_below(examples, 0.3) - learned_below(examples, 0.0) == pytest.approx(0.3 * weight)


def test_labels_that_agree_leave_none():
    examples = [Example((1, index), (2,)) for index in range(3)] * 2
    assert learned_below(examples, 0.1) == pytest.approx(0.1)


def test_preferences_that_disagree_leave_their_entropy():
    one, other = Example((1, 2), (3,)), Example((1, 4), (5,))
    pairs = [Pair(one, other, 0.1, 0.75), Pair(other, one, 0.1, 0.25)]
    entropy = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert learned_below(pairs, 0.2) == pytest.approx((entropy + 0.2) / 2)
    assert learned_below(pairs[:1], 0.2) == pytest.approx(0.15)
