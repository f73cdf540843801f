"""`run` and `tick`: move a campaign on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.locations import default_uri, is_campaign_file, open_campaign
from pipelines.engines.errors import Runner

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign
    from activelora.config import CampaignConfig
    from pipelines.engines.inline import TickResult


class Engine(StrEnum):
    """How the steps are run."""

    inline = "inline"
    kfp_local = "kfp-local"


EngineOption = Annotated[
    Engine, typer.Option(help="inline: in this process. kfp-local: the compiled Kubeflow pipeline on this machine.")
]
RunnerOption = Annotated[
    Runner | None,
    typer.Option(help="With kfp-local: each task a subprocess (default), or a container of Docker or podman."),
]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, e.g. stopping.max_rounds=3.")
]
DataOption = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the data is: replaces data.folder.")]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The campaign file.")],
    campaign: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Folder or s3://. Default: campaigns/<name> beside the file."),
    ] = None,
    data: DataOption = None,
    settings: SetOption = [],  # noqa: B006 - typer copies it
    engine: EngineOption = Engine.inline,
    runner: RunnerOption = None,
) -> None:
    """Run a campaign, or go on with it, until it has ended or waits for labels.

    Kill it whenever you like: the same command goes on where it stopped. Settings that change a result are frozen
    by the first run; resources, tracking and waiting times may be changed in the file at any time.
    """
    from activelora.rules.file import load_with_settings

    _check_runner(engine, runner)
    config = load_with_settings(file, settings, data)
    opened = create_campaign(default_uri(config, file) if campaign is None else campaign, config)
    tell(opened, run_with(engine, opened, runner))


def tick(
    uri_or_file: Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")],
    engine: EngineOption = Engine.inline,
    runner: RunnerOption = None,
) -> None:
    """Move a campaign on once: collect labels that have come, then do the round that is due.

    Ends at once where labels are missing, so that a scheduler can call it as often as it likes.
    """
    from activelora.rules.file import load_with_settings

    _check_runner(engine, runner)
    if is_campaign_file(uri_or_file):
        config = load_with_settings(Path(uri_or_file), [])
        opened = create_campaign(default_uri(config, Path(uri_or_file)), config)
    else:
        opened = open_campaign(uri_or_file)
    tell(opened, _tick_with(engine, opened, runner))


def create_campaign(uri: str, config: CampaignConfig, *, runs_here: bool = True) -> Campaign:
    """Create the campaign, or open it where it is. A new one is checked first: its settings are frozen from then on.

    Args:
        uri: URI or folder of the campaign.
        config: Its settings.
        runs_here: It will run on this machine, so that the base model has to be here.

    Raises:
        ProblemsError: What `activelora check` would say.
    """
    from activelora.campaign.frozen import CAMPAIGN_KEY
    from activelora.campaign.store import open_store
    from activelora.rules import opening
    from pipelines.cli.checks import check_campaign

    if not open_store(uri).exists(CAMPAIGN_KEY):
        check_campaign(config, runs_here=runs_here)
    return opening.create_campaign(uri, config)


def run_with(engine: Engine, campaign: Campaign, runner: Runner | None = None) -> TickResult:
    """Run a campaign with an engine as far as it goes."""
    if engine is Engine.kfp_local:
        from pipelines.engines import kfp_local as local

        return local.run_campaign(campaign, runner or Runner.subprocess)
    from pipelines.engines import inline

    return inline.run_campaign(campaign)


def _tick_with(engine: Engine, campaign: Campaign, runner: Runner | None) -> TickResult:
    if engine is Engine.kfp_local:
        from pipelines.engines import kfp_local as local

        return local.tick(campaign, runner or Runner.subprocess)
    from pipelines.engines import inline

    return inline.tick(campaign)


def _check_runner(engine: Engine, runner: Runner | None) -> None:
    if runner is not None and engine is not Engine.kfp_local:
        raise ConfigError(
            f"the engine `{engine}` starts no tasks of its own",
            where=f"--runner {runner}",
            remedy="Add --engine kfp-local, or leave --runner out.",
        )


def tell(campaign: Campaign, result: TickResult) -> None:
    """Print where the campaign stands and what a person can do now."""
    from activelora.tracking.report import REPORT_KEY
    from pipelines.cli.status_document import print_rounds, status_document

    found = status_document(result.seen or campaign)
    print_rounds(campaign, found)
    if result.status == "finished":
        typer.echo(f"finished: {result.reason}")
    elif result.status == "waiting":
        typer.echo(f"waiting: {found['reason']}")
        typer.echo("Nothing runs meanwhile. Run the same command again when labels are there.")
    else:
        typer.echo(f"round {result.round} is next")
    typer.echo(f"campaign: {campaign.store.uri}")
    if campaign.store.exists(REPORT_KEY):
        typer.echo(f"report:   {campaign.store.uri}/{REPORT_KEY}")
