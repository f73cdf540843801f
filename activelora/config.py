"""Every setting of a campaign, once, documented under its field.

One YAML file becomes one frozen :class:`CampaignConfig`. Defaults live here and nowhere else. Secrets do not:
they come from the environment (``AWS_ACCESS_KEY_ID``, ``MLFLOW_TRACKING_PASSWORD``, ...) or a mounted secret.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from activelora.config_rules import conflicts

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the campaign file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class TaskConfig(Section):
    """What is asked of the model, and what it may answer."""

    kind: Literal["classification", "yes_no", "multiple_choice"] = "classification"
    """`classification`: one of `labels`. `yes_no`: yes or no. `multiple_choice`: one of the item's own
    choices."""
    prompt: str
    """The question as the model sees it. `{column}` is replaced by that column of the item, `{labels}` by
    the list of labels, `{choices}` by the item's lettered choices. Write `{{` for a brace. Nothing in it is
    executed."""
    labels: tuple[str, ...] = ()
    """The labels, for `classification`. The order is the order of label numbers in data files."""
    answer: Literal["letters", "words", "text"] = "words"
    """How the model answers. `letters`: A, B, C (the prompt must show `{labels}` or `{choices}`); `words`:
    the label itself, or its entry in `answer_words`; `text`: the likelihood of each choice's text, for
    `multiple_choice` (small models stay at chance on letters)."""
    answer_words: dict[str, str] = {}
    """For `answer: words`: a short word for a label, where the label itself is long or shares its
    beginning."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """`auto` wraps the prompt in the model's chat template where it has one. `never` is faster: templates
    often add 30 tokens to every item."""
    label_prior_correction: Literal["cold_start", "always", "never"] = "cold_start"
    """Divide each label's probability by its mean over the pool: an untrained model answers from its prior.
    `cold_start` does so in round 0 only. Not used for multiple choice by text."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """Longer prompts are cut at the end of their last column, never in the closing words. Cuts are
    counted."""

    @model_validator(mode="after")
    def _check(self) -> TaskConfig:
        if self.kind == "classification":
            if len(self.labels) < 2:
                raise ValueError("a classification task needs at least two `labels`")
            if self.answer == "text":
                raise ValueError("`answer: text` is for multiple_choice; use `words` or `letters`")
        elif self.labels:
            raise ValueError(f"`labels` belong to classification only; a {self.kind} task brings its own")
        if self.kind == "multiple_choice" and self.answer == "words":
            raise ValueError("a multiple_choice task answers by `letters` or by `text`")
        if self.kind == "yes_no" and self.answer != "words":
            raise ValueError("a yes_no task answers by `words`")
        names = [label.strip().casefold() for label in self.labels]
        if len(set(names)) < len(names) or "" in names:
            raise ValueError("`labels` must be different and not empty (upper and lower case count as the same)")
        if not self.prompt.strip():
            raise ValueError("`prompt` is empty")
        if self.answer_words and self.answer != "words":
            raise ValueError(f"`answer_words` are for `answer: words`, and it is `{self.answer}`")
        if unknown := sorted(set(self.answer_words) - set(self.labels or ("yes", "no"))):
            raise ValueError(f"`answer_words` names no label of the task: {', '.join(unknown)}")
        return self


class SourceConfig(Section):
    """Where rows come from."""

    path: str
    """A file, a glob, a folder or an `s3://` prefix of JSONL, CSV or Parquet; `hf://owner/name?split=train`
    for a Hugging Face data set; or `builtin:aws-requests`, the demo data."""
    format: Literal["auto", "jsonl", "csv", "parquet"] = "auto"
    """`auto` goes by the file name's ending."""
    limit: Positive | None = None
    """Use at most this many items, drawn at random (seeded). None uses all."""


class ColumnsConfig(Section):
    """Which columns of the source mean what. Columns named in the prompt are found by their own name."""

    id: str | None = None
    """Keeps your own id beside each item. Items are identified by a hash of their content either way."""
    label: str | None = "label"
    """Gold labels, where there are any: the label, its number from 0, or for choices the letter or number.
    The pool's are kept apart and only the `oracle` label source reads them."""
    choices: str = "choices"
    """For multiple choice: a list of texts (in CSV: a JSON list)."""


class DataConfig(Section):
    """The pool that labels are drawn from, and the labelled rows that measure the result."""

    folder: str = "."
    """Relative paths start here; itself relative to the campaign file. `--data` on the command line
    replaces it."""
    pool: SourceConfig
    """The unlabelled pool."""
    holdout: SourceConfig | None = None
    """Labelled rows for measuring. None splits `holdout_size` off the pool (which then needs gold labels)."""
    holdout_size: Positive = 200
    """Items to split off for the holdout, stratified by label, where no `holdout` is given."""
    calibration_size: NonNegative = 0
    """Labelled items to split off the holdout source for temperature scaling. 0 leaves it out."""
    columns: ColumnsConfig = ColumnsConfig()
    """Column names."""
    shard_rows: Positive = 10_000
    """Pool items per shard: the unit that is scored in one go and held in memory at once."""


class ModelConfig(Section):
    """The pretrained language model that the adapter sits on."""

    base: str = "smollm2-135m-instruct"
    """`smollm2-135m-instruct` (built in: fetched once, 93 MB), a local folder, or a Hugging Face hub id."""
    revision: str | None = None
    """For a hub id: the commit to use. Pin it in production."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` is float32 on a CPU, bfloat16 on a GPU."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Load the base in 8 or 4 bits (GPU only, extra `quantization`). Weight samples then cannot be merged."""


class ConstraintConfig(Section):
    """STAR's constraint on the adapter's B matrices, against over-confidence."""

    form: Literal["none", "decoupled", "l2"] = "decoupled"
    """`decoupled`: B shrinks by (1 - lr·strength) each step, apart from the gradient, as in AdamW. `l2`:
    strength·B is added to B's gradient. `none`: plain LoRA."""
    strength: Annotated[float, Field(ge=0.0)] = 0.5
    """STAR's beta. With a small learning rate 0.5 does next to nothing: try 10 or more, and watch ECE."""


class AdapterConfig(Section):
    """The LoRA adapter."""

    method: Literal["lora"] = "lora"
    """The adapter method. `activelora list adapters` names them."""
    rank: Positive = 8
    """R: more capacity, more memory."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """Scale: the update is alpha/rank · B·A."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """On A's input, in training and in Monte-Carlo scoring. 0 makes all samples equal: no BALD."""
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """The linear layers to adapt, by the last part of their name, for example `[q_proj, v_proj]`."""
    last_layers: Positive | None = None
    """Adapt only the last N transformer layers: the frozen trunk below is then computed once for all
    samples and epochs, about three times as fast with a third of the layers. None adapts all."""
    constraint: ConstraintConfig = ConstraintConfig()
    """STAR's constraint on B."""


class TrainingConfig(Section):
    """The training loop. Each round trains a fresh adapter from the base model on all labels so far."""

    epochs: Annotated[float, Field(gt=0.0)] = 5.0
    """Passes over the labels."""
    min_steps: NonNegative = 0
    """Train at least this many steps, by more passes, where labels are few."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 5e-4
    """AdamW's peak rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the rate falls, over the true number of steps."""
    warmup_fraction: Fraction = 0.0
    """Share of the steps in which the rate rises."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """AdamW's decay on A and B alike. STAR's constraint is separate."""
    batch_size: Positive = 8
    """Labels per optimiser step."""
    gradient_accumulation: Positive = 1
    """Split each step's labels into this many passes, for less memory."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them, for less memory."""
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    """Clip the gradient's norm to this."""
    warm_start: bool = False
    """Start from the last round's adapter instead of a fresh one. Faster, but keeps early mistakes."""
    checkpoint_every_steps: Positive = 25
    """A killed training step goes on from its last checkpoint, with the same result."""


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
    """For `star`: the uncertainty that is mixed; for `density_weighted`: the one that is weighted.
    `activelora list measures` names them."""
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


class LabelingConfig(Section):
    """Where labels come from, and how long to wait for them."""

    source: str = "oracle"
    """`oracle`: the pool's own gold labels (simulation). `files`: people fill CSV or JSONL files."""
    oracle_error_rate: Fraction = 0.0
    """For `oracle`: share of answers that are wrong, to simulate noisy annotators."""
    inbox: str | None = None
    """For `files`: folder or `s3://` prefix where filled files arrive; a relative one starts at
    `data.folder`. None is `inbox/` in the campaign."""
    min_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the batch that must be labelled for the round to be done before its deadline."""
    deadline_hours: Annotated[float, Field(gt=0.0)] | None = None
    """Counted from the selection. None waits without end (holding nothing: each tick looks once)."""
    on_deadline: Literal["proceed", "wait", "stop"] = "proceed"
    """At the deadline: go on with the labels that are there, keep waiting, or stop the campaign."""
    wait_minutes: Annotated[float, Field(ge=0.0)] = 0.0
    """How long one run stays and polls before it leaves the wait to the next tick. May be changed while the
    campaign runs."""
    poll_seconds: Annotated[float, Field(gt=0.0)] = 30.0
    """Time between two looks while a run waits. May be changed while the campaign runs."""


class StoppingConfig(Section):
    """When the campaign ends. The reason is recorded."""

    max_rounds: Positive = 5
    """Planned queries, not counting round 0's evaluation. STAR's lambda runs over this number."""
    label_budget: Positive | None = None
    """Labels that may be asked for in all. None is max_rounds × batch_size."""


class GatesConfig(Section):
    """What an adapter must reach before the `champion` alias moves to it."""

    min_accuracy: Fraction | None = None
    """Holdout accuracy, at least."""
    max_ece: Fraction | None = None
    """Holdout ECE, at most."""
    improve_on_champion: bool = True
    """Accuracy must not be below the present champion's."""


class EvaluationConfig(Section):
    """How the adapter is measured on the holdout."""

    num_bins: Positive = 15
    """Bins of the expected calibration error and the reliability diagram."""
    num_samples: NonNegative = 0
    """0 evaluates the adapter as it is; M > 0 the mean of M Monte-Carlo dropout samples."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1000
    """Resamples of the holdout behind the confidence intervals."""
    confidence_level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """Of the intervals."""
    gates: GatesConfig = GatesConfig()
    """Conditions for the `champion` alias."""


class TrackingConfig(Section):
    """MLflow. It is written from the campaign's manifests: being down loses nothing."""

    enabled: bool = True
    """False leaves MLflow out."""
    uri: str | None = None
    """Tracking server, without credentials in it. None is `MLFLOW_TRACKING_URI`, else sqlite beside the
    campaign."""
    experiment: str = "activelora"
    """MLflow experiment."""
    registered_model: str | None = None
    """Name in the model registry. None is the campaign's name."""


class TolerationConfig(Section):
    """A Kubernetes toleration."""

    key: str
    """Taint key."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """Whether the value matters."""
    value: str | None = None
    """Taint value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; None matches all."""


class StepResources(Section):
    """What a step's pod asks for."""

    cpu: str = "2"
    """CPU limit."""
    memory: str = "8Gi"
    """Memory limit."""
    accelerator_type: str | None = None
    """Resource name of the accelerator, for example `nvidia.com/gpu`. None runs on the CPU image."""
    accelerator_count: Positive = 1
    """How many of them."""
    shm: str | None = "2Gi"
    """Size of /dev/shm on accelerator pods."""
    node_selector: dict[str, str] = {}
    """Node labels that the pod needs."""
    tolerations: tuple[TolerationConfig, ...] = ()
    """Taints that the pod tolerates."""


_GPU = StepResources(cpu="4", memory="32Gi", accelerator_type="nvidia.com/gpu")


class ResourcesConfig(Section):
    """What the steps ask of the cluster. Runs on this machine ignore it."""

    cpu: StepResources = StepResources()
    """ingest_pool, select_batch, await_labels."""
    train: StepResources = _GPU
    """train_adapter."""
    score: StepResources = _GPU
    """score_pool and evaluate_adapter."""
    parallel_shards: Positive = 4
    """Pool shards scored at the same time, one pod each."""
    secrets: tuple[str, ...] = ()
    """Names of Kubernetes secrets with keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, given to every
    pod. Names only: values never go into this file."""


class CampaignConfig(Section):
    """One task, one pool, one base model, one label budget, many rounds."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Lower-case letters, digits and hyphens, as in a DNS label."""
    seed: int = 0
    """The same campaign with the same seed selects the same items."""
    task: TaskConfig
    """What is asked and answered."""
    data: DataConfig
    """Pool and holdout."""
    model: ModelConfig = ModelConfig()
    """Base model."""
    adapter: AdapterConfig = AdapterConfig()
    """LoRA."""
    training: TrainingConfig = TrainingConfig()
    """Training loop."""
    scoring: ScoringConfig = ScoringConfig()
    """Uncertainty."""
    acquisition: AcquisitionConfig = AcquisitionConfig()
    """Query strategy."""
    labeling: LabelingConfig = LabelingConfig()
    """Label source and waiting."""
    stopping: StoppingConfig = StoppingConfig()
    """End of the campaign."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Measuring."""
    tracking: TrackingConfig = TrackingConfig()
    """MLflow. May be changed while the campaign runs: `run FILE` takes the file's, what has only the
    campaign's URI (`tick URI`, pods) those it was created with."""
    resources: ResourcesConfig = ResourcesConfig()
    """Cluster resources. May be changed while the campaign runs, as `tracking`; for Kubeflow, compile
    anew."""

    @model_validator(mode="after")
    def _check(self) -> CampaignConfig:
        if found := conflicts(self):
            text = "; ".join(f"{conflict.key}: {conflict.problem}" for conflict in found)
            raise PydanticCustomError("conflict", "{text}", {"text": text, "conflicts": found})
        return self

    @property
    def label_budget(self) -> int:
        """Labels that may be asked for in all."""
        planned = self.stopping.max_rounds * self.acquisition.batch_size
        return self.stopping.label_budget or planned
