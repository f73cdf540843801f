"""`stop`: end a campaign by a person's word."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.locations import open_campaign


def stop(
    uri_or_file: Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")],
    reason: Annotated[str, typer.Option(help="Why, for the status, the report and MLflow.")],
) -> None:
    """End a campaign for good. What is done stays; a step that runs now ends first. This cannot be taken back."""
    from activelora.campaign.campaign import stop_campaign, stop_reason
    from activelora.errors import ConfigError
    from activelora.tracking.publish import publish

    campaign = open_campaign(uri_or_file)
    if ended := stop_reason(campaign):
        raise ConfigError(
            f"the campaign has ended already: {ended}",
            where=campaign.store.uri,
            remedy="The first reason stays. Labels and adapters are kept; to go on, begin a new campaign.",
        )
    if not (words := " ".join(reason.split())):
        raise ConfigError("is empty", where="--reason", remedy="Say why, for those who read the report.")
    stop_campaign(campaign, f"stopped by hand: {words}")
    publish(campaign)
    typer.echo(f"finished: {stop_reason(campaign)}")
    typer.echo("This cannot be taken back: to ask for more labels, begin a new campaign (another --campaign URI).")
