"""Which of two answers is better, against the plain model run text by text, with its adapter and without."""

import numpy as np
import pytest
import torch

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, TaskConfig
from activelora.modeling import lora
from activelora.modeling.encoding import Encoder
from activelora.modeling.sampling import MergedSamples, NoAdapter, UnmergedSamples
from activelora.scoring.engine import Engine

BETA = 0.4
TASK = TaskConfig(kind="preference", prompt="Question: {text}\nAnswer:", beta=BETA, chat_template="never")
PAIRS = [
    ("How far is the moon ?", "far", "The moon is far from the earth ."),
    ("Who wrote the play ?", "the first human", "the first"),  # one begins the other
    ("Where", "water", "water"),
    ("What is red , green and blue ?", "", "fire"),
]


def items_of(pairs):
    return [
        Item(f"i{number}", {"text": text, "first": first, "second": second})
        for number, (text, first, second) in enumerate(pairs)
    ]


def log_likelihoods(base, encoded):
    """Return log p of each answer's tokens, by one pass of the whole model each."""
    found = []
    for answer in encoded.answer_ids:
        ids = torch.tensor([[*encoded.prompt_ids, *answer]])
        log_probs = torch.log_softmax(base.model(input_ids=ids).logits[0].double(), dim=-1)
        begin = len(encoded.prompt_ids) - 1
        found.append(sum(log_probs[begin + place, token].item() for place, token in enumerate(answer)))
    return np.array(found)


@pytest.fixture
def pair_encoder(base):
    return Encoder(base.tokenizer, TASK)


def test_answers_are_read_whole_with_their_end(pair_encoder):
    encoded = pair_encoder.encode(items_of(PAIRS))
    for one, (_, *answers) in zip(encoded, PAIRS, strict=True):
        assert [pair_encoder.decode_text(ids) for ids in one.answer_ids] == answers
        assert all(ids[-1] == pair_encoder.end and pair_encoder.end not in ids[:-1] for ids in one.answer_ids)


@pytest.mark.parametrize("last_layers", [None, 2])
@pytest.mark.parametrize("kind", [MergedSamples, UnmergedSamples])
def test_the_probability_is_bradley_terry_s_of_the_rewards(base, pair_encoder, last_layers, kind):
    items = items_of(PAIRS)
    encoded = pair_encoder.encode(items)
    with torch.no_grad():
        reference_NC = np.stack([log_likelihoods(base, one) for one in encoded])
    model = lora.attach(base, AdapterConfig(rank=4, last_layers=last_layers), seed=3)
    with lora.attached(model):
        torch.manual_seed(5)
        for parameter in lora.b_parameters(model):
            parameter.data.normal_(0, 0.1)
        model.eval()
        sampler = kind(model, 0.3, 11)
        engine = Engine(base, pair_encoder, 4 - last_layers if last_layers else 0, 64)
        found_NKC = engine.log_probs(items, sampler, [None, 0, 1], "test")
        with_embeddings_NKC, _ = engine.log_probs_and_embeddings(items, sampler, [None, 0, 1], "test")
        for index, sample in enumerate([None, 0, 1]):
            with sampler.activate(sample), torch.no_grad():
                rewards_NC = BETA * (np.stack([log_likelihoods(base, one) for one in encoded]) - reference_NC)
            first_N = 1 / (1 + np.exp(-(rewards_NC[:, 0] - rewards_NC[:, 1])))
            assert np.abs(first_N - 0.5).max() > 0.05
            np.testing.assert_allclose(np.exp(found_NKC[:, index]), np.stack([first_N, 1 - first_N], 1), atol=1e-5)
    np.testing.assert_allclose(with_embeddings_NKC, found_NKC, atol=1e-4)
    np.testing.assert_allclose(found_NKC[2], np.log(0.5), atol=1e-6)  # the answers are the same


def test_swapped_answers_have_each_other_s_probabilities(base, pair_encoder, adapted):
    engine = Engine(base, pair_encoder, 0, 64)
    sampler = UnmergedSamples(adapted, 0.3, 11)
    found_NKC = engine.log_probs(items_of(PAIRS), sampler, [0, 1], "test")
    swapped_NKC = engine.log_probs(items_of([(text, b, a) for text, a, b in PAIRS]), sampler, [0, 1], "test")
    assert np.abs(np.exp(found_NKC) - 0.5).max() > 0.01
    np.testing.assert_allclose(np.exp(found_NKC), np.exp(swapped_NKC[:, :, ::-1]), atol=1e-6)


@pytest.mark.parametrize("last_layers", [None, 2])
@pytest.mark.parametrize("batch_tokens", [64, 4096])
@pytest.mark.parametrize("packing", [True, False])
def test_differences_equal_the_slow_computation(base, pair_encoder, last_layers, batch_tokens, packing):
    """The mean of the states that predict an answer's tokens, of the first less the second, over the samples."""
    items = items_of(PAIRS)
    model = lora.attach(base, AdapterConfig(rank=4, last_layers=last_layers), seed=3)
    with lora.attached(model):
        torch.manual_seed(5)
        for parameter in lora.b_parameters(model):
            parameter.data.normal_(0, 0.1)
        model.eval()
        sampler = MergedSamples(model, 0.3, 11)
        engine = Engine(base, pair_encoder, 4 - last_layers if last_layers else 0, batch_tokens)
        engine._packing = packing
        found_NKC, differences_ND = engine.of_differences().log_probs_and_embeddings(items, sampler, [None, 1], "test")
        plain_NKC, prompts_ND = engine.log_probs_and_embeddings(items, sampler, [None, 1], "test")
        slow_ND = np.zeros_like(differences_ND)
        for sample in (None, 1):
            with sampler.activate(sample), torch.no_grad():
                slow_ND += [mean_state(base, one, 0) - mean_state(base, one, 1) for one in pair_encoder.encode(items)]
    np.testing.assert_allclose(differences_ND, slow_ND / 2, atol=1e-4)
    np.testing.assert_allclose(found_NKC, plain_NKC, atol=1e-5)
    assert np.abs(differences_ND[:2]).max() > 0.1
    assert np.abs(differences_ND - prompts_ND).max() > 0.1
    np.testing.assert_allclose(differences_ND[2], 0.0, atol=1e-5)  # the answers are the same


def mean_state(base, encoded, answer):
    ids = [*encoded.prompt_ids, *encoded.answer_ids[answer][:-1]]
    states_TD = base.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    return states_TD[len(encoded.prompt_ids) - 1 :].mean(dim=0).numpy()


def test_swapped_answers_flip_the_sign_of_their_difference(base, pair_encoder, adapted):
    engine = Engine(base, pair_encoder, 0, 64).of_differences()
    sampler = UnmergedSamples(adapted, 0.3, 11)
    swapped = items_of([(text, b, a) for text, a, b in PAIRS])
    _, there_ND = engine.log_probs_and_embeddings(items_of(PAIRS), sampler, [0, 1], "test")
    _, back_ND = engine.log_probs_and_embeddings(swapped, sampler, [0, 1], "test")
    np.testing.assert_allclose(there_ND, -back_ND, atol=1e-5)


def test_only_answers_that_are_compared_differ(base):
    task = TaskConfig(prompt="{text} is", labels=("fire", "water"), chat_template="never")
    with pytest.raises(ValueError, match="no two answers that are compared"):
        Engine(base, Encoder(base.tokenizer, task), 0, 64).of_differences()


def test_the_base_model_prefers_none(base, pair_encoder):
    found_NKC = Engine(base, pair_encoder, 0, 64).log_probs(items_of(PAIRS), NoAdapter(), [None], "test")
    assert np.array_equal(found_NKC, np.full((len(PAIRS), 1, 2), np.log(0.5)))


def test_an_adapter_that_is_switched_off_and_on_again_is_what_it_was(base, adapted, pair_encoder):
    (encoded,) = pair_encoder.encode(items_of(PAIRS[:1]))
    required = [parameter.requires_grad for parameter in base.model.parameters()]
    with torch.no_grad():
        before = log_likelihoods(base, encoded)
        with lora.switched_off(base.model):
            alone = log_likelihoods(base, encoded)
        after = log_likelihoods(base, encoded)
    assert np.array_equal(before, after)
    assert np.abs(before - alone).max() > 1e-3
    assert required == [parameter.requires_grad for parameter in base.model.parameters()]
