"""C-LoRA's layer against a slow loop over tokens, and as an adapter that peft saves and loads."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from activelora.modeling.clora_layers import CLoraLinear, CLoraPeftConfig, ContextConfig
from activelora.modeling.rows import Rows

IDS = torch.arange(5, 17)[None]


def adapter(**changes):
    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    return CLoraPeftConfig(**{**settings, **changes})


def attach(path, config=None, name="default"):
    """A fresh base model with a C-LoRA adapter whose parameters are all away from zero."""
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(path), config or adapter(), adapter_name=name)
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            parameter.data.normal_(0, 0.3)
    return model.eval()


def base_model(path):
    return AutoModelForCausalLM.from_pretrained(path)


def adapter_tensors(model, name="default"):
    return {key.replace(f".{name}.", "."): v for key, v in model.state_dict().items() if "lora_" in key}


class Given:
    """Noise that was drawn before, an entry a token."""

    def __init__(self, noise_BTRR):
        self.noise_BTRR = noise_BTRR

    def draw(self, z, rows):
        return self.noise_BTRR


def slow_forward(layer, x_BTI, noise_BTRR, identity):
    """C-LoRA's equations, a token and an entry at a time, in float64."""
    a, b = layer.lora_A["default"].weight.double(), layer.lora_B["default"].weight.double()
    e1, e2 = layer.lora_E1["default"], layer.lora_E2["default"]
    w0 = layer.base_layer.weight.double()
    rank = layer.r["default"]
    rows = []
    for batch, x_TI in enumerate(x_BTI.double()):
        for token, x in enumerate(x_TI):
            z = a @ x
            hidden = (e1.weight.double() @ z + e1.bias.double()).clamp(min=0)
            e = e2.weight.double() @ hidden + e2.bias.double()
            matrix = torch.zeros(rank, rank, dtype=torch.float64)
            for i in range(rank):
                for j in range(rank):
                    mean = e[i * rank + j] + (1.0 if identity and i == j else 0.0)
                    std = (1.0 / (1.0 + torch.exp(-e[rank * rank + i * rank + j]))) ** 2
                    draw = 0.0 if noise_BTRR is None else noise_BTRR[batch, token, i, j].double()
                    matrix[i, j] = mean + std * draw
            rows.append(w0 @ x + (6 / rank) * (b @ (matrix @ z)))
    return torch.stack(rows).view(*x_BTI.shape[:2], -1)


@pytest.mark.parametrize("mean", ["net", "identity_plus_net"])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_layer_equals_the_slow_loop_over_tokens(tiny_model_path, mean, noisy):
    model = attach(tiny_model_path, adapter(clora_config=ContextConfig(mean=mean)))
    layer = model.base_model.model.model.layers[1].self_attn.q_proj
    torch.manual_seed(2)
    x, noise = torch.randn(2, 3, 32), torch.randn(2, 3, 4, 4)
    layer.noise = Given(noise) if noisy else None
    expected = slow_forward(layer, x, noise if noisy else None, mean == "identity_plus_net")
    torch.testing.assert_close(layer(x).double(), expected, atol=1e-5, rtol=1e-4)
    assert (layer(x) - layer.base_layer(x)).abs().max() > 1e-2


def test_a_module_has_8896_more_parameters_at_rank_8(tiny_model_path):
    counts = []
    for config in (
        adapter(r=8),
        LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    ):
        model = get_peft_model(base_model(tiny_model_path), config)
        counts.append(sum(p.numel() for p in model.parameters() if p.requires_grad))
    num_modules = 2 * 4
    assert counts[0] - counts[1] == 8896 * num_modules


def test_with_an_identity_mean_it_begins_as_plain_lora(tiny_model_path):
    model = get_peft_model(
        base_model(tiny_model_path), adapter(clora_config=ContextConfig(mean="identity_plus_net"))
    ).eval()
    layer = model.base_model.model.model.layers[0].self_attn.v_proj
    x = torch.randn(2, 5, 32)
    layer.lora_B["default"].weight.data.normal_()
    z = layer.lora_A["default"](x)
    torch.testing.assert_close(layer.posterior(z, "default").mean, torch.eye(4).expand(2, 5, 4, 4), atol=0, rtol=0)
    torch.testing.assert_close(layer(x), layer.base_layer(x) + layer.lora_B["default"](z) * 1.5)


def test_b_starts_at_zero_so_that_the_model_starts_as_the_base_model(tiny_model_path):
    base = base_model(tiny_model_path)
    expected = base(input_ids=IDS).logits
    model = get_peft_model(base, adapter())
    for layer in model.modules():
        if isinstance(layer, CLoraLinear):
            layer.noise = Given(torch.randn(1, IDS.shape[1], 4, 4))
    assert torch.equal(model(input_ids=IDS).logits, expected)


@pytest.mark.parametrize("name", ["default", "other", "lora_E1_again", "weight"])
def test_plain_peft_saves_and_loads_it_bit_for_bit_under_any_name(tiny_model_path, tmp_path, name):
    config = adapter(clora_config=ContextConfig(width=16, mean="identity_plus_net", noise="sequence"))
    model = attach(tiny_model_path, config)
    expected = model(input_ids=IDS).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(base_model(tiny_model_path), tmp_path, adapter_name=name)
    assert torch.equal(loaded(input_ids=IDS).logits, expected)
    before, after = adapter_tensors(model), adapter_tensors(loaded, name)
    assert before.keys() == after.keys()
    assert len(before) == 8 * 6
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert loaded.peft_config[name].clora_config == config.clora_config


def test_an_adapter_made_under_another_name_loads_as_the_default(tiny_model_path, tmp_path):
    model = attach(tiny_model_path, name="mine")
    expected = model(input_ids=IDS).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(base_model(tiny_model_path), tmp_path / "mine")
    assert torch.equal(loaded(input_ids=IDS).logits, expected)


def test_two_adapters_share_a_model(tiny_model_path, tmp_path):
    first = attach(tiny_model_path)
    first.save_pretrained(tmp_path)
    expected = first(input_ids=IDS).logits
    both = attach(tiny_model_path, adapter(r=2), name="second")
    alone = both(input_ids=IDS).logits
    both.load_adapter(tmp_path, "first")
    both.set_adapter("first")
    assert torch.equal(both(input_ids=IDS).logits, expected)
    both.set_adapter("second")
    both.delete_adapter("first")
    assert torch.equal(both(input_ids=IDS).logits, alone)
    assert not any("first" in key for key in both.state_dict())


FRESH = """
import sys, torch
{imports}
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2])
expected = torch.tensor([float.fromhex(x) for x in sys.argv[3].split()])
print(torch.equal(model(input_ids=torch.arange(5, 17)[None]).logits[0, -1, :8], expected))
"""


def in_a_fresh_process(model_path, folder, expected, imports):
    numbers = " ".join(float(x).hex() for x in expected)
    command = [sys.executable, "-c", FRESH.format(imports=imports), model_path, folder, numbers]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)


def test_a_fresh_process_loads_it_after_one_import_and_refuses_without(tiny_model_path, tmp_path):
    model = attach(tiny_model_path)
    expected = model(input_ids=IDS).logits[0, -1, :8].tolist()
    model.save_pretrained(tmp_path)
    done = in_a_fresh_process(tiny_model_path, tmp_path, expected, "import activelora.modeling.clora_layers")
    assert done.stdout.strip() == "True", done.stderr
    refused = in_a_fresh_process(tiny_model_path, tmp_path, expected, "")
    assert refused.returncode != 0
    assert "KeyError: 'CLORA'" in refused.stderr


def test_as_plain_lora_the_context_network_would_be_lost_hence_its_own_type(tiny_model_path, tmp_path):
    model = attach(tiny_model_path)
    model.save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    saved = json.loads(file.read_text())
    assert saved["peft_type"] == "CLORA"
    file.write_text(json.dumps({**saved, "peft_type": "LORA"}))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        lost = PeftModel.from_pretrained(base_model(tiny_model_path), tmp_path)
    assert seen
    assert not any("lora_E" in key for key in lost.state_dict())


def test_an_adapted_output_head_does_not_save_the_base_s(tiny_model_path, tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        model = attach(tiny_model_path, adapter(target_modules=["q_proj", "lm_head"]))
        expected = model(input_ids=IDS).logits
        model.save_pretrained(tmp_path, save_embedding_layers=False)
        assert not [key for key in load_file(tmp_path / "adapter_model.safetensors") if "base_layer" in key]
        loaded = PeftModel.from_pretrained(base_model(tiny_model_path), tmp_path)
    assert torch.equal(loaded(input_ids=IDS).logits, expected)
    assert any("lm_head.lora_E2" in key for key in load_file(tmp_path / "adapter_model.safetensors"))


def test_it_cannot_be_merged_and_is_gone_after_unloading(tiny_model_path):
    model = attach(tiny_model_path)
    expected = base_model(tiny_model_path)(input_ids=IDS).logits
    with pytest.raises(RuntimeError, match="no weight matrix to merge"):
        model.merge_and_unload()
    with model.disable_adapter():
        assert torch.equal(model(input_ids=IDS).logits, expected)
    assert torch.equal(model.unload()(input_ids=IDS).logits, expected)


@pytest.mark.parametrize("wrong", [{"mean": "zero"}, {"noise": "item"}, {"width": 0}])
def test_a_wrong_context_is_refused(wrong):
    with pytest.raises(ValueError, match="mean is one of"):
        ContextConfig(**wrong)


def test_rows_reach_the_head_that_asks_for_them(tiny_model_path):
    from activelora.modeling.rows import project

    rows = Rows(torch.tensor([0, 0, 1]), torch.tensor([4, 5, 2]))
    plain = torch.nn.Linear(32, 7)
    hidden = torch.randn(3, 32)
    assert torch.equal(project(plain, hidden, rows), plain(hidden))
    model = attach(tiny_model_path)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    project(layer, hidden, rows)
    assert layer.rows is rows
