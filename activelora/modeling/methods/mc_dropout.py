"""LoRA with Monte-Carlo dropout: one adapter; a sample is one dropout mask over A's input columns.

Gal and Ghahramani (2016); as STAR (arXiv 2403.01165) uses it. See :mod:`activelora.uncertainty.weight_samples`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel

from activelora.config import CampaignConfig
from activelora.modeling import lora
from activelora.modeling.posterior import Fit, FitJob, Setting
from activelora.modeling.sampling import SampledPosterior, Sampler, TokenSamples, weight_sampler
from activelora.modeling.trainee import PlainTrainee


class McDropout:
    """Constrained LoRA, sampled by dropout."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train one adapter and save it as plain peft."""
        with lora.attached(begin(job)) as adapted:
            losses = job.train(PlainTrainee(adapted, job.config.adapter.constraint), job.seed("train"))
            lora.save(adapted, job.folder)
        return Fit(losses)

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[SampledPosterior]:
        """Attach the adapter; sample k is dropout mask k."""
        with lora.attached(lora.load(setting.base, folder)) as adapted:
            yield SampledPosterior(make_sampler(adapted, setting.config, setting.seed))


def begin(job: FitJob) -> PeftModel:
    """Attach the last round's adapter, or a fresh one."""
    if job.previous is not None:
        return lora.load(job.base, job.previous, trainable=True)
    return lora.attach(job.base, job.config.adapter, job.seed("adapter"))


def make_sampler(adapted: PeftModel, config: CampaignConfig, seed: int) -> Sampler:
    """Return the sampler that the settings ask for."""
    if config.scoring.mask == "token":
        return TokenSamples(adapted, seed)
    return weight_sampler(adapted, config, seed)
