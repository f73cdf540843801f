"""The key-value cache's name in a call, by the models that are installed and by those of other versions."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, DynamicCache

from activelora.modeling.key_values import cache_among, cache_name


class Before(nn.Module):
    def forward(self, input_ids, past_key_values=None, use_cache=None):
        return past_key_values


class Since(nn.Module):
    def forward(self, input_ids, cache=None, use_cache=None, **kwargs):
        return cache


@pytest.mark.parametrize("model", [Before(), Since()])
def test_a_model_gets_its_cache(model):
    assert model(0, **{cache_name(model): "keys and values"}) == "keys and values"


@pytest.mark.parametrize("keywords", [{"cache": "one"}, {"past_key_values": "one"}, {"cache": "one", "x": 1}])
def test_it_is_found_in_a_call(keywords):
    assert cache_among(keywords) == "one"


def test_none_is_none():
    assert cache_among({"cache": None}) is None
    assert cache_among({}) is None


def test_the_installed_models_fill_theirs(tiny_model_path):
    """By the name that they do not warn of."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_path)
    for part in (model, model.get_decoder()):
        cache = DynamicCache()
        part(torch.arange(5)[None], **{cache_name(part): cache}, use_cache=True)
        assert cache.get_seq_length() == 5
