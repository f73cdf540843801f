"""A label source asked: what goes wrong in another package's source is told with the source and the package."""

from __future__ import annotations

from activelora.labeling.request import Collected, Request
from activelora.labeling.source import Source
from activelora.registry import call


def published(source: Source, request: Request) -> None:
    """Ask for the labels: see :meth:`Source.publish`.

    Raises:
        ActiveLoRAError: The source is another package's and raises.
    """
    call(source, "publish", source.publish, request)


def collected(source: Source, request: Request) -> Collected:
    """Return what is known now: see :meth:`Source.collect`.

    Raises:
        ActiveLoRAError: The source is another package's and raises, or returns something else.
    """
    return call(source, "collect", source.collect, request, gives=Collected)


def instructions(source: Source, request: Request) -> str:
    """Return what a person has to do: see :meth:`Source.instructions`.

    Raises:
        ActiveLoRAError: The source is another package's and raises, or returns something else.
    """
    return call(source, "instructions", source.instructions, request, gives=str)
