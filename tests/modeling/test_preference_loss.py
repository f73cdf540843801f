"""The DPO loss against its formula, computed text by text with the whole model."""

import copy
import math

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.encoding import EncodedItem, Encoder
from activelora.modeling.preference_loss import Pair, PreferenceLoss, lessons
from tests.modeling.test_training import train
from tests.scoring.test_preference import PAIRS

BETA = 0.3
LABELS = [0, 1, 1, 0]


@pytest.fixture
def encoded(base):
    task = TaskConfig(kind="preference", prompt="Question: {text}\nAnswer:", beta=BETA, chat_template="never")
    items = [
        Item(f"i{number}", {"text": text, "first": first, "second": second})
        for number, (text, first, second) in enumerate(PAIRS)
    ]
    found, labels = Encoder(base.tokenizer, task).encode_labelled(items, LABELS)
    assert labels == LABELS
    return found


def adapter(base, last_layers=None, away=0.1):
    adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=last_layers, dropout=0.0), seed=3)
    torch.manual_seed(1)
    for parameter in lora.b_parameters(adapted):
        parameter.data.normal_(0, away) if away else parameter.data.zero_()
    return adapted


def log_likelihood(base, prompt, answer):
    log_probs = torch.log_softmax(base.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0], dim=-1)
    return sum(log_probs[len(prompt) - 1 + place, token] for place, token in enumerate(answer))


def margins(base, encoded, labels):
    return torch.stack(
        [
            log_likelihood(base, one.prompt_ids, one.answer_ids[label])
            - log_likelihood(base, one.prompt_ids, one.answer_ids[1 - label])
            for one, label in zip(encoded, labels, strict=True)
        ]
    )


@pytest.mark.parametrize("last_layers", [None, 2])
@pytest.mark.parametrize("faster", [False, True])
def test_loss_and_gradients_are_those_of_the_formula(base, encoded, last_layers, faster):
    weights = [1.0, 0.25, 0.75, 1.0]
    with torch.no_grad():
        reference = margins(base, encoded, LABELS)
    adapted = adapter(base, last_layers)
    with lora.attached(adapted):
        parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
        terms = -torch.nn.functional.logsigmoid(BETA * (margins(base, encoded, LABELS) - reference))
        slow = (terms * torch.tensor(weights)).sum() / len(weights)
        wanted = torch.autograd.grad(slow, parameters)
        bottom = 4 - last_layers if last_layers else 0
        loss = PreferenceLoss(base, bottom, lessons(encoded, LABELS, weights), None, faster, faster)([0, 1, 2, 3])
        found = torch.autograd.grad(loss, parameters)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-5)
    assert abs(loss.item() - math.log(2) * np.mean(weights)) > 1e-2
    assert any(one.abs().max() > 1e-3 for one in wanted)
    for fast, one in zip(found, wanted, strict=True):
        torch.testing.assert_close(fast, one, atol=2e-5, rtol=1e-3)


def test_at_the_beginning_the_loss_is_log_2_and_its_gradient_half_beta_times_the_margin_s(base, encoded):
    adapted = adapter(base, away=0.0)
    with lora.attached(adapted):
        parameters = lora.b_parameters(adapted)
        loss = PreferenceLoss(base, 0, lessons(encoded, LABELS, [1.0] * 4))([0, 1, 2, 3])
        assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
        found = torch.autograd.grad(loss, parameters)
        # d/dm −log σ(β·m) = −β·σ(−β·m), which is −β/2 at m = 0.
        by_hand = torch.autograd.grad(-BETA / 2 * margins(base, encoded, LABELS).mean(), parameters)
    assert any(one.abs().max() > 1e-3 for one in by_hand)
    for one, wanted in zip(found, by_hand, strict=True):
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-3)


def test_the_base_model_is_asked_once_and_stays_the_reference(base, encoded):
    adapted = adapter(base)
    calls = []
    with lora.attached(adapted):
        loss = PreferenceLoss(base, 0, lessons(encoded, LABELS, [1.0] * 4))
        loss.prepare()
        hook = base.model.get_decoder().layers[0].register_forward_hook(lambda *_: calls.append(1))
        before = loss([0, 1])
        for parameter in lora.b_parameters(adapted):
            parameter.data.zero_()
        after = loss([0, 1])
        hook.remove()
    assert len(calls) == 2
    assert before.item() != pytest.approx(math.log(2), abs=1e-3)
    assert after.item() == pytest.approx(math.log(2), abs=1e-6)


def test_what_is_learned_of_a_pair_turns_with_its_label(encoded):
    (pair,) = lessons(encoded[:1], [0], [0.5])
    (turned,) = lessons(encoded[:1], [1], [0.5])
    assert (turned.better, turned.worse) == (pair.worse, pair.better)
    assert (pair.beta, pair.weight) == (BETA, 0.5)
    assert pair.better.targets == encoded[0].answer_ids[0]
    assert lessons([EncodedItem((1,), ((2,), (3,)))], [1], [1.0])[0].targets == (3,)
    with pytest.raises(ValueError, match="about two answers, and the item has 3"):
        lessons([EncodedItem((1,), ((2,), (3,), (4,)), BETA)], [0], [1.0])


@pytest.mark.parametrize("last_layers", [None, 2])
def test_training_learns_which_is_better_and_goes_on_bit_for_bit(base, encoded, last_layers):
    kept = [0, 1, 3]  # the third pair's answers are the same
    pairs = lessons([encoded[index] for index in kept], [LABELS[index] for index in kept], [1.0] * 3)
    assert all(isinstance(pair, Pair) for pair in pairs)
    config = TrainingConfig(
        min_steps=0, warmup_fraction=0.0, epochs=16, batch_size=3, checkpoint_every_steps=2, learning_rate=5e-3
    )
    shape = AdapterConfig(rank=4, last_layers=last_layers)
    state = copy.deepcopy({name: one.clone() for name, one in base.model.state_dict().items()})
    whole, losses = train(base, pairs, config, adapter=shape)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert np.mean(losses[-3:]) < 0.2
    saved = train(base, pairs, config, adapter=shape, stop_after=4)
    resumed, resumed_losses = train(base, pairs, config, adapter=shape, resume=saved)
    assert losses == resumed_losses
    assert all(torch.equal(left, right) for left, right in zip(whole, resumed, strict=True))
    assert all(torch.equal(one, state[name]) for name, one in base.model.state_dict().items())
