"""`submit`, `schedule`, `unschedule` and `upgrade`: runs on a Kubeflow cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.locations import is_campaign_file
from pipelines.cli.models import (
    MaxRiskOption,
    MinConfidenceOption,
    PrefixOption,
    ProbabilitiesOption,
    RoundOption,
    SamplesOption,
)

if TYPE_CHECKING:
    from activelora.config import CampaignConfig
    from activelora.prediction.parts import PartsRequest
    from pipelines.cluster.api import Api
    from pipelines.cluster.transport import Transport
    from pipelines.deploy.packages import Kind, Package
    from pipelines.deploy.schedules import Drain

UriOrFileArgument = Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file with --campaign.")]
CampaignOption = Annotated[
    str | None, typer.Option("--campaign", metavar="URI", help="For a file: the s3:// prefix where the campaign lives.")
]
EndpointOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Kubeflow Pipelines' API. Default: KF_PIPELINES_ENDPOINT.")
]
NamespaceOption = Annotated[
    str | None, typer.Option(help="Of a multi-user Kubeflow. Default: ACTIVELORA_NAMESPACE, else none.")
]
RegistryOption = Annotated[str | None, typer.Option(help="Registry and path before the image names.")]
TagOption = Annotated[str | None, typer.Option(help="Image tag. Default: this version.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")]
ContextOption = Annotated[
    str | None, typer.Option(help="Of the kubeconfig, to look for secrets. Default: the current.")
]
DoctorOption = Annotated[
    bool,
    typer.Option("--doctor/--no-doctor", help="Ask the cluster first whether secrets and account are there."),
]
TimeoutOption = Annotated[float, typer.Option(min=0.0, help="Seconds to wait for a run in flight.")]


def submit(
    uri_or_file: UriOrFileArgument,
    campaign: CampaignOption = None,
    loop: Annotated[bool, typer.Option("--loop", help="Run all rounds in one run, waiting for labels.")] = False,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
    registry: RegistryOption = None,
    tag: TagOption = None,
    dry_run: DryOption = False,
    context: ContextOption = None,
    doctor: DoctorOption = True,
    predict: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT", help="Instead: answer this table (s3://) with the campaign's model, by many pods."
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="URI", help="With --predict: the s3:// folder of the answers.")
    ] = None,
    round_: RoundOption = None,
    samples: SamplesOption = None,
    min_confidence: MinConfidenceOption = None,
    max_risk: MaxRiskOption = None,
    probabilities: ProbabilitiesOption = False,
    prefix: PrefixOption = "",
) -> None:
    """Start a run on Kubeflow: one tick, or with --loop the whole campaign. A new campaign is created first.

    Before that the cluster is asked for what pods would wait for in vain (`activelora doctor` looks at more).

    With --predict the campaign's champion answers a table, in parts that many pods write into one folder. What is there
    is not done again: submit the same once more after a failure.
    """
    from pipelines.deploy.submission import submit as start

    api, transport = _connect(endpoint, namespace, dry_run)
    look = _looking(api, context, wanted=doctor and not dry_run)
    if predict is not None:
        request = _request(uri_or_file, predict, out, round_)
        request = replace(
            request,
            samples=samples,
            min_confidence=min_confidence,
            max_risk=max_risk,
            probabilities=probabilities,
            prefix=prefix,
        )
        _submit_predict(api, transport, uri_or_file, request, registry, tag, look, dry_run=dry_run)
        return
    if out is not None:
        raise ConfigError("--out belongs to --predict", where="--out", remedy="Leave it out, or say --predict INPUT.")
    if loop:
        _check_loop(_config_at(uri_or_file), registry, tag)
    config, uri = campaign_at(uri_or_file, campaign, look, creates=not dry_run)
    package = _package(config, "campaign" if loop else "tick", registry, tag)
    run_id = start(api, config.name, uri, package, config.resources.service_account)
    if _show_plan(transport, dry_run):
        _show_train_job(config, uri, registry, tag)
    else:
        typer.echo(f"run {run_id} of {package.version}")
        typer.echo(f"{api.endpoint}/#/runs/details/{run_id}")


def _request(campaign_uri: str, table: str, out: str | None, round_: int | None) -> PartsRequest:
    """Return what the pods are told: the round is fixed now, whatever becomes champion meanwhile.

    Raises:
        ActiveLoRAError: Pods cannot reach something, or the campaign has no such model.
    """
    from activelora.campaign.campaign import Campaign
    from activelora.prediction.inputs import TableSource
    from activelora.prediction.parts import PartsRequest
    from activelora.prediction.sources import champion_round, evaluated_round
    from pipelines.cli.cluster_addresses import refuse_unknown_store
    from pipelines.deploy.packages import check_pods_reach_table

    if is_campaign_file(campaign_uri):
        raise ConfigError(
            "a table is answered by a campaign that is there",
            where=campaign_uri,
            remedy="Name the campaign's s3:// URI instead of its file.",
        )
    if out is None:
        raise ConfigError("nobody said where the answers go", where="--out", remedy="Write --out s3://bucket/folder.")
    check_pods_reach_table(table, out)
    refuse_unknown_store(campaign_uri)
    TableSource(table)
    campaign = Campaign.open(campaign_uri, to_read=True)
    number = champion_round(campaign) if round_ is None else evaluated_round(campaign, round_)
    return PartsRequest(table, out.rstrip("/"), number, campaign.config.resources.parallel_shards)


def _submit_predict(
    api: Api,
    transport: Transport,
    campaign_uri: str,
    request: PartsRequest,
    registry: str | None,
    tag: str | None,
    look: Callable[[CampaignConfig], None],
    *,
    dry_run: bool,
) -> None:
    from pipelines.deploy.submission import submit as start

    config, uri = campaign_at(campaign_uri, None, look, creates=not dry_run)
    package = _package(config, "predict", registry, tag)
    parameters = {"request": request.text(), "workers": list(range(request.num_parts))}
    run_id = start(api, config.name, uri, package, config.resources.service_account, parameters)
    if not _show_plan(transport, dry_run):
        typer.echo(f"run {run_id} of {package.version}: round {request.round} answers into {request.out}")
        typer.echo(f"{api.endpoint}/#/runs/details/{run_id}")


def schedule(
    uri_or_file: UriOrFileArgument,
    cron: Annotated[str, typer.Option(help='Six fields, seconds first: "0 0 6 * * *" is daily at six, UTC.')],
    campaign: CampaignOption = None,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
    registry: RegistryOption = None,
    tag: TagOption = None,
    timeout: TimeoutOption = 3600.0,
    dry_run: DryOption = False,
    context: ContextOption = None,
    doctor: DoctorOption = True,
) -> None:
    """Let Kubeflow tick a campaign on a schedule. The cluster is asked first, as by `submit`.

    Applying the same again changes nothing; a change waits for the run in flight.
    """
    from pipelines.deploy.cron import check_cron, describe_cron, next_times
    from pipelines.deploy.schedules import Schedule, apply
    from pipelines.deploy.submission import register

    checked = check_cron(cron)
    typer.echo(f"{describe_cron(checked)} (UTC, unless the cluster's CRON_SCHEDULE_TIMEZONE says otherwise); next:")
    for time in next_times(checked, 3):
        typer.echo(f"  {time:%a %Y-%m-%d %H:%M:%S} UTC")
    api, transport = _connect(endpoint, namespace, dry_run)
    look = _looking(api, context, wanted=doctor and not dry_run)
    config, uri = campaign_at(uri_or_file, campaign, look, creates=not dry_run)
    package = _package(config, "tick", registry, tag)
    account = config.resources.service_account
    wanted = Schedule(config.name, uri, checked, package.name, package.version, account, package.parameters)
    outcome = apply(api, wanted, register(api, package), _drain(timeout, dry_run))
    if not _show_plan(transport, dry_run):
        typer.echo(f"schedule {wanted.name}: {outcome}")


def unschedule(
    uri_or_file: UriOrFileArgument,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
    timeout: TimeoutOption = 3600.0,
    dry_run: DryOption = False,
) -> None:
    """Remove a campaign's schedule, after the run in flight has ended. The campaign itself stays as it is."""
    from pipelines.deploy.schedules import remove

    name = _name_at(uri_or_file)
    api, transport = _connect(endpoint, namespace, dry_run)
    number = remove(api, name, _drain(timeout, dry_run))
    if not _show_plan(transport, dry_run):
        typer.echo(f"schedule {name}-tick: {'removed' if number else 'there is none'}")


def upgrade(
    uri_or_file: UriOrFileArgument,
    endpoint: EndpointOption = None,
    namespace: NamespaceOption = None,
    registry: RegistryOption = None,
    tag: TagOption = None,
    timeout: TimeoutOption = 3600.0,
    dry_run: DryOption = False,
) -> None:
    """Register the pipelines of this version and these resources, and move the schedule to them.

    Runs in flight end with the version that they began with, and the campaign's data is not touched. A schedule that
    somebody has disabled stays disabled.
    """
    from pipelines.deploy.schedules import Schedule, apply, cron_of, find
    from pipelines.deploy.submission import register

    config = _config_at(uri_or_file)
    api, transport = _connect(endpoint, namespace, dry_run)
    tick = register(api, _package(config, "tick", registry, tag))
    loop = register(api, _package(config, "campaign", registry, tag))
    recurring, outcome = find(api, config.name), "none"
    if recurring is not None:
        parameters = (recurring.runtime_config and recurring.runtime_config.parameters) or {}
        wanted = Schedule(
            config.name,
            str(parameters.get("campaign_uri", "")),
            cron_of(recurring),
            tick.package.name,
            tick.package.version,
            config.resources.service_account,
            tick.package.parameters,
        )
        outcome = apply(api, wanted, tick, _drain(timeout, dry_run), keep_disabled=True)
    if not _show_plan(transport, dry_run):
        for one in (tick, loop):
            typer.echo(f"{one.package.version}: {'new' if one.is_new else 'already there'}")
        typer.echo(f"schedule: {outcome}")
        if outcome.endswith("disabled"):
            typer.echo("It was disabled before, and is left so: `activelora schedule` enables it.")


def _looking(api: Api, context: str | None, *, wanted: bool) -> Callable[[CampaignConfig], None]:
    """Return what asks the cluster for what a campaign names, before anything is written or sent."""
    from pipelines.cli.cluster_checks import check_cluster

    return lambda config: check_cluster(config, api.namespace, context, _say) if wanted else None


def campaign_at(
    uri_or_file: str, campaign: str | None, look: Callable[[CampaignConfig], None], *, creates: bool
) -> tuple[CampaignConfig, str]:
    """Return settings and URI of a campaign that pods can reach, created where it is not there.

    Args:
        uri_or_file: The campaign, or its file.
        campaign: URI of the campaign of a file.
        look: Function that is given the settings before anything is written, and refuses what the cluster lacks.
        creates: Whether what is not there is written.
    """
    from activelora.rules.file import load_with_settings
    from pipelines.cli.cluster_addresses import refuse_unknown_store, services_unknown_here
    from pipelines.cli.commands.run_tick import create_campaign
    from pipelines.cli.console import warn
    from pipelines.deploy.packages import check_pods_reach, publish_model

    if not is_campaign_file(uri_or_file):
        config = _config_at(uri_or_file)
        check_pods_reach(config, uri_or_file)
        look(config)
        publish_model(config, _say, dry=not creates)
        return config, uri_or_file.rstrip("/")
    config = load_with_settings(Path(uri_or_file), [])
    if campaign is None:
        raise ConfigError(
            "nobody said where the campaign lives", where="--campaign", remedy="Write --campaign s3://bucket/prefix."
        )
    check_pods_reach(config, campaign)
    for words in services_unknown_here(config):
        warn(words)
    look(config)
    if creates:
        refuse_unknown_store(campaign)
    publish_model(config, _say, dry=not creates)
    if creates:
        config = create_campaign(campaign, config, runs_here=False).config  # with its amendments
    return config, campaign.rstrip("/")


def _config_at(uri_or_file: str) -> CampaignConfig:
    from activelora.campaign.campaign import Campaign
    from activelora.rules.file import load_with_settings
    from pipelines.cli.cluster_addresses import refuse_unknown_store

    if is_campaign_file(uri_or_file):
        return load_with_settings(Path(uri_or_file), [])
    refuse_unknown_store(uri_or_file)
    return Campaign.open(uri_or_file).config


def _check_loop(config: CampaignConfig, registry: str | None, tag: str | None) -> None:
    from pipelines.deploy.packages import check_loop_fits

    check_loop_fits(config, _package(config, "campaign", registry, tag))


def _show_train_job(config: CampaignConfig, uri: str, registry: str | None, tag: str | None) -> None:
    """Print what a training on several nodes will start."""
    from components.image import images
    from pipelines.cluster.train_jobs import make_job
    from pipelines.graphs.train_job_spec import job_template, job_text

    if config.resources.train.num_nodes > 1:
        template = job_template(config.resources, images(registry, tag))
        typer.echo(job_text(make_job(template, config.name, uri, round_=1)))


def _name_at(uri_or_file: str) -> str:
    return _config_at(uri_or_file).name


def _connect(endpoint: str | None, namespace: str | None, dry_run: bool) -> tuple[Api, Transport]:
    from pipelines.cluster.api import Api
    from pipelines.cluster.connection import find_connection
    from pipelines.cluster.transport import Transport

    connection = find_connection(endpoint, namespace, required=not dry_run)
    transport = Transport(connection, dry=dry_run)
    return Api(connection, transport), transport


def _package(config: CampaignConfig, kind: Kind, registry: str | None, tag: str | None) -> Package:
    from components.image import images
    from pipelines.deploy.packages import make_package

    return make_package(config, kind, images(registry, tag))


def _drain(timeout: float, dry_run: bool) -> Drain:
    from pipelines.deploy.schedules import Drain

    return Drain(timeout_seconds=timeout, dry=dry_run, say=_say)


def _say(words: str) -> None:
    typer.echo(words, err=True)


def _show_plan(transport: Transport, dry_run: bool) -> bool:
    """Print what a dry run would have sent; tell whether it was one."""
    from pipelines.cluster.transport import NOWHERE

    if not dry_run:
        return False
    for request in transport.planned:
        typer.echo(str(request))
    if any(request.url.startswith(NOWHERE) for request in transport.planned):
        typer.echo("No endpoint is given: this is for a server on which there is nothing yet.", err=True)
    if not transport.planned:
        typer.echo("Nothing would be sent: all is as it should be.", err=True)
    return True
