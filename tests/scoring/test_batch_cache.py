"""What is kept between batches saves time and changes nothing: against an engine that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.base import BaseModel
from activelora.modeling.encoding import Encoder
from activelora.modeling.lora import weights_by_name
from activelora.modeling.sampling import MergedSamples, Sampler, SwappedSamples
from activelora.scoring.batch_cache import LIMIT_PREFIXES, BatchCache
from activelora.scoring.engine import Engine

INSTRUCTIONS = "Read the question and say what kind of answer it asks for. "
QUESTIONS = ("How far is the moon ?", "Who wrote the play ?", "Where is the river ?", "Who is it ?", "What is red ?")
SAMPLES: list[int | None] = [None, 0, 1]


class Counting:
    """Counts how often samples come into effect and leave it."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.entered: list[int | None] = []
        self.num_left = 0

    @contextmanager
    def activate(self, sample: int | None) -> Iterator[None]:
        self.entered.append(sample)
        with self.sampler.activate(sample):
            yield
        self.num_left += 1


def questions(instructions: str = INSTRUCTIONS) -> list[Item]:
    return [Item(f"{instructions}{number}", {"how": instructions, "text": t}) for number, t in enumerate(QUESTIONS)]


@pytest.fixture
def own_instructions(base: BaseModel) -> Encoder:
    config = TaskConfig(
        prompt="{how}Question: {text} Answer type:", labels=("number", "human", "location"), chat_template="never"
    )
    return Encoder(base.tokenizer, config)


@pytest.fixture
def plain(base: BaseModel, own_instructions: Encoder, adapted: Any) -> Engine:
    return Engine(base, own_instructions, 0, 256)


@pytest.fixture
def merged(adapted: Any) -> MergedSamples:
    return MergedSamples(adapted, 0.25, 7)


def answered(engine: Engine, items: list[Item], sampler: Any, samples: list[int | None] = SAMPLES) -> Any:
    """Return probabilities, which are to be the same to 1e-5."""
    return np.exp(engine.log_probs(items, sampler, samples, ""))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_numbers_are_the_same_whatever_the_batch(plain: Engine, merged: MergedSamples, size: int) -> None:
    items = [*questions(), *questions("Short. "), *questions(INSTRUCTIONS + "One word. "), *questions(), *questions("")]
    expected = answered(plain, items, merged)
    batch_cache = BatchCache(prefixes=True)
    engine = plain.caching(batch_cache)
    for _ in range(2):
        found = [answered(engine, items[at : at + size], merged) for at in range(0, len(items), size)]
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
    assert batch_cache.prefixes
    batch_cache.close()
    assert not batch_cache.prefixes
    np.testing.assert_array_equal(answered(plain, items, merged), expected)


def test_a_prefix_runs_once_a_sample(plain: Engine, merged: MergedSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_cache = BatchCache(prefixes=True)
    engine = plain.caching(batch_cache)
    answered(engine, questions(), merged)
    num_tokens: list[int] = []
    top = engine._split.top

    def counted(hidden: torch.Tensor, *rest: Any) -> torch.Tensor:
        num_tokens.append(hidden.shape[1])
        return top(hidden, *rest)

    monkeypatch.setattr(engine._split, "top", counted)
    monkeypatch.setattr(engine._top, "_compute", counted)
    answered(engine, questions()[:1], merged)  # a row alone, too, goes on from the prefix
    whole = len(engine.encoder.encode(questions()[:1])[0].prompt_ids)
    assert num_tokens == [whole - len(batch_cache.prefixes[-1])] * len(SAMPLES)
    assert len(batch_cache.prefixes[-1]) > whole / 2


def test_a_row_alone_leaves_its_beginning_to_the_next(plain: Engine, merged: MergedSamples) -> None:
    batch_cache = BatchCache(prefixes=True)
    engine = plain.caching(batch_cache)
    answered(engine, questions()[:1], merged)
    assert not batch_cache.prefixes
    answered(engine, questions()[1:2], merged)
    (prefix,) = batch_cache.prefixes
    assert all(one.prompt_ids[: len(prefix)] == prefix for one in engine.encoder.encode(questions()[:2]))


def test_what_is_kept_is_bounded(plain: Engine, merged: MergedSamples) -> None:
    texts = [f"{number} {INSTRUCTIONS}" for number in range(LIMIT_PREFIXES + 4)]
    every = BatchCache(prefixes=True)
    for text in texts:
        answered(plain.caching(every), questions(text), merged)
    assert len(every.prefixes) == LIMIT_PREFIXES
    limit = every.num_bytes // 4
    every.close()  # of two that keep a sample of one model, only one may have it in effect
    few = BatchCache(prefixes=True, limit_bytes=limit)
    for text in texts:
        found = answered(plain.caching(few), questions(text), merged)
        np.testing.assert_allclose(found, answered_anew(plain, few, questions(text), merged), atol=1e-5)
        assert 0 < few.num_bytes <= limit
        few.leave()
    few.close()
    nothing = BatchCache(prefixes=True, limit_bytes=0)
    answered(plain.caching(nothing), questions(), merged)
    assert nothing.num_bytes == 0


def answered_anew(plain: Engine, batch_cache: BatchCache, items: list[Item], sampler: Sampler) -> Any:
    """Answer without anything that was kept."""
    batch_cache.leave()
    return answered(plain, items, sampler)


def test_a_sample_stays_in_effect_until_another_is_asked(plain: Engine, merged: MergedSamples) -> None:
    counting = Counting(merged)
    batch_cache = BatchCache(prefixes=False)
    engine = plain.caching(batch_cache)
    for _ in range(3):
        answered(engine, questions(), counting, [None])
    assert (counting.entered, counting.num_left) == ([None], 0)
    answered(engine, questions(), counting, [1])
    assert (counting.entered, counting.num_left) == ([None, 1], 1)
    batch_cache.close()
    assert counting.num_left == 2
    assert not batch_cache.prefixes


def test_other_weights_are_other_samples(plain: Engine, adapted: Any, merged: MergedSamples) -> None:
    weights = {name: value.data.clone() for name, value in weights_by_name(adapted).items()}
    swapped = SwappedSamples(adapted, merged, lambda k: {name: value * (k + 2) for name, value in weights.items()})
    expected = answered(plain, questions(), swapped)
    batch_cache = BatchCache(prefixes=True)
    for _ in range(2):
        np.testing.assert_allclose(answered(plain.caching(batch_cache), questions(), swapped), expected, atol=1e-5)
    batch_cache.close()
    for name, value in weights_by_name(adapted).items():
        assert torch.equal(value.data, weights[name])


def test_threads_ask_in_turn_and_another_closes(plain: Engine, merged: MergedSamples) -> None:
    expected = answered(plain, questions(), merged)
    batch_cache = BatchCache(prefixes=True)
    for _ in range(3):
        with ThreadPoolExecutor(1) as other:
            found = other.submit(answered, plain.caching(batch_cache), questions(), merged).result()
        np.testing.assert_allclose(found, expected, atol=1e-5)
    batch_cache.close()
    assert torch.is_grad_enabled()
    np.testing.assert_array_equal(answered(plain, questions(), merged), expected)


def test_an_error_takes_the_sample_out_of_effect(plain: Engine, merged: MergedSamples) -> None:
    counting, batch_cache = Counting(merged), BatchCache(prefixes=False)
    with pytest.raises(ValueError, match="inside"), batch_cache.activate(counting, 0):
        raise ValueError("inside")
    assert torch.is_grad_enabled()
    assert len(counting.entered) == counting.num_left == 1
