"""At least so many picks of every predicted class, by the strategy's own order."""

from collections import Counter

import numpy as np
import pytest

from activelora.acquisition import exploration
from activelora.acquisition.registry import STRATEGIES, strategies_of
from activelora.acquisition.strategy import Pick, Strategy
from activelora.config import AcquisitionConfig
from activelora.errors import ActiveLoRAError, ConfigError
from tests.acquisition.conftest import context_of, drawn_embeddings, ids_of, permuted, pool_of

SCORED = sorted(name for name in STRATEGIES if STRATEGIES[name].needs_scores)


def imbalanced(sizes=(30, 12, 5, 1), seed=0):
    """A pool whose items are predicted as class c ``sizes[c]`` times, class 0 with the least confidence."""
    rng = np.random.default_rng(seed)
    answers = np.repeat(np.arange(len(sizes)), sizes)
    logits_NKC = rng.normal(0, 0.1, (len(answers), 4, len(sizes)))
    logits_NKC[np.arange(len(answers)), :, answers] += 1.0 + answers[:, None] + rng.random((len(answers), 1))
    log_probs_NKC = logits_NKC - np.logaddexp.reduce(logits_NKC, axis=-1, keepdims=True)
    return pool_of(log_probs_NKC, embeddings_ND=drawn_embeddings(seed, len(answers)))


def classes(pool, picks):
    return Counter(pool.mean_probs_NC[[pick.index for pick in picks]].argmax(axis=1).tolist())


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_every_class_gets_its_floor_as_far_as_there_are_items(name, share):
    pool = imbalanced()
    context = context_of(name, per_class_floor=2, exploration=share)
    picks = exploration.select(STRATEGIES[name], pool, 10, context)
    assert len({pick.index for pick in picks}) == 10
    counts = classes(pool, picks)
    assert min(counts[answer] for answer in (0, 1, 2)) >= 2
    assert counts[3] == 1
    other = permuted(pool, np.arange(48)[::-1])
    assert ids_of(other, exploration.select(STRATEGIES[name], other, 10, context)) == ids_of(pool, picks)


def test_the_strategys_own_order_holds_within_a_class():
    pool = imbalanced()
    context = context_of("entropy", per_class_floor=2)
    picks = exploration.select(STRATEGIES["entropy"], pool, 8, context)
    ranking = [pick.index for pick in STRATEGIES["entropy"].select(pool, 48, context)]
    answers = pool.mean_probs_NC.argmax(axis=1)
    expected = [index for index in ranking if answers[index] == 0][:3]
    expected += [index for answer in (1, 2, 3) for index in [i for i in ranking if answers[i] == answer][:2]]
    assert {pick.index for pick in picks} == set(expected)
    assert [pick.index for pick in picks[:3]] == ranking[:3]


def test_reasons_say_so():
    pool = imbalanced()
    picks = exploration.select(STRATEGIES["entropy"], pool, 8, context_of("entropy", per_class_floor=1))
    floored = [pick for pick in picks if "for the floor of 1 a class" in pick.reason]
    assert len(floored) == 3
    assert any(pick.reason.endswith("a class: none of the other picks predicted as place") for pick in floored)
    assert all(pick.score is not None for pick in floored)


def test_random_draws_stay_and_count():
    pool = imbalanced((20, 20, 20, 20))
    with_floor = context_of("entropy", per_class_floor=2, exploration=0.5)
    picks = exploration.select(STRATEGIES["entropy"], pool, 10, with_floor)
    plain = exploration.select(STRATEGIES["entropy"], pool, 10, context_of("entropy", exploration=0.5))
    drawn = [(place, pick) for place, pick in enumerate(plain) if pick.reason == exploration.REASON]
    assert [(place, picks[place]) for place, _ in drawn] == drawn


def test_a_batch_that_holds_its_floor_is_left_alone():
    pool = imbalanced((20, 20, 20, 20))
    plain = exploration.select(STRATEGIES["random"], pool, 40, context_of("random"))
    assert exploration.select(STRATEGIES["random"], pool, 40, context_of("random", per_class_floor=2)) == plain


def test_a_batch_smaller_than_the_classes_begins_with_the_rarest():
    pool = imbalanced()
    picks = exploration.select(STRATEGIES["entropy"], pool, 3, context_of("entropy", per_class_floor=1))
    assert classes(pool, picks) == {0: 1, 3: 1, 2: 1}


def test_diverse_strategies_count_the_batch_as_labelled():
    """Class b has a copy of an item of the batch, and one that is different."""
    embeddings_ND = np.zeros((6, 2), dtype=np.float32)
    embeddings_ND[:, 0] = [0, 10, 20, 30, 30, 5]
    probs_NC = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3)
    pool = pool_of(np.log(probs_NC)[:, None], embeddings_ND=embeddings_ND, label_names=("a", "b"))
    plain = exploration.select(STRATEGIES["core_set"], pool, 4, context_of("core_set"))
    assert [pick.index for pick in plain] == [2, 0, 1, 4]  # 3 and 4 are copies
    picks = exploration.select(STRATEGIES["core_set"], pool, 4, context_of("core_set", per_class_floor=2))
    assert [pick.index for pick in picks] == [2, 0, 5, 4]


def test_a_strategy_without_predictions_is_refused():
    with pytest.raises(ConfigError, match=r"per_class_floor: `random` asks for no predictions.*stratified_random"):
        strategies_of(AcquisitionConfig(strategy="random", per_class_floor=1))
    assert strategies_of(AcquisitionConfig(strategy="stratified_random", per_class_floor=1))


def test_a_strategy_that_breaks_the_contract_within_a_class_is_named():
    def stubborn(pool, num, context):
        return [Pick(index, 1.0, "") for index in range(10 if num == 10 else 0)]

    with pytest.raises(ActiveLoRAError, match="strategy `mine` returned 0 picks"):
        exploration.select(Strategy("mine", "", stubborn), imbalanced(), 10, context_of("entropy", per_class_floor=2))
