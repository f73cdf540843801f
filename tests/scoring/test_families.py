"""Families unlike Llama, from the engine to the saved adapter, against the model's own forward pass and plain peft."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from activelora.campaign.records import Item
from activelora.config import AdapterConfig, CampaignConfig, ConstraintConfig, ModelConfig, TaskConfig, TrainingConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.base import load_base
from activelora.modeling.encoding import Encoder
from activelora.modeling.fast_paths import PLAIN
from activelora.modeling.methods.answer_scores import AnswerScores
from activelora.modeling.sampling import MergedSamples, UnmergedSamples, weight_sampler
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer
from activelora.scoring.engine import Engine
from activelora.scoring.gradient_length import Gradients
from activelora.scoring.texts import greedy
from tests.modeling.conftest import LABELS, TEXTS
from tests.modeling.families import LINEAR, WINDOWED, family

MODELS = {
    "granite": {"logits_scaling": 8.0, "embedding_multiplier": 3.0},
    "cohere": {"logit_scale": 0.25},
    "gemma2": WINDOWED,
    "phi": {},
    "gpt2": {},
    "gpt_oss": {**WINDOWED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_next": LINEAR,
    "minimax": {"layer_types": LINEAR["layer_types"], "block_size": 16, "num_local_experts": 4},
}


@pytest.fixture(scope="module")
def folders(tiny_model_path, tmp_path_factory, restored_by_module):
    """Return a function that writes a family's model, and returns its folder."""
    tokenizer = load_base(ModelConfig(base=str(tiny_model_path))).tokenizer
    made = {}

    def folder(name):
        if name not in made:
            path = tmp_path_factory.mktemp(name)
            size = {"vocab_size": len(tokenizer), "eos_token_id": 0, "bos_token_id": 0}
            family(name, **(MODELS[name] | size)).save_pretrained(path)
            tokenizer.save_pretrained(path)
            made[name] = path
        return made[name]

    return folder


def items_of(num_words):
    """Return items whose prompts begin alike and are longer than the window."""
    before = " ".join(["the moon", "the earth", "the river", "the play"] * num_words)
    return [Item(f"item-{index}", {"text": f"{before} {text}"}) for index, text in enumerate(TEXTS)]


TASK = TaskConfig(prompt="Question: {text}\nAnswer type:", labels=LABELS, chat_template="never")
TEXT_TASK = TaskConfig(
    prompt="Question: {text}\nAnswer:",
    labels=("blue water", "blue fire", "the moon", "river"),
    answer="text",
    chat_template="never",
)


def own_log_probs(model, encoded):
    """Return what the model itself gives one item's answers: the sum of their tokens' log p, normalised."""
    scores = []
    for answer in encoded.answer_ids:
        log_probs = torch.log_softmax(model(torch.tensor([[*encoded.prompt_ids, *answer]])).logits[0].double(), dim=-1)
        begin = len(encoded.prompt_ids) - 1
        scores.append(sum(log_probs[begin + at, token] for at, token in enumerate(answer)))
    return torch.log_softmax(torch.stack(scores), dim=-1)


@pytest.fixture
def attached_to(folders):
    """Return a function that loads a family's model with an adapter on its last layer, B away from zero."""
    opened = []

    def attach(name):
        base = load_base(ModelConfig(base=str(folders(name))))
        adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=1, targets=("q_proj", "v_proj")), seed=3)
        opened.append(adapted)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
        adapted.eval()
        return base, adapted

    yield attach
    for adapted in opened:
        lora.detach(adapted)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "gpt2"])
def test_the_engine_gives_what_the_model_gives(attached_to, name):
    base, adapted = attached_to(name)
    for task in (TASK, TEXT_TASK):
        encoder, items = Encoder(base.tokenizer, task), items_of(3)
        plain, samples = UnmergedSamples(adapted, 0.3, seed=9), [None, 1]
        expected = np.empty((len(items), len(samples), 4))
        for at, sample in enumerate(samples):
            with plain.activate(sample), torch.no_grad():
                expected[:, at] = [own_log_probs(base.model, one).numpy() for one in encoder.encode(items)]
        for one in (base, replace(base, paths=PLAIN)):
            engine = Engine(one, encoder, 3, batch_tokens=512)
            found = engine.log_probs(items, MergedSamples(adapted, 0.3, seed=9), samples, "test")
            np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["granite", "gemma2", "phi"])
def test_scores_with_gradients_are_the_engines(attached_to, name):
    base, adapted = attached_to(name)
    for task in (TASK, TEXT_TASK):
        encoder, items = Encoder(base.tokenizer, task), items_of(2)
        encoded = encoder.encode(items)
        scores = AnswerScores(base, adapted, encoded, encoder.scoring).run(range(len(items))).detach()
        expected = torch.stack([own_log_probs(base.model, one) for one in encoded])
        torch.testing.assert_close(torch.log_softmax(scores.double(), dim=-1), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["granite", "gemma2"])
def test_gradient_lengths_are_those_of_the_models_own_loss(attached_to, name):
    base, adapted = attached_to(name)
    encoder, items = Encoder(base.tokenizer, TASK), items_of(2)[:2]
    encoded = encoder.encode(items)
    found = Gradients(base, adapted, 1024).adapter_lengths(encoded)
    parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    for index, one in enumerate(encoded):
        for answer, ids in enumerate(one.answer_ids):
            log_probs = torch.log_softmax(base.model(torch.tensor([one.prompt_ids])).logits[0, -1], dim=-1)
            slopes = torch.autograd.grad(log_probs[ids[0]], parameters)
            length = torch.cat([slope.flatten() for slope in slopes]).norm().item()
            assert found[index, answer] == pytest.approx(length, rel=1e-3)


@pytest.mark.parametrize("name", ["gemma2", "gpt_oss", "qwen3_next", "minimax"])
def test_what_a_model_writes_is_its_own_most_probable_text(folders, name):
    base = load_base(ModelConfig(base=str(folders(name))))
    prompts = [one.prompt_ids for one in Encoder(base.tokenizer, TASK).encode(items_of(1)[:3])]
    for prompt, written in zip(prompts, greedy(base, prompts, 5, end=-1), strict=True):
        ids = list(prompt)
        for _ in range(5):
            with torch.no_grad():
                ids.append(int(base.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        assert written == tuple(ids[len(prompt) :])


def test_texts_written_without_a_cache_are_the_same(folders):
    base = load_base(ModelConfig(base=str(folders("granite"))))
    prompts = [one.prompt_ids for one in Encoder(base.tokenizer, TASK).encode(items_of(1))]
    expected = greedy(base, prompts, 6, end=-1)
    end = expected[1][2]
    assert greedy(replace(base, paths=PLAIN), prompts, 6, end=-1) == expected
    assert greedy(replace(base, paths=PLAIN), prompts, 6, end) == greedy(base, prompts, 6, end)


@pytest.mark.parametrize("name", ["granite", "gemma2", "gpt2", "qwen3_next"])
def test_plain_peft_gives_the_saved_adapters_likelihoods(folders, name, tmp_path):
    """Two fits; what training minimised, and what the engine then says, is what plain peft on the file says."""
    base = load_base(ModelConfig(base=str(folders(name))))
    encoder, items = Encoder(base.tokenizer, TASK), items_of(1)
    encoded, labels = encoder.encode(items), [2, 1, 3, 0, 2, 1, 3, 0]
    examples = [example(one, label) for one, label in zip(encoded, labels, strict=True)]
    config = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=2, learning_rate=5e-3, batch_size=4)
    for number_of_fit in range(2):
        adapted = lora.attach(base, AdapterConfig(rank=4), seed=number_of_fit)
        with lora.attached(adapted):
            trainer = Trainer(base, PlainTrainee(adapted, ConstraintConfig(form="none")), examples, config, seed=7)
            losses = trainer.run(lambda: None)
            adapted.eval()
            loss = AnswerLoss(base, 0, examples, packing=True)(list(range(len(examples)))).item()
            sampler = weight_sampler(
                adapted, CampaignConfig(name="test", task=TASK, data={"pool": {"path": "pool.jsonl"}}), 0
            )
            found = Engine(base, encoder, 0, batch_tokens=512).log_probs(items, sampler, [None], "test")[:, 0]
            lora.save(adapted, tmp_path / str(number_of_fit))
        plain = AutoModelForCausalLM.from_pretrained(folders(name), dtype=torch.float32)
        plain = PeftModel.from_pretrained(plain, tmp_path / str(number_of_fit)).eval()
        with torch.no_grad():
            expected = np.stack([own_log_probs(plain, one).numpy() for one in encoded])
            own = [
                -torch.log_softmax(plain(torch.tensor([one.ids])).logits[0, -1], dim=-1)[one.targets[0]].item()
                for one in examples
            ]
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert np.mean(own) == pytest.approx(loss, abs=1e-4)
        assert loss < losses[0]
