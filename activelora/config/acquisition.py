"""The `scoring` and `acquisition` sections of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from activelora.config.section import Fraction, NonNegative, Positive, Section


class ScoringConfig(Section):
    """How uncertainty is computed over the pool."""

    num_samples: Positive = 8
    """K, samples of the adapter's posterior: for method `lora`, Monte-Carlo dropout. STAR's paper uses 3."""
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


class AcquisitionConfig(Section):
    """Which items to ask labels for."""

    strategy: str = "star"
    """The query strategy. `activelora list strategies` names them."""
    batch_size: Positive = 25
    """Labels per round."""
    exploration: Fraction = 0.0
    """Share of every batch drawn at random instead: the price of an unbiased estimate of the pool's accuracy, and
    of a check whether the strategy finds what the model does not know."""
    per_class_floor: NonNegative = 0
    """At least this many items of every predicted class in a batch, as far as there are any, whatever the strategy
    prefers: against classes that are never asked for. 0 leaves the batch to the strategy."""
    memory_gb: Annotated[float, Field(gt=0.0)] = 4.0
    """Memory for a selection's embeddings and samples and for what a strategy computes from them. Embeddings or
    samples that would take more than a quarter of it lie in a temporary file (in TMPDIR) and are read in blocks. A
    strategy that cannot do with it says so and what it needs. Picks do not depend on it."""
    measure: str = "predictive_entropy"
    """For `uncertainty`: the measure to rank by; for `star`: the one that is mixed; for `density_weighted`: the
    one that is weighted. `activelora list measures` names them."""
    scaling: Literal["minmax", "rank"] = "minmax"
    """For `star`: how base and adapter uncertainty are brought to one scale before mixing."""
    prefilter: str = "predictive_entropy"
    """For `hybrid`: the measure whose top is kept before `then` chooses."""
    prefilter_factor: Positive = 10
    """For `hybrid` and `cluster_margin`: keep this many times the batch before choosing among them."""
    then: str = "core_set"
    """For `hybrid`: the strategy that chooses among the items that were kept."""
    beta: Annotated[float, Field(ge=0.0)] = 1.0
    """For `density_weighted`: the power of the density. 0 leaves the uncertainty alone."""
    candidates: Positive = 1000
    """For `batch_bald`: the batch is put together from this many items, the top by BALD (or from as
    many as the batch needs). More are slower; an item below them would hardly be chosen."""
    configurations: Annotated[int, Field(ge=100)] = 20_000
    """For `batch_bald`: joint answers of the batch so far are enumerated up to this many, and beyond that so
    many are drawn. Fewer are faster, and batches then differ from seed to seed."""
    gradient: Literal["head", "adapter"] = "head"
    """For `expected_gradient_length`: `head` takes the answer head's gradient, in closed form, for one more forward
    pass; `adapter` the exact gradient of the adapter's parameters, for a backward pass per item and answer."""
    neighbors: Positive = 10
    """For `cal`: an item is compared with this many nearest labelled items."""
    typical_neighbors: Positive = 20
    """For `typiclust`: an item is typical if this many nearest items of its cluster are near. More are smoother."""
    sample: Positive = 20_000
    """For `typiclust` and `probcover`: of more items than this, so many drawn at random stand for all where
    neighbours are sought. More are more exact, and slower with the square."""
    radius: Annotated[float, Field(gt=0.0)] | None = None
    """For `probcover`: an item covers all others within this distance, in units of the embeddings. None chooses
    it by `purity`."""
    purity: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """For `probcover` without `radius`: the largest radius within which this share of the items has only
    neighbours of its own cluster. Lower gives larger balls."""
    sub_batch: Positive = 5
    """For `discriminative`: items picked before labelled and unlabelled are told apart anew. Fewer are slower
    and more diverse."""
