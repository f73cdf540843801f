"""Gradient lengths against plain autograd, one item and one label at a time."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.encoding import Encoder
from activelora.modeling.training import first_adapted
from activelora.scoring.gradient_length import Gradients


def slow_lengths(base, adapted, encoded):
    """The training loop's own loss, and a plain backward pass for each item and label."""
    parameters = [value for name, value in adapted.named_parameters() if "lora_" in name]
    for value in parameters:
        value.requires_grad_()
    rows = []
    for item in encoded:
        lengths = []
        for label in range(len(item.answer_ids)):
            loss = AnswerLoss(base, first_adapted(adapted), [example(item, label)])([0])
            gradients = torch.autograd.grad(loss, parameters)
            lengths.append(np.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))
        rows.append(lengths)
    return rows


def assert_same(lengths_NC, slow):
    for lengths_C, expected in zip(lengths_NC, slow, strict=True):
        np.testing.assert_allclose(lengths_C[: len(expected)], expected, rtol=2e-4)
        assert (lengths_C[len(expected) :] == 0).all()
        assert min(expected) > 0


@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_the_adapters_gradients_equal_a_loop_of_autograd(base, adapted, encoder, items, batch_tokens):
    encoded = encoder.encode(items)
    lengths_NC = Gradients(base, adapted, batch_tokens).adapter_lengths(encoded)
    assert lengths_NC.shape == (len(items), 4)
    assert_same(lengths_NC, slow_lengths(base, adapted, encoded))


@pytest.mark.parametrize("answer", ["letters", "text"])
def test_gradients_of_choices_equal_a_loop_of_autograd(base, adapted, answer):
    config = TaskConfig(
        kind="multiple_choice", prompt="Question: {text}\n{choices}\nAnswer:", answer=answer, chat_template="never"
    )
    items = [
        Item("a", {"text": "What is red ?"}, ("fire", "blue water", "the moon")),
        Item("b", {"text": "Where"}, ("the river is far", "earth")),
        Item("c", {"text": "Who wrote the play ?"}, ("human", "the first human", "green", "red and blue")),
    ]
    encoded = Encoder(base.tokenizer, config).encode(items)
    assert_same(Gradients(base, adapted, 200).adapter_lengths(encoded), slow_lengths(base, adapted, encoded))


def test_the_size_of_a_batch_does_not_matter(base, adapted, encoder, items):
    encoded = encoder.encode(items)
    whole = Gradients(base, adapted, 4096).adapter_lengths(encoded)
    one_by_one = Gradients(base, adapted, 4096, gradient_bytes=1).adapter_lengths(encoded)
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-4)


def test_a_fresh_adapter_has_gradients_at_b_only(base, encoder, items):
    """B is zero, so A cannot change anything yet."""
    fresh = lora.attach(base, AdapterConfig(rank=4), seed=3)
    fresh.eval()
    with lora.attached(fresh):
        encoded = encoder.encode(items[:2])
        assert_same(Gradients(base, fresh, 4096).adapter_lengths(encoded), slow_lengths(base, fresh, encoded))


def test_the_heads_hidden_state_is_that_of_the_answers_position(base, adapted, encoder, items):
    encoded = encoder.encode(items)
    norms_N = Gradients(base, adapted, 64).hidden_norms(encoded)
    for item, norm in zip(encoded, norms_N, strict=True):
        with torch.no_grad():
            hidden = base.model.get_decoder()(input_ids=torch.tensor([item.prompt_ids])).last_hidden_state
        assert norm == pytest.approx(float(hidden[0, -1].norm()), rel=1e-4)


def test_no_items(base, adapted):
    gradients = Gradients(base, adapted, 64)
    assert gradients.adapter_lengths([]).shape == (0, 0)
    assert gradients.hidden_norms([]).shape == (0,)


def test_the_model_is_left_as_it_was(base, adapted, encoder, items):
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    Gradients(base, adapted, 64).adapter_lengths(encoder.encode(items))
    assert all(torch.equal(before[name], value) for name, value in adapted.state_dict().items())
    assert all(value.grad is None for value in adapted.parameters())
