"""`status`, `forecast` and `report`: look at a campaign, and at what Kubeflow does for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.commands.submit_schedule import EndpointOption, NamespaceOption
from pipelines.cli.locations import is_campaign_file, open_campaign

UriOrFileArgument = Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")]


def status(
    uri_or_file: UriOrFileArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    remote: Annotated[bool, typer.Option(help="Show the schedule and the last runs on Kubeflow instead.")] = False,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Show each round (labels, accuracy, ECE, NLL, time), what the campaign waits for, and what more labels bring."""
    if remote:
        _remote_status(uri_or_file, as_json, endpoint, namespace)
        return
    from pipelines.cli.status_document import print_rounds, status_document

    campaign = open_campaign(uri_or_file, to_read=True)
    found = status_document(campaign)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    print_rounds(campaign, found)
    if found["num_known"]:
        asked = f"{found['num_asked']} of at most {found['label_budget']} were asked for"
        typer.echo(f"labels: {found['num_known']} were known before, {asked}")
    for sentence in found["amendments"]:
        typer.echo(sentence)
    for sentence in (*found["pool"]["sentences"], *found["drift"]):
        typer.echo(sentence)
    for sentence in (*found["live_check"], *found["prevalence"]["sentences"]):
        typer.echo(sentence)
    if found["status"] == "running":
        typer.echo(f"next: {', '.join(found['due'])}")
        for log in found["logs"]:
            typer.echo(f"log of what was begun: {log}")
    else:
        typer.echo(f"{found['status']}: {found['reason']}")
    typer.echo(f"forecast: {found['forecast']['sentence']}")
    for line in found["mlflow"]:
        typer.echo(f"MLflow: {line}")


def forecast(
    uri_or_file: UriOrFileArgument,
    target: Annotated[
        float | None,
        typer.Option(
            help="Value of the primary metric to reach, e.g. accuracy 0.9. Default: the campaign file's; without one, "
            "ask what doubling brings."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many more labels reach a target, by a power law fitted to the rounds so far, with an interval."""
    from activelora.errors import ConfigError
    from activelora.evaluation import forecast as forecasts
    from activelora.kinds.registry import headline_of

    campaign = open_campaign(uri_or_file, to_read=True)
    headline = headline_of(campaign.config)
    if target is not None and headline.is_share and not 0 < target <= 1:
        what = "a share of right answers" if headline.counts_items else headline.word
        raise ConfigError(
            f"{what} lies above 0 and at most at 1, not at {target:g}",
            where="--target",
            remedy="Write 0.9 for 90 %.",
        )
    found = forecasts.forecast(campaign, headline, target)
    typer.echo(json.dumps(found.document(), indent=1) if as_json else found.sentence)


def report(
    uri_or_file: UriOrFileArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write it here besides, to be sent on.")
    ] = None,
) -> None:
    """Write the campaign's report anew and print where it is."""
    from activelora.campaign.migrations import SCHEMA_VERSION
    from activelora.tracking.publish import rewrite_report
    from activelora.tracking.report import REPORT_KEY

    campaign = open_campaign(uri_or_file, to_read=True)
    is_newer = campaign.schema_version > SCHEMA_VERSION  # then that version's report stays
    uri = f"{campaign.store.uri}/{REPORT_KEY}" if is_newer else rewrite_report(campaign)
    if out is None:
        typer.echo(uri)
        return
    if not campaign.store.exists(REPORT_KEY):
        raise ConfigError("the newer version has written no report", where=uri, remedy="Update ActiveLoRA.")
    try:
        out.write_bytes(campaign.store.read(REPORT_KEY))
    except OSError as error:
        remedy = "Name a file in a folder that is there."
        raise ConfigError(f"cannot be written: {error.strerror}", where=f"--out {out}", remedy=remedy) from None
    typer.echo(out)


def _remote_status(uri_or_file: str, as_json: bool, endpoint: str | None, namespace: str | None) -> None:
    from activelora.config.file import read_file
    from pipelines.cluster.api import Api
    from pipelines.cluster.connection import find_connection
    from pipelines.deploy.remote import remote_status

    is_file = is_campaign_file(uri_or_file)
    campaign = None if is_file else open_campaign(uri_or_file, to_read=True)
    name = read_file(Path(uri_or_file)).name if campaign is None else campaign.config.name
    found = remote_status(Api(find_connection(endpoint, namespace)), name, campaign)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    if schedule := found["schedule"]:
        typer.echo(f"schedule: {schedule['words']} ({schedule['cron']}), {str(schedule['status']).lower()}")
        typer.echo(f"next:     {', '.join(schedule['next'])}")
    else:
        typer.echo("schedule: none")
    if not found["runs"]:
        typer.echo("runs:     none yet")
    for run in found["runs"]:
        origin = "scheduled" if run["scheduled"] else "submitted"
        typer.echo(f"{run['created']}  {run['state']:<10} {run['name']} ({origin}, {run['id']})")
        for failure in run["failed"]:
            typer.echo(f"    failed: {failure}")
    if found["ended"]:
        typer.echo(f"ended:    {found['ended']}")
        if found["schedule"] and found["schedule"]["status"] == "ENABLED":
            typer.echo(f"its schedule still starts runs that find nothing to do: activelora unschedule {uri_or_file}")
    if stopped := found["stopped_at"]:
        typer.echo(f"it stands at {stopped['unit']}{', whose log ends with:' if stopped['log'] else ''}")
        for line in stopped["log"]:
            typer.echo(f"    {line}")
    elif is_file and found["runs"] and found["runs"][0]["state"] == "FAILED":
        typer.echo("for the step and the end of its log, name the campaign by its URI")
