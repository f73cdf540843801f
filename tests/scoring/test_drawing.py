"""Drawn answers against one item at a time, without cache or padding, and against the distribution they are of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from activelora.kinds.registry import make_task
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.scoring.drawing import DrawnAnswer, TokenDraws, draw_answers, meanings_of, same_answers
from activelora.scoring.engine import Engine
from activelora.scoring.texts import continued
from activelora.seeding import derive_seed
from tests.scoring.test_texts import ITEMS, encoder

__all__ = ["encoder"]  # the fixture


def slow_draw(base, prompt, uniform_T, end):
    """Return tokens and their log-probabilities, the whole text run again for each."""
    written, log_probs = [], []
    for number in uniform_T:
        with torch.no_grad():
            logits = base.model(input_ids=torch.tensor([[*prompt, *written]])).logits[0, -1].double()
        probs, total = torch.softmax(logits, dim=-1).tolist(), 0.0
        for prob in probs:
            total += prob
            if total > number:
                break
        token = probs.index(prob)
        written.append(token)
        log_probs.append(np.log(probs[token]))
        if token == end:
            break
    return tuple(written), log_probs


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_draws_equal_the_slow_loop(base, adapted, encoder, batch_tokens):
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    answers = draw_answers(engine, ITEMS, MergedSamples(adapted, 0.3, seed=9), [0, 1, None], 7, 5, "x")
    slow = UnmergedSamples(adapted, 0.3, seed=9)
    for item, encoded, drawn in zip(ITEMS, encoder.encode(ITEMS), answers, strict=True):
        for number, sample in enumerate([0, 1, None]):
            uniform_T = np.random.default_rng(derive_seed(5, item.item_id, number)).random(7)
            with slow.activate(sample):
                ids, log_probs = slow_draw(base, encoded.prompt_ids, uniform_T, encoder.end)
            assert drawn[number].ids == ids
            np.testing.assert_allclose(drawn[number].log_probs_T, log_probs, atol=1e-4)
    assert len({one.ids for drawn in answers for one in drawn}) == 12


def test_draws_hang_on_the_item_not_on_its_place(base, encoder):
    engine = Engine(base, encoder, 0, 4096)
    forward = draw_answers(engine, ITEMS, NoAdapter(), [None, None], 5, 3, "x")
    backward = draw_answers(engine, ITEMS[::-1], NoAdapter(), [None, None], 5, 3, "x")
    assert [[one.ids for one in drawn] for drawn in forward] == [[one.ids for one in drawn] for drawn in backward[::-1]]
    other = draw_answers(engine, ITEMS, NoAdapter(), [None, None], 5, 4, "x")
    assert [one.ids for one in forward[0]] != [one.ids for one in other[0]]


@pytest.mark.parametrize("keeps", [True, False])
def test_an_answer_is_cut_at_its_end_with_and_without_a_cache(base, encoder, keeps):
    prompts = [one.prompt_ids for one in encoder.encode(ITEMS)]
    uniform_BT = np.random.default_rng(0).random((len(ITEMS), 6))
    model = replace(base, paths=replace(base.paths, prefix=keeps))
    (end, *_), _ = slow_draw(base, prompts[0], uniform_BT[0, :1], -1)
    draws = TokenDraws(uniform_BT)
    with torch.no_grad():
        answers = continued(model, prompts, 6, end, draws)
    assert answers[0] == (end,)
    for prompt, ids, uniform_T, log_probs_T in zip(prompts, answers, uniform_BT, draws.log_probs_BT, strict=True):
        expected, log_probs = slow_draw(base, prompt, uniform_T, end)
        assert ids == expected
        np.testing.assert_allclose(log_probs_T[: len(ids)], log_probs, atol=1e-4)


def test_tokens_come_as_often_as_they_are_probable():
    probs_V = np.array([0.5, 0.0, 0.2, 0.3, 0.0])
    draws = TokenDraws(np.random.default_rng(0).random((20_000, 2)))
    tokens_B = draws(range(20_000), 1, torch.log(torch.tensor(probs_V)).expand(20_000, 5)).numpy()
    np.testing.assert_allclose(np.bincount(tokens_B, minlength=5) / 20_000, probs_V, atol=0.015)
    np.testing.assert_allclose(draws.log_probs_BT[:, 1], np.log(probs_V[tokens_B]))
    ends = TokenDraws(np.array([[0.0], [np.nextafter(1.0, 0.0)]]))
    assert ends([0, 1], 0, torch.log(torch.tensor(probs_V)).expand(2, 5)).tolist() == [0, 3]


def test_meanings_go_by_the_tasks_own_comparison(encoder):
    task = make_task(encoder.task_config)
    texts = ["so 1 + 2\n#### 3", "#### 3.0", "it is 4", "3", "#### 3.0"]
    drawn = [DrawnAnswer(encoder.encode_text(text), np.full(index + 1, -1.0)) for index, text in enumerate(texts)]
    same = same_answers(task.kind.written_judge_of(task).means_the_same)
    found = meanings_of(ITEMS[0], drawn, encoder.decode_text, same, "sum")
    assert found.clusters_K.tolist() == [0, 0, 1, 0, 0]
    assert found.log_probs_K.tolist() == [-1, -2, -3, -4, -5]
    assert found.answers[1] == found.answers[4] != found.answers[0]
    assert meanings_of(ITEMS[0], drawn, encoder.decode_text, same, "mean").log_probs_K.tolist() == [-1] * 5
