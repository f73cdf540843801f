"""`stop`: end a campaign by a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activelora.quantities import quantity
from pipelines.cli.locations import open_campaign

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign


def stop(
    uri_or_file: Annotated[str, typer.Argument(metavar="URI|FILE", help="A campaign, or its file.")],
    reason: Annotated[str, typer.Option(help="Why, for the status, the report and MLflow.")],
    discard_answers: Annotated[
        bool, typer.Option("--discard-answers", help="End it although answers have come that no round has collected.")
    ] = False,
) -> None:
    """End a campaign. What is done stays; a step that runs now ends first.

    Answers that have come and that no round has collected would count for nothing: then it does not stop, and says so.
    `activelora extend URI --resume` lets it go on.
    """
    from activelora.campaign.campaign import stop_campaign, stop_reason
    from activelora.campaign.extension import BY_HAND
    from activelora.errors import ConfigError
    from activelora.tracking.publish import publish

    campaign = open_campaign(uri_or_file)
    if ended := stop_reason(campaign):
        raise ConfigError(
            f"the campaign has ended already: {ended}",
            where=campaign.store.uri,
            remedy="The first reason stays. Labels and adapters are kept; `activelora extend` lets it go on.",
        )
    if not (words := " ".join(reason.split())):
        raise ConfigError("is empty", where="--reason", remedy="Say why, for those who read the report.")
    if not discard_answers:
        _refuse_to_lose_answers(campaign)
    stop_campaign(campaign, f"{BY_HAND}{words}", by_hand=True)
    publish(campaign)
    typer.echo(f"finished: {stop_reason(campaign)}")
    typer.echo(f"`activelora extend {campaign.store.uri} --resume` lets it go on.")


def _refuse_to_lose_answers(campaign: Campaign) -> None:
    from activelora.errors import ActiveLoRAError, ConfigError
    from activelora.labeling.uncollected import num_uncollected

    remedy = "Add --discard-answers to end it all the same."
    try:
        num = num_uncollected(campaign)
    except ActiveLoRAError as error:
        raise ConfigError(
            f"whether answers would be lost cannot be told: {error}", where=campaign.store.uri, remedy=remedy
        ) from None
    if num:
        items = quantity(num, "item has", "items have")
        raise ConfigError(
            f"{items} an answer that no round has collected, which would count for nothing",
            where=campaign.store.uri,
            remedy=f"`activelora tick` collects it once there are enough (see labeling.min_fraction). {remedy}",
        )
