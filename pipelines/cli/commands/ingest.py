"""`ingest`: take into a campaign's pool what is new in its source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.quantities import quantity
from pipelines.cli.locations import open_campaign

if TYPE_CHECKING:
    from activelora.campaign.manifest import Manifest
    from activelora.campaign.snapshot import Snapshot


def ingest(
    uri_or_file: Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")],
) -> None:
    """Take in new rows of the pool's files, now; the next round that begins sees them.

    New and changed files are read, and give items for rows that are not there yet. What is there stays as it is. With
    `data.pool.refresh: each_round` every round begins with this.
    """
    from activelora.campaign.manifest import Unit
    from activelora.campaign.refreshes import next_refresh
    from activelora.campaign.snapshot import Snapshot
    from activelora.errors import ConfigError
    from activelora.tracking.publish import publish_if_changed
    from components.entry import run_unit
    from components.ingest_pool.refresh import is_anything_new

    seen = Snapshot(open_campaign(uri_or_file))
    if reason := seen.stop_reason:
        remedy = "`activelora extend` lets it go on; a round that begins then sees new rows."
        raise ConfigError(f"the campaign has ended: {reason}", where=seen.store.uri, remedy=remedy)
    if Unit("ingest_pool") not in seen.done:
        remedy = "`activelora run` or `activelora tick` reads it."
        raise ConfigError("the pool has not been read yet", where=seen.store.uri, remedy=remedy)
    if not is_anything_new(seen):
        typer.echo("nothing is new: all files are as they were taken in")
        return
    manifest = run_unit(seen, next_refresh(seen))
    seen.refresh()
    publish_if_changed(seen)
    assert manifest is not None, "a refresh waits for nobody"  # noqa: S101
    _tell(seen, manifest)


def _tell(seen: Snapshot, manifest: Manifest) -> None:
    """Print what a refresh has done; end with 1 if some files could not be taken."""
    from activelora.campaign.manifest import Unit
    from activelora.pool.growth import PROBLEMS, growth_of

    num = {name: int(value) for name, value in manifest.metrics.items()}
    typer.echo(
        f"{manifest.unit}: {quantity(num['num_new'], 'new item')} of {quantity(num['num_rows'], 'row')} in "
        f"{quantity(num['num_files'], 'file')}; {quantity(num['num_duplicates'], 'row was', 'rows were')} there already"
    )
    growth = replace(growth_of(seen), problems=())  # told below, as errors
    for sentence in growth.sentences:
        typer.echo(sentence)
    round_ = 0
    while Unit("evaluate_adapter", round_) in seen.done:
        round_ += 1
    typer.echo(f"round {round_} is the first to see it")
    if problems := manifest.details[PROBLEMS]:
        for problem in problems:
            typer.echo(f"not taken: {problem}", err=True)
        raise typer.Exit(1)
