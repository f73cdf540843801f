"""The `scoring` and `acquisition` sections of a campaign file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from activelora.config_section import Fraction, Positive, Section


class ScoringConfig(Section):
    """How uncertainty is computed over the pool."""

    num_samples: Positive = 8
    """K, Monte-Carlo dropout samples. STAR's paper uses 3."""
    mask: Literal["weight", "token"] = "weight"
    """`weight`: one dropout mask a sample, the same for every item: fast, and consistent over the pool.
    `token`: a fresh mask for every token, as peft does: slow, for replication."""
    batch_tokens: Annotated[int, Field(ge=64)] = 4096
    """Tokens per batch, padding included. Lower it where memory runs out."""


class AcquisitionConfig(Section):
    """Which items to ask labels for."""

    strategy: str = "star"
    """The query strategy. `activelora list strategies` names them."""
    batch_size: Positive = 25
    """Labels per round."""
    exploration: Fraction = 0.0
    """Share of every batch drawn at random instead: the price of an unbiased check."""
    measure: str = "predictive_entropy"
    """For `uncertainty`: the measure to rank by; for `star`: the one that is mixed; for `density_weighted`: the
    one that is weighted. `activelora list measures` names them."""
    scaling: Literal["minmax", "rank"] = "minmax"
    """For `star`: how base and adapter uncertainty are brought to one scale before mixing."""
    prefilter: str = "predictive_entropy"
    """For `hybrid`: the measure whose top is kept before `then` chooses."""
    prefilter_factor: Positive = 10
    """For `hybrid`: keep this many times the batch."""
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
