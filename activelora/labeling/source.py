"""Where labels come from: the one protocol of all label sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from activelora.labeling.request import Collected, Request
from activelora.moved import find_names


@runtime_checkable
class Source(Protocol):
    """A label source. Both operations may be repeated at any time, and by two processes at once."""

    @property
    def name(self) -> str:
        """As written in the campaign file."""

    @property
    def summary(self) -> str:
        """One line for ``activelora list sources``."""

    def publish(self, request: Request) -> None:
        """Ask for the labels, unless that was done before."""

    def collect(self, request: Request) -> Collected:
        """Return what is known now. Changes nothing."""

    def instructions(self, request: Request) -> str:
        """Return in one sentence what a person has to do; nothing if no person has to."""


if not TYPE_CHECKING:  # a checker of types knows the new names only
    __getattr__ = find_names(__name__)
