"""Kept trunk states change no bit of any score, whatever is kept and whichever items are left."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring import engine as engine_module
from activelora.scoring.engine import Engine
from tests.scoring.test_engine import assert_same, slow_log_probs

BATCH_TOKENS = 48
"""So few that the items need several batches, which change with the items that are left."""


@pytest.fixture
def kept(tmp_path):
    return TrunkStates(tmp_path / "trunk", 10_000_000)


def run(base, adapted, encoder, items, kept, all_items=None):
    engine = Engine(base, encoder, first_adapted(adapted), BATCH_TOKENS, kept)
    engine = engine if all_items is None else engine.among(all_items)
    return engine.log_probs_and_embeddings(items, MergedSamples(adapted, 0.3, seed=9), [None, 0, 1], "test")


def same(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def test_warm_and_cold_are_the_same_bytes_in_every_round(base, adapted, encoder, items, kept, tmp_path):
    """Each round leaves out what was labelled. Its scores must not know whether earlier rounds ran here."""
    for left in (items, [items[i] for i in (0, 3, 4, 7)], items[6:7]):
        warm = run(base, adapted, encoder, left, kept, all_items=items)
        cold = run(base, adapted, encoder, left, None, all_items=items)
        fresh = run(base, adapted, encoder, left, TrunkStates(tmp_path / f"fresh-{len(left)}", 10_000_000), items)
        same(warm, cold)
        same(warm, fresh)
        again = run(base, adapted, encoder, left, kept, all_items=items)
        same(warm, again)


def test_the_trunk_runs_once_a_campaign(base, encoder, items, kept):
    passes, passes_of = [], []
    for left in (items, items[2:]):
        engine = Engine(base, encoder, 2, BATCH_TOKENS, kept).among(items)
        handle = base.model.get_decoder().layers[0].register_forward_pre_hook(lambda *_: passes.append(1))
        engine.log_probs(left, NoAdapter(), [None], "test")
        handle.remove()
        assert passes
        passes_of.append(len(passes))
    assert passes_of[0] == passes_of[1] > 1


@pytest.mark.parametrize("chunk_items", [3, 512])
def test_items_among_others_equal_the_slow_computation(base, adapted, encoder, items, kept, chunk_items, monkeypatch):
    monkeypatch.setattr(engine_module, "CHUNK_ITEMS", chunk_items)
    left = [items[i] for i in (7, 1, 4)]
    fast, _ = run(base, adapted, encoder, left, kept, all_items=items)
    assert_same(fast, slow_log_probs(base, encoder, left, UnmergedSamples(adapted, 0.3, seed=9), [None, 0, 1]))


def test_rows_of_an_item_stay_together(base, adapted, kept):
    """Label sets ask several questions an item; choices by text are several rows of one."""
    sets = TaskConfig(
        kind="multi_label", prompt="Is this {label}? {text}", labels=("fire", "water"), chat_template="never"
    )
    texts = ["Who wrote the play ?", "Where", "What is red ?", "How many"]
    items = [Item(f"i{index}", {"text": text}) for index, text in enumerate(texts)]
    sampler = UnmergedSamples(adapted, 0.3, seed=9)
    encoder = Encoder(base.tokenizer, sets)
    engine = Engine(base, encoder, first_adapted(adapted), BATCH_TOKENS, kept)
    whole = engine.log_probs(items, sampler, [0], "test").reshape(4, 2, -1)
    part = engine.among(items).log_probs([items[3], items[1]], sampler, [0], "test").reshape(2, 2, -1)
    np.testing.assert_allclose(part, whole[[3, 1]], atol=1e-5)


def test_items_that_are_not_among_all_items_are_refused(base, encoder, items):
    with pytest.raises(ValueError, match=r"1 items are none .*item-7"):
        Engine(base, encoder, 2, BATCH_TOKENS).among(items[:7]).log_probs(items, UnmergedSamples, [None], "test")


def test_training_states_do_not_depend_on_what_is_kept_nor_on_the_other_labels(base, encoder, items, kept):
    encoded = encoder.encode(items)
    examples = [example(one, index % 4) for index, one in enumerate(encoded)]
    with torch.no_grad():
        cold = AnswerLoss(base, 2, examples)([0, 4])
        for some, indices in ((examples[:3], [0, 1]), (examples[3:], [1, 3]), (examples, [0, 4]), (examples, [0, 4])):
            warm = AnswerLoss(base, 2, some, kept)(indices)
            assert torch.equal(warm, cold) == (some is examples)
            assert torch.equal(warm, AnswerLoss(base, 2, some)(indices))
