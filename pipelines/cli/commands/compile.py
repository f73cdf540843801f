"""`compile`: the pipelines as YAML, for Kubeflow Pipelines or for Argo Workflows alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.commands.submit_schedule import RegistryOption, TagOption, campaign_at


def compile_command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A campaign file, for its resources and rounds.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for tick.yaml and campaign.yaml.")] = Path(),
    registry: RegistryOption = None,
    tag: TagOption = None,
    kubernetes: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE", help="Write Pipeline and PipelineVersion resources instead, for GitOps."),
    ] = None,
    argo: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE",
            help="Write argo.yaml instead: a WorkflowTemplate for Argo Workflows without Kubeflow Pipelines.",
        ),
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(metavar="URI", help="With --argo: the s3:// prefix where the campaign lives.")
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(help='With --argo: a CronWorkflow too. Five fields: "0 6 * * *" is daily at six, UTC.'),
    ] = None,
    create: Annotated[
        bool,
        typer.Option("--create", help="With --argo: create the campaign, and publish the built-in model for pods."),
    ] = False,
) -> None:
    """Compile the tick and the campaign pipeline for Kubeflow Pipelines, and say how many pods they start.

    With --argo the same steps become a template of Argo Workflows, one pod a step.
    """
    for option, namespace in (("--kubernetes", kubernetes), ("--argo", argo)):
        _check_namespace(option, namespace)
    if argo is not None:
        _compile_for_argo(file, out, argo, campaign, cron, registry, tag, create=create)
        return
    for option, given in (("--campaign", campaign), ("--cron", cron), ("--create", create or None)):
        if given is not None:
            raise ConfigError(
                f"{option} belongs to --argo", where=option, remedy="Leave it out, or say --argo NAMESPACE."
            )
    from activelora.config import ResourcesConfig, StoppingConfig
    from activelora.rules.file import load_with_settings
    from components.image import images
    from pipelines.graphs.compile import compile_manifest, compile_pipelines
    from pipelines.graphs.costs import in_words

    resources, last_round, name = ResourcesConfig(), StoppingConfig().max_rounds, "activelora"
    if file is not None:
        config = load_with_settings(file, [])
        resources, last_round, name = config.resources, config.max_round, config.name
    if kubernetes is not None:
        for kind in ("tick", "campaign"):
            path = compile_manifest(
                resources,
                last_round,
                out / f"{kind}.k8s.yaml",
                images(registry, tag),
                loop=kind == "campaign",
                name=f"{name}-{kind}",
                namespace=kubernetes,
            )
            typer.echo(path)
        return
    for path in compile_pipelines(resources, last_round, out, images(registry, tag)):
        typer.echo(path)
        if path.name != "train-job.yaml":
            loop = path.name == "campaign.yaml"
            words = in_words(path.read_text(encoding="utf-8"), resources.parallel_shards, loop=loop)
            typer.echo(f"  {words}", err=True)


def _check_namespace(option: str, namespace: str | None) -> None:
    from activelora.config.section import DNS_LABEL

    if namespace is not None and not re.fullmatch(DNS_LABEL, namespace):
        raise ConfigError(
            f"{namespace!r} is no name of a namespace",
            where=option,
            remedy="Use lower-case letters, digits and hyphens, for example kubeflow.",
        )


def _compile_for_argo(
    file: Path | None,
    out: Path,
    namespace: str,
    campaign: str | None,
    cron: str | None,
    registry: str | None,
    tag: str | None,
    *,
    create: bool,
) -> None:
    """Write argo.yaml for a campaign, which is created first where that is wanted.

    Raises:
        ActiveLoRAError: An option is missing that another one needs, or pods cannot reach something.
    """
    from activelora.rules.file import load_with_settings
    from components.image import images
    from pipelines.deploy.cron import check_argo_cron
    from pipelines.graphs.argo import argo_documents, argo_text
    from pipelines.graphs.argo_costs import in_words
    from pipelines.graphs.compile import write_whole

    if file is None:
        raise ConfigError("a workflow is that of a campaign", where="--argo", remedy="Name the campaign's file.")
    for option, given in (("--cron", cron), ("--create", create or None)):
        if given is not None and campaign is None:
            raise ConfigError(
                f"nobody said which campaign {option} is for",
                where=option,
                remedy="Write --campaign s3://bucket/prefix.",
            )
    checked = None if cron is None else check_argo_cron(cron)
    config = load_with_settings(file, [])
    if campaign is not None:
        config, campaign = campaign_at(str(file), campaign, lambda _: None, creates=create)
    documents = argo_documents(
        config.resources, images(registry, tag), config.name, campaign_uri=campaign, cron=checked, namespace=namespace
    )
    path = out / "argo.yaml"
    write_whole(path, argo_text(documents))
    typer.echo(path)
    typer.echo(f"  {in_words(documents[0], config.resources.parallel_shards)}", err=True)
