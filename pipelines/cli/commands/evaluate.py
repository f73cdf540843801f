"""`evaluate`: measure a model on rows that no choice of its campaign has seen, labelled or drawn to be labelled."""

from __future__ import annotations

from collections.abc import Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from activelora.errors import ConfigError
from activelora.quantities import quantity
from pipelines.cli.console import warn
from pipelines.cli.models import RoundOption, SamplesOption, WhatArgument, model_location, open_model

if TYPE_CHECKING:
    from activelora.prediction.drawn_labels import TableEstimate
    from activelora.prediction.measure import Measured


def evaluate(
    what: WhatArgument,
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE", help="Rows: CSV, JSON lines, Parquet, Excel ...; a folder. Labelled, or see --budget."
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The label's column. Default: the campaign's.")
    ] = None,
    round_: RoundOption = None,
    samples: SamplesOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the numbers here besides, as JSON; with --budget, the drawn rows."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            metavar="M", help="TABLE has no labels: draw M rows to label, into --out (.csv, .xlsx, .jsonl ...)."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, help="Seed of the draws. Default: the campaign's.")
    ] = None,
    drawn: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Estimate the whole table's numbers from what --budget drew, labelled now."),
    ] = None,
) -> None:
    """Measure a model on a test split that nothing was chosen by, or on a table without labels.

    The holdout decides when a campaign ends and which round is champion, so that its own number is a little too good.

    Without labels: --budget draws the rows that tell most about the model, you label them, and --drawn estimates its
    accuracy and each label's share in the whole table, with intervals.
    """
    given = {"--budget": budget, "--drawn": drawn, "--seed": seed, "--label": label, "--samples": samples}
    _refuse_together({name for name, value in given.items() if value is not None}, table, out)
    if drawn is not None:
        _estimate(what, table, drawn, out, round_)
    elif budget is not None:
        _draw(what, str(table), DrawOptions(budget, str(out), label, samples, seed), round_)
    else:
        _measure(what, str(table), label, (round_, samples), out)


class DrawOptions(NamedTuple):
    """What was said of the draw: see the options of those names."""

    budget: int
    out: str
    label: str | None
    samples: int | None
    seed: int | None


def _refuse_together(given: set[str], table: str | None, out: Path | None) -> None:
    """Refuse options that do not go together, before anything is read."""
    if "--drawn" in given:
        if others := sorted(given - {"--drawn"}):
            remedy = "Leave it out: that was settled when the rows were drawn."
            raise ConfigError("does not go with --drawn", where=others[0], remedy=remedy)
        return
    if table is None:
        raise ConfigError("no table is named", where="TABLE", remedy="Name one, or the drawn rows with --drawn FILE.")
    if "--budget" in given and out is None:
        raise ConfigError("has nowhere to write the drawn rows", where="--budget", remedy="Say --out FILE.csv.")
    if "--seed" in given and "--budget" not in given:
        raise ConfigError("is for rows that are drawn", where="--seed", remedy="Leave it out, or say --budget M.")


def _measure(
    what: str, table: str, label: str | None, model_choice: tuple[int | None, int | None], out: Path | None
) -> None:
    from activelora.prediction.loaded import LoadedModel
    from activelora.prediction.measure import measure, read_labelled, refuse_written

    round_, samples = model_choice
    with open_model(what, round_) as bundle:
        from activelora.kinds.registry import make_task

        task = make_task(bundle.config.task)
        refuse_written(task, what)
        rows = read_labelled(bundle, task, table, label)
        _tell_seen(what, {item.item_id for item in rows.items})
        with LoadedModel.load(bundle, samples) as model:
            found = measure(model, rows)
    if out is not None:
        _write(found, out)
    _show(found)


def _draw(what: str, table: str, options: DrawOptions, round_: int | None) -> None:
    from activelora.prediction.draw_table import DrawJob, draw_rows
    from activelora.prediction.drawn import draw_path
    from activelora.prediction.inputs import TableSource
    from activelora.prediction.targets import target_of

    target = target_of(options.out, "--out")
    job = DrawJob(options.budget, target, options.label, options.samples, options.seed)
    with open_model(what, round_) as bundle:
        found = draw_rows(bundle, TableSource(table), job, partial(_tell_seen, what))
        has_temperature = bundle.readings.temperature is not None
    draw = found.draw
    if not has_temperature:
        warn("no temperature was fitted, and intervals count on the model's confidence: see `data.calibration_size`")
    if found.num_labels_left_out:
        warn(f"drawn rows that have a label in the table, which was left out: {found.num_labels_left_out:,}")
    typer.echo(f"{quantity(len(draw.drawn), 'row')} of {draw.num_rows:,}, in the order of drawing: {target.name}")
    typer.echo(f"what they were drawn with, which belongs beside them: {draw_path(Path(target.name))}")
    chosen = "" if round_ is None else f" --round {round_}"
    typer.echo(
        f"Label column `{draw.label_column}` from the first row on, without a gap, then: "
        f"activelora evaluate {what} --drawn {target.name}{chosen}"
    )


def _estimate(what: str, table: str | None, drawn: Path, out: Path | None, round_: int | None) -> None:
    from activelora.prediction.drawn_labels import estimate_table

    with open_model(what, round_) as bundle:
        found = estimate_table(bundle, str(drawn), table)
    if out is not None:
        _write(found, out)
    _show_estimates(found)


def _tell_seen(what: str, ids: Set[str]) -> None:
    """Warn of rows that the campaign has used, where what was named is a campaign."""
    from activelora.campaign.campaign import Campaign
    from activelora.prediction.measure import seen_before
    from activelora.prediction.sources import names_campaign

    location = model_location(what)
    if not names_campaign(location):
        return
    campaign = Campaign.open(location, to_read=True)
    trained, measured = seen_before(campaign, ids)
    if trained:
        warn(
            f"{quantity(trained, 'row')} of the table {'was' if trained == 1 else 'were'} trained on: too good a number"
        )
    if measured:
        warn(
            f"{quantity(measured, 'row')} of the table {'is' if measured == 1 else 'are'} in the campaign's holdout or "
            "calibration split, which chose its champion"
        )


def _write(found: Measured | TableEstimate, out: Path) -> None:
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


def _show_estimates(found: TableEstimate) -> None:
    from rich.table import Table

    from pipelines.cli.console import stdout

    title = f"{found.num_rows:,} rows, by {quantity(found.num_used, 'label')}"
    heads = ["of the whole table", "estimate", f"{found.level:.0%} interval", "the model expected"]
    table = Table(*heads, title=title, title_justify="left")
    for name, one in {**found.metrics, **{f"share of {name}": one for name, one in found.shares.items()}}.items():
        ends = "" if one.low is None or one.high is None else f"{one.low:.4f} to {one.high:.4f}"
        table.add_row(name, f"{one.value:.4f}", ends, f"{one.expected:.4f}")
    stdout().print(table)
    if found.num_used < found.num_drawn:
        typer.echo(
            f"drawn rows that the estimate rests on: the first {found.num_used:,} of {found.num_drawn:,}; "
            f"labels after the first gap, which are not used: {found.num_unused:,}"
        )
