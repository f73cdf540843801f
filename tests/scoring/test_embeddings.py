"""Embeddings are of what follows the item, or of its own tokens, on every way through the engine."""

import numpy as np
import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.own_tokens import OwnTokens
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.modeling.trunk_states import TrunkStates
from activelora.scoring.engine import Engine
from activelora.scoring.texts import rescore
from benchmarks.embeddings import states
from benchmarks.training_length import Rows
from tests.scoring.test_engine import own_positions, slow_embeddings

LABELS = ("fire", "water", "human")
TASKS = {
    "words": {"prompt": "Where is the {text} ?\nAnswer:", "labels": LABELS},
    "first": {"prompt": "{text} is", "labels": LABELS},
    "letters": {"prompt": "{labels}\nWhat is {text} ?", "labels": LABELS, "answer": "letters"},
    "sets": {"kind": "multi_label", "prompt": "{text}\nIs it {label} ?", "labels": LABELS},
    "sets_label_first": {"kind": "multi_label", "prompt": "Is it {label} ? {text}", "labels": LABELS},
    "choices": {"kind": "multiple_choice", "prompt": "Where is {text}\n{choices}\nAnswer:", "answer": "letters"},
    "choices_by_text": {"kind": "multiple_choice", "prompt": "Where is {text}\nAnswer:", "answer": "text"},
    "numbers": {"kind": "regression", "prompt": "How far is {text} ?", "minimum": 0, "maximum": 12},
    "generation": {"kind": "generation", "prompt": "Where is {text} ?\nAnswer:"},
}
TEXTS = (
    "red",
    "the moon is far from the earth",
    "the moon is far from the earth and red",
    "Where is the river",
    "blue water ?",
    "the moon is",
)
ITEMS = [
    Item(f"item-{index}", {"text": text}, ("fire", "blue water", "the moon")[: 2 + index % 2])
    for index, text in enumerate(TEXTS)
]


def encoder_of(base, name):
    return Encoder(base.tokenizer, TaskConfig.model_validate({**TASKS[name], "chat_template": "never"}))


@pytest.mark.parametrize("name", TASKS)
def test_own_tokens_are_the_texts(base, name):
    encoder = encoder_of(base, name)
    own, width = OwnTokens(encoder), encoder.rows_per_item
    for number, encoded in enumerate(encoder.encode(ITEMS)):
        item = ITEMS[number // width]
        found = own.of(number % width, encoded.prompt_ids)
        assert slice(found.start, found.stop) == own_positions(encoder, item, number % width)
        assert len(found) < len(encoded.prompt_ids)
        after = own.after(number % width, encoded.prompt_ids)
        assert after == (range(found.stop, len(encoded.prompt_ids)) if name != "sets_label_first" else found)


@pytest.mark.parametrize("embedding", ["after_item", "item"])
@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("batch_tokens", [64, 4096])
@pytest.mark.parametrize("name", sorted(set(TASKS) - {"generation"}))
def test_embeddings_equal_the_slow_computation(base, adapted, name, batch_tokens, packing, embedding, tmp_path):
    """With a shared prefix, packs and kept trunk states, first computed and then found."""
    encoder = encoder_of(base, name)
    slow_ND = slow_embeddings(base, encoder, ITEMS, UnmergedSamples(adapted, 0.3, seed=9), [None, 0], embedding)
    kept = TrunkStates(tmp_path, 10_000_000)
    for _ in range(2):
        engine = Engine(base, encoder, first_adapted(adapted), batch_tokens, kept, embedding)
        engine._packing = packing
        _, fast_ND = engine.log_probs_and_embeddings(ITEMS, MergedSamples(adapted, 0.3, seed=9), [None, 0], "test")
        np.testing.assert_allclose(fast_ND, slow_ND, atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_embeddings_beside_written_answers_equal_the_slow_computation(base, adapted, batch_tokens):
    encoder = encoder_of(base, "generation")
    answers = [encoder.encode_text(text) for text in ("red", "the moon is far", "water", "1", "2", "human")]
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    _, fast_ND = rescore(engine, ITEMS, answers, MergedSamples(adapted, 0.3, seed=9), [0, 1], "test")
    slow_ND = slow_embeddings(base, encoder, ITEMS, UnmergedSamples(adapted, 0.3, seed=9), [0, 1])
    np.testing.assert_allclose(fast_ND, slow_ND, atol=1e-4)


@pytest.mark.parametrize("embedding", ["after_item", "item"])
@pytest.mark.parametrize("name", ["words", "sets", "choices_by_text"])
def test_an_embedding_does_not_depend_on_neighbours(base, name, embedding):
    """All of these items begin with the same words, which are a shared prefix of the batch, and still their own."""
    encoder = encoder_of(base, name)
    alike = ITEMS[1:3]
    engine = Engine(base, encoder, 0, 4096, embedding=embedding)
    together = engine.log_probs_and_embeddings(ITEMS, NoAdapter(), [None], "test")[1].reshape(len(ITEMS), -1)
    pair = engine.log_probs_and_embeddings(alike, NoAdapter(), [None], "test")[1].reshape(2, -1)
    for item, row in zip(alike, pair, strict=True):
        alone = engine.log_probs_and_embeddings([item], NoAdapter(), [None], "test")[1].ravel()
        np.testing.assert_allclose(row, alone, atol=1e-4)
        np.testing.assert_allclose(together[ITEMS.index(item)], alone, atol=1e-4)


def test_what_is_no_longer_there_leaves_the_whole_prompt(base):
    own = OwnTokens(encoder_of(base, "words"))
    beginning, end = own._shared[0]
    assert own.of(0, beginning + end[::-1]) == range(len(beginning) + len(end))
    assert len(own.of(0, (*beginning, 5, *end[::-1]))) == 1


def test_an_empty_text_has_something_after_it_and_a_joined_end_leaves_the_last_token(base):
    own = OwnTokens(encoder_of(base, "words"))
    beginning, end = own._shared[0]
    num = len(beginning) + len(end)
    assert own.after(0, beginning + end[::-1]) == range(len(beginning), num)
    assert own.after(0, (*beginning, 5, 5)) == range(len(beginning) + 1, len(beginning) + 2)


def test_a_text_that_says_what_the_prompt_says_is_its_own(base):
    """Only as many tokens are shared as all prompts share, however a text goes on or begins."""
    encoder, item = encoder_of(base, "words"), Item("a", {"text": "the moon ?\nAnswer: Where is the river ?\nAnswer:"})
    (encoded,) = encoder.encode([item])
    found = OwnTokens(encoder).of(0, encoded.prompt_ids)
    assert slice(found.start, found.stop) == own_positions(encoder, item)


def test_cut_prompts_have_what_is_left_of_the_text(base):
    task = TaskConfig.model_validate({**TASKS["words"], "chat_template": "never", "max_prompt_tokens": 20})
    encoder = Encoder(base.tokenizer, task)
    short, cut = encoder.encode([ITEMS[0], Item("a", {"text": "the moon is far " * 20})])
    own = OwnTokens(encoder)
    of_short, of_cut = own.of(0, short.prompt_ids), own.of(0, cut.prompt_ids)
    assert encoder.num_cut == 1
    assert of_cut.start == of_short.start
    assert len(cut.prompt_ids) - of_cut.stop == len(short.prompt_ids) - of_short.stop


def test_the_chat_template_is_no_items_own(tiny_model_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_path)
    tokenizer.chat_template = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}<a>"
    encoder = Encoder(tokenizer, TaskConfig.model_validate({**TASKS["words"], "chat_template": "always"}))
    own = OwnTokens(encoder)
    for item, encoded in zip(ITEMS, encoder.encode(ITEMS), strict=True):
        found = own.of(0, encoded.prompt_ids)
        assert tokenizer.decode(encoded.prompt_ids[found.start : found.stop]).strip() == item.fields["text"]


def test_the_benchmark_measures_what_the_engine_computes(base):
    task = TaskConfig.model_validate({**TASKS["words"], "chat_template": "never"})
    rows = Rows(task, [], [{"id": item.item_id, "text": item.fields["text"]} for item in ITEMS])
    found = states(base, rows, len(ITEMS))
    for name in ("prompt", "item", "after_item"):
        engine = Engine(base, Encoder(base.tokenizer, task), 0, 4096, embedding=name)
        _, expected_ND = engine.log_probs_and_embeddings(rows.items(rows.rows), NoAdapter(), [None], "test")
        np.testing.assert_allclose(found[name], expected_ND, atol=1e-4)
