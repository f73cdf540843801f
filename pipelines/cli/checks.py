"""Everything about a campaign file that can be known without training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, ConfigError, ModelError, ProblemsError
from activelora.notices import WEBHOOK_VARIABLE
from pipelines.cli.label_values import label_hint
from pipelines.cli.trust_facts import calibration_fact, posterior_facts

_NUMBERS_SHOWN = 12
if TYPE_CHECKING:
    from activelora.modeling.encoding import Encoder
    from activelora.pool.inspect import DataSummary


@dataclass
class Findings:
    """What was found.

    Attributes:
        data: Counts of the data.
        facts: What is there, as pairs of a name and words.
        warnings: What is allowed but looks wrong.
    """

    data: DataSummary | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_campaign(
    config: CampaignConfig, *, runs_here: bool = False, found: Sequence[ActiveLoRAError] = ()
) -> Findings:
    """Check data, labels, budget and, where these are right, the model's layers.

    Args:
        config: The campaign's settings, whose names :mod:`activelora.rules` has checked.
        runs_here: The campaign is about to run on this machine: a model that is not here is fetched first. Otherwise
            nothing is fetched, and such a model is not checked.
        found: Problems of the settings, to say with those of data and model.

    Raises:
        ProblemsError: Everything that is wrong.
    """
    findings, problems = Findings(), _Collected(found)
    problems.run(_check_source, config)
    _check_metrics(config, findings)
    _check_reminders(config, findings)
    _check_model_token(config, findings)
    _tell_processes(config, findings)
    findings.facts += posterior_facts(config)
    if problems.run(_check_task, config):
        problems.run(_check_data, config, findings)
        # Its layers take seconds to look at, which nobody should wait for who has to correct a column's name.
        problems.run(*(_find_model, config) if problems else (_check_model, config, findings, runs_here))
    problems.refuse(hint=label_hint(config, problems.found))
    return findings


class _Collected:
    def __init__(self, found: Sequence[ActiveLoRAError]) -> None:
        self.found = [*found]

    def __bool__(self) -> bool:
        return bool(self.found)

    def run(self, check: Callable[..., None], *arguments: object) -> bool:
        """Run a check and keep what it finds; tell whether all was well."""
        try:
            check(*arguments)
        except ProblemsError as error:
            self.found += error.problems
        except ActiveLoRAError as error:
            self.found.append(error)
        else:
            return True
        return False

    def refuse(self, hint: str = "") -> None:
        if self.found:
            raise ProblemsError(self.found, hint=hint)


def _check_source(config: CampaignConfig) -> None:
    """Try the places where labels come from."""
    if "label_studio" in (config.labeling.source, config.labeling.llm.people.source):
        _check_label_studio(config)
    inbox = config.labeling.inbox
    if "files" in (config.labeling.source, config.labeling.llm.people.source) and inbox:
        _check_inbox(inbox if "://" in inbox else str(Path(config.data.folder) / Path(inbox).expanduser()))


def _check_label_studio(config: CampaignConfig) -> None:
    """Try the address and the token, unless the token is known to the cluster alone."""
    from activelora.labeling.label_studio.errors import TOKEN_VARIABLE
    from activelora.labeling.label_studio.source import check_server

    if os.environ.get(TOKEN_VARIABLE) or TOKEN_VARIABLE not in config.resources.secret_env:
        check_server(config.labeling)


def _check_metrics(config: CampaignConfig, findings: Findings) -> None:
    textfile = config.tracking.prometheus_textfile
    if textfile is not None and not Path(textfile).expanduser().parent.is_dir():
        findings.warnings.append(
            f"tracking.prometheus_textfile: there is no folder {Path(textfile).expanduser().parent} on this machine"
        )


def _check_reminders(config: CampaignConfig, findings: Findings) -> None:
    if not config.labeling.remind_hours:
        return
    if config.resources.notify is None and not os.environ.get(WEBHOOK_VARIABLE):
        findings.warnings.append(
            f"labeling.remind_hours: {WEBHOOK_VARIABLE} is not set here and resources.notify names no secret: nobody "
            "would be reminded"
        )


def _check_model_token(config: CampaignConfig, findings: Findings) -> None:
    from activelora.labeling.llm.endpoint import TOKEN_VARIABLE

    if config.labeling.source == "llm" and not os.environ.get(TOKEN_VARIABLE, "").strip():
        findings.warnings.append(
            f"labeling.llm: {TOKEN_VARIABLE} is not set here: requests to {config.labeling.llm.url} would carry none"
        )


def _tell_processes(config: CampaignConfig, findings: Findings) -> None:
    from activelora.rules.parallel import num_processes

    train = config.resources.train
    if train.num_nodes * num_processes(train) == 1:
        return
    here = f"{train.num_processes} processes" if train.num_processes else "a process for each GPU, or one"
    words = f"{train.num_nodes} × {num_processes(train)} processes ({train.parallel}) on a cluster; here {here}"
    findings.facts.append(("training", words))


def _check_inbox(uri: str) -> None:
    from activelora.campaign.store import open_store

    if "://" in uri:
        next(open_store(uri).list(""), None)
    elif Path(uri).exists() and not Path(uri).is_dir():
        raise ConfigError("is a file, and must be a folder", where=f"labeling.inbox: {uri}")


def _check_task(config: CampaignConfig) -> None:
    from activelora.kinds.registry import make_task

    task = make_task(config.task)
    if task.kind.writes:
        task.kind.written_judge_of(task)
    else:
        task.kind.judge_of(task)


def _check_data(config: CampaignConfig, findings: Findings) -> None:
    from activelora.kinds.registry import make_task
    from activelora.pool.inspect import inspect_data

    data = findings.data = inspect_data(config, make_task(config.task))
    findings.warnings += data.warnings
    labels = ", ".join(f"{name} {count}" for name, count in list(data.holdout_labels.items())[:12])
    more = len(data.holdout_labels) - 12
    rest = f" and {more} more labels" if more > 0 else ""
    left_out = f"{data.num_duplicates} duplicates, {data.num_overlap} in the holdout, {data.num_left_out} by limit"
    findings.facts += [
        ("pool", f"{data.num_pool - data.num_known} items to choose from"),
        ("known", _known_labels(config, data)),
        ("holdout", f"{data.num_holdout} items" + (f" ({labels}{rest})" if labels else "")),
        calibration_fact(config, data.num_calibration),
        *_numbers_read(data),
        ("left out", left_out),
        ("budget", f"{config.label_budget} labels in {config.stopping.max_rounds} rounds"),
    ]
    _check_target(config, data.num_holdout, findings)
    _check_budget(config, data, findings)


def _known_labels(config: CampaignConfig, data: DataSummary) -> str:
    """Say in one line what happens to how many labels that the pool has."""
    use = config.known_labels
    if use == "holdout":
        return f"{data.num_holdout + data.num_calibration} items of the pool have a label, and are the holdout"
    if use == "ignore":
        by = "the oracle answers with them" if config.labeling.source == "oracle" else "data.known_labels: ignore"
        return f"no label of the pool is used ({by})"
    if not data.num_known:
        return "no item of the pool has a label"
    shown = ", ".join(f"{name} {count}" for name, count in list(data.known_labels.items())[:_NUMBERS_SHOWN])
    items = (
        "1 item of the pool has a label" if data.num_known == 1 else f"{data.num_known} items of the pool have a label"
    )
    return f"{items}: round 1 trains on them, and they cost no budget" + (f" ({shown})" if shown else "")


def _numbers_read(data: DataSummary) -> list[tuple[str, str]]:
    """Say which label each number was taken for, so that a shifted or reversed list is seen."""
    shown = ", ".join(f"{name} {count}" for name, count in list(data.label_numbers.items())[:_NUMBERS_SHOWN])
    more = len(data.label_numbers) - _NUMBERS_SHOWN
    return [("labels", shown + (f" and {more} more numbers" if more > 0 else ""))] if shown else []


def _check_target(config: CampaignConfig, num_holdout: int, findings: Findings) -> None:
    """Say what the target asks of the measured values, where their confidence intervals must pass it."""
    from activelora.campaign.stopping import highest_sure_ece, lowest_sure_accuracy

    stopping, level = config.stopping, config.evaluation.confidence_level
    if stopping.target_on == "point" or not num_holdout:
        return
    if (target := stopping.target_accuracy) is not None:
        needed = lowest_sure_accuracy(target, num_holdout, level)
        text = f"accuracy {target:g}: on {num_holdout} holdout items about {needed:.3f} must be measured to be sure"
        findings.facts.append(("target", text))
    if (target := stopping.target_ece) is not None:
        reachable = highest_sure_ece(stopping.target_accuracy or 0.9, num_holdout, level)
        if target < reachable:
            findings.warnings.append(
                f"stopping.target_ece {target:g} can hardly be reached: on {num_holdout} holdout items even a "
                f"perfectly calibrated model has an interval up to about {reachable:.3f}; raise it, give a larger "
                "holdout, or set stopping.target_on: point"
            )


def _check_budget(config: CampaignConfig, data: DataSummary, findings: Findings) -> None:
    left = data.num_pool - data.num_known
    if config.label_budget > data.num_pool:
        left_out = "".join(f"; {text}" for text in data.warnings if text.startswith("data.pool:"))
        batch, rounds = config.acquisition.batch_size, config.stopping.max_rounds
        raise ConfigError(
            f"the label budget of {config.label_budget} is larger than the pool of {data.num_pool} items{left_out}",
            where="stopping.label_budget"
            if config.stopping.label_budget
            else f"stopping.max_rounds {rounds} × acquisition.batch_size {batch}",
            remedy="Ask for fewer labels, or give more unlabelled items.",
        )
    if config.label_budget > left:
        what = f"only {left} are left to ask for" if left else "nothing is left to ask for"
        findings.warnings.append(
            f"{data.num_known} of the pool's {data.num_pool} items have a label already, so that of a label budget of "
            f"{config.label_budget} {what}; data.known_labels: ignore asks for all of them"
        )


def _check_model(config: CampaignConfig, findings: Findings, runs_here: bool) -> None:
    """Check the answers against the tokenizer and the adapter against the layers, and estimate the memory."""
    from activelora.modeling.base import check_cached, is_local

    name = config.model.base
    _find_model(config)
    if not is_local(config.model) and not runs_here:
        check_cached(config.model)
        findings.facts.append(("model", f"{name}: not on this machine, so answers and memory are not checked"))
        findings.warnings.append(f"model {name} is fetched by the first run; run this check again after it")
        return
    from activelora.modeling.base import check_here, check_stored, load_skeleton, load_tokenizer
    from activelora.modeling.encoding import Encoder
    from activelora.modeling.fidelity import paths_of_kind
    from activelora.modeling.length_limit import length_limit
    from activelora.modeling.lora import check_adapter
    from activelora.modeling.vocabulary import check_vocabulary
    from activelora.pool.survey import first_items
    from pipelines.cli.prompt_checks import NUM_EXAMINED, look_at_prompts
    from pipelines.cli.stored_form import as_stored

    skeleton = load_skeleton(config.model)
    try:
        check_here(config.model, skeleton)
    except ModelError as error:
        if runs_here:
            raise
        findings.warnings.append(f"the campaign cannot run on this machine: {error}")
    tokenizer = load_tokenizer(config.model)
    if left_out := check_adapter(skeleton, config.adapter):
        findings.facts.append(("no adapter on", "; ".join(left_out)))
    check_stored(config.model, skeleton)
    check_vocabulary(tokenizer, skeleton)
    if off := paths_of_kind(skeleton).off:
        findings.facts.append(("speed", f"runs without {', '.join(off)}: its numbers would be others"))
    config = as_stored(config, skeleton, findings.facts)
    encoder = Encoder(tokenizer, config.task, length_limit(skeleton.config))
    num_tokens = _longest_tokens(config, encoder, findings)
    own_tokens = config.task.max_answer_tokens if encoder.task.kind.writes else encoder.num_label_tokens
    apart = "" if encoder.task.kind.writes else "its tokens tell the answers apart; "
    fact = f"{name}: {apart}the longest item has about {num_tokens} tokens"
    if encoder.num_label_tokens:
        fact += f", and {encoder.num_label_tokens} more for all answers together"
    findings.facts.append(("model", fact))
    items = [] if findings.data is None else first_items(config, encoder.task, NUM_EXAMINED)
    facts, warnings = look_at_prompts(config.task, encoder, skeleton, items, num_answer_tokens=own_tokens)
    findings.facts += facts
    findings.warnings += warnings
    _estimate_memory(config, num_tokens + own_tokens, findings)


def _find_model(config: CampaignConfig) -> None:
    """Check that there is a model where the name says, as far as can be told without torch."""
    from activelora.modeling.base import check_folder, check_name

    check_name(config.model)
    check_folder(config.model)
    if config.model.base.startswith("s3://"):
        _check_published(config.model.base)


def _check_published(uri: str) -> None:
    from activelora.modeling.published import find

    if find(uri) is None:
        remedy = "Publish it with: activelora model push FOLDER s3://bucket/prefix."
        raise ModelError("no model is published here", where=f"model.base: {uri}", remedy=remedy)


def _longest_tokens(config: CampaignConfig, encoder: Encoder, findings: Findings) -> int:
    """Estimate the tokens of the longest item from one item's tokens per character."""
    limit = config.task.max_prompt_tokens
    if findings.data is None:
        return limit
    sample = findings.data.sample
    length = sum(map(len, sample.fields.values())) + sum(map(len, sample.choices))
    num_tokens = len(encoder.encode([sample])[0].prompt_ids)
    longest = round(num_tokens + max(0, findings.data.longest_chars - length) / 4)
    if longest > limit:
        findings.warnings.append(
            f"the longest item has about {longest} tokens and is cut to task.max_prompt_tokens {limit}"
        )
    return min(longest, limit)


def _estimate_memory(config: CampaignConfig, num_tokens: int, findings: Findings) -> None:
    from activelora.modeling.locating import local_folder
    from pipelines.cli.memory import GIB, estimate_bytes, machine_bytes, model_size

    folder = local_folder(config.model)
    size = None if folder is None else model_size(folder)
    if size is None:
        findings.facts.append(("memory", "cannot be estimated for this model"))
        return
    dtypes = ("float32", "bfloat16") if config.model.dtype == "auto" else (config.model.dtype,)
    needed = {dtype: estimate_bytes(size, config, num_tokens, dtype=dtype) for dtype in dtypes}
    shown = ", ".join(f"{count / GIB:.1f} GiB in {dtype}" for dtype, count in needed.items())
    findings.facts.append(("memory", f"about {shown}, for {size.num_parameters / 1e6:.0f} million parameters"))
    if needed[dtypes[0]] > machine_bytes():
        findings.warnings.append(
            f"this machine has {machine_bytes() / GIB:.1f} GiB of memory, and about {needed[dtypes[0]] / GIB:.1f} GiB "
            "are needed: lower training.batch_size or scoring.batch_tokens, or use a smaller model"
        )
