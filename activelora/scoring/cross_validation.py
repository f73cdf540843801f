"""Out-of-sample predictions of labelled items: adapters trained on the others, in folds.

Letters: N items, C answers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activelora.campaign.campaign import Campaign
from activelora.campaign.records import Item
from activelora.config import CampaignConfig
from activelora.errors import DIVERGED, ModelError
from activelora.modeling import lora
from activelora.modeling.base import BaseModel, load_base
from activelora.modeling.encoding import EncodedItem, Encoder
from activelora.modeling.length_limit import length_limit
from activelora.modeling.methods.registry import get_method
from activelora.modeling.posterior import Setting, Trainee
from activelora.modeling.preference_loss import lessons
from activelora.modeling.training import Trainer
from activelora.scoring.batch_size import batch_tokens
from activelora.scoring.engine import Engine
from activelora.scoring.predict import Predictor


@dataclass(frozen=True)
class FoldJob:
    """The training of one fold, without checkpoints: :class:`activelora.modeling.posterior.FitJob`.

    Attributes:
        campaign: The campaign.
        name: Tells the fold's draws from those of others and of the rounds.
        base: The base model.
        items: The labelled items of the other folds, sorted by id.
        labels: Their labels.
        folder: Folder that the method writes to.
        previous: None: every fold begins afresh.
    """

    campaign: Campaign
    name: str
    base: BaseModel
    items: Sequence[EncodedItem]
    labels: Sequence[int]
    folder: Path
    previous: Path | None = None

    @property
    def config(self) -> CampaignConfig:
        """The campaign's settings."""
        return self.campaign.config

    def seed(self, name: str, *parts: str | int) -> int:
        """Return the seed of a named draw in this fold."""
        return self.campaign.seed(name, self.name, *parts)

    def among(self, indices: Sequence[int]) -> FoldJob:
        """Return the job on some of its items and labels only."""
        items, labels = [self.items[index] for index in indices], [self.labels[index] for index in indices]
        return replace(self, items=items, labels=labels)

    def train(self, trainee: Trainee, seed: int, name: str = "") -> list[float]:
        """Train to the last step. See :meth:`activelora.modeling.posterior.FitJob.train`."""
        examples = lessons(self.items, self.labels, [1.0] * len(self.items))
        return Trainer(self.base, trainee, examples, self.config.training, seed).run(lambda: None)


def held_out_log_probs(
    campaign: Campaign, labels: Mapping[str, int], items: Mapping[str, Item], held_out: Sequence[str], name: str
) -> NDArray[np.float64]:
    """Return log p(answer | item) of held-out items, by an adapter that was trained on the other labelled items.

    Method, settings and number of samples are the campaign's, as in training and evaluation; the mean is over samples.

    Args:
        campaign: The campaign.
        labels: Item id → label, of all labelled items.
        items: Their content, by id.
        held_out: Ids of the N items to predict.
        name: Name of the fold, for its seeds.

    Returns:
        Shape (N, C), natural logarithms.

    Raises:
        ModelError: A probability is not a number.
    """
    config = campaign.config
    base = load_base(config.model)
    encoder = Encoder(base.tokenizer, config.task, length_limit(base.model.config))
    trained = sorted(set(labels).difference(held_out))
    method = get_method(config.adapter.method)
    with tempfile.TemporaryDirectory() as scratch:
        encoded = encoder.encode([items[item_id] for item_id in trained])
        folder = Path(scratch) / "adapter"
        job = FoldJob(campaign, name, base, encoded, [labels[item_id] for item_id in trained], folder)
        method.fit(job)
        with method.load(folder, Setting(base, encoder, config, job.seed("mask"))) as posterior:
            first_top_layer = lora.first_adapted_layer(base.model, config.adapter)
            engine = Engine(base, encoder, first_top_layer, batch_tokens(config.scoring, base))
            log_probs_NKC = Predictor(engine, posterior, method).log_probs(
                [items[item_id] for item_id in held_out], config.evaluation.num_samples, "predicting held-out items"
            )
    if np.isnan(log_probs_NKC).any():
        raise ModelError(
            "the probabilities of held-out items are not numbers",
            where=f"{campaign.store.uri}, {name}",
            remedy=DIVERGED,
        )
    total_NC = np.logaddexp.reduce(log_probs_NKC, axis=1)
    return np.asarray(total_NC - np.log(log_probs_NKC.shape[1]), dtype=np.float64)
