"""Training on packs: what examples of a batch begin with is run once, and nothing else changes."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.encoding import Encoder
from activelora.modeling.label_order import groups_alike
from activelora.modeling.packing import PAIRS_PER_TOKEN, cheapest, packs, plain
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from tests.modeling.conftest import LABELS, TEXTS
from tests.modeling.test_training import NONE, SMALL, train

INSTRUCTIONS = "What does the word mean ? Who wrote the play ? Where is the river ? "


@pytest.fixture(params=["instructions", "label sets", "texts", "soft labels"])
def examples(request, base):
    """Examples of a kind of task whose prompts begin alike."""
    if request.param == "label sets":
        task = TaskConfig(kind="multi_label", prompt="{text}\nIs it {label}?", labels=LABELS, chat_template="never")
    elif request.param == "texts":
        task = TaskConfig(kind="generation", prompt=INSTRUCTIONS + "{text}", chat_template="never")
    else:
        task = TaskConfig(prompt=INSTRUCTIONS + "{text} is a", labels=LABELS, chat_template="never")
    encoder = Encoder(base.tokenizer, task)
    items = [Item(f"item-{index}", {"text": text}) for index, text in enumerate(TEXTS[:4])]
    labels = ["the moon", "the river is far", "the moon", "red"] if request.param == "texts" else [1, 3, 0, 2]
    encoded, indices = encoder.encode_labelled(items, labels)
    if request.param == "soft labels":
        return [example(one, label, share) for one in encoded for label, share in ((1, 0.25), (2, 0.75))]
    return [example(one, index) for one, index in zip(encoded, indices, strict=True)]


def all_tokens(base, loss, indices):
    """Return a loss, its gradients, and how many places the last layer ran."""
    places = []
    layer = base.model.get_decoder().layers[-1]
    hook = layer.register_forward_hook(lambda _, inputs, __: places.append(inputs[0].shape[0] * inputs[0].shape[1]))
    try:
        return loss(indices), sum(places)
    finally:
        hook.remove()


@pytest.mark.parametrize("first_top_layer", [0, 2])
@pytest.mark.parametrize("cache_bytes", [1 << 30, 0])
def test_packs_give_the_loss_and_gradients_of_rows(base, examples, first_top_layer, cache_bytes):
    last_layers = None if first_top_layer == 0 else base.model.config.num_hidden_layers - first_top_layer
    adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=last_layers, dropout=0.0), seed=3)
    with lora.attached(adapted):
        torch.manual_seed(1)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.1)
        parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
        indices = np.random.default_rng(0).permutation(len(examples)).tolist()
        found, places = [], []
        for packing in (False, True):
            answer_loss = AnswerLoss(base, first_top_layer, examples, cache_bytes=cache_bytes, packing=packing)
            loss, num_places = all_tokens(base, answer_loss, indices)
            found.append([loss, *torch.autograd.grad(loss, parameters)])
            places.append(num_places)
    assert any(gradient.abs().max() > 1e-3 for gradient in found[0][1:])
    for own, packed in zip(*found, strict=True):
        torch.testing.assert_close(own, packed, atol=1e-5, rtol=1e-4)
    assert places[1] < 0.75 * places[0]


@pytest.mark.parametrize("first_top_layer", [0, 2])
def test_a_batch_without_padding_and_a_narrow_last_layer_give_the_loss_and_gradients_of_rows(base, first_top_layer):
    """Rows of unlike lengths that share nothing but their first token."""
    task = TaskConfig(prompt="{text} is a", labels=LABELS, chat_template="never")
    items = [Item(f"item-{index}", {"text": f"{text} " * (1 + 3 * (index % 2))}) for index, text in enumerate(TEXTS)]
    encoded = Encoder(base.tokenizer, task).encode(items)
    examples = [example(one, index % len(LABELS)) for index, one in enumerate(encoded)]
    last_layers = None if first_top_layer == 0 else base.model.config.num_hidden_layers - first_top_layer
    adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=last_layers, dropout=0.0), seed=3)
    with lora.attached(adapted):
        torch.manual_seed(1)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.1)
        parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
        indices = [5, 0, 3, 2, 7, 6]
        found, places, last_mlp = [], [], []
        hook = (
            base.model.get_decoder()
            .layers[-1]
            .mlp.register_forward_hook(lambda _, inputs, __: last_mlp.append(inputs[0].shape[0] * inputs[0].shape[1]))
        )
        for fast in (False, True):
            answer_loss = AnswerLoss(base, first_top_layer, examples, packing=fast, narrowing=fast)
            last_mlp.clear()
            loss, num_places = all_tokens(base, answer_loss, indices)
            found.append([loss, *torch.autograd.grad(loss, parameters)])
            places.append(num_places)
        hook.remove()
    assert any(gradient.abs().max() > 1e-3 for gradient in found[0][1:])
    for own, packed in zip(*found, strict=True):
        torch.testing.assert_close(own, packed, atol=1e-5, rtol=1e-4)
    lengths = [len(examples[index].ids) for index in indices]
    assert places[0] == len(indices) * max(lengths)
    assert places[1] < 1.1 * sum(lengths) < 0.9 * places[0]
    assert last_mlp == [sum(len(examples[index].targets) for index in indices)]


@pytest.mark.parametrize("seed", range(20))
def test_the_cheapest_packs_hold_every_row_and_cost_no_more_than_the_others(seed):
    rng = np.random.default_rng(seed)
    start = tuple(rng.integers(5, 9, size=rng.integers(0, 12)).tolist())
    ids = [start + tuple(rng.integers(0, 5, size=rng.integers(1, 60)).tolist()) for _ in range(rng.integers(1, 10))]
    numbers = list(range(10, 10 + len(ids)))
    batch = cheapest(ids, numbers, 256)
    assert sorted(row for pack in batch for row in pack.rows) == numbers
    for pack in batch:
        for row, path in zip(pack.rows, pack.paths, strict=True):
            assert tuple(pack.ids[token] for token in path) == ids[row - 10]
    assert all(len(pack.ids) <= max(256, *map(len, ids)) for pack in batch)

    def cost(packs):
        longest = max(len(pack.ids) for pack in packs)
        return len(packs) * longest * (PAIRS_PER_TOKEN + (0 if all(pack.is_plain for pack in packs) else longest))

    assert cost(batch) <= cost([plain(row, number) for row, number in zip(ids, numbers, strict=True)])
    assert cost(batch) <= cost(packs(ids, numbers, 256))


def test_by_default_batches_are_drawn_as_without_packing(base):
    task = TaskConfig(kind="multi_label", prompt="{text}\nIs it {label}?", labels=LABELS, chat_template="never")
    items = [Item(f"item-{index}", {"text": text}) for index, text in enumerate(TEXTS)]
    encoded, indices = Encoder(base.tokenizer, task).encode_labelled(items, [5] * len(items))
    examples = [example(one, index) for one, index in zip(encoded, indices, strict=True)]
    adapted = lora.attach(base, SMALL, seed=3)
    with lora.attached(adapted):
        drawn = []
        for packing in (None, False):
            config = TrainingConfig(min_steps=4, warmup_fraction=0.0, batch_size=4, packing=packing, epochs=1)
            trainer = Trainer(base, PlainTrainee(adapted, NONE), examples, config, seed=7)
            drawn.append([trainer._batch(step).tolist() for step in range(trainer.most_steps)])
            assert (trainer._loss._packing, trainer._loss._narrowing) == (packing is None, packing is None)
    assert drawn[0] == drawn[1]


def test_batches_keep_the_questions_about_a_text_together(base):
    task = TaskConfig(kind="multi_label", prompt="{text}\nIs it {label}?", labels=LABELS, chat_template="never")
    encoder = Encoder(base.tokenizer, task)
    items = [Item(f"item-{index}", {"text": f"{text} {text}"}) for index, text in enumerate(TEXTS)]
    encoded, indices = encoder.encode_labelled(items, [5] * len(items))
    examples = [example(one, index) for one, index in zip(encoded, indices, strict=True)]
    adapted = lora.attach(base, SMALL, seed=3)
    with lora.attached(adapted):
        config = TrainingConfig(min_steps=0, warmup_fraction=0.0, batch_size=4, packing=True, epochs=2)
        trainer = Trainer(base, PlainTrainee(adapted, NONE), examples, config, seed=7)
        batches = [trainer._batch(step) for step in range(trainer.most_steps)]
    assert all(len(set(batch // len(LABELS))) == 1 for batch in batches)
    for epoch in (batches[:8], batches[8:]):
        assert sorted(np.concatenate(epoch)) == list(range(len(examples)))
    assert [batch[0] for batch in batches] != sorted(batch[0] for batch in batches)


@pytest.mark.parametrize(
    ("ids", "groups"),
    [
        ([(1, 2, 3), (1, 2, 4)], [[0], [1]]),
        ([(1, 2, 3, 4, 9), (1, 2, 3, 4, 8), (1, 5, 6, 7, 9), (1, 5, 6, 7, 8)], [[0, 1], [2, 3]]),
        ([(1, 2, 3)], [[0]]),
        ([(1, 2, 3), (1, 2, 3), (4, 2, 3)], [[0, 1], [2]]),
    ],
)
def test_groups_share_more_than_half_of_what_is_their_own(ids, groups):
    assert [group.tolist() for group in groups_alike(ids)] == groups


def test_packed_training_learns_and_goes_on_bit_for_bit(base, examples):
    config = TrainingConfig(
        min_steps=0,
        warmup_fraction=0.0,
        epochs=12,
        learning_rate=5e-3,
        batch_size=4,
        packing=True,
        checkpoint_every_steps=4,
    )
    whole, losses = train(base, examples, config)
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    saved = train(base, examples, config, stop_after=8)
    resumed, resumed_losses = train(base, examples, config, resume=saved)
    assert losses == resumed_losses
    assert all(torch.equal(left, right) for left, right in zip(whole, resumed, strict=True))


def test_a_model_with_an_attention_window_is_trained_row_by_row(base, examples, monkeypatch, caplog):
    monkeypatch.setattr(base.model.config, "sliding_window", 8, raising=False)
    with caplog.at_level("INFO"):
        loss = AnswerLoss(base, 0, examples, packing=True)
    assert "without `training.packing`" in caplog.text
    assert all(pack.is_plain for pack in loss._packs([0, 1]))
