"""Running a comparison: one campaign a method and seed, here one after another, or apart, one process each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.ledger import planned_rounds
from activelora.comparison.measured import CONTROL, Method, Run
from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.progress import track
from activelora.rules.file import load_with_settings
from activelora.rules.opening import create_campaign
from pipelines.comparisons.arms import JOINT, SELF_TRAINING, parse_arm
from pipelines.comparisons.workers import ComparisonError, Workers, rounds_measured, take_over
from pipelines.engines.inline import tick

CAMPAIGNS_FOLDER = "campaigns"
_ENDINGS = (
    "tracking.enabled=false",
    "stopping.target_accuracy=null",
    "stopping.target_ece=null",
    "stopping.target_primary=null",
    "stopping.plateau_rounds=null",
    "stopping.plateau_gain=0",
)
"""All campaigns run to the same number of labels: a curve that ended early could not be compared."""


@dataclass(frozen=True)
class Cell:
    """One campaign of a comparison.

    Attributes:
        method: Its strategy and adapter.
        seed: Its seed.
        config: Its settings.
        folder: Folder of its campaign.
    """

    method: Method
    seed: int
    config: CampaignConfig
    folder: Path


@dataclass(frozen=True)
class Grid:
    """What is to be compared.

    Attributes:
        file: The campaign file.
        strategies: Names; none takes the file's. Random acquisition joins in any case. `SEED_SET+NAME` draws the
            seed set otherwise than the file says; `NAME+self_training` trains on pseudo-labels besides.
        adapters: Names; none takes the file's.
        seeds: Seeds of the campaigns.
        settings: ``key=value`` each, for all campaigns.
        data: Replaces `data.folder`.
    """

    file: Path
    strategies: Sequence[str] = ()
    adapters: Sequence[str] = ()
    seeds: Sequence[int] = (0, 1, 2)
    settings: Sequence[str] = ()
    data: Path | None = None

    def cells(self, out: Path) -> list[Cell]:
        """Return the campaigns, seed by seed, random acquisition first.

        Raises:
            ProblemsError: Every problem of the settings, of any method.
            ConfigError: The labels do not come from the oracle.
        """
        base = load_with_settings(self.file, list(self.settings), self.data)
        if base.labeling.source != "oracle":
            raise ConfigError(
                "a comparison asks thousands of labels at once, so they must come from gold labels",
                where=f"labeling.source: {base.labeling.source}",
                remedy="Add --set labeling.source=oracle, with a pool that has gold labels.",
            )
        strategies = dict.fromkeys([CONTROL, *(self.strategies or [base.acquisition.strategy])])
        _check_arms(strategies, base)
        adapters = dict.fromkeys(self.adapters or [base.adapter.method])
        methods = [Method(strategy, adapter) for adapter in adapters for strategy in strategies]
        splits = _split_seed(base, out / CAMPAIGNS_FOLDER, self.seeds)
        cells, problems = [], list[ActiveLoRAError]()
        for seed in dict.fromkeys(self.seeds):
            for method in methods:
                try:
                    config = self._config(method, seed, splits)
                except ProblemsError as error:
                    problems += error.problems
                    continue
                name = f"{method.strategy}-{method.adapter}-seed{seed}"
                cells.append(Cell(method, seed, config, out / CAMPAIGNS_FOLDER / name))
        if problems:
            raise ProblemsError(list({str(problem): problem for problem in problems}.values()))
        return cells

    def _config(self, method: Method, seed: int, splits: int | None) -> CampaignConfig:
        own = [*parse_arm(method.strategy).settings(), f"adapter.method={method.adapter}", f"seed={seed}"]
        own += [] if splits is None else [f"data.split_seed={splits}"]
        try:
            return load_with_settings(self.file, [*self.settings, *_ENDINGS, *own], self.data)
        except ProblemsError as error:
            raise ProblemsError([_of_option(problem, method) for problem in error.problems]) from None


def _check_arms(names: Iterable[str], base: CampaignConfig) -> None:
    """Refuse names of another form, and an arm with self-training where the file trains all methods so.

    Raises:
        ProblemsError: Every problem of any name.
    """
    problems, of_all = list[ActiveLoRAError](), base.training.self_training is not None
    for name in names:
        try:
            arm = parse_arm(name)
        except ConfigError as error:
            problems.append(error)
            continue
        if arm.trains_itself and of_all:
            problem = f"`training.{SELF_TRAINING}` is set, so that all methods train so, `{CONTROL}` too"
            without = name.removesuffix(f"{JOINT}{SELF_TRAINING}")
            remedy = f"Add --set training.{SELF_TRAINING}=null to compare with and without it, or write `{without}`."
            problems.append(ConfigError(problem, where=f"--strategies {name}", remedy=remedy))
    if problems:
        raise ProblemsError(problems)


def _split_seed(base: CampaignConfig, folder: Path, seeds: Sequence[int]) -> int | None:
    """Return the seed of holdout and pool for all campaigns, so that all are measured on the same items.

    The file's, or that of the campaigns that are there: seeds that join later meet the same items. Campaigns of older
    versions have holdouts of their own seed, and go on so (None).
    """
    if base.data.split_seed is not None:
        return base.data.split_seed
    for begun in sorted(folder.glob("*/campaign.json")):
        return Campaign.open(str(begun.parent)).config.data.split_seed
    return next(iter(seeds), None)


def _of_option(problem: ActiveLoRAError, method: Method) -> ActiveLoRAError:
    """Return a problem with the option of this command that gave the setting."""
    options = {
        "acquisition.strategy": f"--strategies {method.strategy}",
        "acquisition.initial": f"--strategies {method.strategy}",
        "adapter.method": f"--adapters {method.adapter}",
    }
    if parse_arm(method.strategy).trains_itself:
        options[f"training.{SELF_TRAINING}"] = f"--strategies {method.strategy}"
    if not isinstance(problem, ConfigError) or problem.key not in options:
        return problem
    return problem.given_in(options[problem.key])


def run_cells(cells: Sequence[Cell], jobs: int, devices: Sequence[str] = ()) -> list[Run]:
    """Run all campaigns to their end, or go on with them, and show how far it is.

    Args:
        cells: The campaigns.
        jobs: Number of campaigns at a time; 1 runs them in this process.
        devices: GPUs, as ``CUDA_VISIBLE_DEVICES`` names them; the jobs take turns on them.

    Raises:
        ComparisonError: A campaign failed in its own process; the others that had begun were finished.
        ActiveLoRAError: A campaign failed in this process.
    """
    campaigns = [create_campaign(str(cell.folder), cell.config) for cell in cells]
    left = [campaign for campaign in campaigns if stop_reason(campaign) is None]
    total = sum(planned_rounds(campaign) + 1 - rounds_measured(campaign) for campaign in left)
    if left:
        rounds = _here(left, campaigns) if jobs == 1 else Workers(left, campaigns, jobs, devices).rounds()
        for _ in track(rounds, f"comparing {len(cells)} campaigns, round by round", total):
            pass
    return [Run(cell.method, cell.seed, campaign) for cell, campaign in zip(cells, campaigns, strict=True)]


def visible_devices() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = [str(number) for number in range(torch.cuda.device_count())]
    return [name for name in named.split(",") if name][: len(numbers)] if named else numbers


def _here(left: Sequence[Campaign], donors: Sequence[Campaign]) -> Iterator[None]:
    """Run the campaigns one after another, yielding once a round that is measured."""
    for campaign in left:
        before = rounds_measured(campaign)
        take_over(campaign, donors)
        while True:
            result = tick(campaign)
            now = rounds_measured(campaign)
            yield from [None] * (now - before)
            before = now
            if result.status != "moved":
                break
        if result.status != "finished":
            raise ComparisonError(f"did not end: {result.reason}", where=campaign.store.uri)
