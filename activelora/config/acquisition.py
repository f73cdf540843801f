"""The `scoring` and `acquisition` sections of a campaign file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from activelora.config.moved_settings import with_strategy_sections
from activelora.config.section import Fraction, NonNegative, OpenSection, Positive, Section

Embedding = Literal["after_item", "item", "prompt"]
"""Tokens that an item's embedding is the mean of."""


class NliConfig(Section):
    """A model that tells whether one written answer entails another: natural language inference."""

    model: Annotated[str, Field(min_length=1)]
    """A local folder, a Hugging Face hub id such as `cross-encoder/nli-deberta-v3-xsmall`, or the `s3://` prefix of a
    model that `activelora model push` has published: a sequence classifier with safetensors, tokenizer.json and one
    label that is `entailment`. Its language must be that of the answers."""
    revision: str | None = None
    """Commit of a hub id. Pin it in production."""


class ScoringConfig(Section):
    """How uncertainty is computed over the pool."""

    num_samples: Positive = 8
    """K, samples of the adapter's posterior: for method `lora`, Monte-Carlo dropout. STAR's paper uses 3. Left out, it
    is 32 where the strategy goes by how far samples disagree (`bald`, `batch_bald`, `measure: bald`, ...): fewer rank
    noise. How much, the report says: it compares the batches of two halves of the samples. For measures of what written
    answers mean (`semantic_entropy`), the number of answers that are drawn, each by a sample."""
    mask: Literal["weight", "token"] = "weight"
    """`weight`: one dropout mask a sample, the same for every item: fast, and consistent over the pool.
    `token`: a fresh mask for every token, as peft does: slow, for replication. For method `lora`."""
    two_stage: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Score in two stages: one pass without sampling, and K samples only for this share of the items, those of the
    highest predictive entropy. The others keep the pass's score. The manifest tells the estimated recall: the share of
    the true top that was sampled. None samples all."""
    batch_tokens: Annotated[int, Field(ge=64)] | Literal["auto"] = "auto"
    """Tokens per batch, padding included. `auto` goes by the device: few on a CPU, whose caches hold no more, and many
    on a GPU, by its memory. Where memory runs out, batches are halved."""
    embedding: Embedding = "after_item"
    """Whose last hidden states an item's embedding is the mean of. `after_item`: those of the tokens that follow the
    item in the prompt, which have read it; the item's own, where nothing follows. `item`: the item's own tokens. With
    both, the mean of all embeddings is taken off before cosines. `prompt`: all tokens, those before the item too, which
    are the same for every item; nothing is taken off; so it was in campaigns of older versions."""
    nli: NliConfig | None = None
    """The model that tells whether two written answers mean the same, for measures of meaning (`semantic_entropy`):
    where each entails the other as an answer to the prompt. None goes by the task's own comparison, of final answers:
    right for numbers and names, blind to sentences in other words."""


class StarConfig(Section):
    """For `acquisition.strategy: star`."""

    preset: Literal["none", "paper_code"] = "none"
    """`paper_code` fills every setting you leave out in `adapter`, `training`, `scoring`, `acquisition` and `stopping`
    with the published code's (rank 64, three epochs at 1.5e-4, three samples, 500 random labels and nine times 500
    more). Texts that the model writes need `measure: token_entropy` besides."""
    scaling: Literal["minmax", "rank"] = "minmax"
    """How base and adapter uncertainty are brought to one scale before mixing."""


class HybridConfig(Section):
    """For `acquisition.strategy: hybrid`."""

    prefilter: str = "predictive_entropy"
    """The measure whose top is handed on before `then` chooses."""
    prefilter_factor: Positive = 10
    """Hand on this many times the batch."""
    then: str = "core_set"
    """The strategy that chooses among the items that were handed on, by its own settings."""


class ClusterMarginConfig(Section):
    """For `acquisition.strategy: cluster_margin`."""

    prefilter_factor: Positive = 10
    """Cluster this many times the batch, those of the smallest margin."""


class DensityWeightedConfig(Section):
    """For `acquisition.strategy: density_weighted`."""

    beta: Annotated[float, Field(ge=0.0)] = 1.0
    """The power of the density. 0 leaves the uncertainty alone."""


class BatchBaldConfig(Section):
    """For `acquisition.strategy: batch_bald`."""

    candidates: Positive = 1000
    """The batch is put together from this many items, the top by BALD (or from as many as the batch needs). More are
    slower; an item below them would hardly be chosen."""
    configurations: Annotated[int, Field(ge=100)] = 20_000
    """Joint answers of the batch so far are enumerated up to this many, and beyond that this many are drawn. Fewer are
    faster, and batches then differ from seed to seed."""


class EpigConfig(Section):
    """For `acquisition.strategy: epig`."""

    targets: Positive = 100
    """Items drawn at random from the pool (after `hybrid`, from those that were handed on), about whose answers a
    label should tell. More are slower and steadier: batches hang less on the draw."""


class ExpectedGradientLengthConfig(Section):
    """For `acquisition.strategy: expected_gradient_length`."""

    gradient: Literal["head", "adapter"] = "head"
    """`head` takes the answer head's gradient, in closed form, for one more forward pass; `adapter` the exact gradient
    of the adapter's parameters, for a backward pass per item and answer."""


class DOptimalConfig(Section):
    """For `acquisition.strategy: d_optimal`."""

    ridge: Annotated[float, Field(gt=0.0)] = 1.0
    """Knowledge of each direction of the features before any label, in units of what an item of the pool tells on
    average about a direction. Smaller goes sooner by new directions, larger by uncertainty and length alone."""


class CalConfig(Section):
    """For `acquisition.strategy: cal`."""

    neighbors: Positive = 10
    """An item is compared with this many nearest labelled items."""


class TypiclustConfig(Section):
    """For `acquisition.strategy: typiclust`."""

    neighbors: Positive = 20
    """An item is typical if this many nearest items of its cluster are near. More are smoother."""
    sample: Positive = 20_000
    """Items among which neighbours are sought: of a larger pool this many, drawn at random, stand for all. More are
    more exact, and slower with the square."""


class ProbcoverConfig(Section):
    """For `acquisition.strategy: probcover`."""

    radius: Annotated[float, Field(gt=0.0)] | None = None
    """An item covers all others within this distance, in units of the embeddings. None chooses it by `purity`."""
    purity: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """Without `radius`: the largest radius within which this share of the items has only neighbours of its own cluster.
    Lower gives larger balls."""
    sample: Positive = 20_000
    """Items among which neighbours are sought: of a larger pool this many, drawn at random, stand for all. More are
    more exact, and slower with the square."""


class DiscriminativeConfig(Section):
    """For `acquisition.strategy: discriminative`."""

    sub_batch: Positive = 5
    """Items picked before labelled and unlabelled are told apart anew. Fewer are slower and more diverse."""


class RareClassConfig(Section):
    """For `acquisition.strategy: rare_class`."""

    label: str | None = None
    """The rare label that is searched for. None takes, each round, the label that the model gives the lowest mean
    probability over the pool: name it wherever you know it."""


class AcquisitionConfig(OpenSection):
    """Which items to ask labels for.

    Settings of one strategy stand in the section of its name. Strategies of other packages have theirs here too.
    """

    strategy: str = "star"
    """The query strategy. `activelora list strategies` names them, and their settings."""
    initial: Literal["random", "typiclust", "probcover", "zero_shot", "strategy"] = "random"
    """The strategy of round 0's batch, the seed set. `random`: a random draw, the same for all strategies of a
    comparison, for which the pool need not be scored. `typiclust`, `probcover`: what is typical of the base model's
    embeddings. `zero_shot`: what the untrained model is least certain about, by `measure`. `strategy`: the campaign's
    own."""
    batch_size: Positive = 25
    """Labels per round."""
    exploration: Fraction = 0.0
    """Share of every batch drawn at random instead: the price of an unbiased estimate of the pool's accuracy, and
    of a check whether the strategy finds what the model does not know."""
    per_class_floor: NonNegative = 0
    """Fewest items of every predicted class in a batch, as far as there are any, whatever the strategy prefers: against
    classes that are never asked for. 0 leaves the batch to the strategy."""
    memory_gb: Annotated[float, Field(gt=0.0)] = 4.0
    """Memory for a selection's embeddings and samples and for what a strategy computes from them. Embeddings or
    samples that would take more than a quarter of it lie in a temporary file (in TMPDIR) and are read in blocks. A
    strategy that cannot do with it says so and what it needs. Picks do not depend on it."""
    measure: str = "predictive_entropy"
    """The measure that strategies go by which leave it to you: `uncertainty` ranks by it, `star` mixes it and
    `density_weighted` weights it. `activelora list measures` names them."""
    star: StarConfig = StarConfig()
    """Settings of strategy `star`."""
    hybrid: HybridConfig = HybridConfig()
    """Settings of strategy `hybrid`."""
    cluster_margin: ClusterMarginConfig = ClusterMarginConfig()
    """Settings of strategy `cluster_margin`."""
    density_weighted: DensityWeightedConfig = DensityWeightedConfig()
    """Settings of strategy `density_weighted`."""
    batch_bald: BatchBaldConfig = BatchBaldConfig()
    """Settings of strategy `batch_bald`."""
    epig: EpigConfig = EpigConfig()
    """Settings of strategy `epig`."""
    expected_gradient_length: ExpectedGradientLengthConfig = ExpectedGradientLengthConfig()
    """Settings of strategy `expected_gradient_length`."""
    d_optimal: DOptimalConfig = DOptimalConfig()
    """Settings of strategy `d_optimal`."""
    cal: CalConfig = CalConfig()
    """Settings of strategy `cal`."""
    typiclust: TypiclustConfig = TypiclustConfig()
    """Settings of strategy `typiclust`."""
    probcover: ProbcoverConfig = ProbcoverConfig()
    """Settings of strategy `probcover`."""
    discriminative: DiscriminativeConfig = DiscriminativeConfig()
    """Settings of strategy `discriminative`."""
    rare_class: RareClassConfig = RareClassConfig()
    """Settings of strategy `rare_class`."""

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, document: Any) -> Any:
        return with_strategy_sections(document)
