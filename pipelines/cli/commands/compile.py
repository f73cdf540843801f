"""`compile`: the Kubeflow pipelines as YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from activelora.errors import ConfigError
from pipelines.cli.commands.submit_schedule import RegistryOption, TagOption


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
) -> None:
    """Compile the tick and the campaign pipeline for Kubeflow Pipelines, and say how many pods they start."""
    from activelora.config.section import DNS_LABEL

    if kubernetes is not None and not re.fullmatch(DNS_LABEL, kubernetes):
        raise ConfigError(
            f"{kubernetes!r} is no name of a namespace",
            where="--kubernetes",
            remedy="Use lower-case letters, digits and hyphens, for example kubeflow.",
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
