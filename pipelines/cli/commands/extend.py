"""`extend`: let a campaign that has ended go on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from activelora.quantities import quantity
from pipelines.cli.commands.status_report import UriOrFileArgument
from pipelines.cli.locations import is_campaign_file, open_campaign


def extend(
    uri_or_file: UriOrFileArgument,
    rounds: Annotated[int, typer.Option(min=0, metavar="N", help="Rounds more.")] = 0,
    labels: Annotated[int, typer.Option(min=0, metavar="N", help="Labels more than the budget had.")] = 0,
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="What else may grow, e.g. stopping.target_accuracy=0.95."),
    ] = [],  # noqa: B006 - typer copies it
    resume: Annotated[bool, typer.Option("--resume", help="Go on although somebody stopped it by hand.")] = False,
) -> None:
    """Let a campaign that has ended go on, with more rounds, labels or whatever else ended it.

    Everything that is done stays, and so does the record of the end: an amendment lifts it. Without it, nothing that
    a campaign is frozen with ever changes.
    """
    from activelora.campaign.amendments import amendments_in_words
    from activelora.campaign.extension import extend as extended_by
    from activelora.rules.policy import keep_policies
    from activelora.tracking.publish import publish
    from components.plan.step import close_if_due

    campaign = open_campaign(uri_or_file)
    wanted = _parsed(settings)
    close_if_due(campaign)
    files = [Path(uri_or_file)] if is_campaign_file(uri_or_file) else []
    judge = partial(keep_policies, paths=files)
    extended = extended_by(campaign, rounds=rounds, labels=labels, settings=wanted, resume=resume, judge=judge)
    publish(extended)
    config = extended.config
    typer.echo(amendments_in_words(extended.amendments)[-1])
    typer.echo(
        f"now: at most {quantity(config.label_budget, 'label')} in {quantity(config.stopping.max_rounds, 'round')}"
    )
    typer.echo(f"`activelora tick {extended.store.uri}` goes on with the campaign")


def _parsed(settings: list[str]) -> dict[str, Any]:
    """Return what was set, by dotted key."""
    import yaml

    from activelora.errors import ConfigError

    found: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise ConfigError("is not KEY=VALUE", where=f"--set {text}", remedy="Write --set stopping.max_rounds=8.")
    return found
