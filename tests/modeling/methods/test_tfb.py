"""TFB: the product as it was, samples against the closed form, the loss against plain passes, the search on curves."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from activelora.config import AdapterConfig
from activelora.config.adapter import TfbConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, Example, example
from activelora.modeling.methods.blob import POSTERIOR_FILE, Draws
from activelora.modeling.methods.tfb import AnchorLoss, Singular, Tfb, _few, reparametrise, rhos, search
from activelora.modeling.posterior import Setting
from activelora.scoring.engine import Engine
from tests.modeling.methods.test_laplace import settings
from tests.modeling.methods.test_laplace_prior import TrainingJob

LABELS = [0, 1, 2, 3, 0, 1, 2, 0]


def products(adapted):
    weights = lora.weights_by_name(adapted)
    return {
        name: weights[name.replace("lora_A", "lora_B")].data.double() @ weights[name].data.double()
        for name in weights
        if name.endswith("lora_A.weight")
    }


def test_the_product_is_as_it_was_and_b_has_orthogonal_columns(base, adapted):
    ids = torch.tensor([[3, 5, 7, 9]])
    with torch.no_grad():
        before, logits = products(adapted), base.model(input_ids=ids).logits
        old = {name: weight.data.clone() for name, weight in lora.weights_by_name(adapted).items()}
        reparametrise(adapted)
        torch.testing.assert_close(base.model(input_ids=ids).logits, logits, atol=1e-4, rtol=1e-4)
    after, weights = products(adapted), lora.weights_by_name(adapted)
    for name, product in before.items():
        torch.testing.assert_close(after[name], product, atol=1e-6, rtol=1e-5)
        b = weights[name.replace("lora_A", "lora_B")].data.double()
        squares = torch.linalg.svdvals(old[name.replace("lora_A", "lora_B")].double()).square()
        torch.testing.assert_close(b.T @ b, torch.diag(squares), atol=1e-6, rtol=1e-5)
        assert not torch.allclose(weights[name].data, old[name])


def test_samples_add_isotropic_noise_in_the_directions_of_b(base, adapted):
    """Their covariance is σ²·P for each input, P the projection onto B's columns, and inputs do not correlate."""
    name, b_old = next((n, w.data.double()) for n, w in lora.weights_by_name(adapted).items() if "lora_B" in n)
    std, a_name = 0.3, name.replace("lora_B", "lora_A")
    projection = b_old @ torch.linalg.inv(b_old.T @ b_old) @ b_old.T
    singular = reparametrise(adapted)
    weights = lora.weights_by_name(adapted)
    mean = products(adapted)[a_name]
    draws = Draws(weights, {a_name: rhos(singular, std)[a_name]}, seed=1)
    noise = torch.stack([weights[name].data.double() @ draws(k)[a_name].double() - mean for k in range(400)])
    columns = noise.permute(0, 2, 1).reshape(-1, noise.shape[1])
    found = columns.T @ columns / len(columns)
    torch.testing.assert_close(found, std**2 * projection, atol=0.05 * std**2, rtol=0)
    between = (noise[:, :, 0].T @ noise[:, :, 1] / len(noise)).abs().max()
    assert between < 0.25 * std**2


@pytest.mark.parametrize("what", ["two directions", "nothing"])
def test_what_is_none_of_b_s_directions_gets_no_noise(adapted, what):
    for parameter in lora.b_parameters(adapted):
        parameter.data[:, 1] = 2 * parameter.data[:, 0]
        parameter.data[:, 2:] = 0.0
        if what == "nothing":
            parameter.data.zero_()
    before, singular = products(adapted), reparametrise(adapted)
    for name, rho in rhos(singular, 0.1).items():
        torch.testing.assert_close(products(adapted)[name], before[name], atol=1e-6, rtol=1e-5)
        assert rho.isfinite().all()
        assert (rho > 0).all(dim=1).sum() == (1 if what == "two directions" else 0)


def test_a_rank_above_the_outputs_leaves_rows_over(base):
    with lora.attached(lora.attach(base, AdapterConfig(rank=40, targets=("k_proj",)), seed=3)) as adapted:
        for parameter in lora.b_parameters(adapted):
            torch.nn.init.normal_(parameter, std=0.1)
            assert parameter.shape[0] < 40
        before, singular = products(adapted), reparametrise(adapted)
        for name, rho in rhos(singular, 0.1).items():
            torch.testing.assert_close(products(adapted)[name], before[name], atol=1e-5, rtol=1e-5)
            outputs = before[name].shape[0]
            assert (rho[:outputs] > 0).all()
            assert not rho[outputs:].any()


@pytest.mark.parametrize("packing", [False, True])
def test_each_example_s_loss_is_that_of_its_own(base, adapted, packing):
    ids = [(3, 5, 7, 9), (3, 5, 8), (3, 5, 7, 2, 4, 6)]
    targets = [(4,), (6, 2), (9, 9, 1)]
    examples = [Example(*one, weight=0.5) for one in zip(ids, targets, strict=True)]
    loss = AnswerLoss(base, 0, examples, packing=packing, narrowing=packing)
    with torch.no_grad():
        found = loss.each([2, 0, 1])
        for place, index in enumerate([2, 0, 1]):
            logits = base.model(input_ids=torch.tensor([ids[index]])).logits[0, -len(targets[index]) :]
            expected = torch.nn.functional.cross_entropy(logits, torch.tensor(targets[index]))
            torch.testing.assert_close(found[place], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(loss([2, 0, 1]), 0.5 * found.mean())


def slow_loss(base, adapted, job, samples):
    """Run every sample's weights over one prompt at a time."""
    weights = lora.weights_by_name(adapted)
    old = {name: weights[name].data for name in samples[0]}
    probs_NK = np.zeros((len(job.items), len(samples)))
    for sample, values in enumerate(samples):
        for name, value in values.items():
            weights[name].data = value
        for index, (item, label) in enumerate(zip(job.items, job.labels, strict=True)):
            one = example(item, label)
            logits = base.model(input_ids=torch.tensor([one.ids])).logits[0, -len(one.targets) :]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(one.targets))
            probs_NK[index, sample] = math.exp(-float(loss))
    for name, value in old.items():
        weights[name].data = value
    return float(-np.log(probs_NK.mean(axis=1)).mean())


@torch.no_grad()
def test_the_loss_of_anchors_is_that_of_the_samples_mean_probability(base, adapted, encoder, task_config, items):
    config = settings(task_config, method="tfb", tfb={"search_samples": 3})
    job = TrainingJob(base, config, encoder.encode(items), LABELS)
    singular = reparametrise(adapted)
    loss = AnchorLoss(job, adapted, singular)
    means = {name: weight.data.clone() for name, weight in lora.weights_by_name(adapted).items()}
    for std in (0.0, 0.05, 0.3):
        draws = Draws(means, rhos(singular, std), job.seed("anchors"))
        samples = [draws(0), {name: means[name] - (one - means[name]) for name, one in draws(0).items()}, draws(1)]
        assert loss(std) == pytest.approx(slow_loss(base, adapted, job, samples), rel=1e-4)
    assert loss(0.0) != pytest.approx(loss(0.3), rel=1e-3)


WIDE = {"tolerance": 0.05, "widest": 2.0, "search_steps": 8}
CONFIG = TfbConfig(narrowest=1e-3, widest=1.0, search_steps=12, tolerance=0.01)


def test_the_search_ends_at_the_tolerance():
    """On rising curves: where a fine grid says, and never beyond; a larger tolerance is wider."""
    curves = (lambda std: 1 + std, lambda std: 2 + 40 * std**2, lambda std: 0.5 - 0.01 * std + std**2)
    grid = np.geomspace(1e-3, 1.0, 100_000)
    for curve in curves:
        widths = []
        for tolerance in (0.003, 0.01, 0.1):
            found = search(curve, CONFIG.model_copy(update={"tolerance": tolerance}))
            allowed = curve(0.0) * (1 + tolerance)
            widest = grid[[curve(std) <= allowed for std in grid]].max()
            assert found["posterior_std"] == pytest.approx(widest, rel=2e-3)
            assert found["anchor_nll"] == curve(found["posterior_std"]) <= allowed
            assert found["plain_anchor_nll"] == curve(0.0)
            widths.append(found["posterior_std"])
        assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    ("curve", "std", "words"),
    [(lambda std: 1 - std / 2, 1.0, "raise `adapter.tfb.widest`"), (lambda std: 1 + 50 * std, 1e-3, "holds")],
)
def test_an_end_of_the_range_that_settles_it_is_said(caplog, curve, std, words):
    asked: list[float] = []

    def loss(value):
        asked.append(value)
        return curve(value)

    with caplog.at_level("INFO"):
        assert search(loss, CONFIG) == {"posterior_std": std, "anchor_nll": curve(std), "plain_anchor_nll": 1.0}
    assert words in caplog.text
    assert len(asked) <= 3


@pytest.mark.parametrize(
    ("said", "num_labels", "trained"),
    [
        ({"anchors": "held_out"}, 8, [("all", 8), ("held-out", 6)]),
        ({"anchors": "held_out"}, 6, [("all", 6)]),  # a fifth is one label
        ({}, 8, [("all", 8)]),
        ({"std": 0.02}, 8, [("all", 8)]),
    ],
)
def test_fitting_searches_on_the_anchors_that_are_asked_for(
    base, encoder, task_config, items, tmp_path, said, num_labels, trained
):
    config = settings(task_config, method="tfb", last_layers=1, tfb={**WIDE, **said})
    encoded = encoder.encode(items[:num_labels])
    job = TrainingJob(base, config, encoded, LABELS[:num_labels])
    job.folder, job.previous = tmp_path, None  # type: ignore[attr-defined]
    training = config.training.model_copy(update={"min_steps": 60, "learning_rate": 0.01})
    job.config = config.model_copy(update={"training": training})
    fit = Tfb.fit(job)
    assert [(name, len(prompts)) for name, prompts in job.trained] == trained
    if "std" in said:
        assert fit.metrics == {"posterior_std": 0.02}
        return
    assert set(fit.metrics) == {"posterior_std", "anchor_nll", "plain_anchor_nll"}
    assert fit.metrics["anchor_nll"] <= 1.05 * fit.metrics["plain_anchor_nll"]
    if len(trained) == 1:  # what was saved has that loss at the width, and more than is allowed beyond it
        std = fit.metrics["posterior_std"]
        with lora.attached(lora.load(base, tmp_path)) as adapted:
            saved = load_file(tmp_path / POSTERIOR_FILE)
            singular = {name: Singular(rho[:, 0].square() / std, rho.shape[1]) for name, rho in saved.items()}
            loss = AnchorLoss(job, adapted, singular)
            assert loss(0.0) == pytest.approx(fit.metrics["plain_anchor_nll"], rel=1e-4)
            assert loss(std) == pytest.approx(fit.metrics["anchor_nll"], rel=1e-4)
            assert loss(1.1 * std) > 1.05 * loss(0.0)
            rising = [loss(factor * std) for factor in (0.5, 1.0, 1.5, 2.0)]
            assert rising == sorted(rising)


def test_no_more_anchors_are_measured_on_than_are_asked_for(base, encoder, task_config, items):
    job = TrainingJob(base, settings(task_config, tfb={"num_anchors": 3}), encoder.encode(items), LABELS)
    few = _few(job)
    assert len(few.items) == len(few.labels) == 3
    places = [job.items.index(item) for item in few.items]
    assert places == sorted(set(places))
    assert list(few.labels) == [LABELS[place] for place in places]
    assert [one.prompt_ids for one in _few(job).items] == [one.prompt_ids for one in few.items]
    many = TrainingJob(base, settings(task_config), encoder.encode(items), LABELS)
    assert _few(many).items == many.items


@pytest.mark.parametrize("std", [0.0, 0.2])
def test_no_width_is_the_plain_adapter(base, encoder, task_config, items, tmp_path, std):
    config = settings(task_config, method="lora", tfb={"std": std})
    job = TrainingJob(base, config, encoder.encode(items), LABELS)
    job.folder, job.previous = tmp_path, None  # type: ignore[attr-defined]
    Tfb.fit(job)
    with Tfb.load(tmp_path, Setting(base, encoder, config, seed=2)) as posterior:
        engine = Engine(base, encoder, 0, 4096)
        plain = posterior.predict(engine, items, 0, False, "test").log_probs_NKC
        sampled = posterior.predict(engine, items, 3, False, "test").log_probs_NKC
    difference = np.abs(np.exp(sampled) - np.exp(plain)).max(axis=(0, 2))
    assert (difference < 1e-6).all() if std == 0 else (difference > 1e-3).all()
