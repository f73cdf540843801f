"""The model card of an exported model: ``README.md`` as the Hugging Face hub shows it, made of numbers that are known.

What only its owner knows is not made up: there is a line for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from activelora.kinds.registry import headline_of, make_task
from activelora.prediction.bundle import Bundle
from activelora.prediction.facts import Facts

CARD_NAME = "README.md"
_TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "F1, mean over labels",
    "balanced_accuracy": "Balanced accuracy",
    "average_precision": "Average precision",
    "f_beta": "F-beta",
    "recall_at_precision": "Recall at the required precision",
    "mcc": "MCC",
    "micro_f1": "F1 over all decisions",
    "hamming_loss": "Hamming loss",
    "rmse": "RMSE",
    "mae": "MAE",
    "interval_coverage": "True numbers inside the intervals",
    "ece": "Calibration error (ECE)",
    "nll": "NLL",
    "brier": "Brier score",
}
_MOST_LABELS = 60


@dataclass(frozen=True)
class Cost:
    """What the mean costs against the posterior that the evaluation used, on the holdout.

    Attributes:
        num_samples: Posterior samples of the evaluation; 0 is the mean, which then costs nothing.
        posterior: Metrics of the posterior, or None where they were not measured again.
        mean: Metrics of the mean, or None.
        reason: Why they were not measured.
    """

    num_samples: int
    posterior: dict[str, float] | None = None
    mean: dict[str, float] | None = None
    reason: str = ""

    def sentence(self) -> str:
        """Return it in words."""
        if self.num_samples == 0:
            return "The evaluation used the mean adapter too: what is exported here is what was measured."
        if self.posterior is None or self.mean is None:
            return (
                f"The evaluation averaged {self.num_samples} posterior samples; the mean adapter that is exported here "
                f"was not measured: {self.reason}."
            )
        parts = [
            f"{_TITLES.get(name, name)} {self.mean[name]:.4f} instead of {self.posterior[name]:.4f}"
            for name in self.mean
        ]
        return (
            f"The evaluation averaged {self.num_samples} posterior samples. The mean adapter that is exported here has "
            f"on the same holdout: {', '.join(parts)}."
        )


@dataclass(frozen=True)
class Exported:
    """What an export is, for its card.

    Attributes:
        merged: Whether the adapter was added into the base model's weights.
        base: The base model as transformers loads it.
        dtype: Numbers that the merged weights are of.
        program: Why there is no program, or None where there is one.
    """

    merged: bool
    base: str
    dtype: str
    program: str | None


def model_card(bundle: Bundle, facts: Facts | None, cost: Cost, exported: Exported) -> str:
    """Return the card, Markdown after a head in YAML.

    Args:
        bundle: The model.
        facts: What is known of it beside; None where nothing is.
        cost: What the mean costs.
        exported: What was exported.
    """
    head = yaml.safe_dump(_head(bundle, facts, exported), sort_keys=False, allow_unicode=True)
    sections = [_title(bundle, facts), _measured(bundle, facts, cost), _use(exported), _intended(bundle)]
    sections += [_made_of(bundle, facts), _limits(bundle, facts), _provenance(bundle, facts)]
    return f"---\n{head}---\n\n" + "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(bundle: Bundle, facts: Facts | None, exported: Exported) -> dict[str, Any]:
    config = bundle.config
    head: dict[str, Any] = {
        "library_name": "transformers" if exported.merged else "peft",
        "base_model": exported.base,
        "base_model_relation": "finetune" if exported.merged else "adapter",
        "pipeline_tag": "text-generation",
        "tags": ["activelora", "lora", "active-learning", config.task.kind],
    }
    if facts is not None:
        metric = headline_of(config).metric
        result = {
            "task": {"type": "text-generation", "name": config.task.kind},
            "dataset": {"name": f"{facts['name']} holdout, {facts['num_holdout']} rows", "type": "private"},
            "metrics": [{"type": metric, "value": round(facts["metrics"][metric], 4)}],
        }
        head["model-index"] = [{"name": facts["name"], "results": [result]}]
    return head


def _title(bundle: Bundle, facts: Facts | None) -> Iterator[str]:
    config, task = bundle.config, make_task(bundle.config.task)
    name = config.name if facts is None else facts["name"]
    yield f"# {name}, {f'round {bundle.round}' if bundle.round else 'the base model'}"
    yield ""
    yield task.description
    if task.label_names and task.values is None:
        yield ""
        yield from (f"- {_cell(label)}" for label in task.label_names[:_MOST_LABELS])
        if (more := len(task.label_names) - _MOST_LABELS) > 0:
            yield f"- and {more} more: see `task.json`"
    yield ""
    yield "It is asked:"
    yield ""
    yield from (f"    {line}" for line in config.task.prompt.splitlines())


def _measured(bundle: Bundle, facts: Facts | None, cost: Cost) -> Iterator[str]:
    yield "## How good it is"
    yield ""
    if facts is None:
        yield "The campaign is out of reach, and nothing beside the model says how it was measured."
        return
    yield f"Measured on {facts['num_holdout']} labelled rows that it was not trained on."
    yield ""
    before = facts["before_training"]
    heading = ["", "value", f"{facts['level']:.0%} interval", *["before training"] * bool(before)]
    yield from _table([heading, *_metric_rows(bundle, facts)])
    if facts["scaled"]:
        temperature = bundle.readings.scale
        changed = ", ".join(f"{_TITLES[n]} {facts['scaled'][n]:.4f}" for n in ("ece", "nll") if n in facts["scaled"])
        yield ""
        yield f"With the temperature {temperature:.3g} of the calibration split, as probabilities are given: {changed}."
    if facts["per_class"]:
        yield ""
        rows = [[_cell(row["label"]), str(row["count"]), _share(row["accuracy"])] for row in facts["per_class"]]
        yield from _table([["label", "rows", "found"], *rows[:_MOST_LABELS]])
    yield ""
    yield cost.sentence()
    if not facts["gates"]["passed"]:
        yield ""
        yield f"It did not pass the campaign's gates: {'; '.join(facts['gates']['reasons'])}."


def _metric_rows(bundle: Bundle, facts: Facts) -> Iterator[list[str]]:
    headline = headline_of(bundle.config)
    first, titles = [name for name, _ in headline.columns], _TITLES | {headline.metric: headline.title}
    names = dict.fromkeys(name for name in (*first, *_TITLES) if name in facts["metrics"])
    for name in names:
        low, high = facts["intervals"].get(name, (None, None))
        interval = "" if low is None else f"{low:.4f} to {high:.4f}"
        row = [titles.get(name, name), f"{facts['metrics'][name]:.4f}", interval]
        if before := facts["before_training"]:
            row.append(f"{before[name]:.4f}" if name in before else "")
        yield row


def _use(exported: Exported) -> Iterator[str]:
    yield "## Use"
    yield ""
    if exported.program is None:
        needs = "transformers" if exported.merged else "transformers and peft"
        yield f"`python predict.py ROWS.csv` needs {needs} alone, and answers as `activelora predict --samples 0` does."
        yield "It reads one row at a time, and refuses texts that spell out special tokens."
    else:
        yield f"There is no `predict.py`: {exported.program}."
    yield "`activelora predict` and `activelora serve` take this folder too, and average posterior samples."
    yield ""
    if exported.merged:
        yield f"The weights are dense, {exported.dtype}: transformers' `AutoModelForCausalLM` and vLLM load the folder."
    else:
        yield "`PeftModel.from_pretrained(base, FOLDER, subfolder='adapter')` loads the adapter."
    yield "Prompts must be written as `task.json` says; the answer is read off the tokens that it lists."


def _intended(bundle: Bundle) -> Iterator[str]:
    yield "## Intended use"
    yield ""
    columns = _named(make_task(bundle.config.task).columns)
    yield f"Rows such as those of the pool that it was trained for, with {columns}."
    yield "Its owner knows which decisions may rest on it; where the probability is low, a person should look."


def _made_of(bundle: Bundle, facts: Facts | None) -> Iterator[str]:
    yield "## Data and labels"
    yield ""
    if facts is None:
        yield "Not known here: see the campaign."
        return
    yield f"{facts['num_labels']} labels, from the source `{facts['label_source']}`, chosen by `{facts['strategy']}`."
    if counts := facts["label_counts"]:
        shown = ", ".join(f"{_cell(name)} {count}" for name, count in list(counts.items())[:_MOST_LABELS])
        yield f"By label: {shown}."
    yield ""
    rows = [[one["name"], str(one["num_rows"]), f"`{one['source']}`", f"`{one['sha256']}`"] for one in facts["data"]]
    yield from _table([["", "rows", "source", "sha256 of what was taken"], *rows])


def _limits(bundle: Bundle, facts: Facts | None) -> Iterator[str]:
    yield "## Limits"
    yield ""
    most = bundle.config.task.max_prompt_tokens
    yield f"- Prompts of more than {most} tokens are cut at the end of their last column."
    if facts is not None:
        yield f"- The numbers above are of {facts['num_holdout']} rows: the intervals say how sure they are."
        missed = [row["label"] for row in facts["per_class"] or () if row["count"] and not row["predicted"]]
        if missed:
            yield f"- It never answered {_named(missed)} on the holdout."
    yield "- On rows of another kind than the pool's, neither accuracy nor calibration is known."
    yield "- What biases the base model has, and the labels, it has too; they were not looked for."
    yield "- The licence is that of the base model, and of what your data allows."


def _provenance(bundle: Bundle, facts: Facts | None) -> Iterator[str]:
    found, adapter = bundle.provenance, bundle.config.adapter
    base = found["base"]
    yield "## Provenance"
    yield ""
    rows = [
        ["Campaign", f"`{found['campaign']}`"],
        ["Campaign's settings, digest", f"`{found['campaign_digest']}`"],
        ["Evaluation, digest", f"`{found['evaluation_digest']}`"],
        ["Base model", f"`{base['id']}`" + (f" at `{base['revision']}`" if base["revision"] else "")],
        ["Base model, sha256", f"`{base['sha256']}`" if base["sha256"] else "not computed: it was not on the machine"],
        ["Adapter", f"{adapter.method}, rank {adapter.rank}" if bundle.files else "none"],
        *[[f"`{name}`, sha256", f"`{sha256}`"] for name, sha256 in bundle.files.items()],
        ["Seed", str(bundle.config.seed)],
        ["Exported by", f"ActiveLoRA {found['code_version']}"],
    ]
    if facts is not None:
        rows += [["Trained and measured by", f"ActiveLoRA {', '.join(facts['code_versions'])}"]]
        rows += [["Measured at", facts["measured_at"]]]
    yield from _table([["", ""], *rows])


def _table(rows: Iterable[list[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield f"|{'---|' * len(row)}"


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
