"""Several processes that train one adapter do what one process does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from activelora.config import AdapterConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.parallel import ALONE, Team
from activelora.modeling.shared_dropout import SharedDropout
from tests.modeling import parallel_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def examples(encoder, items):
    labels = [2, 1, 3, 0, 2, 1, 3, 0]
    return [example(one, label) for one, label in zip(encoder.encode(items), labels, strict=True)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 5, 7, 8])
def test_the_parts_are_the_whole(size, count):
    indices = [10 + place for place in range(count)]
    lengths = list(range(100))
    parts = [Team(rank, size).part(indices, lengths) for rank in range(size)]
    counted = [part for part in parts if part.weight > 0]
    assert [index for part in counted for index in part.indices] == indices
    assert sum(part.weight for part in parts) == pytest.approx(1.0)
    assert all(part.weight == pytest.approx(len(part.indices) / count) for part in counted)
    assert all(indices[part.first] == part.indices[0] for part in parts)
    assert {(part.num_rows, part.num_tokens) for part in parts} == {(count, max(indices))}
    assert all(len(part.indices) == 1 for part in parts if part.weight == 0)
    sizes = [len(part.indices) for part in counted]
    assert max(sizes) - min(sizes) <= 1


def test_one_process_is_a_team_of_one():
    assert ALONE.leads
    assert not Team(0, 1, "fsdp").shards
    assert ALONE.agree("mine") == "mine"
    assert ALONE.total(torch.tensor(1.5)) == 1.5
    module = torch.nn.Linear(1, 1)
    assert ALONE.wrap(module, [], None) is module


@pytest.mark.parametrize("last_layers", [None, 2])
@pytest.mark.parametrize("size", [2, 3])
def test_gradients_of_the_parts_add_up_to_those_of_the_batch_dropout_included(base, examples, size, last_layers):
    """The processes one after another, in this one: what each adds is summed, as all-reduce does."""
    adapted = lora.attach(base, AdapterConfig(rank=4, dropout=0.4, last_layers=last_layers), seed=3)
    batch, lengths = [3, 5, 0, 2, 7], [len(one.ids) for one in examples]
    assert len({lengths[index] for index in batch}) > 2  # padding differs between the parts
    with lora.attached(adapted):
        torch.manual_seed(5)
        for parameter in lora.b_parameters(adapted):
            parameter.data.normal_(0, 0.1)
        parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
        loss = AnswerLoss(base, 2 if last_layers else 0, examples)
        for layer in lora.lora_layers(adapted).values():
            layer.lora_dropout.train()
        torch.manual_seed(11)
        whole = loss(batch)
        expected = torch.autograd.grad(whole, parameters)
        found, total, shared = [torch.zeros_like(one) for one in expected], 0.0, SharedDropout()
        with shared.installed(adapted):
            for rank in range(size):
                torch.manual_seed(11)
                shared.part = part = Team(rank, size).part(batch, lengths)
                value = loss(part.indices) * part.weight
                total += value.item()
                for one, gradient in zip(found, torch.autograd.grad(value, parameters), strict=True):
                    one.add_(gradient)
        assert all(type(one.lora_dropout["default"]) is torch.nn.Dropout for one in lora.lora_layers(adapted).values())
        torch.manual_seed(12)
        assert loss(batch).item() != pytest.approx(whole.item(), abs=1e-3)  # dropout matters
        adapted.eval()
    assert total == pytest.approx(whole.item(), abs=1e-5)
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)


TRAINING = {
    "min_steps": 0,
    "warmup_fraction": 0.0,
    "epochs": 3,
    "batch_size": 5,
    "learning_rate": 5e-3,
    "gradient_accumulation": 2,
}
DECOUPLED, L2 = {"form": "decoupled", "strength": 10.0}, {"form": "l2", "strength": 0.1}
VARIANTS = {
    "all": {"adapter": {"dropout": 0.3}, "constraint": L2, "training": TRAINING},
    "top": {
        "adapter": {"dropout": 0.3, "last_layers": 2},
        "constraint": DECOUPLED,
        "training": {**TRAINING, "gradient_checkpointing": True},
    },
}


def losses_of(folder, steps_before=None):
    found = json.loads((folder / "losses.json").read_text())
    assert steps_before is None or found["steps_before"] == steps_before
    return found["losses"]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path, tiny_model_path):
    """DDP and FSDP, in one start of torchrun: with dropout, uneven parts, a last batch that wraps, and constraints."""
    generator = np.random.default_rng(0)
    examples = [
        (generator.integers(1, 250, generator.integers(3, 20)).tolist(), [int(generator.integers(1, 250))])
        for _ in range(11)
    ]
    runs = [
        {"name": f"{mode}-{name}", "mode": mode, "examples": examples, **variant}
        for name, variant in VARIANTS.items()
        for mode in ("ddp", "fsdp")
    ]
    stopped = {**runs[1], "name": "fsdp-stopped", "stops_at": [2, 4]}
    stopped["training"] = {**stopped["training"], "checkpoint_every_steps": 2}
    runs.append(stopped)
    (tmp_path / "runs.json").write_text(json.dumps({"model": str(tiny_model_path), "runs": runs}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.modeling.parallel_runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [one.name for one in tmp_path.glob("fetched-2-by-*")] == ["fetched-2-by-0"]
    parallel_runs.main(tmp_path)
    ids = torch.tensor([list(range(5, 12))])
    for run in runs:
        (alone,) = tmp_path.glob(f"{run['name']}-1-*")
        first, second = sorted(tmp_path.glob(f"{run['name']}-2-*"))
        expected, *found = (losses_of(one) for one in (alone, first, second))
        assert len(expected) == 7
        assert expected[-1] < expected[0]
        assert found[0] == found[1]
        np.testing.assert_allclose(found[0], expected, atol=1e-4)
        weights = [load_file(one / "adapter_model.safetensors") for one in (alone, first, second)]
        for name, tensor in weights[0].items():
            assert torch.equal(weights[1][name], weights[2][name])
            torch.testing.assert_close(weights[1][name], tensor, atol=1e-4, rtol=1e-3)
        logits = []
        for one in (alone, first):
            model = AutoModelForCausalLM.from_pretrained(tiny_model_path)
            fresh = model(input_ids=ids).logits
            logits.append(PeftModel.from_pretrained(model, one)(input_ids=ids).logits)
            assert not torch.allclose(logits[-1], fresh, atol=1e-2)
        torch.testing.assert_close(*logits, atol=1e-3, rtol=1e-3)
    assert losses_of(tmp_path / "fsdp-stopped-2-0", steps_before=4) == losses_of(tmp_path / "fsdp-all-2-0")
