"""Laplace-LoRA (Yang et al. 2024, arXiv 2308.13111): a Gaussian around the trained adapter, from its loss's curvature.

The posterior over A and B is N(θ, (H + δ)^-1): H is the Kronecker-factored Gauss-Newton matrix of the answers' scores
(:mod:`activelora.modeling.methods.kfac`), each A and B a layer of its own, and δ the prior precision
(:mod:`activelora.modeling.methods.laplace_prior`). The predictive is linearised:
``scores_k = scores(θ) + J·(θ_k − θ)``, with one draw θ_k for all items, so that samples agree over the pool, and one
softmax. The scores' distribution for an item is then N(scores(θ), J·(H + δ)^-1·Jᵀ). An answer's score is what the
task's softmax is over: its token's logit, or for answers by text the mean log-likelihood of its tokens.

Letters: N items, K samples, C answers, B items of a batch, R rows, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from safetensors.torch import load_file, save_file

from activelora.modeling import lora
from activelora.modeling.methods.answer_scores import AnswerScores
from activelora.modeling.methods.kfac import LayerCurvature, Spectrum
from activelora.modeling.methods.laplace_prior import choose_precision, fit_curvature
from activelora.modeling.methods.mc_dropout import begin
from activelora.modeling.posterior import Fit, FitJob, Prediction, Setting
from activelora.modeling.sampling import SampledPosterior, weight_sampler
from activelora.modeling.trainee import PlainTrainee
from activelora.progress import track
from activelora.seeding import derive_seed

if TYPE_CHECKING:
    from activelora.campaign.records import Item
    from activelora.scoring.engine import Engine

POSTERIOR_FILE = "posterior.safetensors"
"""The factors' spectra under each weight's name in the adapter's file, and the prior precision."""
_PRECISION = "prior_precision"


class Laplace:
    """A Gaussian around constrained LoRA."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train one adapter, compute its curvature on the labels, choose the prior precision, and save all three."""
        with lora.attached(begin(job)) as adapted:
            losses = job.train(PlainTrainee(adapted, job.config.adapter.constraint), job.seed("train"), "all")
            torch.manual_seed(job.seed("curvature"))
            fitted = fit_curvature(job, adapted)
            lora.save(adapted, job.folder)
        precision, found = choose_precision(job, fitted)
        save_file(_tensors(fitted.layers, precision), job.folder / POSTERIOR_FILE)
        return Fit(losses, {_PRECISION: precision, **found})

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[LaplacePosterior]:
        """Attach the adapter; samples are linearised around it."""
        with lora.attached(lora.load(setting.base, folder, trainable=True)) as adapted:
            yield LaplacePosterior(adapted, folder, setting)


class LaplacePosterior:
    """The linearised predictive.

    Args:
        adapted: The model with its adapter.
        folder: Folder that :meth:`Laplace.fit` wrote.
        setting: Base model, encoder and settings that it is loaded with.
    """

    def __init__(self, adapted: PeftModel, folder: Path, setting: Setting) -> None:
        self._adapted = adapted
        self._setting = setting
        self._center = SampledPosterior(weight_sampler(adapted, setting.config, setting.seed))
        self._curvature, self._precision = _from_tensors(load_file(folder / POSTERIOR_FILE, setting.base.device.type))

    def predict(
        self, engine: Engine, items: Sequence[Item], num_samples: int, with_embeddings: bool, description: str
    ) -> Prediction:
        """Return K linearised samples, or for K = 0 the trained adapter's own answers."""
        found = self._center.predict(engine, items, 0, with_embeddings, description)
        if num_samples == 0 or not items:
            return Prediction(found.log_probs_NKC.repeat(max(num_samples, 1), axis=1), found.embeddings_ND)
        scores_NKC = found.log_probs_NKC + self._shifts(items, num_samples, description)
        return Prediction(scores_NKC - np.logaddexp.reduce(scores_NKC, axis=2, keepdims=True), found.embeddings_ND)

    def _shifts(self, items: Sequence[Item], num_samples: int, description: str) -> NDArray[np.float64]:
        """Return J·(θ_k − θ), shape (N, K, C)."""
        setting = self._setting
        encoded = setting.encoder.encode(items)
        scores = AnswerScores(setting.base, self._adapted, encoded, setting.encoder.scoring)
        draws = {name: self._draw(name, layer, num_samples) for name, layer in self._curvature.items()}
        shifts_NKC = np.zeros((len(items), num_samples, scores.num_answers))
        batches = scores.batches(setting.config.training.batch_size)
        for batch in track(batches, f"{description}: slopes", len(batches)):
            scores_BC = scores.run(batch)
            for answer in range(scores_BC.shape[1]):
                scores.differentiate(scores_BC[:, answer].sum())
                shifts_RK = sum(
                    torch.einsum("roi,koi->rk", scores.slopes(name), draw_KOI) for name, draw_KOI in draws.items()
                )
                for row, shift_K in zip(scores.owners, torch.as_tensor(shifts_RK).double().cpu().numpy(), strict=True):
                    shifts_NKC[row, :, answer] += shift_K
        return shifts_NKC

    def _draw(self, name: str, layer: LayerCurvature, num_samples: int) -> torch.Tensor:
        """Return θ_k − θ of one weight, shape (K, O, I); draw k is the same whatever K is."""
        shape = (layer.outputs.vectors_DQ.shape[0], layer.inputs.vectors_DQ.shape[0])
        seeds = [derive_seed(self._setting.seed, "sample", sample, name) for sample in range(num_samples)]
        noise_KOI = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        return layer.draw(noise_KOI.to(layer.inputs.vectors_DQ), self._precision)


def _tensors(curvature: Mapping[str, LayerCurvature], precision: float) -> dict[str, torch.Tensor]:
    tensors = {_PRECISION: torch.tensor(precision, dtype=torch.float64)}
    for name, layer in curvature.items():
        for side, spectrum in (("inputs", layer.inputs), ("outputs", layer.outputs)):
            tensors[f"{name}.{side}.values"] = spectrum.values_Q.cpu().contiguous()
            tensors[f"{name}.{side}.vectors"] = spectrum.vectors_DQ.cpu().contiguous()
    return tensors


def _from_tensors(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, LayerCurvature], float]:
    ending = ".inputs.values"
    curvature = {}
    for name in [key.removesuffix(ending) for key in tensors if key.endswith(ending)]:
        inputs, outputs = (
            Spectrum(tensors[f"{name}.{side}.values"], tensors[f"{name}.{side}.vectors"])
            for side in ("inputs", "outputs")
        )
        curvature[name] = LayerCurvature(inputs, outputs)
    return curvature, float(tensors[_PRECISION])
