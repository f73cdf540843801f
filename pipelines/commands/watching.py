"""`status` and `report`: look at a campaign."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipelines.places import open_campaign

PlaceArgument = Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")]


def status(
    place: PlaceArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each round (labels, accuracy, ECE, NLL, time) and what the campaign waits for."""
    from pipelines.standing import print_rounds, standing

    campaign = open_campaign(place)
    found = standing(campaign)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    print_rounds(campaign)
    for sentence in found["live_check"]:
        typer.echo(sentence)
    if found["status"] == "running":
        typer.echo(f"next: {', '.join(found['due'])}")
    else:
        typer.echo(f"{found['status']}: {found['reason']}")


def report(place: PlaceArgument) -> None:
    """Write the campaign's report anew and print where it is."""
    from activelora.tracking.report import write_report

    typer.echo(write_report(open_campaign(place)))
