"""`doctor`: is the cluster ready for a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.commands.submit_schedule import EndpointOption, RegistryOption, TagOption
from pipelines.cluster.connection import NAMESPACE_VARIABLE


def doctor(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A campaign file: its resources are asked for.")],
    namespace: Annotated[str, typer.Option(envvar=NAMESPACE_VARIABLE, help="Where the pods of runs are.")] = "kubeflow",
    campaign: Annotated[str | None, typer.Option(metavar="URI", help="Where the campaign lives or will live.")] = None,
    context: Annotated[str | None, typer.Option(help="Of the kubeconfig. Default: the current one.")] = None,
    endpoint: EndpointOption = None,
    registry: RegistryOption = None,
    tag: TagOption = None,
) -> None:
    """Check a cluster against a campaign's needs: APIs, types, rights, secrets, GPUs, storage, MLflow, images."""
    from activelora.rules.file import load_with_settings
    from components.image import images
    from pipelines.cli.console import stdout
    from pipelines.doctor.doctor import examine

    config = load_with_settings(file, [])
    failed = 0
    findings = examine(
        config, namespace, images(registry, tag), campaign_uri=campaign, context=context, endpoint=endpoint
    )
    for finding in findings:
        mark = {"ok": "[green]ok[/]  ", "warning": "[yellow]warn[/]", "failed": "[red]FAIL[/]"}[finding.state]
        stdout().print(f"{mark} {finding.check}: {finding.words}", highlight=False)
        if finding.remedy:
            stdout().print(f"       {finding.remedy}", highlight=False)
        failed += finding.state == "failed"
    if failed:
        typer.echo(f"{failed} of the checks failed.", err=True)
        raise typer.Exit(1)
