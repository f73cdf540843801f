"""Rotations that depend on the longest text of a batch: no text may be that long, and then numbers are its own."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ModelError
from activelora.modeling.encoding import Encoder
from activelora.modeling.fidelity import paths_of
from activelora.modeling.length_limit import length_limit
from activelora.modeling.sampling import NoAdapter
from activelora.scoring.predict import Predictor
from tests.modeling.families import family
from tests.modeling.matrix import VOCABULARY, Family
from tests.modeling.matrix_runs import ITEMS, TOLERANCE, base_of, engine_s
from tests.pipelines.tiny import tiny_config


def longrope():
    rotation = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [3.0, 5.0, 8.0, 12.0],
        "original_max_position_embeddings": 32,
    }
    sizes = {"original_max_position_embeddings": 32, "max_position_embeddings": 128}
    return family("phi3", vocab_size=VOCABULARY, rope_parameters=rotation, **sizes)


def dynamic():
    rotation = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    return family("llama", vocab_size=VOCABULARY, rope_parameters=rotation, max_position_embeddings=20)


MODELS = {"longrope": (longrope, 32), "dynamic": (dynamic, 19)}


def task_of(limit, **settings):
    prompt = "{text} " + "What does the word mean ? " * (limit // 6 - 1)
    words = {"prompt": prompt, "labels": ("description", "human", "number")}
    return TaskConfig.model_validate(words | {"chat_template": "never", "max_prompt_tokens": limit} | settings)


@pytest.mark.parametrize("name", MODELS)
def test_longer_prompts_are_refused_with_the_number(name, tiny_tokenizer):
    make, most = MODELS[name]
    limit = length_limit(make().config)
    assert limit == most
    with pytest.raises(ModelError, match=f"up to {most + 1} tokens are too long .* more than {most}, it") as caught:
        Encoder(tiny_tokenizer, task_of(most + 1), limit)
    assert caught.value.remedy == f"Lower task.max_prompt_tokens to {most}."
    Encoder(tiny_tokenizer, task_of(most + 1))


@pytest.mark.parametrize("name", MODELS)
def test_shorter_ones_run_as_each_does_alone(name, tiny_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))
    make, most = MODELS[name]
    model = make()
    base = base_of(Family(name, name), tiny_tokenizer, model)
    base = type(base)(base.name, model, base.tokenizer, base.device, paths_of(model))
    encoder = Encoder(tiny_tokenizer, task_of(most), length_limit(model.config))
    encoded, alone = encoder.encode(ITEMS), make()
    assert max(len(one.prompt_ids) for one in encoded) == most
    rows = []
    for one in encoded:
        logits = alone(torch.tensor([one.prompt_ids])).logits[0, -1].double()
        rows.append(torch.log_softmax(logits[[ids[0] for ids in one.answer_ids]], dim=0).tolist())
    np.testing.assert_allclose(engine_s(base, encoder, 0, NoAdapter()), rows, atol=TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_beyond_it_a_longer_text_changes_the_others_in_its_batch(name):
    make, most = MODELS[name]
    model = make()
    texts = torch.randint(5, VOCABULARY, (2, most + 8), generator=torch.Generator().manual_seed(0))
    alone = model(texts[:1, :most]).logits
    together = model(texts).logits[:1, :most]
    assert (alone - together).abs().max() > TOLERANCE
    assert torch.equal(model(texts[:1, :most]).logits, alone)  # and then it is itself again


def test_answers_count(tiny_tokenizer):
    writing = {"kind": "generation", "labels": (), "max_answer_tokens": 6}
    Encoder(tiny_tokenizer, task_of(26, **writing), 32)
    with pytest.raises(ModelError, match="up to 27 tokens and 6 of answers") as caught:
        Encoder(tiny_tokenizer, task_of(27, **writing), 32)
    assert caught.value.remedy == "Lower task.max_prompt_tokens to 26."
    with pytest.raises(ModelError) as caught:
        Encoder(tiny_tokenizer, task_of(27, **writing), 20)
    assert caught.value.remedy == "Use a model with a longer original context, or shorter answers."


def test_a_persons_long_answer_counts_too(tiny_tokenizer):
    writing = {"kind": "generation", "labels": (), "max_answer_tokens": 4}
    encoder = Encoder(tiny_tokenizer, task_of(28, **writing), 32)
    item = Item("a", {"text": "river"})
    encoder.encode_labelled([item], ["the moon"])
    with pytest.raises(ModelError, match="are too long for the model"):
        encoder.encode_labelled([item], ["the moon is far " * 8])


def test_other_rotations_have_no_limit_and_those_of_each_type_of_layer_count():
    assert length_limit(family("llama").config) is None
    assert length_limit(family("gpt2").config) is None
    text = SimpleNamespace(
        max_position_embeddings=128,
        rope_parameters={
            "full_attention": {"rope_type": "longrope", "original_max_position_embeddings": 64},
            "sliding_attention": {"rope_type": "default"},
        },
    )
    assert length_limit(SimpleNamespace(get_text_config=lambda decoder: text)) == 64


def test_steps_that_run_the_model_refuse_it_too(tiny_model_path, tmp_path):
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    rotation = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    changed = config | {"rope_parameters": rotation, "max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps(changed))
    campaign = Campaign.create(str(tmp_path / "campaign"), tiny_config(tmp_path, folder))
    with pytest.raises(ModelError, match="up to 512 tokens are too long"), Predictor.load(campaign, 0):
        pass
