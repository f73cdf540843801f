"""Where an adapter cannot be attached, the base model, which others in the process share, is as it was before."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling import lora

IDS = torch.tensor([[5, 17, 300, 9, 42, 7]])


def damaged(folder):
    path = folder / lora.WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-40])


def missing(folder):
    (folder / lora.WEIGHTS_FILE).unlink()


def of_another_size(folder):
    """As an adapter of a larger model: the layers have the same names, and other shapes."""
    tensors = load_file(folder / lora.WEIGHTS_FILE)
    save_file({name: torch.zeros(one.shape[0] + 1, one.shape[1]) for name, one in tensors.items()}, folder / "new")
    (folder / "new").replace(folder / lora.WEIGHTS_FILE)


def of_a_rank_that_is_none(folder):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rank_pattern": {"layers.3.*": -1}}))


def of_unknown_form(folder):
    (folder / "adapter_config.json").write_text("[]")


@pytest.fixture
def saved(base, tmp_path):
    adapted = lora.attach(base, AdapterConfig(rank=2), seed=0)
    with lora.attached(adapted):
        lora.save(adapted, tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("harm", [damaged, missing, of_another_size, of_a_rank_that_is_none, of_unknown_form])
def test_the_base_model_is_given_back_when_an_adapter_cannot_be_loaded(base, saved, harm):
    names = [name for name, _ in base.model.named_modules()]
    before = base.model(input_ids=IDS).logits
    harm(saved)
    with pytest.raises(ModelError, match="the adapter cannot be attached to the base model") as found:
        lora.load(base, saved, trainable=True)
    assert str(saved) in str(found.value)
    assert [name for name, _ in base.model.named_modules()] == names
    assert not hasattr(base.model, "peft_config")
    assert not any(one.requires_grad for one in base.model.parameters())
    assert torch.equal(base.model(input_ids=IDS).logits, before)
    with lora.attached(lora.attach(base, AdapterConfig(rank=2), seed=0)) as adapted:
        assert lora.lora_layers(adapted)


def test_the_base_model_is_given_back_when_a_fresh_adapter_fails_midway(base):
    """peft wraps one layer after another, and meets the one that it cannot wrap after some that it could."""
    names = [name for name, _ in base.model.named_modules()]

    def failing(**settings):
        return LoraConfig(**settings, rank_pattern={r"layers\.3\..*": -1})

    with pytest.raises(ValueError, match="positive"):
        lora.attach(base, AdapterConfig(rank=2), seed=0, kind=failing)
    assert [name for name, _ in base.model.named_modules()] == names
    assert not hasattr(base.model, "peft_config")
