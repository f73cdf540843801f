"""Every setting of a campaign, once, documented under its field.

One YAML file becomes one frozen :class:`CampaignConfig`. Defaults live here and in the modules named
called after their section, and nowhere else. Secrets do not: they come from the environment (``AWS_ACCESS_KEY_ID``,
``MLFLOW_TRACKING_PASSWORD``, ...) or a mounted secret.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from activelora.config.acquisition import AcquisitionConfig, ScoringConfig
from activelora.config.adapter import AdapterConfig, TrainingConfig
from activelora.config.labeling import LabelingConfig
from activelora.config.presets import with_preset
from activelora.config.reporting import ReportingConfig
from activelora.config.resources import ResourcesConfig
from activelora.config.sample_numbers import with_samples
from activelora.config.section import DNS_LABEL, Fraction, NonNegative, Positive, Section
from activelora.config.stopping import StoppingConfig
from activelora.config.task import TaskConfig
from activelora.config.training_length import with_length
from activelora.config.trust import AbstentionConfig, ConformalConfig, with_posterior

PositiveLabel = Annotated[
    str | None, BeforeValidator(lambda value: {True: "yes", False: "no"}[value] if isinstance(value, bool) else value)
]
"""A label's name; YAML reads a bare yes or no as true or false."""


class SourceConfig(Section):
    """Where rows come from."""

    path: str
    """A file, a glob, a folder or an `s3://` prefix of CSV, JSON, Parquet, Arrow or Excel files, packed or not;
    `hf://owner/name?split=train` for a Hugging Face data set; or `builtin:aws-requests`, the demo data."""
    format: Literal["auto", "jsonl", "csv", "parquet", "arrow", "xlsx"] = "auto"
    """`auto` goes by a file's content and its name's ending. `jsonl` is JSON of any layout, `csv` text by any
    delimiter."""
    limit: Positive | None = None
    """Use at most this many items, drawn at random (seeded): items with a label before those without. None uses all."""


class PoolConfig(SourceConfig):
    """Where the pool's rows come from, and whether it grows."""

    refresh: Literal["never", "each_round"] = "never"
    """`each_round` looks for new and changed files when a round begins, from the second on, and takes in their rows
    that are not there yet. Of rows that vanish, the items stay. `activelora ingest` does so by command, whatever this
    says."""


class ColumnsConfig(Section):
    """Which columns of the source mean what. Columns named in the prompt are found by their own name."""

    id: str | None = None
    """Keeps your own id beside each item. Items are identified by a hash of their content either way."""
    label: str | None = "label"
    """Gold labels, where there are any: the label's name, or for choices the letter, the text or the number from 0; for
    numbers of labels see `data.label_numbers`. -1 is no label. What becomes of the pool's says `data.known_labels`; the
    `oracle` answers with them."""
    choices: str = "choices"
    """Choices of a multiple-choice item: a list of texts (in CSV: a JSON list)."""


class DataConfig(Section):
    """The pool that labels are drawn from, and the labelled rows that measure the result."""

    folder: str = "."
    """Relative paths start here; itself relative to the campaign file. `--data` on the command line
    replaces it."""
    pool: PoolConfig
    """The unlabelled pool."""
    holdout: SourceConfig | None = None
    """Labelled rows for measuring. None splits `holdout_size` off the pool (which then needs gold labels)."""
    holdout_size: Positive = 200
    """Items to split off for the holdout, stratified by label, where no `holdout` is given."""
    holdout_refresh: Literal["never", "exploration"] = "never"
    """Whether the holdout follows a pool that grows. `exploration`: the random draws of `acquisition.exploration` among
    items that came after the first reading join it, weighted by the inverse of their inclusion probability; they are
    never trained on, and cost labels as others do. For kinds with one right answer. The calibration split stays."""
    split_seed: int | None = None
    """Seed of what is drawn from the data: holdout, calibration split, and a limited pool. None takes `seed`. Campaigns
    of one `split_seed` and several seeds are measured on the same items; `compare` sets it."""
    calibration_size: NonNegative = 0
    """Labelled items to split off the holdout source, for the temperature and, half of them, for prediction sets and
    for when the model may answer alone. 0 leaves all three out; 100 or more allow all with their defaults."""
    contradictions: Literal["refuse", "drop"] = "refuse"
    """Rows with the same content and different gold labels. `refuse`: an error that names both places. `drop`:
    such an item is left out altogether, and counted."""
    label_numbers: Literal["zero_based", "one_based"] | None = None
    """What a number means, in the data and in people's files, that is no label's name: the place in `task.labels`,
    counted from 0 (`zero_based`) or from 1 (`one_based`). None refuses it, and says both readings. For `classification`
    and `multi_label`; `yes_no` reads 0 as no and 1 as yes."""
    known_labels: Literal["train", "holdout", "ignore"] | None = None
    """What becomes of the pool's items that have a label already. `train`: they are the seed set: round 0 measures the
    base model and asks for nothing, and round 1 trains on them. They do not count against `stopping.label_budget`.
    `holdout`: they measure the result. `ignore`: they are asked for like the others. None is `train`, and `ignore` with
    the `oracle`, which answers with these labels."""
    known_labels_column: str | None = None
    """The column of the known labels; None is `columns.label`. `train` with the `oracle` needs another one."""
    long_texts: Literal["refuse", "cut"] = "refuse"
    """Texts of more than 1,048,576 characters. `refuse`: an error that names the row. `cut`: what comes after them is
    left out, and that is said."""
    columns: ColumnsConfig = ColumnsConfig()
    """Column names."""
    shard_rows: Positive = 10_000
    """Pool items per shard: the unit that is scored in one go and held in memory at once."""


class ModelConfig(Section):
    """The pretrained language model that the adapter sits on."""

    base: str = "smollm2-135m-instruct"
    """`smollm2-135m-instruct` (built in: fetched once, 93 MB), a local folder, a Hugging Face hub id, or the `s3://`
    prefix of a model that `activelora model push` has published."""
    revision: str | None = None
    """Commit of a hub id. Pin it in production."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` is float32 on a CPU, bfloat16 on a GPU."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Load the base in 8 or 4 bits (GPU only, extra `quantization`). Weight samples then cannot be merged."""


class GatesConfig(Section):
    """What an adapter must reach before the `champion` alias moves to it."""

    min_accuracy: Fraction | None = None
    """Holdout accuracy, at least."""
    max_ece: Fraction | None = None
    """Holdout ECE, at most."""
    max_rmse: Annotated[float, Field(ge=0.0)] | None = None
    """Holdout RMSE, at most, for `regression`."""
    primary: float | None = None
    """The primary metric, at least; where lower is better (`nll`, errors), at most."""
    improve_on_champion: bool = True
    """The primary metric (accuracy; regression: the RMSE) must not be worse than the present champion's."""
    improve_on_base: bool = True
    """Nor must it be worse than that of the base model, which round 0 measures. False
    lets an adapter become champion that has lost by its training. Campaigns of older versions have no such gate."""


class EvaluationConfig(Section):
    """How the adapter is measured on the holdout."""

    primary: str | None = None
    """What the campaign is judged by: gates, stopping, champion, forecast, comparisons, report. None is the kind's own:
    `accuracy`; for regression, `rmse`. For labels also `balanced_accuracy`, `macro_f1`, `mcc`, `nll` and `brier`, and
    of one label, `positive_label`, the metrics `average_precision`, `f_beta` and `recall_at_precision`: where few items
    have the label that counts, accuracy says nothing. `check` names those of other kinds."""
    positive_label: PositiveLabel = None
    """The label that `average_precision`, `f_beta` and `recall_at_precision` are about. Where one is named, all three
    are measured, whatever the primary metric is."""
    beta: Annotated[float, Field(gt=0.0)] = 1.0
    """How much recall counts against precision in `f_beta`: 1 alike, 2 more, 0.5 less."""
    required_precision: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """The precision at which `recall_at_precision` asks how many of the label's items are found."""
    num_bins: Positive = 15
    """Bins of the expected calibration error and the reliability diagram."""
    num_samples: NonNegative = 0
    """0 evaluates the adapter as it is (an ensemble: the mean of its members); M > 0 the mean of M posterior
    samples. Left out, it is 10 for the adapter methods `blob`, `c_lora` and `tfb` and 32 for `laplace`."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1000
    """Resamples of the holdout behind the confidence intervals."""
    confidence_level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """Confidence level of the intervals, in (0, 1)."""
    conformal: ConformalConfig = ConformalConfig()
    """Prediction sets."""
    abstention: AbstentionConfig = AbstentionConfig()
    """When the model may answer alone."""
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
    prometheus_textfile: str | None = None
    """A file in the folder of node_exporter's textfile collector, ending in `.prom`: round, labels, accuracy, ECE and
    since when the campaign waits for labels, as Prometheus metrics."""
    pushgateway: str | None = None
    """Address of a Prometheus push gateway, `http://host:9091`, that gets the same metrics."""

    @field_validator("pushgateway")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("a push gateway's address begins with http:// or https://")
        return value

    @field_validator("prometheus_textfile")
    @classmethod
    def _is_collected(cls, value: str | None) -> str | None:
        if value is not None and not value.endswith(".prom"):
            raise ValueError("the collector reads only files that end in .prom")
        return value


class CampaignConfig(Section):
    """One task, one pool, one base model, one label budget, many rounds."""

    name: Annotated[str, Field(pattern=f"^{DNS_LABEL}$")]
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
    reporting: ReportingConfig = ReportingConfig()
    """What the report tells beside results. May be changed while the campaign runs, as `tracking`."""
    resources: ResourcesConfig = ResourcesConfig()
    """Cluster resources. May be changed while the campaign runs, as `tracking`; for Kubeflow, compile
    anew."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, document: Any) -> Any:
        return with_length(with_samples(with_posterior(with_preset(document))))

    @property
    def split_seed(self) -> int:
        """The seed of draws from the data."""
        return self.seed if self.data.split_seed is None else self.data.split_seed

    @property
    def known_labels(self) -> Literal["train", "holdout", "ignore"]:
        """What becomes of labels that the pool brings: `data.known_labels`, or what follows from the label source."""
        return self.data.known_labels or ("ignore" if self.labeling.source == "oracle" else "train")

    @property
    def known_labels_column(self) -> str | None:
        """The column of the known labels; None where there is none, or where they are ignored."""
        if self.known_labels == "ignore":
            return None
        return self.data.known_labels_column or self.data.columns.label

    @property
    def max_round(self) -> int:
        """The last round that there can be: known labels, if the pool has any, are round 0's, and take one more."""
        return self.stopping.max_rounds + (self.known_labels == "train")

    @property
    def label_budget(self) -> int:
        """Labels that may be asked for in all."""
        planned = self.stopping.max_rounds * self.acquisition.batch_size
        return self.stopping.label_budget or planned
