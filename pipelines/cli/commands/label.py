"""`label`: answer at the keyboard what a campaign asks."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from activelora.errors import ConfigError
from activelora.quantities import quantity
from pipelines.cli.commands.status_report import UriOrFileArgument
from pipelines.cli.locations import open_campaign

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign
    from activelora.labeling.request import Request


def label(
    uri_or_file: UriOrFileArgument,
    annotator: Annotated[str | None, typer.Option(metavar="NAME", help="Who answers. Default: the user.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Read lines instead of single keys.")] = False,
) -> None:
    """Label in the terminal, one key a label. Every answer is stored at once; leave and go on as you like.

    For campaigns with labeling.source `terminal` or `files`. Any number of people may do so at the same time. Without
    a terminal, lines of standard input are read: a label each, or :s to skip, :u to undo, :q to leave.
    """
    from activelora.labeling.answers import Session, check_annotator
    from activelora.labeling.registry import get_source
    from activelora.labeling.terminal_requests import answered_by, asked_now, asked_of
    from pipelines.cli.keyboard import open_keyboard
    from pipelines.cli.label_session import Labelling

    campaign = open_campaign(uri_or_file)
    _refuse_ended(campaign)
    name = check_annotator(annotator if annotator is not None else _user())
    request = asked_now(campaign)
    if not request.reasons:
        typer.echo(_nothing(request))
        return
    request = asked_of(request, name)
    session = Session(campaign.store, name, request.task)
    source = get_source(campaign.config.labeling.source)
    try:
        ending = Labelling(request, source, session, open_keyboard(lines=lines)).run(answered_by(request, name))
    finally:
        typer.echo(f"\n{quantity(session.num_stored, 'answer')} stored for {name}")
    typer.echo(ending)
    _refuse_ended(campaign)  # somebody may have stopped it meanwhile
    typer.echo(f"`activelora tick {campaign.store.uri}` goes on with the campaign")


def _refuse_ended(campaign: Campaign) -> None:
    """Refuse a campaign that has ended: no round would collect the answers."""
    from activelora.campaign.campaign import stop_reason

    if reason := stop_reason(campaign):
        raise ConfigError(
            f"the campaign has ended, so no round would collect an answer: {reason}",
            where=campaign.store.uri,
            remedy="`activelora extend` lets it go on.",
        )


def _nothing(request: Request) -> str:
    return f"no labels are asked for now: round {request.round} has not selected its batch (activelora tick goes on)"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise ConfigError("the user has no name", where="--annotator", remedy="Say who answers.") from None
