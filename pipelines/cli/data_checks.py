"""What a campaign's data hold, and whether budget and target go with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from activelora.config import CampaignConfig
from activelora.errors import ConfigError
from activelora.quantities import quantity
from pipelines.cli.trust_facts import calibration_fact

_NUMBERS_SHOWN = 12
if TYPE_CHECKING:
    from activelora.pool.inspect import DataSummary
    from pipelines.cli.findings import Findings


def check_data(config: CampaignConfig, findings: Findings) -> None:
    """Read all data, and compare them with the budget and the target.

    Raises:
        ProblemsError: Rows that cannot be used.
        ConfigError: The budget is larger than the pool.
    """
    from activelora.kinds.registry import make_task
    from activelora.pool.inspect import inspect_data
    from activelora.pool.label_spellings import spelling_hints

    task = make_task(config.task)
    data = findings.data = inspect_data(config, task)
    findings.warnings += data.warnings
    if task.kind.lists_labels:
        counts = Counter(data.holdout_labels) + Counter(data.known_labels)
        findings.warnings += [
            f"task.labels: {hint}" for hint in spelling_hints(dict.fromkeys(task.label_names, 0) | counts)
        ]
    num_open = data.num_pool - data.num_known
    labels = ", ".join(f"{name} {count}" for name, count in list(data.holdout_labels.items())[:12])
    more = len(data.holdout_labels) - 12
    rest = f" and {more} more labels" if more > 0 else ""
    left_out = (
        f"{quantity(data.num_duplicates, 'duplicate')}, {data.num_overlap} in the holdout, {data.num_left_out} by limit"
    )
    findings.facts += [
        ("pool", quantity(num_open, "item") + " to choose from" if num_open else "nothing left to ask for"),
        ("known", _known_labels(config, data)),
        ("holdout", quantity(data.num_holdout, "item") + (f" ({labels}{rest})" if labels else "")),
        calibration_fact(config, data.num_calibration),
        *_numbers_read(data),
        ("left out", left_out),
        ("budget", _budget(config, data)),
    ]
    _check_target(config, data.num_holdout, findings)
    _check_budget(config, data, findings)


def _known_labels(config: CampaignConfig, data: DataSummary) -> str:
    """Say in one line what happens to how many labels that the pool has."""
    use = config.known_labels
    if use == "holdout":
        num = data.num_holdout + data.num_calibration
        items = quantity(num, "item of the pool has a label, and is", "items of the pool have a label, and are")
        return f"{items} the holdout"
    if use == "ignore":
        by = "the oracle answers with them" if config.labeling.source == "oracle" else "data.known_labels: ignore"
        return f"no label of the pool is used ({by})"
    if not data.num_known:
        return "no item of the pool has a label"
    shown = ", ".join(f"{name} {count}" for name, count in list(data.known_labels.items())[:_NUMBERS_SHOWN])
    items = quantity(data.num_known, "item of the pool has a label", "items of the pool have a label")
    return f"{items}: round 1 trains on them, and they cost no budget" + (f" ({shown})" if shown else "")


def _budget(config: CampaignConfig, data: DataSummary) -> str:
    """Say what is asked for; of a pool that is labelled already, what becomes of it."""
    if data.num_known == data.num_pool:
        return f"nothing left to ask: one round trains on {quantity(data.num_known, 'label')}, and the campaign ends"
    return f"{quantity(config.label_budget, 'label')} in {quantity(config.stopping.max_rounds, 'round')}"


def _numbers_read(data: DataSummary) -> list[tuple[str, str]]:
    """Say which label each number was taken for, so that a shifted or reversed list is seen."""
    shown = ", ".join(f"{name} {count}" for name, count in list(data.label_numbers.items())[:_NUMBERS_SHOWN])
    more = len(data.label_numbers) - _NUMBERS_SHOWN
    return [("labels", shown + (f" and {more} more numbers" if more > 0 else ""))] if shown else []


def _check_target(config: CampaignConfig, num_holdout: int, findings: Findings) -> None:
    """Say what the target asks of the measured values, where their confidence intervals must pass it."""
    from activelora.campaign.stopping import highest_sure_ece, lowest_sure_accuracy
    from activelora.kinds.registry import headline_of

    stopping, level, headline = config.stopping, config.evaluation.confidence_level, headline_of(config)
    if config.evaluation.primary is not None:
        judged = f"{headline.title}: gates, stopping, champion, forecast, comparisons and report go by it"
        if headline.metric != "accuracy":
            judged += "; the live check of random draws counts right answers as ever"
        findings.facts.append(("judged by", judged))
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
    if not left:
        return  # a fully labelled pool asks for nothing, whatever the budget is
    if config.label_budget > data.num_pool:
        left_out = "".join(f"; {text}" for text in data.warnings if text.startswith("data.pool:"))
        batch, rounds = config.acquisition.batch_size, config.stopping.max_rounds
        raise ConfigError(
            f"the label budget of {config.label_budget} is larger than the pool of "
            f"{quantity(data.num_pool, 'item')}{left_out}",
            where="stopping.label_budget"
            if config.stopping.label_budget
            else f"stopping.max_rounds {rounds} × acquisition.batch_size {batch}",
            remedy="Ask for fewer labels, or give more unlabelled items.",
        )
    if config.label_budget > left:
        what = f"only {left} {'is' if left == 1 else 'are'} left to ask for"
        findings.warnings.append(
            f"{data.num_known} of the pool's {data.num_pool} items {'has' if data.num_known == 1 else 'have'} a label "
            f"already, so that of a label budget of "
            f"{config.label_budget} {what}; data.known_labels: ignore asks for all of them"
        )
