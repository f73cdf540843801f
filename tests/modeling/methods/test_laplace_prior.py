"""The prior precision: covariances against dense matrices, the loss against quadrature, the choice on a tiny model."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from activelora.errors import DataError, ModelError
from activelora.modeling import lora
from activelora.modeling.answer_loss import example
from activelora.modeling.encoding import EncodedItem
from activelora.modeling.methods import laplace_prior
from activelora.modeling.methods.kfac import Factor, LayerCurvature, log_evidence
from activelora.modeling.methods.laplace_prior import PRECISIONS, Curvature, predictive_loss
from activelora.modeling.training import Trainer
from activelora.seeding import derive_seed
from tests.modeling.methods.test_laplace import Job, dense, settings

CPU = torch.device("cpu")
DELTAS = np.array([0.5, 40.0])


def random_layer(num_inputs=6, num_outputs=3, rank=9):
    inputs, outputs = Factor(num_inputs, rank, CPU), Factor(num_outputs, rank, CPU)
    inputs.add(torch.randn(10, num_inputs))
    outputs.add(torch.randn(10, num_outputs))
    return LayerCurvature(inputs.spectrum(), outputs.spectrum())


def dense_covariance(layer, delta):
    kronecker = torch.kron(dense(layer.outputs), dense(layer.inputs)).double()
    return torch.linalg.inv(kronecker + delta * torch.eye(len(kronecker)))


@pytest.mark.parametrize("rank", [9, 2])
def test_score_covariances_are_those_of_the_dense_inverse(rank):
    torch.manual_seed(0)
    layer, slopes = random_layer(rank=rank), torch.randn(4, 3, 6)
    found = layer.score_covariances(slopes, torch.as_tensor(DELTAS))
    for index, delta in enumerate(DELTAS):
        jacobian = slopes.flatten(1).double()
        expected = jacobian @ dense_covariance(layer, delta) @ jacobian.T
        torch.testing.assert_close(found[index], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "rank"), [("tokens", 200), ("text", 5), ("chain", 5)])
def test_scores_are_gaussian_with_the_covariance_of_dense_matrices(base, adapted, questions_of, kind, rank):
    task, encoder, asked = questions_of(kind)
    job = Job(base, settings(task, laplace={"factor_rank": rank}), encoder.encode(asked), [0] * len(asked))
    weights = lora.weights_by_name(adapted)
    for weight in weights.values():
        weight.requires_grad_(True)
    layers = laplace_prior.fit_curvature(job, adapted).layers
    scores_NC, covariances_GNCC = laplace_prior.score_distributions(job, adapted, layers, DELTAS)
    index = 1  # by text, an item of fewer answers than others
    encoded = job.items[index]
    scores = slow_scores(base, encoder, encoded)
    num_answers = len(scores)
    np.testing.assert_allclose(scores_NC[index, :num_answers], scores.detach().numpy(), atol=1e-4)
    assert np.isneginf(scores_NC[index, num_answers:]).all()
    assert not covariances_GNCC[:, index, num_answers:].any()
    gradients = [torch.autograd.grad(score, list(weights.values()), retain_graph=True) for score in scores]
    for place, delta in enumerate(DELTAS):
        expected = 0.0
        for name, parts in zip(weights, zip(*gradients, strict=True), strict=True):
            jacobian = torch.stack(parts).flatten(1).double()
            expected = expected + jacobian @ dense_covariance(layers[name], delta) @ jacobian.T
        found = covariances_GNCC[place, index, :num_answers, :num_answers]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-3 * float(expected.abs().max()))  # type: ignore[attr-defined]


def slow_scores(base, encoder, encoded: EncodedItem):
    if encoder.scoring == "token":
        logits = base.model(input_ids=torch.tensor([encoded.prompt_ids])).logits[0, -1]
        return logits[[ids[0] for ids in encoded.answer_ids]]
    found = []
    for answer in encoded.answer_ids:
        ids = encoded.prompt_ids + answer
        log_probs = torch.log_softmax(base.model(input_ids=torch.tensor([ids[:-1]])).logits[0], dim=-1)
        last = log_probs[len(encoded.prompt_ids) - 1 :]
        total = torch.stack([last[place, token] for place, token in enumerate(answer)]).sum()
        found.append(total / len(answer) if encoder.scoring == "text" else total)
    return torch.stack(found)


def test_the_loss_is_the_integral_over_the_scores():
    mean, deviation = 1.5, 2.0

    def integrand(x):
        density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        return density / (1 + np.exp(-x))

    probability = quad(integrand, -20, 25)[0]
    scores = np.array([[mean, 0.0, -np.inf], [mean, 0.0, -np.inf]])
    covariance = np.zeros((2, 3, 3))
    covariance[:, 0, 0] = deviation**2
    noise = np.random.default_rng(0).standard_normal((200_000, 3))
    found = predictive_loss(scores, covariance, np.array([0, 1]), noise)
    assert found == pytest.approx(-(np.log(probability) + np.log1p(-probability)) / 2, abs=5e-3)
    plain = predictive_loss(scores, 0 * covariance, np.array([0, 1]), noise[:3])
    assert plain == pytest.approx((np.log1p(np.exp(-mean)) + np.log1p(np.exp(mean))) / 2)


def test_confident_mistakes_ask_for_wider_samples_than_confident_right_answers():
    rng = np.random.default_rng(0)
    scores = 5.0 * np.eye(3)[rng.integers(3, size=40)]
    right = scores.argmax(axis=1)
    half = np.where(np.arange(40) % 2 == 0, right, (right + 1) % 3)
    noise = rng.standard_normal((500, 3))

    def best(labels):
        losses = [
            predictive_loss(scores, np.tile(np.eye(3) * 100 / one, (40, 1, 1)), labels, noise) for one in PRECISIONS
        ]
        return PRECISIONS[int(np.argmin(losses))]

    assert best(half) < 30 < 1e4 < best(right)


def test_the_best_prior_precision_has_the_highest_evidence():
    torch.manual_seed(0)
    layer = random_layer()
    fitted = Curvature({"layer": layer}, -5.0, 2.0)
    best = laplace_prior.evidence_precision(fitted)
    assert fitted.log_evidence(best) > fitted.log_evidence(1.0)
    assert all(fitted.log_evidence(best) >= fitted.log_evidence(other) for other in np.geomspace(1e-4, 1e8, 200))
    assert fitted.log_evidence(3.0) == log_evidence(-5.0, 2.0, [layer.eigenvalues()], 3.0)


@dataclasses.dataclass
class TrainingJob(Job):
    """A job that trains in memory and remembers on what."""

    trained: list = dataclasses.field(default_factory=list)

    def seed(self, *parts):
        return derive_seed(1, *parts)

    def among(self, indices):
        items, labels = [self.items[index] for index in indices], [self.labels[index] for index in indices]
        return dataclasses.replace(self, items=items, labels=labels)

    def train(self, trainee, seed, name=""):
        self.trained.append((name, [item.prompt_ids for item in self.items]))
        examples = [example(item, label) for item, label in zip(self.items, self.labels, strict=True)]
        return Trainer(self.base, trainee, examples, self.config.training, seed).run(lambda: None)


def test_held_out_labels_choose_and_are_not_trained_on(base, encoder, task_config, items):
    config = settings(task_config, last_layers=1)
    job = TrainingJob(base, config, encoder.encode(items), [0, 1, 2, 3, 0, 1, 2, 0])
    trained, held_out = laplace_prior._split(8, job.seed("held-out"))
    assert sorted([*trained, *held_out]) == list(range(8))
    assert len(held_out) == 2
    precision, loss = laplace_prior.held_out_precision(job)
    assert job.trained == [("held-out", [job.items[index].prompt_ids for index in trained])]
    assert precision in PRECISIONS
    assert 0 < loss < 20
    chosen, found = laplace_prior.choose_precision(job, Curvature({"one": random_layer()}, -1.0, 1.0))
    assert chosen == precision
    assert found["held_out_nll"] == loss
    assert np.isfinite(found["log_marginal_likelihood"])


@pytest.mark.parametrize(("said", "expected"), [({"prior_precision": 7.0}, 7.0), ({"prior_from": "evidence"}, None)])
def test_what_needs_no_second_training_does_none(base, encoder, task_config, items, said, expected):
    job = TrainingJob(base, settings(task_config, laplace=said), encoder.encode(items), [0] * len(items))
    torch.manual_seed(0)
    fitted = Curvature({"one": random_layer()}, -1.0, 1.0)
    precision, found = laplace_prior.choose_precision(job, fitted)
    assert job.trained == []
    assert set(found) == {"log_marginal_likelihood"}
    assert precision == (expected or laplace_prior.evidence_precision(fitted))


def test_an_adapter_that_has_diverged_is_named(base, adapted, encoder, task_config, items):
    job = TrainingJob(base, settings(task_config), encoder.encode(items), [0] * len(items))
    parameter = next(iter(lora.b_parameters(adapted)))
    parameter.data.fill_(torch.nan)
    with pytest.raises(ModelError, match=r"labels are not numbers.*diverged.*training\.learning_rate"):
        laplace_prior.fit_curvature(job, adapted)


def test_one_label_is_refused_with_the_remedy():
    with pytest.raises(DataError, match=r"adapter\.laplace\.prior_precision"):
        laplace_prior._split(1, 0)
    assert laplace_prior._split(2, 0) in [([0], [1]), ([1], [0])]
