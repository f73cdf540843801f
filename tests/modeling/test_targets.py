"""Where adapters sit: on linear layers of the text decoder, in any family, and nowhere else."""

import re

import numpy as np
import pytest
import torch

from activelora.config import AdapterConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.clora import clora_layers
from activelora.modeling.clora_layers import CLoraPeftConfig
from activelora.modeling.encoding import Encoder
from activelora.modeling.lora import check_adapter
from activelora.modeling.sampling import MergedSamples, UnmergedSamples, weight_sampler
from activelora.modeling.targets import find_targets
from tests.modeling.matrix import FAMILIES, LAYERS, tiny
from tests.modeling.matrix_runs import CAMPAIGN, TASKS, base_of, engine_s

ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
BY_NAME = {family.name: family for family in FAMILIES}


def paths(name, first=0, **settings):
    return find_targets(tiny(BY_NAME[name]), AdapterConfig(**settings), first).paths


def last_names(found):
    return {path.rpartition(".")[2] for path in found}


@pytest.mark.parametrize("settings", [{}, {"targets": ("q_proj", "v_proj")}, {"last_layers": 1}])
@pytest.mark.parametrize("name", ["gemma3", "gemma4"])
def test_a_vision_tower_is_never_touched(name, settings):
    model = tiny(BY_NAME[name])
    tower = [name for name, module in model.named_modules() if "vision" in name and ".q_proj" in name]
    assert tower, "the tower has layers of the same name"
    first = lora.first_adapted_layer(model, AdapterConfig(**settings))
    found = find_targets(model, AdapterConfig(**settings), first)
    assert found.paths
    assert all(path.startswith("model.language_model.layers.") for path in found.paths)
    assert not set(found.names) & {"q_proj", "v_proj"}, "short names would say more than is meant"


def test_short_names_are_written_where_they_say_the_same():
    found = find_targets(tiny(BY_NAME["llama"]), AdapterConfig(last_layers=2), 2)
    assert found.names == ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert len(found.paths) == 14


@pytest.mark.parametrize(
    ("name", "adapted", "words"),
    [
        ("mixtral", ATTENTION, "routers (gate)"),
        ("phimoe", ATTENTION, "routers (router)"),
        ("jetmoe", {"kv_proj"}, "routers (layer)"),
        ("gpt_oss", ATTENTION, "fused experts (down_proj, gate_up_proj)"),
        ("deepseek_v3", {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"}, "named as the experts"),
        ("dots1", ATTENTION, "named as the experts"),
        (
            "qwen2_moe",
            {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
            "shared_expert_gate",
        ),
        ("mamba", {"in_proj"}, "reads past any adapter (dt_proj, out_proj, x_proj)"),
    ],
)
def test_what_stays_without_an_adapter_is_said(name, adapted, words):
    with torch.device("meta"):
        model = tiny(BY_NAME[name])
    assert last_names(find_targets(model, AdapterConfig(), 0).paths) == adapted
    assert words in "; ".join(check_adapter(model, AdapterConfig()))
    assert check_adapter(model, AdapterConfig(targets=tuple(sorted(adapted)))) == ()


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("deepseek_v3", "gate_proj", r"gate_proj can carry no adapter here: .*as the experts.*These can: .*q_a_proj"),
        ("mamba", "out_proj", r"out_proj can carry no adapter here: .*kernel.*These can: in_proj"),
        ("phimoe", "router", r"router can carry no adapter here: it names routers"),
        ("mixtral", "w1", r"no linear layer named w1.*q_proj"),
        ("gpt2", "q_proj", r"no linear layer named q_proj.*c_attn"),
    ],
)
def test_a_target_that_cannot_be_adapted_is_refused_in_words(name, target, words):
    with pytest.raises(ModelError, match=words) as caught:
        check_adapter(tiny(BY_NAME[name]), AdapterConfig(targets=(target,)))
    assert "adapter.targets" in str(caught.value)


def test_layers_that_share_their_weights_are_adapted_each_and_never_merged(tiny_tokenizer):
    """Zamba2's attention blocks are of one weight: merging one layer's adapter would change the other layer."""
    family = BY_NAME["zamba2"]
    base = base_of(family, tiny_tokenizer, tiny(family))
    with lora.attached(lora.attach(base, AdapterConfig(rank=4, last_layers=1), seed=3)) as adapted:
        assert any("shared_transformer" in name for name in lora.lora_layers(adapted))
        assert isinstance(weight_sampler(adapted, CAMPAIGN, seed=1), UnmergedSamples)


def test_layers_without_the_named_part_are_refused_in_words():
    model = tiny(BY_NAME["qwen3_next"])
    with pytest.raises(ModelError, match=r"none of the last 1 layers .* is named in_proj_qkvz"):
        check_adapter(model, AdapterConfig(targets=("in_proj_qkvz",), last_layers=1))


@pytest.fixture
def gpt2(tiny_tokenizer):
    family = BY_NAME["gpt2"]
    return base_of(family, tiny_tokenizer, tiny(family))


def test_weights_stored_as_inputs_by_outputs_take_samples(gpt2, tiny_tokenizer):
    before = {name: value.clone() for name, value in gpt2.model.state_dict().items()}
    encoder = Encoder(tiny_tokenizer, TASKS[0])
    with lora.attached(lora.attach(gpt2, AdapterConfig(rank=4, dropout=0.3), seed=3)) as adapted:
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(5))
        adapted.eval()
        for sample in (None, 0, 1):
            merged, masked = (
                engine_s(gpt2, encoder, 0, kind(adapted, 0.3, seed=9), sample)
                for kind in (MergedSamples, UnmergedSamples)
            )
            np.testing.assert_allclose(merged, masked, atol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in gpt2.model.state_dict().items())


def test_contextual_adapters_sit_on_such_weights_too(gpt2):
    with lora.attached(lora.attach(gpt2, AdapterConfig(rank=4), 3, CLoraPeftConfig)) as adapted:
        names = list(clora_layers(adapted))
        assert len(names) == 4 * LAYERS
        assert all(re.search(r"\.h\.\d\.(attn|mlp)\.c_", name) for name in names)
        adapted(torch.arange(5, 9)[None])
