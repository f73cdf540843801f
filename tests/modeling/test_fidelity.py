"""Every way to save time is compared with the model's own forward pass, and only what differs is off."""

from __future__ import annotations

import copy
from functools import wraps

import pytest
import torch
from transformers import LlamaModel

from activelora.errors import ModelError
from activelora.modeling.fast_paths import ALL, PLAIN, FastPaths
from activelora.modeling.fidelity import _COPY, copied_paths, measured_paths, paths_of
from activelora.modeling.small_copy import small_config
from tests.modeling.families import LINEAR, SIZES, WINDOWED, family, gpt_oss

WITHOUT_PACKING = FastPaths(packing=False)
FOUND = {
    "llama": (lambda: family("llama"), ALL),
    "granite": (lambda: family("granite", logits_scaling=8.0, embedding_multiplier=4.0), ALL),
    "cohere": (lambda: family("cohere", logit_scale=0.25), ALL),
    "gpt2": (lambda: family("gpt2"), ALL),
    "gemma2": (lambda: family("gemma2", **WINDOWED), WITHOUT_PACKING),
    "gpt_oss": (gpt_oss, WITHOUT_PACKING),
    "bloom": (lambda: family("bloom"), WITHOUT_PACKING),
    "qwen3_next": (lambda: family("qwen3_next", **LINEAR), WITHOUT_PACKING),
    "minimax": (
        lambda: family("minimax", layer_types=LINEAR["layer_types"], block_size=16, num_local_experts=4),
        FastPaths(prefix=False, packing=False),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_family_runs_as_fast_as_it_stays_itself(name):
    make, expected = FOUND[name]
    model = make()
    assert copied_paths(model) == expected
    assert measured_paths(model, _COPY, [1, 2]) == expected


class Late(LlamaModel):
    """Adds the embeddings to the last states of all tokens but the first eight."""

    @wraps(LlamaModel.forward)
    def forward(self, input_ids=None, inputs_embeds=None, **options):
        embeds = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        output = super().forward(inputs_embeds=embeds, **options)
        output.last_hidden_state[:, 8:] += embeds[:, 8:]
        return output


class SeeingAll(LlamaModel):
    """Adds the mean of all states, also of those that come later."""

    @wraps(LlamaModel.forward)
    def forward(self, input_ids=None, **options):
        output = super().forward(input_ids=input_ids, **options)
        output.last_hidden_state += output.last_hidden_state.mean(dim=1, keepdim=True)
        return output


def llama(kind=LlamaModel):
    """Return a Llama whose decoder is of another kind."""
    model = family("llama")
    model.model.__class__ = kind
    return model


def test_what_a_few_tokens_do_not_show_is_found_and_the_rest_stays_on():
    found = measured_paths(llama(Late), _COPY, [1, 2])
    assert found == FastPaths(split=False, prefix=False, packing=False)


def test_a_model_whose_texts_change_each_other_is_refused():
    with pytest.raises(ModelError, match="other numbers for a text when a longer one runs beside it"):
        measured_paths(llama(SeeingAll), _COPY, [1, 2])


def test_a_model_that_gives_no_numbers_is_refused():
    model = llama()
    model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="gives no numbers for 104 ordinary tokens"):
        measured_paths(model, _COPY, [1, 2])


def test_lower_precision_is_measured_by_the_models_own_rounding():
    model = family("llama").to(torch.bfloat16)
    assert measured_paths(model, _COPY, [1, 2]) == ALL
    assert measured_paths(llama(Late).to(torch.bfloat16), _COPY, [1, 2]).split is False


def test_what_was_found_is_kept_until_a_weight_is_another(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))
    caplog.set_level("INFO", logger="activelora")
    model, runs = family("gemma2", **WINDOWED), []
    model.register_forward_hook(lambda *_: runs.append(1))
    assert paths_of(model) == WITHOUT_PACKING
    assert "runs without packing texts that begin alike" in caplog.text
    count = len(runs)
    assert count > 0
    assert len(list((tmp_path / "fidelity").iterdir())) == 2  # of its kind, and of its weights
    assert paths_of(copy.deepcopy(model)) == WITHOUT_PACKING
    assert len(runs) == count
    model.model.layers[1].mlp.up_proj.weight[0, 0] += 1.0
    paths_of(model)
    assert len(runs) > count
    assert len(list((tmp_path / "fidelity").iterdir())) == 3
    for kept in (tmp_path / "fidelity").iterdir():
        kept.write_text("{")  # cut off: measured again
    assert paths_of(model) == WITHOUT_PACKING


def test_a_small_copy_keeps_a_layer_of_each_kind_below_and_above_and_shortens_windows():
    types = ["linear_attention"] * 3 + ["full_attention"]
    settings = SIZES | LINEAR | {"num_hidden_layers": 48, "layer_types": types * 12, "hidden_size": 256}
    small = small_config(family("qwen3_next", **(settings | {"hidden_size": 32})).config, narrow=True)
    assert set(small.layer_types[:4]) == set(small.layer_types[4:]) == {"linear_attention", "full_attention"}
    windows = small_config(family("mistral", sliding_window=4096, num_hidden_layers=6).config, narrow=True)
    assert (windows.sliding_window, windows.num_hidden_layers) == (64, 4)


def test_both_of_two_findings_hold():
    assert FastPaths(split=False) & FastPaths(packing=False) == FastPaths(split=False, packing=False)
    assert len(PLAIN.off) == 5
    assert ALL.off == ()
