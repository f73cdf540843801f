"""What an adapter method is: the seam between the training and scoring steps and the methods.

A method has a card, :class:`AdapterMethod`, which is read without torch, and an implementation with two functions:

1. ``fit(job)`` attaches what it trains, trains it (:meth:`FitJob.train`), does what follows, and saves into a folder.
2. ``load(folder, setting)`` brings the saved posterior into effect on the base model, ready to predict.

Any posterior serves any measure and any query strategy: all they see is log-probabilities of K samples.

Letters: N items, K posterior samples, C answers, D features.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from activelora.config.own_settings import check_declared, settings_of
from activelora.registry import call, wrong_result

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from peft import PeftModel

    from activelora.campaign.records import Item
    from activelora.config import AdapterConfig, CampaignConfig, Section, TrainingConfig
    from activelora.config.conflict import Conflict
    from activelora.config.resources import Parallelism
    from activelora.modeling.base import BaseModel
    from activelora.modeling.encoding import EncodedItem, Encoder
    from activelora.scoring.engine import Engine


@dataclass(frozen=True)
class AdapterMethod:
    """An adapter method as the registry knows it. Importable without torch.

    Attributes:
        name: Name in the campaign file.
        summary: One line, for ``activelora list adapters``.
        implementation: Implementation, as ``module:attribute``; imported when it is needed.
        same_samples: Returns why all posterior samples would be the same under these settings, or None if they differ:
            the setting to blame, the reason (`without dropout all samples are the same`) and the remedy.
        conflicts: Returns settings that do not go with this method.
        options: Sections under ``adapter`` that it reads.
        settings: The type of its own settings, a :class:`~activelora.config.Section` whose fields have defaults and
            descriptions: the section ``adapter.NAME``, which :meth:`own_settings` returns.
        gradient_lengths: Whether what it saves is one plain LoRA adapter, whose gradients strategies can ask for.
        plain: Whether its prediction without sampling is that of the plain LoRA adapters in its folder, averaged where
            there are several: peft alone can make it.
        mergeable: Whether that one adapter, added into the base model's weights, stands for the posterior.
        adapts_head: Whether ``adapter.targets`` may name the output head.
        parallel: Ways of training in several processes whose result is that of one: ``ddp`` where nothing is random
            but LoRA's dropout and a penalty is the same in all; ``fsdp`` where besides one adapter is trained.
    """

    name: str
    summary: str
    implementation: str
    same_samples: Callable[[AdapterConfig], Conflict | None] = lambda config: None
    conflicts: Callable[[CampaignConfig], Iterable[Conflict]] = lambda config: ()
    options: tuple[str, ...] = ()
    adapts_head: bool = False
    parallel: tuple[Parallelism, ...] = ()
    settings: type[Section] | None = None
    gradient_lengths: bool = False
    plain: bool = False
    mergeable: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that are no section."""
        check_declared(self)

    def own_settings(self, config: AdapterConfig) -> Any:
        """Return its own settings in a campaign, of the type that it declares; None if it declares none.

        Raises:
            ProblemsError: The campaign's settings for it are not what it declares.
        """
        return settings_of(self, config, key="adapter")

    def implement(self) -> Implementation:
        """Import the implementation."""
        module, _, attribute = self.implementation.partition(":")
        found = call(self, "implementation", lambda: getattr(import_module(module), attribute))
        return cast("Implementation", found)

    def fit(self, job: FitJob) -> Fit:
        """Train: see :meth:`Implementation.fit`.

        Raises:
            ActiveLoRAError: It is another package's and raises, or returns something else than a fit with losses.
        """
        fit = call(self, "fit", lambda: self.implement().fit(job), gives=Fit)
        call(self, "fit", lambda: json.dumps([list(fit.losses), dict(fit.metrics), dict(fit.details)]))
        if not fit.losses:
            raise wrong_result(self, "fit", fit.losses)
        return fit

    @contextmanager
    def load(self, folder: Path, setting: Setting) -> Iterator[Posterior]:
        """Bring a posterior into effect: see :meth:`Implementation.load`.

        Raises:
            ActiveLoRAError: It is another package's and raises, or returns something else.
        """
        loads = AbstractContextManager
        context = call(self, "load", lambda: self.implement().load(folder, setting), gives=loads)
        posterior = call(self, "load", context.__enter__, gives=object)
        try:
            yield posterior
        except BaseException as error:
            call(self, "load", _leave, context, error)
            raise
        call(self, "load", context.__exit__, None, None, None)


def _leave(context: AbstractContextManager[Posterior], error: BaseException) -> None:
    """Leave a context for an error, which is not the context's own when it comes out again."""
    try:
        context.__exit__(type(error), error, error.__traceback__)
    except BaseException as new:
        if new is not error:
            raise


class Implementation(Protocol):
    """What a method does. An object, class or module with these two functions."""

    def fit(self, job: FitJob) -> Fit:
        """Train on the job's labels, save into the job's folder, and leave the base model as it was.

        A killed run comes here again with the same job, and must end with the same bytes: seeds come from
        :meth:`FitJob.seed`, and :meth:`FitJob.train` goes on from its checkpoint.
        """

    def load(self, folder: Path, setting: Setting) -> AbstractContextManager[Posterior]:
        """Return the context in which the posterior that :meth:`fit` saved is attached to the base model.

        Everything in ``folder`` is what fit wrote. The base model is given back unchanged at the end.
        """


class Posterior(Protocol):
    """A distribution over adapters, in effect on the base model."""

    def predict(
        self, engine: Engine, items: Sequence[Item], num_samples: int, with_embeddings: bool, description: str
    ) -> Prediction:
        """Return what K samples answer.

        Args:
            engine: Runs the model over items; most methods only tell it how to bring sample k into effect.
            items: N items.
            num_samples: K. 0 is the best single prediction without sampling (the posterior's mean), in one sample.
                A method with fewer different samples returns fewer.
            with_embeddings: Whether embeddings are wanted.
            description: Text of the progress display.

        The same (seed, k) is the same sample for every item: scores do not depend on batches, order or padding rows.
        """


@dataclass(frozen=True)
class Prediction:
    """Answers of a posterior.

    Attributes:
        log_probs_NKC: log p(answer | item, sample), natural logarithms; −inf where an item has fewer than C answers.
        embeddings_ND: Mean-pooled last hidden states, mean over the samples; None unless wanted.
    """

    log_probs_NKC: NDArray[np.float64]
    embeddings_ND: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Setting:
    """Where a posterior is loaded.

    Attributes:
        base: The base model.
        encoder: Turns items into token ids.
        config: The campaign's settings.
        seed: Seed of the posterior's samples; differs between rounds.
    """

    base: BaseModel
    encoder: Encoder
    config: CampaignConfig
    seed: int


class Trainee(Protocol):
    """An adapter in training, and what its method adds to the loop of :class:`~activelora.modeling.training.Trainer`.

    :class:`activelora.modeling.trainee.PlainTrainee` is the one without additions.
    """

    @property
    def adapted(self) -> PeftModel:
        """The model with its adapter."""

    def optimizers(self, config: TrainingConfig) -> list[torch.optim.Optimizer]:
        """Return the optimisers, over all that is trained.

        A parameter group's ``lr`` is its peak rate: the schedule scales it. Checkpoints hold the parameters and the
        optimisers' state, in this order.
        """

    def training(self) -> AbstractContextManager[None]:
        """Return the context of the loop: training mode of the method's own modules, and nothing else's."""

    def penalty(self, step: int, total_steps: int) -> torch.Tensor | None:
        """Return what is added to the batch's mean negative log-likelihood (a scalar, nats), or None.

        Called right after the forward pass of each part of a batch; its parts' penalties are averaged by size, as the
        losses are. torch's generator was seeded for the step before the forward pass.
        """

    def before_update(self) -> None:
        """Act on the gradients, before they are clipped and the optimisers step."""


@dataclass
class Fit:
    """What fitting found.

    Attributes:
        losses: The negative log-likelihood of each optimiser step, in nats.
        metrics: More numbers for the manifest.
        details: More facts for the manifest, as JSON.
    """

    losses: list[float]
    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class FitJob(Protocol):
    """One training run, as ``train_adapter`` hands it to a method."""

    @property
    def base(self) -> BaseModel:
        """The base model."""

    @property
    def config(self) -> CampaignConfig:
        """The campaign's settings."""

    @property
    def items(self) -> Sequence[EncodedItem]:
        """The labelled items, sorted by id."""

    @property
    def labels(self) -> Sequence[int]:
        """Their labels: an index into each item's ``answer_ids``."""

    @property
    def previous(self) -> Path | None:
        """What fit wrote in the last round, for a warm start; None to begin afresh."""

    @property
    def folder(self) -> Path:
        """Write the posterior here. Everything in it is kept in the campaign."""

    def seed(self, name: str, *parts: str | int) -> int:
        """Return the seed of a named draw in this round, such as ``seed("adapter")``."""

    def among(self, indices: Sequence[int]) -> FitJob:
        """Return the job on some of its items and labels only; a training of its own needs a name of its own."""

    def train(self, trainee: Trainee, seed: int, name: str = "") -> list[float]:
        """Train to the last step, from the last checkpoint of that name on, and return each step's loss.

        Args:
            trainee: What is trained, on the base model.
            seed: Seed of batches and of each step's draws.
            name: Tells several trainings of one job apart, such as `member-03`. A named training that is done is not
                done again when the job is resumed; its parameters come back from its checkpoint.
        """
