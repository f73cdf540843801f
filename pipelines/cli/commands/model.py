"""`model push`: put a base model where pods reach it."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Base models in an object store, for pods.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Base models in an object store, for pods."""


@app.command()
def push(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="What model.base takes: a folder, a hub id, ...")],
    uri: Annotated[str, typer.Argument(metavar="URI", help="s3://bucket/prefix for this model alone.")],
    revision: Annotated[str | None, typer.Option(help="For a hub id: the commit.")] = None,
) -> None:
    """Publish a base model; then `model.base: URI` names it. Each file has its sha256, and it is written once."""
    from activelora.config import ModelConfig
    from activelora.modeling.base import check_name, check_stored
    from activelora.modeling.locating import folder_of
    from activelora.modeling.published import publish

    config = ModelConfig(base=source, revision=revision)
    check_name(config)
    folder = folder_of(config)
    check_stored(ModelConfig(base=str(folder)))
    is_new = publish(folder, uri, source)
    typer.echo(f"{uri}: {'published' if is_new else 'already there, and left as it is'}")
