"""Weights that are not the model's own are refused by their headers, and by loading; whole ones never are."""

from __future__ import annotations

import logging
import shutil
import tracemalloc

import pytest

from activelora.config import ModelConfig
from activelora.errors import ModelError
from activelora.modeling.base import check_cached, check_stored, load_base, load_to_shard
from activelora.modeling.proof import load_proven
from activelora.modeling.skeletons import skeleton_of
from tests.modeling.checkpoints import SIZES, change_config, change_weights, sharded, write_checkpoint, write_header


@pytest.fixture
def llama(tmp_path):
    return write_checkpoint(tmp_path / "llama", "llama", tie_word_embeddings=False, num_hidden_layers=4)


@pytest.fixture
def tied(tmp_path):
    return write_checkpoint(tmp_path / "tied", "llama", tie_word_embeddings=True, num_hidden_layers=4)


def renamed(prefix):
    return lambda folder: change_weights(folder, lambda weights: {prefix + name: w for name, w in weights.items()})


def without(part):
    return lambda folder: change_weights(folder, lambda weights: {n: w for n, w in weights.items() if part not in n})


def with_settings(**settings):
    return lambda folder: change_config(folder, **settings)


def unmerged_adapter(folder):
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(target_modules=["q_proj"]))
    save_file({name: value.clone() for name, value in model.state_dict().items()}, folder / "model.safetensors")


def as_classifier(folder):
    from transformers import AutoConfig, LlamaForSequenceClassification

    LlamaForSequenceClassification(AutoConfig.from_pretrained(folder)).save_pretrained(folder)


def with_bias(folder):
    import torch

    name = "model.layers.1.self_attn.q_proj.bias"
    change_weights(folder, lambda weights: weights | {name: torch.ones(32)})


def larger_vocabulary(folder):
    from transformers import AutoModelForCausalLM

    content = (folder / "config.json").read_text()
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(72)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(content)


def quantised_by_gptq(folder):
    """As it was saved before config.json named the method."""
    import torch

    def change(weights):
        for name in [name for name in weights if "_proj" in name]:
            layer = name.removesuffix("weight")
            del weights[name]
            numbers = {f"{layer}{part}": torch.zeros(4, 4, dtype=torch.int32) for part in ("qweight", "qzeros")}
            weights |= numbers | {f"{layer}scales": torch.ones(1, 4)}
        return weights

    change_weights(folder, change)


def in_eight_bits(folder):
    import torch

    def change(weights):
        scales = {f"{name}_scale_inv": torch.ones(1, 1) for name in weights if "_proj" in name}
        small = {name: weights[name].to(torch.float8_e4m3fn) for name in weights if "_proj" in name}
        return weights | small | scales

    change_weights(folder, change)


SPOILED = {
    "quantised, by gptq": (quantised_by_gptq, r"28 are missing .*scales.*config\.json has no quantization_config"),
    "quantised, in fp8": (in_eight_bits, r"28 tensors have no place in it .*config\.json has no quantization_config"),
    "compiled": (
        renamed("_orig_mod."),
        r"of its 39 parameters 39 are missing and would be random \(.* and 36 more\); 39 tensors have no place in it "
        r"\(_orig_mod\.lm_head\.weight, .*The prefix `_orig_mod\.` is of a model compiled by torch\.compile",
    ),
    "data parallel": (renamed("module."), r"is of a model under DataParallel or DistributedDataParallel"),
    "another wrapper": (renamed("student.net."), r"Names begin with `student\.net\.`"),
    "unmerged adapter": (
        unmerged_adapter,
        r"base_model\.model\.lm_head\.weight.*a peft model that is not merged: save model\.merge_and_unload",
    ),
    "a layer missing": (
        without("layers.1."),
        r"of its 39 parameters 9 are missing and would be random \(model\.layers\.1\..* and 6 more\)\. "
        r"config\.json is of",
    ),
    "a tensor missing": (
        without("layers.3.mlp.up"),
        r"of its 39 parameters 1 is missing and would be random \(model\.layers\.3\.mlp\.up_proj\.weight\)",
    ),
    "the final norm missing": (
        without("model.norm"),
        r"of its 39 parameters 1 is missing and would be random \(model\.norm\.weight\)",
    ),
    "embeddings missing": (
        without("embed_tokens"),
        r"of its 39 parameters 1 is missing and would be random \(model\.embed_tokens\.weight\)",
    ),
    "more layers in config.json": (
        with_settings(num_hidden_layers=6),
        r"of its 57 parameters 18 are .*num_hidden_layers 6, and the weights hold 4 layers: set it to 4",
    ),
    "fewer layers in config.json": (
        with_settings(num_hidden_layers=3),
        r"9 tensors have no place in it \(model\.layers\.3\..*num_hidden_layers 3, and the weights hold 4 layers",
    ),
    "a classifier": (as_classifier, r"lm_head\.weight.*score\.weight.*another task \(LlamaForSequenceClassification\)"),
    "a bias that the config has not": (
        with_bias,
        r"1 tensor has no place in it \(model\.layers\.1\.self_attn\.q_proj\.bias\)",
    ),
    "another width": (
        with_settings(intermediate_size=64),
        r"12 are of another shape \(model\.layers\.0\.mlp\.down_proj\.weight is \[32, 48\] and must be \[32, 64\]",
    ),
    "another vocabulary": (larger_vocabulary, r"vocab_size 64, and the weights hold 72 tokens"),
    "another architecture": (with_settings(model_type="qwen3"), r"q_norm\.weight"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_weights_that_are_not_the_models_own_are_refused(llama, kind):
    spoil, said = SPOILED[kind]
    spoil(llama)
    config = ModelConfig(base=str(llama))
    with pytest.raises(ModelError, match=said) as by_headers:
        check_stored(config)
    assert by_headers.value.where == f"model.base: {llama}"
    # The report of the real loading says the same, where headers cannot be compared first, as with a hub id.
    with pytest.raises(ModelError) as by_loading:
        load_proven(str(llama), config, {})
    assert str(by_loading.value) == str(by_headers.value)


@pytest.mark.parametrize("load", [load_base, load_to_shard, check_stored])
def test_every_way_to_load_refuses(tied, load):
    renamed("_orig_mod.")(tied)
    with pytest.raises(ModelError, match=r"torch\.compile"):
        load(ModelConfig(base=str(tied)))


def test_a_classifier_with_tied_embeddings_is_refused_for_its_head(tied):
    """Nothing is missing there: the head over the vocabulary is the embeddings."""
    as_classifier(tied)
    with pytest.raises(ModelError, match=r"1 tensor has no place in it \(score\.weight\).*another task"):
        check_stored(ModelConfig(base=str(tied)))


@pytest.fixture(params=[logging.WARNING, logging.ERROR])
def verbosity(request):
    """How much transformers is to log."""
    from transformers.utils import logging as shown

    before = shown.get_verbosity()
    shown.set_verbosity(request.param)
    yield request.param
    assert shown.get_verbosity() == request.param
    shown.set_verbosity(before)


def test_an_expert_missing_is_refused(tmp_path, verbosity):
    """Whatever transformers is to log: its table is where the cause is."""
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    folder = write_checkpoint(tmp_path / "moe", "qwen3_moe", **experts)
    config = ModelConfig(base=str(folder))
    check_stored(config)
    without("layers.1.mlp.experts.3.up_proj")(folder)
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.experts\.gate_up_proj") as by_headers:
        check_stored(config)
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.experts\.gate_up_proj"):
        load_proven(str(folder), config, {})
    without("layers.1.mlp.experts.3")(folder)
    with pytest.raises(ModelError, match=r"gate_up_proj is \[3, 32, 32\] and must be \[4, 32, 32\]"):
        check_stored(config)
    assert "Traceback" not in str(by_headers.value)


def without_prefix(folder):
    """As the hub's oldest checkpoints are: saved from the model inside."""
    change_weights(folder, lambda weights: {name.removeprefix("transformer."): w for name, w in weights.items()})


def with_old_buffers(folder):
    import torch

    buffers = {
        "h.0.attn.bias": torch.ones(1, 1, 64, 64),
        "h.0.attn.masked_bias": torch.tensor(-1e4),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "gpt_neox.layers.0.attention.bias": torch.ones(1, 1, 64, 64, dtype=torch.bool),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(4),
        "model.embeddings.position_ids": torch.arange(4),
    }
    change_weights(folder, lambda weights: weights | buffers)


def with_both_ends(folder):
    """Tied embeddings, both stored: as older tools save them."""
    change_weights(folder, lambda weights: weights | {"lm_head.weight": weights["model.embed_tokens.weight"]})


def head_alone(folder):
    change_weights(
        folder,
        lambda weights: {n.replace("model.embed_tokens", "lm_head"): w for n, w in weights.items()},
    )


def in_half(folder):
    change_weights(folder, lambda weights: {name: value.half() for name, value in weights.items()})


def with_next_tokens_head(folder):
    """DeepSeek's layers beyond the last one, which predict more tokens at once."""
    import torch

    change_weights(folder, lambda weights: weights | {"model.layers.2.eh_proj.weight": torch.ones(32, 64)})
    change_config(folder, num_nextn_predict_layers=1)


MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 48}
DEEPSEEK = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1, "n_group": 2,
    "topk_group": 1, "first_k_dense_replace": 1, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8, "v_head_dim": 8, "num_key_value_heads": 4, "head_dim": 8,
}  # fmt: skip
OSS = {"num_local_experts": 4, "num_experts_per_tok": 2, "layer_types": ["sliding_attention", "full_attention"]}
WHOLE = {
    "llama, untied": ("llama", {"tie_word_embeddings": False}, None),
    "llama, tied": ("llama", {"tie_word_embeddings": True}, None),
    "llama, tied, both ends stored": ("llama", {"tie_word_embeddings": True}, with_both_ends),
    "llama, tied, the head stored": ("llama", {"tie_word_embeddings": True}, head_alone),
    "llama in half precision": ("llama", {}, in_half),
    "llama in parts": ("llama", {}, sharded),
    "llama with old buffers": ("llama", {}, with_old_buffers),
    "gpt2": ("gpt2", GPT2, None),
    "gpt2 without its prefix": ("gpt2", GPT2, without_prefix),
    "gpt_neox with old buffers": ("gpt_neox", {}, with_old_buffers),
    "gpt_oss": ("gpt_oss", OSS, None),
    "qwen2": ("qwen2", {}, None),
    "qwen3_moe": ("qwen3_moe", MOE, None),
    "qwen3_moe in parts": ("qwen3_moe", MOE, sharded),
    "mixtral": ("mixtral", {"num_local_experts": 4}, None),
    "deepseek_v3 with a layer more": ("deepseek_v3", DEEPSEEK, with_next_tokens_head),
    "gemma2": ("gemma2", {}, None),
    "gemma3_text": ("gemma3_text", {"layer_types": ["sliding_attention", "full_attention"]}, None),
    "granite": ("granite", {}, None),
    "cohere": ("cohere", {}, None),
    "phi3": ("phi3", {}, None),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}, None),
    "bloom": ("bloom", {"n_layer": 2, "n_head": 4}, None),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_weights_are_never_refused(tmp_path, kind):
    model_type, settings, change = WHOLE[kind]
    folder = write_checkpoint(tmp_path / "model", model_type, **settings)
    if change is not None:
        change(folder)
    config = ModelConfig(base=str(folder))
    check_stored(config)
    model = load_proven(str(folder), config, {})
    assert all(not parameter.is_meta for parameter in model.parameters())
    for file in folder.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelError, match="missing"):  # the files were looked at
        check_stored(config)


def test_a_decoder_inside_a_model_of_pictures(tmp_path):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    pictures = {"image_size": 32, "patch_size": 16}
    config = Gemma3Config(text_config=SIZES, vision_config=vision | pictures, mm_tokens_per_image=4)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    check_stored(ModelConfig(base=str(tmp_path)))
    without("model.layers.1.")(tmp_path)
    with pytest.raises(ModelError, match=r"language_model\.layers\.1\.input_layernorm"):
        check_stored(ModelConfig(base=str(tmp_path)))


def test_transformers_says_nothing_of_its_own(tmp_path, capfd):
    """Neither of what is checked, nor of what is refused: that is told once, as an error."""
    folder = write_checkpoint(tmp_path / "moe", "qwen3_moe", **MOE)
    capfd.readouterr()
    check_stored(ModelConfig(base=str(folder)))
    renamed("_orig_mod.")(folder)
    with pytest.raises(ModelError):
        check_stored(ModelConfig(base=str(folder)))
    assert capfd.readouterr() == ("", "")


def test_headers_of_a_7b_model_cost_no_load(tmp_path):
    from transformers import AutoConfig

    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    AutoConfig.for_model("llama", **sizes, vocab_size=32000).save_pretrained(tmp_path)
    config = ModelConfig(base=str(tmp_path))
    tensors = {name: tuple(value.shape) for name, value in skeleton_of(str(tmp_path), config).state_dict().items()}
    write_header(tmp_path / "model.safetensors", tensors)
    assert (tmp_path / "model.safetensors").stat().st_size > 13e9
    tracemalloc.start()
    check_stored(config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    tensors.pop("model.layers.31.mlp.up_proj.weight")
    write_header(tmp_path / "model.safetensors", tensors)
    with pytest.raises(
        ModelError,
        match=r"of its 291 parameters 1 is missing and would be random \(model\.layers\.31\.mlp\.up_proj\.weight\)",
    ):
        check_stored(config)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The folder of the hub's client, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    return repository / "snapshots" / ("0" * 40)


def test_a_model_that_the_hubs_client_has_fetched_is_checked(llama, hub_cache):
    config = ModelConfig(base="somebody/tiny")
    assert check_cached(config) is False
    shutil.copytree(llama, hub_cache)
    assert check_cached(config) is True
    without("layers.1.")(hub_cache)
    with pytest.raises(ModelError, match=r"model\.base: somebody/tiny: .*of its 39 parameters 9 are missing"):
        check_cached(config)
    (hub_cache / "model.safetensors").unlink()
    assert check_cached(config) is True  # the rest of it is still to be fetched
