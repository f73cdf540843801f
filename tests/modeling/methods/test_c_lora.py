"""C-LoRA in training: what is trained by what, resuming, the preset, and what is refused."""

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from activelora.config import AdapterConfig, CampaignConfig, CLoraConfig, TrainingConfig
from activelora.errors import ModelError, ProblemsError
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.clora import clora_layers
from activelora.modeling.lora import check_adapter
from activelora.modeling.methods.c_lora import CLora, CLoraTrainee
from activelora.modeling.methods.registry import METHODS
from activelora.modeling.posterior import Setting
from activelora.modeling.training import Trainer
from activelora.rules.file import checked_config
from activelora.scoring.engine import Engine

LABELS = [2, 1, 3, 0, 2, 1, 3, 0]


def adapter(**changes):
    settings = {"method": "c_lora", "rank": 3, "dropout": 0.0, "targets": ("q_proj", "v_proj"), **changes}
    return {**settings, "c_lora": {"width": 8, "learning_rate": 0.05, **settings.get("c_lora", {})}}


def campaign(tiny_model_path, adapter, **training):
    config = CampaignConfig(
        name="test",
        task={"prompt": "Question: {text}\nAnswer type:", "labels": ["a", "b", "c", "d"], "chat_template": "never"},
        data={"pool": {"path": "pool.jsonl"}},
        model={"base": str(tiny_model_path)},
        adapter=adapter,
        training={"epochs": 4, "batch_size": 4, "learning_rate": 5e-3, **training},
    )
    return checked_config(config.model_dump(mode="json"), where="test")


@dataclass
class Job:
    """A training run in memory; stops and goes on at a checkpoint if asked to."""

    base: object
    config: CampaignConfig
    items: list
    folder: Path
    previous: Path | None = None
    stop_after: int | None = None
    saved: dict | None = None
    labels = LABELS

    def seed(self, name, *parts):
        return 7 if name == "adapter" else 8

    def train(self, trainee, seed, name=""):
        examples = [example(item, label) for item, label in zip(self.items, self.labels, strict=True)]
        trainer = Trainer(self.base, trainee, examples, self.config.training, seed)
        self.trainer = trainer
        if self.saved:
            for parameter, value in zip(trainer.parameters, self.saved["parameters"], strict=True):
                parameter.data.copy_(value)
            for optimizer, state in zip(trainer.optimizers, self.saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            trainer.progress = self.saved["progress"]
        return trainer.run(self.checkpoint)

    def checkpoint(self):
        if self.trainer.progress.step == self.stop_after:
            self.saved = {
                "parameters": [p.data.clone() for p in self.trainer.parameters],
                "optimizers": [copy.deepcopy(one.state_dict()) for one in self.trainer.optimizers],
                "progress": copy.deepcopy(self.trainer.progress),
            }
            raise KeyboardInterrupt


@pytest.fixture
def fit(base, tiny_model_path, encoder, items, tmp_path):
    """Return a function that fits and returns the fit and what was saved."""

    def fit(name="adapter", settings=None, previous=None, stop_after=None, saved=None, **training):
        config = campaign(tiny_model_path, settings or adapter(), **training)
        (tmp_path / name).mkdir()
        job = Job(base, config, encoder.encode(items), tmp_path / name, previous, stop_after, saved)
        try:
            return CLora.fit(job), load_file(tmp_path / name / "adapter_model.safetensors")
        except KeyboardInterrupt:
            return job.saved

    return fit


@pytest.mark.parametrize(
    "settings",
    [
        adapter(),
        adapter(c_lora={"mean": "identity_plus_net", "noise": "sequence"}),
        adapter(targets=("q_proj", "lm_head"), c_lora={"noise": "sequence"}),
        adapter(last_layers=2, dropout=0.1, targets="all-linear"),
    ],
    ids=["published", "identity-sequence", "head", "last-layers"],
)
def test_training_learns_its_labels_and_changes_every_part(fit, base, settings):
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    found, tensors = fit(settings=settings, epochs=25, learning_rate=1e-2)
    assert found.losses[0] > 3.0
    assert np.mean(found.losses[-4:]) < 0.5 * found.losses[0]
    assert found.metrics["kl_nats"] > 0
    kinds = {kind: [t for name, t in tensors.items() if kind in name] for kind in ("_A.", "_B.", "_E1.", "_E2.")}
    assert all(len(found) > 0 for found in kinds.values())
    assert all(tensor.abs().max() > 0 for tensor in kinds["_B."])
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_fits_the_same_bytes(fit, tmp_path):
    fit("first")
    fit("second")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize("noise", ["token", "sequence"])
def test_a_stopped_run_goes_on_bit_for_bit(fit, noise):
    settings = adapter(targets=("q_proj", "lm_head"), c_lora={"noise": noise})
    training = {"checkpoint_every_steps": 2, "gradient_accumulation": 2}
    whole, tensors = fit("whole", settings, **training)
    saved = fit("stopped", settings, stop_after=4, **training)
    assert saved["progress"].step == 4
    resumed, resumed_tensors = fit("resumed", settings, saved=saved, **training)
    assert resumed.losses == whole.losses
    assert resumed.metrics == whole.metrics
    assert all(torch.equal(tensors[name], resumed_tensors[name]) for name in tensors)


def test_gradient_checkpointing_takes_the_same_steps(fit):
    plain, tensors = fit("plain")
    kept, other = fit("checkpointed", gradient_checkpointing=True)
    assert kept.losses == pytest.approx(plain.losses, rel=1e-3)
    for name in tensors:
        torch.testing.assert_close(other[name], tensors[name], atol=1e-4, rtol=1e-2)


def test_a_heavy_kl_pulls_the_posterior_to_the_prior(fit):
    light, _ = fit("light", adapter(c_lora={"kl_weight": 0.0}), epochs=10)
    heavy, _ = fit("heavy", adapter(c_lora={"kl_weight": 1.0}), epochs=10, max_grad_norm=100.0)
    assert heavy.metrics["kl_nats"] < 0.5 * light.metrics["kl_nats"]


def test_a_and_b_have_adamw_and_the_context_network_has_sgd(base):
    config = AdapterConfig(**adapter(c_lora={"learning_rate": 0.03}))
    kind = functools.partial(_peft_config, config)
    adapted = lora.attach(base, config, 3, kind)
    with lora.attached(adapted):
        adamw, sgd = CLoraTrainee(adapted, config).optimizers(TrainingConfig(learning_rate=1e-4))
        names = {id(p): name for name, p in adapted.named_parameters()}
        owned = [{names[id(p)] for group in one.param_groups for p in group["params"]} for one in (adamw, sgd)]
        trainable = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert isinstance(adamw, torch.optim.AdamW)
    assert isinstance(sgd, torch.optim.SGD)
    assert {group["lr"] for group in adamw.param_groups} == {1e-4}
    assert {group["lr"] for group in sgd.param_groups} == {0.03}
    assert owned[0] | owned[1] == trainable
    assert all((".lora_E1." in name or ".lora_E2." in name) == (name in owned[1]) for name in trainable)


def _peft_config(config, **shared):
    from activelora.modeling.clora_layers import CLoraPeftConfig, ContextConfig

    return CLoraPeftConfig(clora_config=ContextConfig(config.c_lora.width), **shared)


def test_a_warm_start_goes_on_from_the_last_adapter(fit, tmp_path):
    fit("cold", epochs=25, learning_rate=1e-2)
    warm, _ = fit("warm", previous=tmp_path / "cold")
    assert warm.losses[0] < 2.5


def test_the_posterior_predicts_by_its_mean_and_by_samples(fit, base, encoder, items, tiny_model_path, tmp_path):
    fit(epochs=5, learning_rate=5e-2)
    setting = Setting(base, encoder, campaign(tiny_model_path, adapter()), seed=5)
    engine = Engine(base, encoder, 0, 4096)
    with CLora.load(tmp_path / "adapter", setting) as posterior:
        mean = posterior.predict(engine, items, 0, False, "test").log_probs_NKC
        samples = posterior.predict(engine, items, 4, True, "test")
    assert mean.shape == (8, 1, 4)
    assert samples.log_probs_NKC.shape == (8, 4, 4)
    assert samples.embeddings_ND.shape == (8, 32)
    assert np.abs(samples.log_probs_NKC[:, 1:] - samples.log_probs_NKC[:, :1]).max() > 1e-3
    assert np.abs(samples.log_probs_NKC[:, :1] - mean).max() > 1e-3


def test_an_adapter_that_lost_its_context_network_is_refused(
    fit, base, encoder, items, tiny_model_path, tmp_path, recwarn
):
    fit()
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "peft_type": "LORA"}))
    setting = Setting(base, encoder, campaign(tiny_model_path, adapter()), seed=5)
    with pytest.raises(ModelError, match="not a C-LoRA adapter"), CLora.load(tmp_path / "adapter", setting):
        pass
    assert not clora_layers(base.model)


def test_the_output_head_is_a_target_of_c_lora_alone(base):
    check_adapter(base.model, AdapterConfig(method="c_lora", targets=("q_proj", "lm_head")))
    with pytest.raises(ModelError, match="no linear layer named lm_head"):
        check_adapter(base.model, AdapterConfig(method="lora", targets=("q_proj", "lm_head")))
    with pytest.raises(ModelError, match="in none of the last 2 layers"):
        check_adapter(base.model, AdapterConfig(method="c_lora", targets=("q_proj", "lm_head"), last_layers=2))


def test_sampling_needs_no_dropout_and_no_dropout_masks(tiny_model_path):
    assert METHODS["c_lora"].same_samples(AdapterConfig(method="c_lora", dropout=0.0)) is None
    config = campaign(tiny_model_path, adapter()).model_dump()
    config["acquisition"]["strategy"] = "bald"
    assert CampaignConfig(**config).acquisition.strategy == "bald"
    config["scoring"]["mask"] = "token"
    with pytest.raises(ProblemsError, match="belong to adapter"):
        checked_config(config, where="test")


def test_the_paper_s_code_is_a_preset_that_the_file_overrules(tiny_model_path):
    config = campaign(tiny_model_path, {"method": "c_lora", "c_lora": {"preset": "paper_code"}})
    given = {"epochs": 4, "batch_size": 4, "learning_rate": 5e-3}
    assert {name: getattr(config.training, name) for name in given} == given
    plain = CampaignConfig(
        name="test",
        task={"prompt": "{text}", "labels": ["a", "b"]},
        data={"pool": {"path": "pool.jsonl"}},
        adapter={"method": "c_lora", "rank": 4, "c_lora": {"preset": "paper_code", "kl_weight": 1e-3}},
    )
    assert (plain.adapter.rank, plain.adapter.alpha, plain.adapter.dropout) == (4, 16.0, 0.0)
    assert plain.adapter.targets == ("q_proj", "v_proj", "lm_head")
    assert plain.adapter.constraint.form == "none"
    assert plain.adapter.c_lora == CLoraConfig(preset="paper_code", kl_weight=1e-3, learning_rate=0.02)
    assert (plain.training.batch_size, plain.training.learning_rate) == (4, 1e-4)
    assert (plain.training.min_steps, plain.training.warmup_fraction) == (1500, 0.06)
    assert plain.scoring.num_samples == 10
    again = CampaignConfig.model_validate_json(plain.model_dump_json())
    assert again == plain


def test_the_preset_brings_its_method_and_is_refused_beside_another(tiny_model_path):
    assert campaign(tiny_model_path, {"c_lora": {"preset": "paper_code"}}).adapter.method == "c_lora"
    with pytest.raises(ProblemsError, match="`paper_code` is of adapter"):
        campaign(tiny_model_path, {"method": "lora", "targets": ["q_proj"], "c_lora": {"preset": "paper_code"}})


@pytest.mark.parametrize("num_labels", [4, 640, 9427])
def test_the_preset_trains_1500_steps(num_labels):
    from activelora.config.presets import C_LORA
    from activelora.modeling.schedule import num_steps

    assert num_steps(num_labels, TrainingConfig(**C_LORA["training"])) == 1500
