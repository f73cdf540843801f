"""TFB, training-free Bayesianization of a trained adapter (Shi et al. 2024, arXiv 2412.05723).

With the singular values B = U·diag(d)·Vᵀ, the adapter is written anew as B' = U·diag(d) and A' = Vᵀ·A, whose product is
the same. A' then gets the standard deviations σ_q/d_r, row by row: what samples add to B·A is U·E with E's entries from
N(0, σ_q²), whatever d is, a Gaussian that is isotropic in B's directions. σ_q is the largest under which the anchors'
loss, −log of the samples' mean probability, is at most 1 + `tolerance` times the adapter's own. Directions whose d is 0
up to rounding are none of B's, and get nothing.

The authors take the answers that the adapter gives for the anchors' labels, and any change of the loss counts; here the
labels are known, and a loss that falls is welcome. They halve evenly, the search here goes by factors.

What is saved is what BLoB saves, and sampled as BLoB is: :mod:`activelora.modeling.methods.blob`.

Letters: N anchors, K samples, O outputs, R rank, I inputs of a matrix, M the smaller
of O and R.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import nn

from activelora.config.adapter import TfbConfig
from activelora.modeling import lora
from activelora.modeling.answer_loss import AnswerLoss, example
from activelora.modeling.methods.blob import POSTERIOR_FILE, Blob, Draws
from activelora.modeling.methods.held_out import HELD_OUT_SHARE, split
from activelora.modeling.methods.mc_dropout import begin
from activelora.modeling.posterior import Fit, FitJob, Setting
from activelora.modeling.sampling import SampledPosterior, SwappedSamples, weight_sampler
from activelora.modeling.trainee import PlainTrainee
from activelora.modeling.training import first_adapted

logger = logging.getLogger(__name__)

FEWEST_HELD_OUT = 2
"""Anchors below which none are held out: one label says little of a loss."""


class Tfb:
    """A Gaussian on A of constrained LoRA, whose width is searched for."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train one adapter, write it in the directions of its B, search for σ_q, and save both."""
        settings = job.config.adapter.tfb
        holds_out = settings.anchors == "held_out" and round(HELD_OUT_SHARE * len(job.items)) >= FEWEST_HELD_OUT
        found: dict[str, float] = {"posterior_std": settings.std or 0.0}
        with lora.attached(begin(job)) as adapted:
            losses = job.train(PlainTrainee(adapted, job.config.adapter.constraint), job.seed("train"), "all")
            singular = reparametrise(adapted)
            if settings.std is None and not holds_out:
                found = search(AnchorLoss(_few(job), adapted, singular), settings)
            lora.save(adapted, job.folder)
        if settings.std is None and holds_out:
            found = _held_out_search(job)
        save_file(rhos(singular, found["posterior_std"]), job.folder / POSTERIOR_FILE)
        return Fit(losses, found)

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[SampledPosterior]:
        """Attach the adapter; sample k is one draw of every A."""
        with Blob.load(folder, setting) as posterior:
            yield posterior


class Singular:
    """The width of A' for each of its rows.

    Args:
        scales_R: 1/d, 0 where d is 0 up to rounding.
        num_inputs: I.
    """

    def __init__(self, scales_R: torch.Tensor, num_inputs: int) -> None:
        self._scales_R = scales_R
        self._num_inputs = num_inputs

    def stds(self, std: float) -> torch.Tensor:
        """Return the standard deviations of A' under σ_q, shape (R, I)."""
        return (std * self._scales_R)[:, None].expand(-1, self._num_inputs)


class AnchorLoss:
    """The loss of the job's labels under samples of a width.

    Args:
        job: The anchors are its items.
        adapted: An adapter that :func:`reparametrise` has written anew.
        singular: What that returned.
    """

    def __init__(self, job: FitJob, adapted: PeftModel, singular: Mapping[str, Singular]) -> None:
        examples = [example(item, label) for item, label in zip(job.items, job.labels, strict=True)]
        self._loss = AnswerLoss(job.base, first_adapted(adapted), examples, packing=True, narrowing=True)
        order = sorted(range(len(examples)), key=lambda index: len(examples[index].ids))
        size = job.config.training.batch_size
        self._batches = [order[start : start + size] for start in range(0, len(order), size)]
        self._adapted, self._singular = adapted, singular
        self._plain = weight_sampler(adapted, job.config, 0)
        self._means = lora.weights_by_name(adapted)
        self._num_samples = job.config.adapter.tfb.search_samples
        self._seed = job.seed("anchors")

    def __call__(self, std: float) -> float:
        """Return the mean over anchors of −log of the mean over samples of the answer's probability, in nats."""
        numbers = range(self._num_samples) if std > 0 else [None]
        draws = Mirrored(Draws(self._means, rhos(self._singular, std), self._seed), self._means)
        sampler = SwappedSamples(self._adapted, self._plain, draws)
        losses_KN = []
        for number in numbers:
            with sampler.activate(number):
                losses_KN.append(torch.cat([self._loss.each(batch) for batch in self._batches]).double().cpu())
        log_probs_N = torch.logsumexp(-torch.stack(losses_KN), dim=0) - math.log(len(losses_KN))
        return -float(log_probs_N.mean())


class Mirrored:
    """Draws in pairs on both sides of the mean, so that slopes of the loss, which draws share, cancel.

    Args:
        draws: Returns draw k, of which the samples 2k and 2k + 1 are made.
        means: The means by name.
    """

    def __init__(self, draws: Draws, means: Mapping[str, torch.Tensor]) -> None:
        self._draws = draws
        # Taken now: while a sample is in effect, the parameter holds the sample.
        self._means = {name: mean.data for name, mean in means.items()}

    def __call__(self, sample: int) -> dict[str, torch.Tensor]:
        """Return sample k of every A."""
        drawn = self._draws(sample // 2)
        return {name: 2 * self._means[name] - one for name, one in drawn.items()} if sample % 2 else drawn


@torch.no_grad()
def reparametrise(adapted: PeftModel) -> dict[str, Singular]:
    """Write every B·A as B'·A' with B' = U·diag(d), in place, and return the widths by A's name."""
    weights = lora.weights_by_name(adapted)
    singular = {}
    for name in [name for name in weights if name.endswith("lora_A.weight")]:
        a_RI, b_OR = weights[name], weights[name.replace("lora_A", "lora_B")]
        rank, num_inputs = a_RI.shape
        u_OM, d_M, vt_MR = _svd(b_OR.data.double().cpu())
        smallest = rank * torch.finfo(torch.float32).eps * float(d_M.max())
        scales_M = torch.where(d_M > smallest, 1.0 / d_M.clamp_min(torch.finfo(d_M.dtype).tiny), 0.0)
        left_over = rank - len(d_M)  # a rank above the number of outputs
        a_RI.data = _padded(vt_MR @ a_RI.data.double().cpu(), 0, left_over).to(a_RI)
        b_OR.data = _padded(u_OM * d_M, left_over, 0).to(b_OR)
        singular[name] = Singular(nn.functional.pad(scales_M, (0, left_over)), num_inputs)
    return singular


def _svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return U, d and Vᵀ, with signs that do not depend on the processor: the largest of each row of Vᵀ is positive."""
    u_OM, d_M, vt_MR = torch.linalg.svd(matrix, full_matrices=False)
    largest_M1 = vt_MR.abs().argmax(dim=1, keepdim=True)
    signs_M = torch.where(vt_MR.gather(1, largest_M1)[:, 0] < 0, -1.0, 1.0).to(d_M)
    return u_OM * signs_M, d_M, vt_MR * signs_M[:, None]


def _padded(matrix: torch.Tensor, columns: int, rows: int) -> torch.Tensor:
    """Return the matrix with columns and rows of zeros at its end."""
    return nn.functional.pad(matrix, (0, columns, 0, rows)).contiguous()


def rhos(singular: Mapping[str, Singular], std: float) -> dict[str, torch.Tensor]:
    """Return ρ_RI of every A under σ_q, by name: BLoB's square roots of standard deviations."""
    return {name: one.stds(std).sqrt().float().contiguous() for name, one in singular.items()}


def search(loss: Callable[[float], float], settings: TfbConfig) -> dict[str, float]:
    """Return the largest σ_q whose loss is within the tolerance, as `posterior_std`, with its loss and the adapter's.

    Halves the range between one that is within and one that is not; an end of the range that settles it is returned as
    it is, and logged.

    Args:
        loss: The loss by σ_q.
        settings: Tolerance, range and number of steps.
    """
    plain = loss(0.0)
    allowed = plain * (1.0 + settings.tolerance)
    within, beyond = settings.narrowest, settings.widest
    reached = loss(beyond)
    if reached <= allowed:
        logger.info("the widest samples are within the tolerance: raise `adapter.tfb.widest` for wider ones")
        return {"posterior_std": beyond, "anchor_nll": reached, "plain_anchor_nll": plain}
    reached = loss(within)
    if reached > allowed:
        logger.info("the narrowest samples are beyond the tolerance: `adapter.tfb.narrowest` holds")
        return {"posterior_std": within, "anchor_nll": reached, "plain_anchor_nll": plain}
    for _ in range(settings.search_steps):
        middle = math.sqrt(within * beyond)
        found = loss(middle)
        if found <= allowed:
            within, reached = middle, found
        else:
            beyond = middle
    return {"posterior_std": within, "anchor_nll": reached, "plain_anchor_nll": plain}


def _held_out_search(job: FitJob) -> dict[str, float]:
    """Search with a second adapter, which has not seen the anchors. σ_q is of B·A, and so holds for the first too."""
    trained, anchors = split(len(job.items), job.seed("held-out"))
    rest = job.among(trained)
    # Never from the last round's adapter, which has seen the anchors.
    with lora.attached(lora.attach(job.base, job.config.adapter, job.seed("adapter", "held-out"))) as adapted:
        rest.train(PlainTrainee(adapted, job.config.adapter.constraint), job.seed("train", "held-out"), "held-out")
        singular = reparametrise(adapted)
        return search(AnchorLoss(_few(job.among(anchors)), adapted, singular), job.config.adapter.tfb)


def _few(job: FitJob) -> FitJob:
    """Return the job on as many of its items as are anchors at most."""
    most = job.config.adapter.tfb.num_anchors
    order = np.random.default_rng(job.seed("anchors")).permutation(len(job.items)).tolist()
    return job.among(sorted(order[:most])) if len(order) > most else job
