"""`labels export`, `import`, `diff` and `blame`: the labels of a campaign, and where they come from."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from activelora.errors import ConfigError
from activelora.quantities import quantity
from pipelines.cli.commands.status_report import UriOrFileArgument
from pipelines.cli.locations import collected_round, open_campaign

if TYPE_CHECKING:
    from activelora.campaign.label_history import Entry
    from activelora.campaign.records import Item
    from activelora.tasks.task import Task

app = typer.Typer(help="Labels: export, import, compare, and see who said what when.", no_args_is_help=True)


class Format(StrEnum):
    """How labels are written."""

    csv = "csv"
    jsonl = "jsonl"
    xlsx = "xlsx"


@app.command("export")
def export_command(
    uri_or_file: UriOrFileArgument,
    out: Annotated[str, typer.Option(metavar="FILE", help="Where to write; local or s3://.")],
    kind: Annotated[
        Format | None, typer.Option("--format", help="Default: by the file's ending, csv where it has none.")
    ] = None,
    round_: Annotated[
        int | None, typer.Option("--round", metavar="N", help="What round N trains on. Default: all labels so far.")
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead: all that one annotator contributed.")
    ] = None,
) -> None:
    """Write the labels to a file: one item a row, with its text, its label, who gave it and when.

    With --annotator: each record and each answer of one annotator, also what was replaced or not collected.
    """
    from activelora.campaign.labels import label_snapshot
    from activelora.campaign.snapshot import Snapshot
    from activelora.campaign.store import open_store
    from activelora.labeling.contributions import export_contributions
    from activelora.labeling.exchange import export_labels

    kind = _format_of(out, kind)
    campaign = Snapshot(open_campaign(uri_or_file, to_read=True))
    before = collected_round(campaign, round_)
    folder, slash, name = out.rpartition("/")
    if annotator is not None:
        content, number = export_contributions(campaign, annotator, kind.value)
        open_store(folder or slash or ".").write(name, content)
        typer.echo(f"{number} records and answers of {_printable(annotator)}: {out}")
        return
    content = export_labels(campaign, before, kind.value)
    open_store(folder or slash or ".").write(name, content)
    snapshot = label_snapshot(campaign, before)
    num = f"{quantity(len(snapshot.labels), 'label')} of {quantity(before, 'round')}"
    typer.echo(f"{num}, digest {snapshot.digest[:12]}: {out}")


def _format_of(out: str, wanted: Format | None) -> Format:
    """Return the format to write: what is wanted, else what the file's ending means.

    Raises:
        ConfigError: The ending means another one than is wanted, or one in which labels are not written.
    """
    from activelora.formats.reader import format_of_name
    from activelora.formats.unpack import ENDINGS

    ending = PurePosixPath(out).suffix.removeprefix(".").lower()
    if wanted is not None and f".{ending}" not in ENDINGS and format_of_name(out) in (None, wanted.value):
        return wanted
    if wanted is not None or ending not in ("", *Format):
        written = ", ".join(f".{one}" for one in Format)
        what = f"{wanted} is not what a file ending in .{ending} holds" if wanted else f"not as .{ending}"
        raise ConfigError(
            f"labels are written as {written}; {what}",
            where=f"--out {out}",
            remedy="End it in one of these; --format says what a file of another ending is to hold.",
        )
    return Format(ending or Format.csv)


@app.command("import")
def import_command(
    uri_or_file: UriOrFileArgument,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="A table with item_id and label, or an export of a labelling tool."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URI|FILE", help="Instead: bring in labels of another campaign or tool."),
    ] = None,
) -> None:
    """Check a file of answers and put it into the inbox: new labels and corrections. All of it, or nothing.

    With --from, labels that another campaign or tool gave to items of this pool, asked for here or not: they are
    matched by content, else by your own ids, cost no budget, and are kept with who gave them and when.
    """
    if (file is None) == (source is None):
        raise ConfigError(
            "nothing is named to import" if file is None else "both FILE and --from are given",
            where="labels import",
            remedy="Name a file of answers to this campaign, or another campaign or a tool's file with --from.",
        )
    if source is not None:
        _bring_in(uri_or_file, source)
        return
    assert file is not None  # noqa: S101 - one of the two is given
    from activelora.labeling.exchange import import_labels
    from pipelines.cli.console import warn

    found = import_labels(open_campaign(uri_or_file), file)
    for one in found.rejected:
        warn(f"line {one.line}, {one.item_id}: {one.reason}")
    for remark in found.remarks:
        warn(remark)
    typer.echo(
        f"{quantity(found.num_answers, 'answer is', 'answers are')} in the inbox as {found.key}: "
        f"{quantity(found.num_labels, 'item gets', 'items get')} a label, "
        f"{quantity(found.num_corrected, 'label changes', 'labels change')}, "
        f"{quantity(found.num_confirmed, 'is', 'are')} confirmed"
        + (
            f", {quantity(found.num_disputed, 'is in dispute and counts', 'are in dispute and count')} no more"
            if found.num_disputed
            else ""
        )
    )
    if found.ended:
        warn(f"the campaign has ended ({found.ended}), so no round will collect them")
    else:
        typer.echo(f"round {found.round} collects them when it has its labels; the training after it is the first to")
        typer.echo("use them. `activelora tick` looks into the inbox.")


def _bring_in(uri_or_file: str, source: str) -> None:
    from activelora.labeling.importing import import_from
    from pipelines.cli.console import warn

    if source.endswith((".yaml", ".yml")):
        source = open_campaign(source, to_read=True).store.uri
    found = import_from(open_campaign(uri_or_file), source)
    for remark in found.remarks:
        warn(remark)
    typer.echo(
        f"labels of {quantity(found.num_labels, 'item')} are brought in; "
        f"{quantity(found.num_labeled, 'item has', 'items have')} one here already, "
        f"{quantity(found.num_elsewhere, 'is', 'are')} not in this pool"
        + (f", {quantity(found.num_disputed, 'is', 'are')} in dispute there" if found.num_disputed else "")
    )
    if found.num_labels:
        typer.echo(f"round {found.round} takes them with its own; the training after it is the first to use them")


@app.command("diff")
def diff_command(
    uri_or_file: UriOrFileArgument,
    first: Annotated[int, typer.Argument(metavar="A", help="A round: the labels that it trains on.")],
    second: Annotated[int, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Show what labels round B trains on that round A did not: added and corrected ones."""
    from activelora.campaign.label_history import difference
    from activelora.campaign.labels import label_snapshot
    from activelora.campaign.snapshot import Snapshot
    from activelora.kinds.registry import make_task
    from activelora.pool.access import find_items

    campaign = Snapshot(open_campaign(uri_or_file, to_read=True))
    first, second = sorted((collected_round(campaign, first), collected_round(campaign, second)))
    found = difference(label_snapshot(campaign, first), label_snapshot(campaign, second))
    task, items = make_task(campaign.config.task), find_items(campaign, [*found.added, *found.corrected])
    for item_id, label in found.added.items():
        typer.echo(f"+ {item_id}  {task.label_name(label, items[item_id])}")
    for item_id, (old, new) in found.corrected.items():
        names = [task.label_name(label, items[item_id]) for label in (old, new)]
        typer.echo(f"~ {item_id}  {names[0]} -> {names[1]}")
    typer.echo(f"round {first} to round {second}: {len(found.added)} added, {len(found.corrected)} corrected")


@app.command("blame")
def blame_command(
    uri_or_file: UriOrFileArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id, its beginning, or your own id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every record of an item, or of all: who, when, in which round, from where, and what replaced it."""
    from activelora.campaign.label_history import history
    from activelora.campaign.snapshot import Snapshot
    from activelora.kinds.registry import make_task
    from activelora.pool.access import find_items

    campaign = Snapshot(open_campaign(uri_or_file, to_read=True))
    entries = history(campaign)
    items = find_items(campaign, list(entries))
    chosen = {one for one in entries if one.startswith(item) or items[one].source_id == item}
    if item and not chosen:
        raise ConfigError(
            f"no labelled item is called `{item}`",
            where=campaign.store.uri,
            remedy="Without ITEM, `labels blame` lists all.",
        )
    task = make_task(campaign.config.task)
    rows = [_row(task, items[one], entry) for one in entries if one in chosen for entry in entries[one]]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif rows:
        _print_lines(rows)
    else:
        typer.echo("there are no labels: no round has collected any yet, or their items were deleted")


def _row(task: Task, item: Item, entry: Entry) -> dict[str, Any]:
    from activelora.campaign.labels import shown_time

    record = entry.record
    return {
        "item_id": item.item_id,
        "source_id": item.source_id,
        "label": task.label_name(record["label"], item),
        "annotator": record["annotator"],
        "labeled_at": shown_time(record),
        "source": record["source"],
        "origin": record.get("origin"),
        "asked_in": record["round"],
        "collected_in": entry.round,
        "effect": entry.effect,
        "before": None if entry.before is None else task.label_name(entry.before, item),
        "replaced_in": entry.replaced_in,
    }


def _print_lines(rows: list[dict[str, Any]]) -> None:
    """Print each item's records below its id. No table: on a narrow terminal it would cut ids and names."""
    widths = {name: max((len(row[name]) for row in rows), default=0) for name in ("label", "annotator")}
    last = None
    for row in rows:
        if row["item_id"] != last:
            last = row["item_id"]
            typer.echo(_printable(last if row["source_id"] is None else f"{last} ({row['source_id']})"))
        effect = f"corrects {row['before']}" if row["effect"] == "corrects" else row["effect"]
        status = "in force" if row["replaced_in"] is None else f"until round {row['replaced_in']}"
        source = row["source"] if row["origin"] is None else f"{row['source']}: {row['origin']}"
        names = "  ".join(row[name].ljust(width) for name, width in widths.items())
        time = row["labeled_at"][:19] or "no time"
        line = f"  round {row['collected_in']}  {names}  {time}  {source}  {effect}, {status}"
        typer.echo(_printable(line))


def _printable(text: str) -> str:
    """Return the text without what could control a terminal: names of annotators and files come from others."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
