"""The one signature of all query strategies.

Letters: N unlabelled items, C classes, K samples, D features, L labelled items.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activelora.config import AcquisitionConfig, CampaignConfig, Section
from activelora.config.conflict import Conflict
from activelora.config.own_settings import check_declared
from activelora.registry import call, wrong_result
from activelora.tasks.task import Form

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
SAMPLES, EMBEDDINGS, FEATURES, GRADIENTS = "samples", "embeddings", "features", "gradients"
"""What a strategy can need besides measures: see :attr:`Strategy.needs`."""
GRADIENT_LENGTH = "expected_gradient_length"
"""The column of ``gradients``: as a measure, but kept only where it is needed."""


@dataclass(frozen=True)
class ScoredPool:
    """The unlabelled items and what the models think of them. Their order means nothing.

    Attributes:
        item_ids: N different ids.
        measures: Name to scores_N under the current adapter (the base model in round 0); larger is less certain.
        base_measures: The same under the base model; empty where neither the seed set nor the strategy reads them.
        mean_probs_NC: Predictive distribution, padded with zeros where an item has fewer answers.
        label_names: Names of the C answers, for reasons in words; empty where every item has its own choices.
        log_probs_NKC: The samples' log-probabilities, padded with −inf; None unless the strategy needs ``samples``.
        embeddings_ND: Mean-pooled last hidden states, not centred; None unless the strategy needs ``embeddings``, or
            ``features`` that are embeddings.
        labeled_embeddings_LD: The same of the items that have a label already; with ``embeddings_ND`` only.
        labeled_probs_LC: Predictive distribution of those, as wide as ``mean_probs_NC``; with embeddings or features.
        labeled_answers_L: The places of the labelled items' labels among the C answers, −1 where it is not known; with
            embeddings or features.
        middle_D: The mean of all embeddings, labelled items' too: what has to do with angles takes it off first. None
            leaves embeddings as they are.
        features_ND: Differences between the states of an item's two answers, where these are compared: exchanging the
            answers flips the sign. With ``features`` only; None where an item's features are its embedding.
        labeled_features_LD: The same of the items that have a label already.
    """

    item_ids: tuple[str, ...]
    measures: Mapping[str, FloatArray]
    base_measures: Mapping[str, FloatArray]
    mean_probs_NC: FloatArray
    label_names: tuple[str, ...] = ()
    log_probs_NKC: FloatArray | None = None
    embeddings_ND: Float32Array | None = None
    labeled_embeddings_LD: Float32Array | None = None
    labeled_probs_LC: FloatArray | None = None
    labeled_answers_L: NDArray[np.int64] | None = None
    middle_D: FloatArray | None = None
    features_ND: Float32Array | None = None
    labeled_features_LD: Float32Array | None = None


@dataclass(frozen=True)
class SelectionContext:
    """What a strategy may know besides the pool.

    Attributes:
        seed: Seed of its random draws; differs between rounds.
        round: The round t, from 0.
        num_rounds: Planned queries, R_total.
        config: The campaign's acquisition settings.
        follower: The strategy that this one hands over to, where it does (:attr:`Strategy.hands_over`).
        settings: The strategy's own settings, of the type :attr:`Strategy.settings`; None if it has none.
    """

    seed: int
    round: int
    num_rounds: int
    config: AcquisitionConfig
    follower: Strategy | None = None
    settings: Any = None


@dataclass(frozen=True)
class Pick:
    """One selected item.

    Attributes:
        index: Into :attr:`ScoredPool.item_ids`.
        score: The strategy's score; None for a random draw.
        reason: The reason in words, for annotators and the report.
    """

    index: int
    score: float | None
    reason: str


Select = Callable[[ScoredPool, int, SelectionContext], list[Pick]]
"""Pool, number wanted, context → that many different picks (all, if the pool is smaller), most wanted first."""


@dataclass(frozen=True)
class Strategy:
    """A query strategy as the registry knows it.

    Attributes:
        name: The name in the campaign file.
        summary: One line with its formula, for ``activelora list strategies``.
        select: The function.
        needs_scores: False if the pool need not be scored at all.
        reads_base: Whether it reads the base model's measures (:attr:`ScoredPool.base_measures`).
        options: Settings under ``acquisition`` that it reads beside its own: ``measure``, or nothing.
        needs: What score_pool must keep for it besides the measures: ``samples`` (each sample's distribution),
            ``embeddings`` (of the pool and of the labelled items, with the latter's distributions), ``features`` (so
            too: what the answers' log-odds are linear in, for the last layer) or ``gradients``
            (:data:`GRADIENT_LENGTH` among the measures).
        measures: Measures that it reads whatever the campaign file says; those of its settings are checked apart.
        needs_answers: It makes no sense unless an item's prediction is one distribution over answers that exclude each
            other.
        forms: What an item's answer may be, by :attr:`activelora.tasks.task.Kind.form`; None if it may be anything.
        settings: The type of its own settings, a :class:`~activelora.config.Section` whose fields all have defaults and
            a description: the section ``acquisition.NAME`` of the campaign file. ``select`` gets it as
            :attr:`SelectionContext.settings`.
        measure_settings: Settings of its own that each name a measure that it reads.
        hands_over: The setting of its own that names the strategy to which it hands over its items, the
            :attr:`SelectionContext.follower`.
        compares_samples: It makes no sense where the posterior's samples are all the same, whatever it measures. Of a
            measure of disagreement that it reads this is known.
        conflicts: Returns settings that do not go with this strategy, from the campaign's settings and its own.
        details: Returns what the batch's manifest tells of the selection besides, as JSON.
    """

    name: str
    summary: str
    select: Select
    needs_scores: bool = True
    reads_base: bool = False
    options: tuple[str, ...] = field(default=())
    needs: frozenset[str] = frozenset()
    measures: tuple[str, ...] = ()
    needs_answers: bool = False
    forms: frozenset[Form] | None = None
    settings: type[Section] | None = None
    measure_settings: tuple[str, ...] = ()
    hands_over: str | None = None
    compares_samples: bool = False
    conflicts: Callable[[CampaignConfig, Any], Iterable[Conflict]] = lambda config, settings: ()
    details: Callable[[SelectionContext], Mapping[str, Any]] = lambda context: {}

    def __post_init__(self) -> None:
        """Refuse settings that are no section, and keys that it has not."""
        check_declared(self, *self.measure_settings, *([] if self.hands_over is None else [self.hands_over]))

    def picks(self, pool: ScoredPool, num: int, context: SelectionContext) -> list[Pick]:
        """Return what :attr:`select` picks.

        Raises:
            ActiveLoRAError: It is another package's and raises, or returns something else than picks.
        """
        picks = call(self, "select", self.select, pool, num, context, gives=Collection)
        for pick in picks:
            if not isinstance(pick, Pick):
                raise wrong_result(self, "select", pick)
            is_one = isinstance(pick.index, Integral) and isinstance(pick.score, Real | NoneType)
            if not is_one or not isinstance(pick.reason, str):
                raise wrong_result(self, "select", pick, f" that is no index, score and reason: {pick}")
        return picks
