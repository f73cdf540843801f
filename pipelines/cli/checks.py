"""Everything about a campaign file that can be known without training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from activelora.config import CampaignConfig
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.notices import WEBHOOK_VARIABLE
from pipelines.cli.cluster_addresses import services_unknown_here, warn_of_store
from pipelines.cli.data_checks import check_data
from pipelines.cli.findings import Findings
from pipelines.cli.label_values import label_hint
from pipelines.cli.model_checks import check_model, find_model
from pipelines.cli.nli_checks import check_nli
from pipelines.cli.trust_facts import posterior_facts, scoring_facts, steps_warnings
from pipelines.cluster.service_names import service_unknown_here


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
    unseen: frozenset[str] = frozenset()
    if not runs_here:
        findings.warnings += services_unknown_here(config)
        unseen = warn_of_store(config, findings)
    problems.run(_check_source, config, runs_here, unseen)
    _check_metrics(config, findings)
    _check_reminders(config, findings)
    _check_model_token(config, findings)
    _tell_processes(config, findings)
    if "scoring.nli.model" not in unseen:
        problems.run(check_nli, config, findings, runs_here)
    findings.facts += [*posterior_facts(config), *scoring_facts(config)]
    findings.warnings += steps_warnings(config)
    if problems.run(_check_task, config):
        if not unseen & {"data.folder", "data.pool.path", "data.holdout.path"}:
            problems.run(check_data, config, findings)
        if "model.base" not in unseen:
            # Its layers take seconds to look at, which nobody should wait for who has to correct a column's name.
            problems.run(*(find_model, config) if problems else (check_model, config, findings, runs_here))
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


def _check_source(config: CampaignConfig, runs_here: bool, unseen: frozenset[str]) -> None:
    """Try the places where labels come from, but for those that are told to be unknown here."""
    sources = (config.labeling.source, config.labeling.llm.people.source)
    if "label_studio" in sources:
        _check_label_studio(config, runs_here)
    inbox = config.labeling.inbox
    if "files" in sources and inbox and "labeling.inbox" not in unseen:
        _check_inbox(inbox if "://" in inbox else str(Path(config.data.folder) / Path(inbox).expanduser()))


def _check_label_studio(config: CampaignConfig, runs_here: bool) -> None:
    """Try the address and the token, unless one of them is known to the cluster alone."""
    from activelora.labeling.label_studio.errors import TOKEN_VARIABLE
    from activelora.labeling.label_studio.source import check_server, connect

    if not os.environ.get(TOKEN_VARIABLE) and TOKEN_VARIABLE in config.resources.secret_env:
        return
    url = config.labeling.label_studio.url
    if not runs_here and url is not None and service_unknown_here(url) is not None:
        connect(config.labeling)  # tells where there is no token
    else:
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
