"""One training run of a campaign, as an adapter method sees it: :class:`activelora.modeling.posterior.FitJob`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from activelora.campaign.campaign import Attempt
from activelora.config import CampaignConfig
from activelora.modeling.base import BaseModel
from activelora.modeling.checkpoint import Checkpoints, remove_checkpoints
from activelora.modeling.encoding import EncodedItem
from activelora.modeling.parallel import ALONE, Team
from activelora.modeling.posterior import Trainee
from activelora.modeling.preference_loss import lessons
from activelora.modeling.training import Trainer
from activelora.modeling.trunk_states import trunk_state_cache


@dataclass(frozen=True)
class AttemptJob:
    """A training run inside an attempt at ``train_adapter``, with checkpoints in the campaign's store.

    Attributes:
        attempt: The attempt; everything that it reads must have been recorded, for checkpoints depend on it.
        base: The base model.
        items: The labelled items, sorted by id.
        labels: Their labels.
        weights: How much each counts.
        folder: Folder that the method writes to.
        previous: What it wrote in the last round, for a warm start.
        team: The processes that train together. Each has a folder of its own, and only the first one's is kept.
        digest: Digest of the labels: with an item deleted, no checkpoint that learned from it is gone on with.
    """

    attempt: Attempt
    base: BaseModel
    items: Sequence[EncodedItem]
    labels: Sequence[int]
    weights: Sequence[float]
    folder: Path
    previous: Path | None = None
    team: Team = ALONE
    digest: str = ""

    @property
    def config(self) -> CampaignConfig:
        """The campaign's settings."""
        return self.attempt.campaign.config

    def seed(self, name: str, *parts: str | int) -> int:
        """Return the seed of a named draw in this round."""
        return self.attempt.campaign.seed(name, self.attempt.unit.round, *parts)

    def among(self, indices: Sequence[int]) -> AttemptJob:
        """Return the job on some of its items and labels only."""
        items, labels = [self.items[index] for index in indices], [self.labels[index] for index in indices]
        return replace(self, items=items, labels=labels, weights=[self.weights[index] for index in indices])

    def train(self, trainee: Trainee, seed: int, name: str = "") -> list[float]:
        """Train from the last checkpoint of that name on. See :meth:`activelora.modeling.posterior.FitJob.train`."""
        examples = lessons(self.items, self.labels, self.weights)
        trunk_cache = trunk_state_cache(self.config.resources.trunk_cache_gb)
        trainer = Trainer(self.base, trainee, examples, self.config.training, seed, trunk_cache, self.team)
        checkpoint_name = f"{self.digest[:12]}-{name}" if name else self.digest[:12]
        checkpoints = Checkpoints(self.attempt.campaign.store, self.attempt, trainer, checkpoint_name, self.team)
        checkpoints.restore()
        if name and trainer.is_done:
            return trainer.progress.losses
        losses = trainer.run(checkpoints.save)
        if name:
            checkpoints.save()
        return losses

    def forget(self) -> None:
        """Remove the checkpoints: what they led to is kept."""
        remove_checkpoints(self.attempt.campaign.store, self.attempt)
