"""The demo: a whole campaign with a real pretrained model on real text, on a laptop."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Literal

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import RoundRecord, evaluated, read_history
from activelora.config import CampaignConfig
from activelora.rules.file import load_config
from activelora.tracking.report import write_report
from pipelines.engines.inline import run_campaign

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoResult:
    """What the demo ran.

    Attributes:
        campaign: The campaign.
        random: The same with random acquisition, if it was asked for.
        report_uri: Its report, with both learning curves.
    """

    campaign: Campaign
    random: Campaign | None
    report_uri: str


def demo_config(rounds: int | None, strategy: Literal["random"] | None = None) -> CampaignConfig:
    """Return the demo's settings.

    Args:
        rounds: Planned queries; None is the campaign file's number.
        strategy: Replaces the campaign file's.
    """
    settings = {} if rounds is None else {"stopping.max_rounds": str(rounds)}
    if strategy:
        settings |= {"acquisition.strategy": strategy, "name": f"demo-{strategy}"}
    with as_file(files("pipelines") / "campaigns" / "demo.yaml") as path:
        return load_config(path, {**settings, "data.folder": "/"})  # its data is built in; the package may move


def run_demo(uri: str, rounds: int | None, *, compares_random: bool) -> DemoResult:
    """Run the demo, or go on with it.

    Args:
        uri: The campaign's folder or URI; random acquisition goes beside it.
        rounds: Planned queries; None is the demo's own number.
        compares_random: Run the same with random acquisition too.
    """
    campaign = Campaign.create(uri, demo_config(rounds))
    others = {}
    if compares_random:
        others["random"] = Campaign.create(f"{uri.rstrip('/')}-random", demo_config(rounds, "random"))
    for name, one in {campaign.config.acquisition.strategy: campaign, **others}.items():
        logger.info("%s acquisition: %s", name, one.store.uri)
        run_campaign(one)
    return DemoResult(campaign, others.get("random"), write_report(campaign, others))


def print_curves(result: DemoResult) -> None:
    """Print labels, accuracy, ECE and NLL of each round, and random acquisition's beside it."""
    from rich.table import Table

    from pipelines.cli.console import stdout

    columns = ["round", "labels", "accuracy", "ECE", "NLL"]
    curves = [evaluated(read_history(result.campaign))]
    if result.random:
        curves.append(evaluated(read_history(result.random)))
        columns += ["random: accuracy", "ECE", "NLL"]
    table = Table(*columns, title=f"{result.campaign.config.acquisition.strategy} acquisition", title_justify="left")
    for column in table.columns:
        column.justify = "right"
    for record in curves[0]:
        cells = [str(record.round), str(record.num_labels), *_numbers(record)]
        for other in curves[1:]:
            cells += next((_numbers(one) for one in other if one.round == record.round), ["-"] * 3)
        table.add_row(*cells)
    stdout().print(table)


def _numbers(record: RoundRecord) -> list[str]:
    return [f"{record.metrics[name]:.3f}" for name in ("accuracy", "ece", "nll")]
