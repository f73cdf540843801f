"""`diagnose`: which labels are probably wrong."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.commands.status_report import UriOrFileArgument
from pipelines.cli.locations import collected_round, open_campaign

NUM_SHOWN = 20


def diagnose(
    uri_or_file: UriOrFileArgument,
    folds: Annotated[int, typer.Option(min=2, metavar="K", help="Adapters to train, each without a fold.")] = 5,
    round_: Annotated[
        int | None, typer.Option("--round", metavar="N", help="What round N trains on. Default: all labels so far.")
    ] = None,
) -> None:
    """Rank labels that are probably wrong, by predictions out of sample, and put them up for relabelling.

    Trains K adapters. A killed run goes on with the fold that it was at.
    """
    from activelora.labeling.diagnosis import diagnose as run
    from pipelines.cli.console import warn

    campaign = open_campaign(uri_or_file)
    found = run(campaign, collected_round(campaign, round_), folds)
    document = found.document
    _print_suspects(document)
    _print_confusion(document)
    typer.echo(
        f"{len(document['suspects'])} of {document['num_labels']} labels are suspect; "
        f"estimated share of wrong labels {document['error_rate']:.3f}; "
        f"the model agrees with {document['agreement']:.3f} of the labels out of sample"
    )
    if num := document["num_not_believed"]:
        warn(
            f"{num} more doubts of the model are left out: where it is as sure as there, it disagrees too often to "
            f"accuse a label (one answer for all would agree with {document['most_frequent']:.3f} of them)"
        )
    typer.echo(f"written:   {campaign.store.uri}/{found.key}")
    if not document["suspects"]:
        return
    typer.echo(f"worksheet: {campaign.store.uri}/{found.worksheet_key}")
    typer.echo("Fill in its column `label` (and `annotator`), then `activelora labels import`: a new answer corrects.")


def _print_suspects(document: dict[str, Any]) -> None:
    """Print each suspect with its text below: nobody can judge a label by an item's id."""
    from activelora.labeling.keys import visible_line

    shown = document["suspects"][:NUM_SHOWN]
    if shown:
        typer.echo("suspect labels, the most doubtful first:")
    for one in shown:
        times = "once" if one["times_labeled"] == 1 else f"{one['times_labeled']} times"
        label, other = visible_line(one["label"]), visible_line(one["model_label"])
        typer.echo(
            f"  {one['item_id']}  labelled {label} ({times}), P {one['self_confidence']:.3f}; "
            f"the model says {other}, P {one['model_confidence']:.3f}"
        )
        typer.echo(f"      {visible_line(one['text'])}")
    if (num_left := len(document["suspects"]) - NUM_SHOWN) > 0:
        typer.echo(f"and {num_left} more")


def _print_confusion(document: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from pipelines.cli.console import stdout

    names = document["label_names"]
    table = Table("true", *(f"given {escape(name)}" for name in names), title="estimated P(given | true)")
    for name, row in zip(names, document["confusion"], strict=True):
        table.add_row(Text(name), *("-" if value is None else f"{value:.2f}" for value in row))
    stdout().print(table)
