"""`status`, `forecast` and `report`: look at a campaign."""

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
    """Show each round (labels, accuracy, ECE, NLL, time), what the campaign waits for, and what more labels bring."""
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
    typer.echo(f"forecast: {found['forecast']['sentence']}")


def forecast(
    place: PlaceArgument,
    target: Annotated[
        float | None,
        typer.Option(
            help="Accuracy to reach, e.g. 0.9. Default: the campaign file's; without one, ask what doubling brings."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many more labels reach a target, by a power law fitted to the rounds so far, with an interval."""
    from activelora.errors import ConfigError
    from activelora.tracking import outlook
    from activelora.tracking.headline import headline_of

    campaign = open_campaign(place)
    headline = headline_of(campaign.config.task)
    if target is not None and headline.is_share and not 0 < target <= 1:
        raise ConfigError(
            f"a share of right answers lies above 0 and at most at 1, not at {target:g}",
            where="--target",
            remedy="Write 0.9 for 90 %.",
        )
    found = outlook.forecast(campaign, target)
    typer.echo(json.dumps(found.document(), indent=1) if as_json else found.sentence)


def report(place: PlaceArgument) -> None:
    """Write the campaign's report anew and print where it is."""
    from activelora.tracking.report import write_report

    typer.echo(write_report(open_campaign(place)))
