"""`evaluate`: measure a model on labelled rows that no choice of its campaign has seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.quantities import quantity
from pipelines.cli.console import warn
from pipelines.cli.models import RoundOption, SamplesOption, WhatArgument, model_location, open_model

if TYPE_CHECKING:
    from activelora.prediction.measure import Measured, Rows


def evaluate(
    what: WhatArgument,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Labelled rows: CSV, JSON lines, Parquet, Excel ...; a folder.")
    ],
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The label's column. Default: the campaign's.")
    ] = None,
    round_: RoundOption = None,
    samples: SamplesOption = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the numbers here besides, as JSON.")] = None,
) -> None:
    """Measure a model on a test split that nothing was chosen by.

    The holdout decides when a campaign ends and which round is champion, so that its own number is a little too good.
    """
    from activelora.prediction.loaded import LoadedModel
    from activelora.prediction.measure import measure, read_labelled, refuse_written

    with open_model(what, round_) as bundle:
        from activelora.kinds.registry import make_task

        task = make_task(bundle.config.task)
        refuse_written(task, what)
        rows = read_labelled(bundle, task, table, label)
        _tell_seen(what, rows)
        with LoadedModel.load(bundle, samples) as model:
            found = measure(model, rows)
    if out is not None:
        _write(found, out)
    _show(found)


def _tell_seen(what: str, rows: Rows) -> None:
    """Warn of rows that the campaign has used, where what was named is a campaign."""
    from activelora.campaign.campaign import Campaign
    from activelora.prediction.measure import seen_before
    from activelora.prediction.sources import names_campaign

    location = model_location(what)
    if not names_campaign(location):
        return
    campaign = Campaign.open(location, to_read=True)
    trained, measured = seen_before(campaign, {item.item_id for item in rows.items})
    if trained:
        warn(
            f"{quantity(trained, 'row')} of the table {'was' if trained == 1 else 'were'} trained on: too good a number"
        )
    if measured:
        warn(
            f"{quantity(measured, 'row')} of the table {'is' if measured == 1 else 'are'} in the campaign's holdout or "
            "calibration split, which chose its champion"
        )


def _write(found: Measured, out: Path) -> None:
    import json
    from dataclasses import asdict

    from activelora.campaign.store import open_store

    store = open_store(str(out.parent))
    store.write(out.name, (json.dumps(asdict(found), indent=1) + "\n").encode())


def _show(found: Measured) -> None:
    from rich.table import Table

    from pipelines.cli.console import stdout

    heads = ["metric", "value", f"{found.level:.0%} interval"]
    heads += [] if found.scaled is None else ["after temperature scaling"]
    table = Table(*heads, title=f"{quantity(found.num_items, 'labelled item')}", title_justify="left")
    for name, value in found.metrics.items():
        if name.endswith(("_low", "_high")) and name.rpartition("_")[0] in found.metrics:
            continue
        low, high = (found.metrics.get(f"{name}_{end}") for end in ("low", "high"))
        cells = [name, f"{value:.4f}", "" if low is None or high is None else f"{low:.4f} to {high:.4f}"]
        if found.scaled is not None:
            cells.append(f"{found.scaled[name]:.4f}" if name in found.scaled else "")
        table.add_row(*cells)
    stdout().print(table)
    if found.num_left_out:
        typer.echo(f"rows without a label that can be used: {found.num_left_out:,}")
