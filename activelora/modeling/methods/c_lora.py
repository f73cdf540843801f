"""C-LoRA (Rahmati et al. 2025, arXiv 2505.17773): B·E(x)·A, where E's distribution depends on the token.

The layer is in :mod:`activelora.modeling.clora_layers`, the mathematics in :mod:`activelora.modeling.clora`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from activelora.config import AdapterConfig, CLoraConfig, TrainingConfig
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.clora import ContextSamples, FreshNoise, clora_layers, mean_kl, noisy, recorded
from activelora.modeling.clora_layers import CONTAINERS, CLoraPeftConfig, ContextConfig
from activelora.modeling.posterior import Fit, FitJob, Setting
from activelora.modeling.sampling import SampledPosterior
from activelora.modeling.trainee import PlainTrainee


class CLora:
    """One contextual adapter. A sample is one draw of ε for every layer and position, the same for all items."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train one adapter and save it as peft does."""
        with lora.attached(_begin(job)) as adapted:
            trainee = CLoraTrainee(adapted, job.config.adapter)
            losses = job.train(trainee, job.seed("train"))
            lora.save(adapted, job.folder)
        return Fit(losses, metrics={"kl_nats": trainee.kl_nats}, details={"c_lora": trainee.config.model_dump()})

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[SampledPosterior]:
        """Attach the adapter; the mean is E = μ(x), sample k adds σ(x)∘ε_k."""
        with lora.attached(load(setting, folder)) as adapted:
            yield SampledPosterior(ContextSamples(adapted, setting.seed))


class CLoraTrainee:
    """Trains A and B by the likelihood, and the context network by likelihood and KL with an optimiser of its own.

    See :class:`~activelora.modeling.posterior.Trainee`.

    Args:
        adapted: The model with its adapter.
        config: The adapter section.

    Attributes:
        kl_nats: The KL to the prior at the last step, per token, mean over layers.
    """

    def __init__(self, adapted: PeftModel, config: AdapterConfig) -> None:
        self.adapted = adapted
        self.config: CLoraConfig = config.c_lora
        self.kl_nats = float("nan")
        self._plain = PlainTrainee(adapted, config.constraint)
        self._layers = clora_layers(adapted)
        self._head: Any = adapted.get_base_model().get_output_embeddings()

    def optimizers(self, config: TrainingConfig) -> list[torch.optim.Optimizer]:
        """Return AdamW over A and B, and SGD over the context networks."""
        context = [
            parameter
            for layer in self._layers.values()
            for name in CONTAINERS
            for parameter in getattr(layer, name)[lora.ADAPTER_NAME].parameters()
        ]
        return [*self._plain.optimizers(config), torch.optim.SGD(context, lr=self.config.learning_rate)]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Switch on noise, LoRA's dropout, and the memory that the KL is computed from."""
        noise = {name: FreshNoise(self.config.noise) for name in self._layers}
        layers = list(self._layers.values())
        with self._plain.training(), noisy(self._layers, noise), recorded(layers), _given_rows(self._head):
            yield

    def penalty(self, step: int, total_steps: int) -> torch.Tensor | None:
        """Return kl_weight · KL(q(E | x) ‖ prior)."""
        with torch.autocast(self._head.weight.device.type, enabled=False):
            kl = mean_kl(list(self._layers.values()), self._head.rows, self.config.prior_std)
        self.kl_nats = float(kl.detach())
        return self.config.kl_weight * kl if self.config.kl_weight > 0 else None

    def before_update(self) -> None:
        """Apply STAR's coupled constraint, where it is asked for."""
        self._plain.before_update()


@contextmanager
def _given_rows(head: nn.Module) -> Iterator[None]:
    """Give the output head the rows of the tokens it gets, adapted or not: the last of each sequence ends it."""
    if hasattr(head, "rows"):
        yield
        return
    head.rows = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del head.rows


def _begin(job: FitJob) -> PeftModel:
    """Attach the last round's adapter, or a fresh one."""
    if job.previous is not None:
        return lora.load(job.base, job.previous, trainable=True)
    settings = job.config.adapter.c_lora
    context = ContextConfig(settings.width, settings.mean, settings.noise)
    kind = partial(CLoraPeftConfig, clora_config=context)
    return lora.attach(job.base, job.config.adapter, job.seed("adapter"), kind)


def load(setting: Setting, folder: Path) -> PeftModel:
    """Attach a saved adapter.

    Raises:
        ModelError: It is no C-LoRA adapter, or is one that lost its context network.
    """
    adapted = lora.load(setting.base, folder)
    if not clora_layers(adapted):
        lora.detach(adapted)
        raise ModelError(
            "is not a C-LoRA adapter: its peft_type is not CLORA",
            where=str(folder / "adapter_config.json"),
            remedy="Use the adapter as train_adapter saved it.",
        )
    return adapted
