"""BLoB, Bayesian low-rank adaptation by backpropagation (Wang et al. 2024, arXiv 2406.11675).

q(A) = N(M, σ²) entry by entry with σ = ρ²; B is one matrix; prior N(0, prior_std²) on A. Step i of a pass of n steps
weighs the divergence by π_i = 2^i / (2^(n+1) − 1), i = 1 … n: over a pass it counts once (but for the 1/(2^(n+1) − 1)
that the paper's π leave out), most of it near the end. As the authors' code does, AdamW follows the likelihood, and
after each of its steps M and ρ take a plain gradient step of their own, at the rate η_KL, which the schedule scales:
``θ ← θ − η_KL · kl_weight · π_i · ∂KL(q ‖ prior)/∂θ``. Without that rate, AdamW follows the sum of both, whose loss is
NLL + kl_weight · n·π_i/N · KL; its normalised steps then hold ρ to the rate of the likelihood.

Training draws one ε for a forward pass, and flips its signs token by token (flipout, Wen et al. 2018):
``A·x = M·x + r ∘ ((σ∘ε)·(s∘x))``, r and s uniform in {−1, 1}. Sampling draws one A for all items, which is mergeable.

Letters: B batch, T tokens, R rank, I inputs of an adapted layer, N labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn

from activelora.config import TrainingConfig
from activelora.config.adapter import BlobConfig
from activelora.modeling import lora
from activelora.modeling.methods.mc_dropout import begin
from activelora.modeling.posterior import Fit, FitJob, Setting
from activelora.modeling.sampling import SampledPosterior, SwappedSamples, weight_sampler
from activelora.modeling.trainee import PlainTrainee
from activelora.seeding import derive_seed

POSTERIOR_FILE = "posterior.safetensors"
"""ρ of every A, under A's name in the adapter's file."""


class Blob:
    """Variational inference over A."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train mean and standard deviation together; save the mean as plain peft, and ρ beside it."""
        config = job.config
        with lora.attached(begin(job)) as adapted:
            rhos = _initial_rhos(adapted, config.adapter.blob, job.previous)
            trainee = BlobTrainee(
                PlainTrainee(adapted, config.adapter.constraint), rhos, config.adapter.blob, len(job.labels)
            )
            losses = job.train(trainee, job.seed("train"))
            lora.save(adapted, job.folder)
            save_file({name: rho.data.cpu().contiguous() for name, rho in rhos.items()}, job.folder / POSTERIOR_FILE)
            metrics = {"kl_nats": trainee.divergence().item(), "mean_std": mean_std(rhos)}
        return Fit(losses, metrics)

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[SampledPosterior]:
        """Attach the mean; sample k is one draw of every A."""
        rhos = load_file(folder / POSTERIOR_FILE)
        with lora.attached(lora.load(setting.base, folder)) as adapted:
            draws = Draws(lora.weights_by_name(adapted), rhos, setting.seed)
            plain = weight_sampler(adapted, setting.config, setting.seed)
            yield SampledPosterior(SwappedSamples(adapted, plain, draws))


class Draws:
    """Draws of q(A): the same for every item, in any process.

    Args:
        means: Parameters by name, A's among them.
        rhos: ρ_RI of every A, by name.
        seed: Seed of the draws.
    """

    def __init__(self, means: Mapping[str, torch.Tensor], rhos: Mapping[str, torch.Tensor], seed: int) -> None:
        # The mean is taken now: while a sample is in effect, the parameter holds the sample.
        self._means = {name: means[name].data for name in rhos}
        self._rhos = rhos
        self._seed = seed

    def __call__(self, sample: int) -> dict[str, torch.Tensor]:
        """Return sample k of every A."""
        drawn = {}
        for name, rho_RI in self._rhos.items():
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "sample", sample, name))
            noise_RI = torch.randn(rho_RI.shape, generator=generator, dtype=torch.float32) * rho_RI.cpu().square()
            drawn[name] = self._means[name] + noise_RI.to(self._means[name])
        return drawn


class BlobTrainee:
    """Trains M, ρ and B. See :class:`~activelora.modeling.posterior.Trainee`.

    Args:
        plain: The adapter: its A is M.
        rhos: ρ_RI of every A, by name.
        config: The method's settings.
        num_labels: N.
    """

    def __init__(self, plain: PlainTrainee, rhos: dict[str, nn.Parameter], config: BlobConfig, num_labels: int) -> None:
        self._plain = plain
        self._rhos = rhos
        self._config = config
        self._num_labels = num_labels
        self._steps_per_pass = 1
        self._peak_rate = 1.0
        self._share = 0.0

    @property
    def adapted(self) -> PeftModel:
        """The model with its adapter."""
        return self._plain.adapted

    def optimizers(self, config: TrainingConfig) -> list[torch.optim.Optimizer]:
        """Return one AdamW over all, each of whose steps the divergence's own follows; ρ does not decay."""
        self._steps_per_pass = math.ceil(self._num_labels / config.batch_size)
        self._peak_rate = config.learning_rate
        groups = [*self._plain.groups(config), {"params": list(self._rhos.values()), "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        if self._config.kl_learning_rate is not None:
            optimizer.register_step_post_hook(self._descend)
        return [optimizer]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Add flipout's noise to what every A returns."""
        with self._plain.training(), ExitStack() as hooks:
            for name, layer in lora.lora_layers(self.adapted).items():
                hook = Flipout(self._rhos[f"{name}.lora_A.weight"])
                hooks.callback(layer.lora_A[lora.ADAPTER_NAME].register_forward_hook(hook).remove)
            yield

    def penalty(self, step: int, total_steps: int) -> torch.Tensor | None:
        """Return the weighted divergence from the prior, unless it has steps of its own."""
        self._share = pass_share(step % self._steps_per_pass + 1, self._steps_per_pass)
        if self._config.kl_learning_rate is not None:
            return None
        weight = self._config.kl_weight * self._steps_per_pass * self._share / self._num_labels
        penalty: torch.Tensor = weight * self.divergence()
        return penalty

    def _descend(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Take the divergence's step, at its own rate where the schedule has brought AdamW's."""
        peak = self._config.kl_learning_rate or 0.0
        scheduled = float(optimizer.param_groups[0]["lr"]) / self._peak_rate
        rate = peak * scheduled * self._config.kl_weight * self._share
        parameters = lora.weights_by_name(self.adapted)
        with torch.no_grad():
            for name, rho in self._rhos.items():
                toward_prior(parameters[name], rho, self._config.prior_std, rate)

    def before_update(self) -> None:
        """Apply STAR's coupled constraint, where that is asked for."""
        self._plain.before_update()

    def divergence(self) -> torch.Tensor:
        """Return KL(q ‖ prior) of all A's, in nats."""
        parameters = lora.weights_by_name(self.adapted)
        prior_std = self._config.prior_std
        return torch.stack(
            [gaussian_kl(parameters[name], rho.square(), prior_std) for name, rho in self._rhos.items()]
        ).sum()


class Flipout:
    """A forward hook on A that adds the noise of one weight draw, with signs drawn for every token.

    Args:
        rho_RI: ρ.
    """

    def __init__(self, rho_RI: torch.Tensor) -> None:
        self._rho_RI = rho_RI

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output_BTR: torch.Tensor) -> torch.Tensor:
        """Return M·x + r ∘ ((σ∘ε)·(s∘x))."""
        x_BTI: torch.Tensor = inputs[0]
        noise_RI = self._rho_RI.square() * torch.randn_like(self._rho_RI)
        noisy_BTR = nn.functional.linear(x_BTI * _signs(x_BTI), noise_RI)
        return output_BTR + noisy_BTR * _signs(noisy_BTR)


def gaussian_kl(mean: torch.Tensor, std: torch.Tensor, prior_std: float) -> torch.Tensor:
    """Return KL(N(mean, std²) ‖ N(0, prior_std²)), summed over the entries, in nats."""
    variance_ratio = (std / prior_std).square()
    entries = 0.5 * (variance_ratio + (mean / prior_std).square() - 1.0 - variance_ratio.log())
    return entries.sum()


def toward_prior(mean: torch.Tensor, rho: torch.Tensor, prior_std: float, rate: float) -> None:
    """Take a gradient step on KL(N(mean, ρ⁴) ‖ N(0, prior_std²)), in place.

    The slope of ρ near 0 is steep, ``2ρ³/prior_std² − 2/ρ``: a step that would make σ wider than the prior's
    ends there.

    Args:
        mean: The entries' means.
        rho: The square roots of their standard deviations.
        prior_std: The prior's standard deviation.
        rate: The step's length.
    """
    away = torch.where(rho < 0, -1.0, 1.0)  # of a ρ of 0, too
    safe = away * rho.abs().clamp_min(torch.finfo(rho.dtype).tiny ** 0.5)
    widest = rho.abs().clamp_min(math.sqrt(prior_std))
    mean.sub_(mean, alpha=rate / prior_std**2)
    stepped = rho - rate * (2.0 * rho**3 / prior_std**2 - 2.0 / safe)
    rho.copy_(stepped.clamp(-widest, widest))


def pass_share(index: int, count: int) -> float:
    """Return π_i = 2^i / (2^(n+1) − 1) for i = 1 … n, without overflow."""
    return 2.0 ** (index - count - 1) / (1.0 - 2.0 ** (-count - 1))


def mean_std(rhos: Mapping[str, torch.Tensor]) -> float:
    """Return the mean of σ over all entries."""
    return float(torch.cat([rho.detach().square().flatten() for rho in rhos.values()]).mean())


def _signs(like: torch.Tensor) -> torch.Tensor:
    return torch.randint_like(like, 2) * 2.0 - 1.0


def _initial_rhos(adapted: PeftModel, config: BlobConfig, previous: Path | None) -> dict[str, nn.Parameter]:
    """Return the last round's ρ, or the square root of the initial standard deviation."""
    means = {name: weight for name, weight in lora.weights_by_name(adapted).items() if name.endswith("lora_A.weight")}
    if previous is not None:
        stored = load_file(previous / POSTERIOR_FILE)
        return {name: nn.Parameter(stored[name].to(mean.device)) for name, mean in means.items()}
    start = math.sqrt(config.initial_std)
    return {name: nn.Parameter(torch.full_like(mean.data, start, dtype=torch.float32)) for name, mean in means.items()}
