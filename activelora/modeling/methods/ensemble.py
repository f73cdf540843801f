"""LoRA ensemble: M adapters that differ in their initial A, their batches and their dropout.

Lakshminarayanan et al. (2017), with adapters as Wang et al. (2023) use them. Sample k is member k, as it is: M samples
at most, for a member that counted twice would outweigh the others. The prediction without sampling is the mean of all
members' probabilities. The members are query by committee's committee.

Letters: N items, M members, C answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file

from activelora.modeling import lora
from activelora.modeling.posterior import Fit, FitJob, Prediction, Setting
from activelora.modeling.sampling import SampledPosterior, Sampler, SwappedSamples, weight_sampler
from activelora.modeling.trainee import PlainTrainee

if TYPE_CHECKING:
    from activelora.campaign.records import Item
    from activelora.scoring.engine import Engine


class Ensemble:
    """Constrained LoRA, several times over."""

    @staticmethod
    def fit(job: FitJob) -> Fit:
        """Train the members one after another, each with its own checkpoints, and save each as plain peft."""
        num_members = job.config.adapter.ensemble.members
        losses = [_fit_member(job, member) for member in range(num_members)]
        return Fit(np.mean(losses, axis=0).tolist(), {"num_members": num_members})

    @staticmethod
    @contextmanager
    def load(folder: Path, setting: Setting) -> Iterator[EnsemblePosterior]:
        """Attach the first member; the others take its place when they are asked for."""
        folders = sorted(folder.glob("member-*"))
        members: list[Mapping[str, torch.Tensor]] = [load_file(one / lora.WEIGHTS_FILE) for one in folders]
        with lora.attached(lora.load(setting.base, folders[0])) as adapted:
            plain = weight_sampler(adapted, setting.config, setting.seed)
            yield EnsemblePosterior(SwappedSamples(adapted, plain, members.__getitem__), len(members))


class EnsemblePosterior:
    """Members of equal weight.

    Args:
        sampler: Puts member k into effect.
        num_members: M.
    """

    def __init__(self, sampler: Sampler, num_members: int) -> None:
        self._samples = SampledPosterior(sampler)
        self._num_members = num_members

    def predict(
        self, engine: Engine, items: Sequence[Item], num_samples: int, with_embeddings: bool, description: str
    ) -> Prediction:
        """Return the first min(K, M) members' answers, or for K = 0 the mean of all their probabilities."""
        num_members = min(num_samples or self._num_members, self._num_members)
        found = self._samples.predict(engine, items, num_members, with_embeddings, description)
        if num_samples > 0:
            return found
        mean_N1C = np.logaddexp.reduce(found.log_probs_NKC, axis=1, keepdims=True) - np.log(num_members)
        return Prediction(mean_N1C, found.embeddings_ND)


def _fit_member(job: FitJob, member: int) -> list[float]:
    name = f"member-{member:02d}"
    with lora.attached(_begin(job, name)) as adapted:
        trainee = PlainTrainee(adapted, job.config.adapter.constraint)
        losses = job.train(trainee, job.seed("train", name), name)
        lora.save(adapted, job.folder / name)
    return losses


def _begin(job: FitJob, name: str) -> PeftModel:
    if job.previous is not None:
        return lora.load(job.base, job.previous / name, trainable=True)
    return lora.attach(job.base, job.config.adapter, job.seed("adapter", name))
