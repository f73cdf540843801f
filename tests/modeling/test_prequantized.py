"""Checkpoints whose weights are quantised already."""

from __future__ import annotations

import pytest
import torch

from activelora.config import AdapterConfig, CampaignConfig, ModelConfig
from activelora.errors import ModelError
from activelora.modeling import lora, prequantized
from activelora.modeling.base import check_here, check_stored, load_base, load_skeleton, load_to_shard
from activelora.modeling.headers import read_headers
from activelora.modeling.proof import load_proven
from activelora.modeling.sampling import MergedSamples, UnmergedSamples, weight_sampler
from tests.modeling.checkpoints import change_config, change_weights, write_checkpoint

BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
NOT_SUPPORTED = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 32},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}},
    "hqq": {"quant_method": "hqq"},
    "nobodys": {"quant_method": "nobodys"},
    "bitsandbytes": {"quant_method": "bitsandbytes"},
    "an unnamed method": {"bits": 4},
}


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "model", "llama")


@pytest.mark.parametrize("method", NOT_SUPPORTED)
def test_a_method_that_does_not_run_is_named(folder, method):
    change_config(folder, quantization_config=NOT_SUPPORTED[method])
    for load in (load_skeleton, check_stored, load_base):
        with pytest.raises(ModelError, match=rf"quantised by {method}, .*not supported.*model\.quantization"):
            load(ModelConfig(base=str(folder)))


def test_a_configuration_that_says_nothing_of_it_is_fine(folder):
    change_config(folder, quantization_config=None)
    check_stored(ModelConfig(base=str(folder)))


def packed(weights):
    """Weights under the names and shapes of bitsandbytes' four bits; their values do not matter here."""
    for name in [name for name in weights if "_proj" in name]:
        size = weights[name].numel()
        weights[name] = torch.zeros(size // 2, 1, dtype=torch.uint8)
        weights[f"{name}.absmax"] = torch.zeros(size // 64, dtype=torch.uint8)
        weights[f"{name}.nested_absmax"] = torch.zeros(1)
        weights[f"{name}.nested_quant_map"] = torch.zeros(256)
        weights[f"{name}.quant_map"] = torch.zeros(16)
        weights[f"{name}.quant_state.bitsandbytes__nf4"] = torch.zeros(80, dtype=torch.uint8)
    return weights


def test_four_bits_of_a_checkpoint_are_checked_by_name(folder):
    own = sum(value.numel() for value in load_skeleton(ModelConfig(base=str(folder))).state_dict().values())
    change_weights(folder, packed)
    change_config(folder, quantization_config=BNB)
    config = ModelConfig(base=str(folder))
    check_stored(config)
    assert prequantized.num_values(read_headers(folder)) == own
    change_weights(folder, lambda weights: {n: w for n, w in weights.items() if "layers.1.mlp.up_proj" not in n})
    with pytest.raises(ModelError, match=r"1 is missing .*\(model\.layers\.1\.mlp\.up_proj\.weight\)"):
        check_stored(config)


def test_eight_bits_of_a_checkpoint_are_checked_by_name(folder):
    def in_bytes(weights):
        for name in [name for name in weights if "_proj" in name]:
            weights[f"{name.removesuffix('weight')}SCB"] = torch.zeros(len(weights[name]))
            weights[f"{name.removesuffix('weight')}weight_format"] = torch.zeros((), dtype=torch.uint8)
            weights[name] = weights[name].to(torch.int8)
        return weights

    own = sum(value.numel() for value in load_skeleton(ModelConfig(base=str(folder))).state_dict().values())
    change_weights(folder, in_bytes)
    change_config(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    check_stored(ModelConfig(base=str(folder)))
    assert prequantized.num_values(read_headers(folder)) == own


def test_a_checkpoint_in_four_bits_needs_what_four_bits_need(folder):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    change_weights(folder, packed)
    change_config(folder, quantization_config=BNB)
    for load in (check_here, load_base):
        with pytest.raises(ModelError, match=r"\(in 4bit\): needs an NVIDIA GPU.*not quantised"):
            load(ModelConfig(base=str(folder)))
    with pytest.raises(ModelError, match=r"`fsdp` cannot split a checkpoint in 4bit"):
        load_to_shard(ModelConfig(base=str(folder)))
    with pytest.raises(ModelError, match=r"model\.quantization: 8bit: .*already \(4bit\)\. Set it to 4bit or none"):
        check_stored(ModelConfig(base=str(folder), quantization="8bit"))
    check_stored(ModelConfig(base=str(folder), quantization="4bit"))


FOUR_BIT_FLOATS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


def in_mxfp4(weights):
    """Return experts in blocks of 32 values and a power of two each, and the same as plain numbers."""
    generator, plain, stored = torch.Generator().manual_seed(0), dict(weights), dict(weights)
    for name in [name for name in weights if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inner, outer = weights[name].shape
        shape = (experts, outer, inner // 32)
        blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8, generator=generator)
        scales = torch.randint(120, 130, shape, dtype=torch.uint8, generator=generator)
        values = FOUR_BIT_FLOATS[torch.stack([blocks & 15, blocks >> 4], dim=-1).long()].flatten(-2)
        plain[name] = (values * 2.0 ** (scales.float() - 127)[..., None]).flatten(-2).transpose(1, 2)
        del stored[name]
        stored |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
    return stored, plain


def in_fp8(weights):
    """Return layers in eight bits with a scale for each block of 128 × 128, and the same as plain numbers."""
    plain, stored = dict(weights), dict(weights)
    for number, name in enumerate(name for name in weights if "_proj.weight" in name):
        scale = torch.tensor([[0.5 + number / 8]])
        stored[name] = (weights[name] * 64).to(torch.float8_e4m3fn)
        stored[f"{name}_scale_inv"] = scale
        plain[name] = stored[name].float() * scale
    return stored, plain


OSS = {"num_local_experts": 4, "num_experts_per_tok": 2, "layer_types": ["sliding_attention", "full_attention"]}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "fmt": "e4m3"}
MXFP4 = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
READ_PLAIN = {
    "mxfp4": ("gpt_oss", OSS | {"intermediate_size": 32}, in_mxfp4, MXFP4),
    "fp8": ("qwen3", {}, in_fp8, FP8),
    "fp8 of experts": ("qwen3_moe", MOE, in_fp8, FP8),
}


@pytest.mark.parametrize("kind", READ_PLAIN)
def test_weights_that_can_be_read_as_plain_numbers_are_the_same_model(tmp_path, kind, tiny_model_path):
    model_type, settings, quantise, declared = READ_PLAIN[kind]
    quantised, plain = tmp_path / "quantised", tmp_path / "plain"
    for number, folder in enumerate((quantised, plain)):
        write_checkpoint(folder, model_type, **settings | {"vocab_size": 448})
        change_weights(folder, lambda weights, number=number: quantise(weights)[number])
        for file in tiny_model_path.glob("tokenizer*"):
            (folder / file.name).write_bytes(file.read_bytes())
    change_config(quantised, quantization_config=declared)
    check_stored(ModelConfig(base=str(quantised)))
    found = load_base(ModelConfig(base=str(quantised))).model
    expected = load_base(ModelConfig(base=str(plain))).model
    assert not prequantized.is_quantized(found)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=1e-6, atol=1e-6)
    with pytest.raises(ModelError, match=r"model\.quantization: 4bit: .*quantised already .*Set it to none"):
        check_stored(ModelConfig(base=str(quantised), quantization="4bit"))


def without_scales(weights):
    return {name: value for name, value in in_fp8(weights)[0].items() if not name.endswith("_scale_inv")}


def without_a_scale(weights):
    return {n: v for n, v in in_fp8(weights)[0].items() if n != "model.layers.1.mlp.up_proj.weight_scale_inv"}


def with_other_names(weights):
    return {name.replace("_scale_inv", "_scale"): value for name, value in in_fp8(weights)[0].items()}


def with_scales_of(*shape):
    def change(weights):
        return {n: torch.ones(shape) if n.endswith("_scale_inv") else v for n, v in in_fp8(weights)[0].items()}

    return change


def in_dtype(dtype):
    return lambda weights: {name: value.to(dtype) if "_proj" in name else value for name, value in weights.items()}


EIGHT_BITS = {"quant_method": "bitsandbytes", "load_in_8bit": True}
MEANINGLESS = {
    "no scale": (without_scales, FP8, r"14 parameters are stored as F8_E4M3 \(.* and 11 more\), without scales"),
    "a scale lost": (without_a_scale, FP8, r"1 parameter is .* \(model\.layers\.1\.mlp\.up_proj\.weight\), without"),
    "scales of another name": (with_other_names, FP8, r"no place in it .*other names than `fp8` in config"),
    "more blocks than rows": (with_scales_of(3, 5), FP8, r"have another shape than its blocks: of \[3, 5\] for \["),
    "smaller blocks": (with_scales_of(2, 1), FP8, r"another shape than its blocks: of \[2, 1\] .* \[128, 128\]"),
    "scales in a list": (with_scales_of(32), FP8 | {"weight_block_size": None}, r"another shape than its blocks"),
    "floats, nothing said": (in_dtype(torch.float8_e4m3fn), None, r"14 .* as F8_E4M3 .*no quantization_config"),
    "numbers, nothing said": (in_dtype(torch.int8), None, r"14 parameters are .* as I8 \(.*no quantization_config"),
    "wide numbers": (in_dtype(torch.int32), None, r"14 parameters are stored as I32"),
    "numbers, by bitsandbytes": (in_dtype(torch.int8), EIGHT_BITS, r"as I8 .*without scales"),
}


@pytest.mark.parametrize("kind", MEANINGLESS)
def test_numbers_that_mean_nothing_without_scales_are_refused(folder, kind):
    change, declared, said = MEANINGLESS[kind]
    change_weights(folder, change)
    change_config(folder, quantization_config=declared)
    config = ModelConfig(base=str(folder))
    with pytest.raises(ModelError, match=said) as by_headers:
        check_stored(config)
    if declared is None:  # as of a hub id, whose files are not there before they are loaded
        with pytest.raises(ModelError) as by_loading:
            load_proven(str(folder), config, {})
        assert str(by_loading.value) == str(by_headers.value)


def test_scales_of_whole_matrices_and_of_rows_are_fine(folder):
    change_weights(folder, with_scales_of())
    for blocks in ([128, 128], None):
        change_config(folder, quantization_config=FP8 | {"weight_block_size": blocks})
        check_stored(ModelConfig(base=str(folder)))
    change_weights(folder, lambda weights: {n: (v.float() if "_proj" in n else v) for n, v in weights.items()})

    def by_rows(weights):
        stored = in_fp8({n: v for n, v in weights.items() if not n.endswith("_scale_inv")})[0]
        scales = {n: torch.ones(len(stored[n.removesuffix("_scale_inv")]), 1) for n in stored if n.endswith("_inv")}
        return stored | scales

    change_weights(folder, by_rows)
    check_stored(ModelConfig(base=str(folder)))


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
def test_an_empty_description_is_refused_by_check_and_run_alike(folder, key):
    change_config(folder, **{key: {}})
    for load in (load_skeleton, check_stored, load_base):
        with pytest.raises(ModelError, match="quantised by an unnamed method"):
            load(ModelConfig(base=str(folder)))


def test_samples_are_merged_as_the_loaded_layers_are(base, tiny_model_path):
    """Not as the settings say: a checkpoint may have quantised them."""
    task = {"prompt": "{text} is", "labels": ["fire", "water"]}
    data, model = {"pool": {"path": "pool.jsonl"}}, {"base": str(tiny_model_path)}
    config = CampaignConfig(name="tiny", task=task, data=data, model=model)
    adapted = lora.attach(base, AdapterConfig(rank=2), seed=0)
    with lora.attached(adapted):
        assert isinstance(weight_sampler(adapted, config, 0), MergedSamples)
        layer = next(iter(lora.lora_layers(adapted).values())).get_base_layer()
        kept = layer.weight
        layer.weight = torch.nn.Parameter(torch.zeros(2, 1, dtype=torch.uint8), requires_grad=False)
        assert isinstance(weight_sampler(adapted, config, 0), UnmergedSamples)
        layer.weight = kept
