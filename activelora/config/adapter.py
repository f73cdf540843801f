"""The `adapter` and `training` sections of a campaign file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from activelora.config.section import Fraction, NonNegative, OpenSection, Positive, Section


class ConstraintConfig(Section):
    """STAR's constraint on the adapter's B matrices, against over-confidence."""

    form: Literal["none", "decoupled", "l2"] = "decoupled"
    """`decoupled`: B shrinks by (1 - lr·strength) each step, apart from the gradient, as in AdamW. `l2`:
    strength·B is added to B's gradient. `none`: plain LoRA."""
    strength: Annotated[float, Field(ge=0.0)] = 0.5
    """STAR's beta. With a small learning rate 0.5 does next to nothing: try 10 or more, and watch ECE."""


class EnsembleConfig(Section):
    """For `adapter.method: ensemble`."""

    members: Annotated[int, Field(ge=2, le=100)] = 5
    """M, independently seeded adapters; training and disk cost M times as much. A sample is a member: with more
    samples than members, each member counts once."""


class BlobConfig(Section):
    """For `adapter.method: blob`: q(A) = N(mean, std²), learnt by variational inference; B is one matrix."""

    prior_std: Annotated[float, Field(gt=0.0)] = 0.2
    """Standard deviation of the prior N(0, prior_std²) on A's entries."""
    initial_std: Annotated[float, Field(gt=0.0)] = 0.0025
    """Standard deviation of A's entries before training."""
    kl_weight: Annotated[float, Field(gt=0.0)] = 0.01
    """Weight of the divergence from the prior. 1 is the published one, which with few labels lets the prior win: the
    adapter learns nothing. Larger values give wider samples. Campaigns of older versions have 0.001."""
    kl_learning_rate: Annotated[float, Field(gt=0.0)] | None = 0.01
    """Peak rate of the plain gradient steps by which mean and standard deviation follow the divergence, apart from the
    likelihood's AdamW; 0.01 as published. None lets AdamW follow the sum of both, as in older versions."""


class LaplaceConfig(Section):
    """For `adapter.method: laplace`: a Gaussian around the trained adapter, from the curvature of its loss.

    Slopes cost most of a prediction and serve all samples: 64 samples take little longer than 8, and their mean answers
    better. Their weights are held at the same time.
    """

    prior_precision: Annotated[float, Field(gt=0.0)] | None = None
    """Precision of the Gaussian prior on A and B. Larger values give narrower samples. None chooses it by
    `prior_from`."""
    prior_from: Literal["held_out", "evidence"] = "held_out"
    """`held_out` takes the prior precision under which a fifth of the labels is most likely, by a second adapter that
    is trained on the rest: it doubles the training. `evidence` takes that of the highest marginal likelihood, which
    costs nothing, but with few labels gives samples that are far too wide."""
    factor_rank: Positive = 32
    """Directions that are kept of each large Kronecker factor. More are exact, slower and larger on disk; the paper
    keeps 10."""


class TfbConfig(Section):
    """For `adapter.method: tfb`: a Gaussian on the trained adapter that is as wide as the loss allows."""

    std: Annotated[float, Field(ge=0.0)] | None = None
    """Standard deviation σ_q of what samples add to B·A, in the directions of B. None searches for it, as below."""
    tolerance: Annotated[float, Field(ge=0.0)] = 0.003
    """How much the loss on the anchors may grow, as a share of the trained adapter's own; 0.003 as published. More
    gives wider samples."""
    anchors: Literal["labels", "held_out"] = "labels"
    """The labels that the loss is measured on. `labels`: those that the adapter was trained on, as published.
    `held_out`: a fifth of them, by a second adapter that is trained on the rest, which doubles the training; with fewer
    than ten labels it is `labels`. Few held-out labels say little: ten of TREC-6 let widths pass that cost
    more than a third of the accuracy, and `widest` is what holds."""
    num_anchors: Positive = 100
    """Labels that the loss is measured on, at most; which ones is drawn. The search is about 70 passes over them,
    forward only."""
    narrowest: Annotated[float, Field(gt=0.0)] = 1e-3
    """The lower end of the search, as published: samples are this wide even if the loss grows too much."""
    widest: Annotated[float, Field(gt=0.0)] = 0.015
    """The upper end of the search, as published."""
    search_steps: Positive = 5
    """Halvings of the search's range, on a logarithmic scale; 5 as published."""
    search_samples: Positive = 10
    """Samples whose mean probability gives the loss; 10 as published. They are drawn in pairs on both sides of the
    mean."""


class CLoraConfig(Section):
    """For `adapter.method: c_lora`: a small network per layer turns each token into a distribution of adapters."""

    preset: Literal["none", "paper_code"] = "none"
    """`paper_code` fills every setting you leave out in `adapter`, `training` and `scoring` with the published
    code's (rank 8, q, v and output head, batch 4, 1,500 steps whatever the number of labels, ...)."""
    width: Positive = 64
    """Hidden units of the context network."""
    mean: Literal["net", "identity_plus_net"] = "net"
    """`net`: the network's output is the mean of E in B·E·A, as published. `identity_plus_net`: the identity
    plus that, which starts as plain LoRA."""
    noise: Literal["token", "sequence"] = "token"
    """One draw of E for every token, as published, or one for a whole text."""
    prior_std: Annotated[float, Field(gt=0.0)] = 0.2
    """The prior on E's entries is N(0, prior_std²)."""
    kl_weight: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight of the KL to the prior (nats per token, mean over layers) beside the likelihood. The paper's bound
    has 1, which makes E collapse to the prior; its code has about 1e-6, which is none in effect."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 0.01
    """Peak rate of the context network's own optimiser, plain SGD. A and B have `training.learning_rate`."""


class AdapterConfig(OpenSection):
    """The LoRA adapter. Settings of one method stand in the section of its name, also those of other packages."""

    method: str = "lora"
    """How the adapter is fitted and what its posterior is. `activelora list adapters` names the methods."""
    rank: Positive = 8
    """R: more capacity, more memory."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """Scale: the update is alpha/rank · B·A."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Dropout rate on A's input, in training and, for method `lora`, in Monte-Carlo scoring. 0 makes all its samples
    equal: no BALD. The other methods' samples come from their own posterior."""
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """The linear layers to adapt, by the last part of their name, for example `[q_proj, v_proj]`. `c_lora`
    may name the output head too (`lm_head`)."""
    last_layers: Positive | None = None
    """Adapt only the last N transformer layers: the frozen trunk below is then computed once for all
    samples and epochs, about three times as fast with a third of the layers. None adapts all."""
    constraint: ConstraintConfig = ConstraintConfig()
    """STAR's constraint on B."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """Settings of method `ensemble`."""
    blob: BlobConfig = BlobConfig()
    """Settings of method `blob`."""
    laplace: LaplaceConfig = LaplaceConfig()
    """Settings of method `laplace`."""
    tfb: TfbConfig = TfbConfig()
    """Settings of method `tfb`."""
    c_lora: CLoraConfig = CLoraConfig()
    """Settings of method `c_lora`."""


class SelfTrainingConfig(Section):
    """Items that the last round's model was sure of are trained on as it answered them: pseudo-labels.

    They are no labels: nobody is asked less for them, and each round chooses its own. From round 2 on.
    """

    confidence: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """The least probability of the answer, after temperature scaling where there is a calibration split."""
    per_label: Positive = 10
    """Pseudo-labels of each label, at most: the most probable. More would drown the labels, and lengthen the
    training where `epochs` counts."""
    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """How much a pseudo-label counts beside a label."""


class TrainingConfig(Section):
    """The training loop. Each round trains a fresh adapter from the base model on all labels so far."""

    epochs: Annotated[float, Field(gt=0.0)] = 5.0
    """Passes over the labels. Where `converged_loss` decides, it is one pass at least."""
    min_steps: NonNegative = 60
    """Train at least this many steps, by more passes, where labels are few: passes alone leave 25 labels half learned.
    For kinds `generation` and `regression` 120."""
    converged_loss: Annotated[float, Field(gt=0.0)] | None = 0.3
    """Train on until the mean loss of one pass is below this, in nats per answer token, and then a third as many steps
    again, in which the rate falls. Where labels contradict each other, or are soft, it is counted from the least loss
    that they allow. `min_steps` and one pass are the least, `max_steps` the most. None trains as `epochs` and
    `min_steps` say; so it is where one of these is set, and for kinds `generation` and `regression`."""
    max_steps: Positive = 600
    """The most steps where `converged_loss` decides, unless `epochs` ask for more."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """AdamW's peak rate. For kinds `generation` and `regression` 5e-4. Chosen on a model of 135M parameters: one of
    billions wants a third of it or less."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the rate falls, over the true number of steps."""
    warmup_fraction: Fraction = 0.1
    """Share of the steps in which the rate rises."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """AdamW's decay on A and B alike. STAR's constraint is separate."""
    batch_size: Positive = 8
    """Labels per optimiser step."""
    group_by_length: bool = False
    """Put labels of like lengths into a batch, within windows of eight shuffled batches: less padding, so faster where
    lengths differ much. Batches are then a little less random."""
    packing: bool | None = None
    """Run a batch's prompts as one sequence without padding, and what they begin with once, not for every label anew:
    several times faster where that is instructions, or the text that a `multi_label` task asks about. None does so
    where nothing but rounding and dropout's draws changes: one training process, a method without noise of its own.
    True besides puts prompts that begin alike into one batch; not with `adapter.method: c_lora`."""
    gradient_accumulation: Positive = 1
    """Split each step's labels into this many passes, for less memory."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them, for less memory."""
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    """Clip the gradient's norm to this."""
    warm_start: bool = False
    """Start from the last round's adapter instead of a fresh one. Faster, but keeps early mistakes."""
    soft_labels: bool = False
    """Learn what share of the annotators gave each label, instead of the one label that won: an item that two of three
    call spam counts two thirds as spam. With `labeling.aggregation`, what it believes of each label."""
    self_training: SelfTrainingConfig | None = None
    """Train on what the last round's model was sure of, too; none by default. A baseline: what labels are worth beside
    items that nobody labels; `compare --strategies random+self_training` measures it. For a strategy without scores,
    such as `random`, the pool is scored from round 1 on. Not for `laplace` and `tfb`."""
    checkpoint_every_steps: Positive = 25
    """A killed training step goes on from its last checkpoint, with the same result."""

    @model_validator(mode="before")
    @classmethod
    def _number_of_steps(cls, section: Any) -> Any:
        """Where a length is given, it holds, unless the loss is named too."""
        if not isinstance(section, Mapping) or not {"epochs", "min_steps"} & section.keys():
            return section
        return section if {"converged_loss", "max_steps"} & section.keys() else {**section, "converged_loss": None}
