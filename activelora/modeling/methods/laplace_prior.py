"""Laplace-LoRA's curvature on the labels, and its prior precision δ: by held-out labels, or by the evidence.

Both are the paper's (Yang et al. 2024, arXiv 2308.13111). `held_out` trains a second adapter on four fifths of the
labels, and takes the δ under which its linearised predictive gives the last fifth the highest likelihood. `evidence`
takes the δ of the highest marginal likelihood of all labels. That supposes that θ is the mode under this very prior;
adapters are trained without weight decay and stop early, so that ‖θ‖² is mostly where the optimiser happened to walk,
and with few labels the evidence asks for samples that are far too wide.

Letters: N items, K samples, C answers, G precisions, O outputs, I inputs of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel

from activelora.errors import DIVERGED, DataError, ModelError
from activelora.modeling import lora
from activelora.modeling.encoding import Encoder
from activelora.modeling.methods.answer_scores import AnswerScores
from activelora.modeling.methods.held_out import split
from activelora.modeling.methods.kfac import Factor, LayerCurvature, Spectrum, log_evidence, softmax_hessian_root
from activelora.modeling.posterior import FitJob
from activelora.modeling.trainee import PlainTrainee
from activelora.progress import track

PRECISIONS = np.geomspace(1e-2, 1e6, 33)
"""What `held_out` chooses among: four a decade."""
_LOWEST, _HIGHEST = 1e-4, 1e8
_NUM_DRAWS = 1000


class Curvature(NamedTuple):
    """What the labels say around an adapter θ.

    Attributes:
        layers: Every weight's factors, by its name in the adapter's file.
        log_likelihood: Log-likelihood of the labels at θ, in nats.
        square_norm: ‖θ‖².
    """

    layers: Mapping[str, LayerCurvature]
    log_likelihood: float
    square_norm: float

    def log_evidence(self, precision: float) -> float:
        """Return Laplace's log marginal likelihood under a prior precision, in nats."""
        eigenvalues = [layer.eigenvalues() for layer in self.layers.values()]
        return log_evidence(self.log_likelihood, self.square_norm, eigenvalues, precision)


def choose_precision(job: FitJob, fitted: Curvature) -> tuple[float, dict[str, float]]:
    """Return δ as the settings ask for it, and what was found on the way, for the manifest.

    Raises:
        DataError: There are too few labels to hold some out.
    """
    settings = job.config.adapter.laplace
    found = {}
    if settings.prior_precision is not None:
        precision = settings.prior_precision
    elif settings.prior_from == "evidence":
        precision = evidence_precision(fitted)
    else:
        precision, found["held_out_nll"] = held_out_precision(job)
    return precision, {**found, "log_marginal_likelihood": fitted.log_evidence(precision)}


def evidence_precision(fitted: Curvature) -> float:
    """Return the δ of the highest marginal likelihood, between 1e-4 and 1e8."""
    from scipy.optimize import minimize_scalar

    def loss(log_precision: float) -> float:
        return -fitted.log_evidence(float(np.exp(log_precision)))

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))


def held_out_precision(job: FitJob) -> tuple[float, float]:
    """Return the δ of :data:`PRECISIONS` with the lowest mean loss on held-out labels, and that loss in nats.

    Raises:
        DataError: There is only one label.
    """
    trained, held_out = _split(len(job.items), job.seed("held-out"))
    rest = job.among(trained)
    # Never from the last round's adapter, which has seen the held-out labels.
    with lora.attached(lora.attach(job.base, job.config.adapter, job.seed("adapter", "held-out"))) as adapted:
        rest.train(PlainTrainee(adapted, job.config.adapter.constraint), job.seed("train", "held-out"), "held-out")
        torch.manual_seed(job.seed("curvature", "held-out"))
        layers = fit_curvature(rest, adapted).layers
        scores_NC, covariances_GNCC = score_distributions(job.among(held_out), adapted, layers, PRECISIONS)
    noise_KC = np.random.default_rng(job.seed("held-out", "noise")).standard_normal((_NUM_DRAWS, scores_NC.shape[1]))
    labels_N = np.array([job.labels[index] for index in held_out])
    losses_G = [predictive_loss(scores_NC, one_NCC, labels_N, noise_KC) for one_NCC in covariances_GNCC]
    best = int(np.argmin(losses_G))
    return float(PRECISIONS[best]), losses_G[best]


def fit_curvature(job: FitJob, adapted: PeftModel) -> Curvature:
    """Compute every weight's factors on the labelled items.

    Raises:
        ModelError: The adapter's scores are not numbers.
    """
    scores = AnswerScores(job.base, adapted, job.items, Encoder(job.base.tokenizer, job.config.task).scoring)
    rank = job.config.adapter.laplace.factor_rank
    weights = lora.weights_by_name(adapted)
    inputs = {name: Factor(weight.shape[1], rank, weight.device) for name, weight in weights.items()}
    outputs = {name: Factor(weight.shape[0], rank, weight.device) for name, weight in weights.items()}
    log_likelihood, num_tokens = 0.0, 0
    batches = scores.batches(job.config.training.batch_size)
    for batch in track(batches, "curvature of the loss", len(batches)):
        scores_BC = scores.run(batch)
        labels_B = torch.tensor([job.labels[item] for item in batch], device=scores_BC.device)
        log_probs_BC = torch.log_softmax(scores_BC.detach(), dim=1)
        log_likelihood += float(log_probs_BC.gather(1, labels_B[:, None]).sum())
        if not math.isfinite(log_likelihood):
            raise ModelError(
                "the scores of the labels are not numbers, so that they have no curvature",
                where="adapter.method: laplace",
                remedy=DIVERGED,
            )
        num_tokens += scores.num_tokens
        for name, factor in inputs.items():
            factor.add(scores.inputs(name))
        root_BCC = softmax_hessian_root(log_probs_BC.exp())
        finite_BC = scores_BC.masked_fill(~torch.isfinite(scores_BC), 0.0)
        for column in range(root_BCC.shape[2]):
            scores.differentiate((finite_BC * root_BCC[:, :, column]).sum())
            for name, factor in outputs.items():
                factor.add(scores.gradients(name))
    layers = {
        name: LayerCurvature(_scaled(inputs[name].spectrum(), 1.0 / num_tokens), outputs[name].spectrum())
        for name in weights
    }
    square_norm = sum(float(weight.data.square().sum()) for weight in weights.values())
    return Curvature(layers, log_likelihood, square_norm)


def score_distributions(
    job: FitJob, adapted: PeftModel, layers: Mapping[str, LayerCurvature], precisions_G: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores_NC of the job's items, and under each precision their covariance J·(H + δ)^-1·Jᵀ, (G, N, C, C).

    Scores are −inf, and covariances 0, where an item has fewer than C answers.
    """
    scores = AnswerScores(job.base, adapted, job.items, Encoder(job.base.tokenizer, job.config.task).scoring)
    num_items, num_answers = len(job.items), scores.num_answers
    scores_NC = np.zeros((num_items, num_answers))
    covariances_GNCC = np.zeros((len(precisions_G), num_items, num_answers, num_answers))
    deltas_G = torch.as_tensor(precisions_G, device=job.base.device)
    # One by one: all of an item's slopes are held at the same time.
    for index in track(range(num_items), "held-out slopes", num_items):
        scores_1C = scores.run([index])
        scores_NC[index] = scores_1C[0].detach().double().cpu().numpy()
        slopes: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
        for answer in range(num_answers):
            scores.differentiate(scores_1C[0, answer])
            for name, answers in slopes.items():
                answers.append(scores.slopes(name).sum(dim=0))
        for name, layer in layers.items():
            found_GCC = layer.score_covariances(torch.stack(slopes.pop(name)), deltas_G)
            covariances_GNCC[:, index] += found_GCC.cpu().numpy()
    return scores_NC, covariances_GNCC


def predictive_loss(
    scores_NC: NDArray[np.float64],
    covariance_NCC: NDArray[np.float64],
    labels_N: NDArray[np.int64],
    noise_KC: NDArray[np.float64],
) -> float:
    """Return the mean of ``−log E softmax(f)[label]`` over items, ``f ~ N(scores, covariance)``, in nats.

    Args:
        scores_NC: Means.
        covariance_NCC: Covariances.
        labels_N: The right answers.
        noise_KC: Standard normal draws that stand for the expectation.
    """
    values_NC, vectors_NCC = np.linalg.eigh(covariance_NCC)
    root_NCC = vectors_NCC * np.sqrt(values_NC.clip(0.0))[:, None, :]
    drawn_NKC = scores_NC[:, None, :] + noise_KC @ root_NCC.transpose(0, 2, 1)
    of_label_NK = np.take_along_axis(drawn_NKC, labels_N[:, None, None], axis=2)[:, :, 0]
    log_probs_NK = of_label_NK - np.logaddexp.reduce(drawn_NKC, axis=2)
    return float(-(np.logaddexp.reduce(log_probs_NK, axis=1) - np.log(len(noise_KC))).mean())


def _split(num_labels: int, seed: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the indices to train on and those to hold out, each in order."""
    if num_labels < 2:
        raise DataError(
            "the prior precision cannot be chosen by held-out labels with only one label",
            where="adapter.laplace.prior_from: held_out",
            remedy="Ask for more labels a round, or set `adapter.laplace.prior_precision`.",
        )
    return split(num_labels, seed)


def _scaled(spectrum: Spectrum, by: float) -> Spectrum:
    return Spectrum(spectrum.values_Q * by, spectrum.vectors_DQ)
