"""A label source asked: what goes wrong in another package's source is told with the source and the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from activelora.campaign.records import vote_table
from activelora.labeling.imports import with_imported
from activelora.labeling.request import Collected, Request
from activelora.labeling.source import Source
from activelora.registry import call, origin_of, wrong_result


def published(source: Source, request: Request) -> None:
    """Ask for the labels: see :meth:`Source.publish`.

    Raises:
        ActiveLoRAError: The source is another package's and raises.
    """
    call(source, "publish", source.publish, request)


def collected(source: Source, request: Request) -> Collected:
    """Return what is known now: see :meth:`Source.collect`; with labels that were imported.

    Answers that an earlier round rejected and listed are not told of again, unless this round asks for their item.

    Raises:
        ActiveLoRAError: The source is another package's and raises, or returns something else.
    """
    found = call(source, "collect", source.collect, request, gives=Collected)
    if origin_of(source):
        _check(source, request, found)
    new = [one for one in found.rejected if one.identity not in request.rejected or one.item_id in request.reasons]
    return with_imported(request, replace(found, rejected=new))


def instructions(source: Source, request: Request) -> str:
    """Return what a person has to do: see :meth:`Source.instructions`.

    Raises:
        ActiveLoRAError: The source is another package's and raises, or returns something else.
    """
    return call(source, "instructions", source.instructions, request, gives=str)


def _check(source: Source, request: Request, found: Collected) -> None:
    """Refuse states of other items than the round's, and records that no table of votes takes."""
    if not isinstance(found.states, Mapping) or set(found.states) != set(request.reasons):
        raise wrong_result(source, "collect", found, " whose states are not those of the round's items")
    try:
        vote_table([*found.records, *found.corrections, *found.unfinished])
    except (KeyError, ValueError, TypeError) as error:  # pyarrow's errors are the last two
        raise wrong_result(source, "collect", found, f" whose records do not fit LABEL_SCHEMA: {error}") from error
