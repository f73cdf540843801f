"""The engine's shortcuts against the plain, slow computation: one item at a time, whole model, full vocabulary."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, TokenSamples, UnmergedSamples
from activelora.modeling.training import first_adapted
from activelora.scoring.engine import Engine


def slow_log_probs(base, encoder, items, sampler, samples):
    rows = []
    for encoded in encoder.encode(items):
        per_sample = []
        for sample in samples:
            with sampler.activate(sample), torch.no_grad():
                if encoder.scores_text:
                    scores = []
                    for answer in encoded.answer_ids:
                        ids = torch.tensor([[*encoded.prompt_ids, *answer]])
                        log_probs = torch.log_softmax(base.model(input_ids=ids).logits[0], dim=-1)
                        begin = len(encoded.prompt_ids) - 1
                        scores.append(sum(log_probs[begin + i, t] for i, t in enumerate(answer)) / len(answer))
                    scores = torch.stack(scores)
                else:
                    logits = base.model(input_ids=torch.tensor([encoded.prompt_ids])).logits[0, -1]
                    scores = logits[[ids[0] for ids in encoded.answer_ids]]
                per_sample.append(torch.log_softmax(scores.double(), dim=-1).numpy())  # type: ignore[attr-defined]
        rows.append(per_sample)
    return rows


def assert_same(fast_NKC, slow, tolerance=1e-4):
    for item, per_sample in enumerate(slow):
        for sample, expected_C in enumerate(per_sample):
            np.testing.assert_allclose(fast_NKC[item, sample, : len(expected_C)], expected_C, atol=tolerance)
            assert np.isneginf(fast_NKC[item, sample, len(expected_C) :]).all()


def test_base_model_equals_the_slow_computation(base, encoder, items):
    engine = Engine(base, encoder, first_top_layer=0, batch_tokens=64)
    fast = engine.log_probs(items, NoAdapter(), [None], "test")
    assert fast.shape == (len(items), 1, 4)
    assert_same(fast, slow_log_probs(base, encoder, items, NoAdapter(), [None]))


@pytest.mark.parametrize("sampler_type", [MergedSamples, UnmergedSamples])
def test_weight_samples_equal_the_slow_computation(base, adapted, encoder, items, sampler_type):
    """Trunk, prefix cache, batching and merging, all at once, against fixed masks in peft's own forward pass."""
    samples = [None, 0, 1, 2]
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens=64)
    fast = engine.log_probs(items, sampler_type(adapted, 0.3, seed=9), samples, "test")
    slow = slow_log_probs(base, encoder, items, UnmergedSamples(adapted, 0.3, seed=9), samples)
    assert_same(fast, slow)


def test_samples_agree_without_dropout_and_differ_with_it(base, adapted, encoder, items):
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens=4096)
    still = engine.log_probs(items, MergedSamples(adapted, 0.0, seed=9), [None, 0, 1], "test")
    np.testing.assert_allclose(still[:, 1], still[:, 0], atol=1e-6)
    np.testing.assert_allclose(still[:, 2], still[:, 0], atol=1e-6)
    moving = engine.log_probs(items, MergedSamples(adapted, 0.3, seed=9), [None, 0, 1], "test")
    assert np.abs(moving[:, 1] - moving[:, 0]).max() > 1e-3
    assert np.abs(moving[:, 2] - moving[:, 1]).max() > 1e-3
    np.testing.assert_allclose(moving[:, 0], still[:, 0], atol=1e-6)


def test_token_masks_draw_afresh_and_repeat_by_seed(base, encoder, items):
    from activelora.config import AdapterConfig
    from activelora.modeling import lora

    model = lora.attach(base, AdapterConfig(rank=4, dropout=0.3), seed=3)
    with lora.attached(model):
        for parameter in lora.b_parameters(model):
            parameter.data.fill_(0.1)
        model.eval()
        engine = Engine(base, encoder, 0, batch_tokens=4096)
        first = engine.log_probs(items, TokenSamples(model, seed=1), [0, 1], "test")
        again = engine.log_probs(items, TokenSamples(model, seed=1), [0, 1], "test")
        other = engine.log_probs(items, TokenSamples(model, seed=2), [0, 1], "test")
        plain = engine.log_probs(items, TokenSamples(model, seed=1), [None], "test")
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first[:, 0] - first[:, 1]).max() > 1e-3
    assert np.abs(first[:, 0] - plain[:, 0]).max() > 1e-3


@pytest.mark.parametrize("batch_tokens", [64, 100, 4096])
def test_scores_do_not_depend_on_batch_size_order_or_company(base, adapted, encoder, items, batch_tokens):
    sampler = MergedSamples(adapted, 0.3, seed=9)
    reference = Engine(base, encoder, first_adapted(adapted), 4096).log_probs(items, sampler, [0, 1], "test")
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    order = np.random.default_rng(0).permutation(len(items))
    shuffled = engine.log_probs([items[i] for i in order], sampler, [0, 1], "test")
    np.testing.assert_allclose(shuffled, reference[order], atol=1e-4)
    parts = [engine.log_probs(part, sampler, [0, 1], "test") for part in (items[:3], items[3:4], items[4:])]
    np.testing.assert_allclose(np.concatenate(parts), reference, atol=1e-4)


def test_the_base_model_is_given_back_bit_for_bit(base, adapted, encoder, items):
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    engine = Engine(base, encoder, first_adapted(adapted), 4096)
    engine.log_probs(items, MergedSamples(adapted, 0.3, seed=9), [None, 0, 1], "test")
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("answer", ["letters", "text"])
def test_multiple_choice_with_differing_numbers_of_choices(base, adapted, answer):
    config = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\n{choices}\nAnswer:", answer=answer, chat_template="never"
    )
    encoder = Encoder(base.tokenizer, config)
    items = [
        Item("a", {"text": "What is red ?"}, ("fire", "blue water", "the moon")),
        Item("b", {"text": "Where"}, ("the river is far", "earth")),
        Item("c", {"text": "Who wrote the play ?"}, ("human", "the first human", "green", "red and blue")),
    ]
    sampler = UnmergedSamples(adapted, 0.3, seed=9)
    fast = Engine(base, encoder, first_adapted(adapted), 64).log_probs(items, sampler, [None, 0], "test")
    assert fast.shape == (3, 2, 4)
    assert_same(fast, slow_log_probs(base, encoder, items, sampler, [None, 0]))
    np.testing.assert_allclose(np.exp(fast).sum(axis=2), 1.0)


def test_one_item_by_text_whose_choices_share_everything_but_their_end(base):
    """The shared prefix must leave out the position that predicts the choices' first token."""
    config = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\nAnswer:", answer="text", chat_template="never"
    )
    encoder = Encoder(base.tokenizer, config)
    items = [Item("a", {"text": "Where is the river ?"}, ("the water is red", "the water is blue"))]
    fast = Engine(base, encoder, 0, 4096).log_probs(items, NoAdapter(), [None], "test")
    assert_same(fast, slow_log_probs(base, encoder, items, NoAdapter(), [None]))


def own_positions(encoder, item, question=0):
    """Positions of the tokens that have a character of the item's own text or choices, by the tokenizer's offsets."""
    prompt = encoder.task.queries(item)[question].prompt
    begin = prompt.index(item.fields["text"])
    shown = item.choices if "{choices}" in encoder.task_config.prompt else ()
    end = prompt.rindex(shown[-1]) + len(shown[-1]) if shown else begin + len(item.fields["text"])
    offsets = encoder._tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
    own = [position for position, (first, last) in enumerate(offsets) if first < end and last > begin]
    return slice(own[0], own[-1] + 1)


def pooled_positions(encoder, item, question, embedding):
    """Positions that an embedding is the mean of, by the same offsets."""
    if embedding == "prompt":
        return slice(None)
    own = own_positions(encoder, item, question)
    ends = encoder.task.queries(item)[question].prompt.endswith((item.fields["text"], *item.choices))
    return own if embedding == "item" or ends else slice(own.stop, None)


def slow_embeddings(base, encoder, items, sampler, samples, embedding="after_item"):
    """One item at a time, whole model: the mean of the last hidden state over the tokens wanted and the samples."""
    rows = []
    width = encoder.rows_per_item
    for number, encoded in enumerate(encoder.encode(items)):
        pooled = pooled_positions(encoder, items[number // width], number % width, embedding)
        per_sample = []
        for sample in samples:
            with sampler.activate(sample), torch.no_grad():
                output = base.model.get_decoder()(input_ids=torch.tensor([encoded.prompt_ids]))
                per_sample.append(output.last_hidden_state[0, pooled].double().mean(dim=0).numpy())
        rows.append(np.mean(per_sample, axis=0))
    return np.array(rows)


@pytest.mark.parametrize("embedding", ["after_item", "item", "prompt"])
@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_embeddings_equal_the_slow_computation(base, adapted, encoder, items, batch_tokens, embedding):
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens, embedding=embedding)
    samples = [0, 1, 2]
    sampler = MergedSamples(adapted, 0.3, seed=9)
    log_probs_NKC, embeddings_ND = engine.log_probs_and_embeddings(items, sampler, samples, "test")
    assert embeddings_ND.dtype == np.float32
    slow_ND = slow_embeddings(base, encoder, items, UnmergedSamples(adapted, 0.3, seed=9), samples, embedding)
    np.testing.assert_allclose(embeddings_ND, slow_ND, atol=1e-4)
    assert np.abs(slow_ND - slow_ND.mean(axis=0)).max() > 1e-2
    np.testing.assert_allclose(log_probs_NKC, engine.log_probs(items, sampler, samples, "test"), atol=1e-5)


def test_embeddings_without_a_shared_prefix(base, encoder, items):
    engine = Engine(base, encoder, 0, 64)
    for item in items:
        _, embedding_1D = engine.log_probs_and_embeddings([item], NoAdapter(), [None], "test")
        np.testing.assert_allclose(embedding_1D, slow_embeddings(base, encoder, [item], NoAdapter(), [None]), atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_embeddings_of_choices_by_text_are_the_prompts_own(base, adapted, batch_tokens):
    config = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\nAnswer:", answer="text", chat_template="never"
    )
    encoder = Encoder(base.tokenizer, config)
    items = [
        Item("a", {"text": "What is red ?"}, ("fire", "blue water is far from the earth", "the moon")),
        Item("b", {"text": "Where"}, ("the river is far", "earth")),
    ]
    sampler = UnmergedSamples(adapted, 0.3, seed=9)
    engine = Engine(base, encoder, first_adapted(adapted), batch_tokens)
    _, embeddings_ND = engine.log_probs_and_embeddings(items, sampler, [None, 0], "test")
    np.testing.assert_allclose(embeddings_ND, slow_embeddings(base, encoder, items, sampler, [None, 0]), atol=1e-4)


def test_no_items_give_an_empty_result(base, encoder):
    assert Engine(base, encoder, 0, 4096).log_probs([], NoAdapter(), [None], "test").shape == (0, 1, 0)
