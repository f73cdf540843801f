import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from activelora.config import AdapterConfig, ConstraintConfig, TrainingConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.label_order import group_by_length
from activelora.modeling.schedule import Schedule
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import Trainer

NONE = ConstraintConfig(form="none")
SMALL = AdapterConfig(rank=4)


def train(base, examples, config, constraint=NONE, adapter=SMALL, stop_after=None, resume=None):
    """Train a fresh adapter and return its parameters, its losses and, where it was stopped, a checkpoint."""
    adapted = lora.attach(base, adapter, seed=3)
    with lora.attached(adapted):
        trainer = Trainer(base, PlainTrainee(adapted, constraint), examples, config, seed=7)
        saved = {}

        def checkpoint():
            saved["parameters"] = [p.data.clone() for p in trainer.parameters]
            saved["optimizer"] = copy.deepcopy(trainer.optimizers[0].state_dict())
            saved["progress"] = copy.deepcopy(trainer.progress)
            if stop_after is not None and trainer.progress.step >= stop_after:
                raise KeyboardInterrupt

        if resume:
            for parameter, value in zip(trainer.parameters, resume["parameters"], strict=True):
                parameter.data.copy_(value)
            trainer.optimizers[0].load_state_dict(resume["optimizer"])
            trainer.progress = resume["progress"]
        try:
            trainer.run(checkpoint)
        except KeyboardInterrupt:
            return saved
        return [p.data.clone() for p in trainer.parameters], trainer.progress.losses


@pytest.fixture
def examples(encoder, items):
    labels = [2, 1, 3, 0, 2, 1, 3, 0]
    return [example(one, label) for one, label in zip(encoder.encode(items), labels, strict=True)]


def test_the_loss_is_the_plain_model_s_likelihood_of_the_answer(base, examples):
    for first_top_layer in (0, 2):
        loss = AnswerLoss(base, first_top_layer, examples)(list(range(len(examples))))
        expected = []
        for one in examples:
            ids = torch.tensor([[*one.ids, one.targets[-1]]])
            log_probs = torch.log_softmax(base.model(input_ids=ids).logits[0], dim=-1)
            begin = len(one.ids) - len(one.targets)
            expected.append(-np.mean([log_probs[begin + i, t].item() for i, t in enumerate(one.targets)]))
        assert loss.item() == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("last_layers", [None, 2])
def test_training_learns_its_labels(base, examples, last_layers):
    config = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=30, learning_rate=5e-3, batch_size=4)
    _, losses = train(base, examples, config, adapter=AdapterConfig(rank=4, last_layers=last_layers))
    assert losses[0] > 3.0
    assert np.mean(losses[-4:]) < 0.5


def test_a_training_that_diverges_is_refused_where_it_does(base, examples):
    config = TrainingConfig(
        min_steps=0, warmup_fraction=0.0, epochs=3, learning_rate=1e30, batch_size=4, max_grad_norm=1e30
    )
    with pytest.raises(ModelError, match=r"the training loss is (nan|inf) in step [2-6] of 6\. .*learning_rate"):
        train(base, examples, config)


def test_weights_that_only_the_last_step_spoils_are_refused(base, examples, monkeypatch):
    spoil = torch.optim.AdamW.step

    def last(self, *arguments, **keywords):
        spoil(self, *arguments, **keywords)
        self.param_groups[0]["params"][0].data[0] = torch.nan

    monkeypatch.setattr(torch.optim.AdamW, "step", last)
    with pytest.raises(ModelError, match="weights are not all numbers after training"):
        train(base, examples, TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=1, batch_size=8))


def test_kept_trunk_states_give_the_loss_and_gradients_of_fresh_ones(base, examples):
    adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=2, dropout=0.0), seed=3)
    with lora.attached(adapted):
        parameters = [*lora.a_parameters(adapted), *lora.b_parameters(adapted)]
        found = []
        for cache_bytes in (1 << 30, 0):
            loss = AnswerLoss(base, 2, examples, cache_bytes=cache_bytes)([0, 3, 5])
            found.append([loss, *torch.autograd.grad(loss, parameters)])
    assert any(gradient.abs().max() > 1e-3 for gradient in found[0][1:])
    for kept, fresh in zip(*found, strict=True):
        torch.testing.assert_close(kept, fresh, atol=1e-5, rtol=1e-4)


def test_a_stopped_run_goes_on_bit_for_bit(base, examples):
    config = TrainingConfig(
        min_steps=0, warmup_fraction=0.0, epochs=4, batch_size=3, checkpoint_every_steps=2, learning_rate=1e-3
    )
    whole, losses = train(base, examples, config)
    saved = train(base, examples, config, stop_after=4)
    assert saved["progress"].step == 4
    resumed, resumed_losses = train(base, examples, config, resume=saved)
    assert losses == resumed_losses
    assert all(torch.equal(left, right) for left, right in zip(whole, resumed, strict=True))


def test_gradient_accumulation_and_checkpointing_do_not_change_the_step(base, examples):
    plain = TrainingConfig(min_steps=0, warmup_fraction=0.0, epochs=1, batch_size=8)
    reference, _ = train(base, examples, plain, adapter=AdapterConfig(rank=4, dropout=0.0))
    for change in ({"gradient_accumulation": 3}, {"gradient_checkpointing": True}):
        config = plain.model_copy(update=change)
        changed, _ = train(base, examples, config, adapter=AdapterConfig(rank=4, dropout=0.0))
        for left, right in zip(reference, changed, strict=True):
            torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)


def test_gradient_checkpointing_takes_effect(base, examples):
    """Every layer runs twice: once forward, once more in the backward pass."""
    runs = []
    hook = base.model.get_decoder().layers[1].self_attn.register_forward_pre_hook(lambda *_: runs.append(1))
    try:
        for checkpointing, expected in ((False, 1), (True, 2)):
            runs.clear()
            train(
                base,
                examples,
                TrainingConfig(
                    min_steps=0,
                    warmup_fraction=0.0,
                    epochs=1,
                    batch_size=8,
                    gradient_checkpointing=checkpointing,
                    packing=False,  # trying packs would run the layers too
                ),
            )
            assert len(runs) == expected
            assert not base.model.get_input_embeddings()._forward_hooks  # the base model is left as it was
    finally:
        hook.remove()


def test_the_decoupled_constraint_shrinks_b_and_only_b(base, examples):
    """One step by hand: B ← (1 − η·β)·B − η·step, where AdamW's first step is η·sign-like and the same for all β."""
    beta, rate = 10.0, 1e-2
    config = TrainingConfig(
        min_steps=0, warmup_fraction=0.0, epochs=1, batch_size=8, learning_rate=rate, schedule="constant"
    )
    adapter = AdapterConfig(rank=4, dropout=0.0)

    def one_step(constraint):
        adapted = lora.attach(base, adapter, seed=3)
        with lora.attached(adapted):
            torch.manual_seed(1)
            for parameter in lora.b_parameters(adapted):
                parameter.data.normal_(0, 0.1)
            before = [p.data.clone() for p in lora.b_parameters(adapted)]
            trainer = Trainer(base, PlainTrainee(adapted, constraint), examples, config, seed=7)
            assert trainer.most_steps == 1
            trainer.run(lambda: None)
            return (
                before,
                [p.data.clone() for p in lora.b_parameters(adapted)],
                [p.data.clone() for p in lora.a_parameters(adapted)],
            )

    before, plain_b, plain_a = one_step(NONE)
    _, constrained_b, constrained_a = one_step(ConstraintConfig(form="decoupled", strength=beta))
    for old, plain, constrained in zip(before, plain_b, constrained_b, strict=True):
        torch.testing.assert_close(constrained, plain - rate * beta * old, atol=1e-6, rtol=1e-4)
    for plain, constrained in zip(plain_a, constrained_a, strict=True):
        torch.testing.assert_close(plain, constrained)
    _, l2_b, _ = one_step(ConstraintConfig(form="l2", strength=100.0))
    assert sum(b.norm() for b in l2_b) < sum(b.norm() for b in plain_b)


@pytest.mark.parametrize("stop_after", [3, 9, None])
def test_training_until_the_labels_are_learned_goes_on_as_if_it_had_not_stopped(base, examples, stop_after):
    config = TrainingConfig(
        converged_loss=0.5,
        min_steps=4,
        max_steps=80,
        epochs=1,
        batch_size=8,
        learning_rate=2e-2,
        checkpoint_every_steps=1,
    )
    parameters, losses = train(base, examples, config)
    assert len(losses) == Schedule(len(examples), config).total(losses)
    assert 9 < len(losses) < 80
    stop = stop_after or Schedule(len(examples), config).total(losses) - 1
    resumed, again = train(base, examples, config, resume=train(base, examples, config, stop_after=stop))
    assert again == losses
    for one, other in zip(parameters, resumed, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_saved_adapter_is_plain_peft(base, examples, tmp_path, tiny_model_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapted = lora.attach(base, AdapterConfig(rank=4, last_layers=2), seed=3)
    ids = torch.tensor([list(range(5, 12))])
    with lora.attached(adapted):
        Trainer(base, PlainTrainee(adapted, NONE), examples, TrainingConfig(min_steps=5), seed=7).run(lambda: None)
        lora.save(adapted, tmp_path)
        expected = base.model(input_ids=ids).logits
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert set(load_file(tmp_path / "adapter_model.safetensors"))
    fresh = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_path), tmp_path)
    torch.testing.assert_close(fresh(input_ids=ids).logits, expected)
    assert not torch.allclose(base.model(input_ids=ids).logits, expected)


class TwoOptimizers(PlainTrainee):
    """A by AdamW, B by plain gradient descent, and a pull on A: all that a method can add."""

    def optimizers(self, config):
        return [torch.optim.AdamW(self.a, lr=config.learning_rate), torch.optim.SGD(self.b, lr=0.1)]

    def penalty(self, step, total_steps):
        return 0.5 * sum((parameter - 1.0).square().sum() for parameter in self.a)


def test_a_method_brings_its_optimisers_and_its_part_of_the_loss(base, examples):
    config = TrainingConfig(
        min_steps=0,
        warmup_fraction=0.0,
        epochs=2,
        batch_size=4,
        learning_rate=0.05,
        max_grad_norm=1e9,
        gradient_accumulation=2,
    )
    with lora.attached(lora.attach(base, AdapterConfig(rank=2, dropout=0.0), seed=3)) as adapted:
        trainee = TwoOptimizers(adapted, NONE)
        before = float(trainee.penalty(0, 1).detach())
        trainer = Trainer(base, trainee, examples, config, seed=7)
        losses = trainer.run(lambda: None)
        assert [type(one).__name__ for one in trainer.optimizers] == ["AdamW", "SGD"]
        assert [one.param_groups[0]["lr"] for one in trainer.optimizers] == pytest.approx([0.05 / 4, 0.1 / 4])
        assert float(trainee.penalty(0, 1).detach()) < 0.95 * before
        assert any(parameter.abs().max() > 0 for parameter in trainee.b)
    assert max(losses) < before


def test_grouping_by_length_keeps_every_example_and_pads_less():
    rng = np.random.default_rng(0)
    for count, size in ((100, 8), (7, 8), (64, 8), (65, 4)):
        lengths_N = rng.integers(5, 200, count)
        order_N = rng.permutation(count)
        grouped = group_by_length(order_N, lengths_N, size, np.random.default_rng(1))
        assert sorted(grouped) == list(range(count))
        np.testing.assert_array_equal(grouped, group_by_length(order_N, lengths_N, size, np.random.default_rng(1)))

        def padded(order, lengths_N=lengths_N, size=size):
            parts = [lengths_N[order[begin : begin + size]] for begin in range(0, len(order), size)]
            return sum(len(part) * part.max() for part in parts)

        assert padded(grouped) <= padded(order_N)
        if count >= 64:
            assert padded(grouped) < 0.85 * padded(order_N)
            batches = grouped[: count // size * size].reshape(-1, size)
            means = lengths_N[batches[:8]].mean(axis=1)
            assert (np.diff(means) < 0).any(), "batches do not go from short to long"


def test_training_by_length_repeats_and_learns(base, examples):
    config = TrainingConfig(
        min_steps=0, warmup_fraction=0.0, epochs=30, learning_rate=5e-3, batch_size=4, group_by_length=True
    )
    first, losses = train(base, examples, config)
    again, _ = train(base, examples, config)
    assert all(torch.equal(left, right) for left, right in zip(first, again, strict=True))
    assert np.mean(losses[-4:]) < 0.5


def test_soft_labels_weigh_the_losses_of_the_labels(base, encoder, items):
    item, shares = encoder.encode(items)[0], {0: 0.25, 1: 0.75}
    each = [AnswerLoss(base, 0, [example(item, label)])([0]).item() for label in shares]
    both = AnswerLoss(base, 0, [example(item, label, share) for label, share in shares.items()])([0, 1])
    assert both.item() * 2 == pytest.approx(0.25 * each[0] + 0.75 * each[1], rel=1e-5)
