"""`check`, `run` and `model push` on models whose weights are not as they should be."""

from __future__ import annotations

import resource
import shutil
import time

import pytest
import torch
import yaml

from pipelines.cli.main import main
from tests.modeling.checkpoints import change_config, change_weights, write_header
from tests.modeling.test_prequantized import BNB, packed
from tests.pipelines.tiny import tiny_config

FOUR_BIT_RULES = {
    "resources": {"train": {"parallel": "fsdp", "num_processes": 2}},
    "acquisition": {
        "strategy": "expected_gradient_length",
        "expected_gradient_length": {"gradient": "adapter"},
        "batch_size": 4,
    },
}


@pytest.fixture
def model(tiny_model_path, tmp_path):
    """A copy of the tiny model that may be spoiled."""
    return shutil.copytree(tiny_model_path, tmp_path / "model")


@pytest.fixture
def complaint(model, tmp_path, monkeypatch, capfd):
    """Return what a command says on a campaign with the model."""
    monkeypatch.chdir(tmp_path)

    def complain(command, code=1, **sections):
        config = tiny_config(tmp_path, model, **sections)
        document = config.model_dump(mode="json", exclude_unset=True)
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document | {"data": document["data"] | {"folder": "."}}))
        assert main([command, "tiny.yaml"]) == code
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert "LOAD REPORT" not in err
        return out if code == 0 else err

    return complain


@pytest.mark.parametrize("command", ["check", "run"])
def test_weights_of_a_compiled_model_are_refused_before_anything_is_written(model, complaint, tmp_path, command):
    change_weights(model, lambda weights: {f"_orig_mod.{name}": value for name, value in weights.items()})
    said = complaint(command)
    assert "are missing and would be random (" in said
    assert "`_orig_mod.` is of a model compiled by torch.compile" in said
    assert {path.name for path in tmp_path.iterdir()} == {"model", "pool.jsonl", "tiny.yaml"}


def test_a_quantised_checkpoint_is_refused_with_its_method(model, complaint):
    change_config(model, quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 32})
    assert "its weights are quantised by gptq, which is not supported" in complaint("check")


def test_four_bits_of_a_checkpoint_meet_the_rules_of_four_bits(model, complaint):
    change_weights(model, packed)
    change_config(model, quantization_config=BNB)
    out = complaint("check", code=0)
    assert "quantised in the checkpoint (bitsandbytes), in 4bit" in out
    said = complaint("check", **FOUR_BIT_RULES)
    assert "resources.train.parallel`: `fsdp` cannot split a base model in 4bit" in said
    assert "gradients of single items cannot be computed through a base model in 4bit" in said


def test_weights_that_are_not_the_models_own_are_not_published(model, tmp_path, capfd):
    change_config(model, num_hidden_layers=6)
    assert main(["model", "push", str(model), str(tmp_path / "place")]) == 1
    assert "the weights hold 4 layers" in capfd.readouterr().err
    assert not (tmp_path / "place").exists()


def test_checking_a_7b_model_loads_nothing(model, complaint):
    from activelora.config import ModelConfig
    from activelora.modeling.skeletons import skeleton_of

    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    change_config(model, **sizes, num_key_value_heads=32, head_dim=128, vocab_size=32000)
    own = skeleton_of(str(model), ModelConfig(base=str(model))).state_dict()
    write_header(model / "model.safetensors", {name: tuple(value.shape) for name, value in own.items()})
    assert (model / "model.safetensors").stat().st_size > 12e9
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert "6.7 billion parameters" in complaint("check", code=0)
    seconds = time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"check of a 7B header: {seconds:.1f} s of CPU, {grown / 1024:.0f} MiB more")
    assert grown < 200 * 1024
    assert seconds < 10


@pytest.mark.parametrize("quantised", ["in the checkpoint", "when it is loaded"])
def test_check_warns_of_what_this_machine_lacks(model, complaint, tmp_path, capfd, quantised):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    sections = {}
    if quantised == "in the checkpoint":
        change_weights(model, packed)
        change_config(model, quantization_config=BNB)
    else:
        sections = {"model": {"base": str(model), "quantization": "4bit"}}
    complaint("check", code=0, **sections)
    assert main(["check", "tiny.yaml"]) == 0
    said = capfd.readouterr().err
    assert "the campaign cannot run on this machine: model." in said
    assert "needs an NVIDIA GPU, and this machine has none" in said
    assert "needs an NVIDIA GPU, and this machine has none" in complaint("run", **sections)
