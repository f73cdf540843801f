"""Named parts: those built in, and those that other packages bring as entry points."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from activelora.errors import ConfigError

Part = TypeVar("Part")


class Registry(Mapping[str, Part], Generic[Part]):
    """A mapping from names to parts. Another package's part is loaded when it is asked for, not before.

    Args:
        key: The setting that names a part, for messages.
        group: The entry point group that other packages use.
        built_in: The parts of this package.
        check: Tells whether a loaded object is such a part.
    """

    def __init__(self, key: str, group: str, built_in: Mapping[str, Part], check: Callable[[object], bool]) -> None:
        self._key = key
        self._group = group
        self._built_in = dict(built_in)
        self._check = check

    def __getitem__(self, name: str) -> Part:
        if name not in self._third_party:
            return self._built_in[name]
        points = self._third_party[name]
        if name in self._built_in or len(points) > 1:
            raise self._ambiguous(name, points)
        return self._load(points[0])

    def __iter__(self) -> Iterator[str]:
        return iter(self._built_in | self._third_party)

    def __len__(self) -> int:
        return len(self._built_in | self._third_party)

    def find(self, name: str) -> Part:
        """Return the part that a campaign file names.

        Raises:
            ConfigError: There is none, two packages claim the name, or its package cannot be loaded.
        """
        try:
            return self[name]
        except KeyError:
            raise unknown_name(self._key, name, list(self)) from None

    def loadable(self) -> tuple[dict[str, Part], list[ConfigError]]:
        """Return the parts that can be had, by name, and what is wrong with each of the others."""
        parts: dict[str, Part] = {}
        problems: list[ConfigError] = []
        for name in self:
            try:
                parts[name] = self[name]
            except ConfigError as problem:
                problems.append(problem)
        return parts, problems

    @cached_property
    def _third_party(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for point in sorted(set(entry_points(group=self._group)), key=lambda point: (point.name, point.value)):
            found.setdefault(point.name, []).append(point)
        return found

    def _load(self, point: EntryPoint) -> Part:
        where = f"entry point {self._group}: {point.name} = {point.value}"
        try:
            part: Part = point.load()
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"`{point.name}` cannot be loaded: {type(error).__name__}: {error}",
                where=where,
                remedy="Fix or remove the package that brings it.",
            ) from error
        if not self._check(part):
            raise ConfigError(
                f"`{point.name}` is not what {self._key} needs, but {type(part).__name__}",
                where=where,
                remedy="Fix or remove the package that brings it.",
            )
        return part

    def _ambiguous(self, name: str, points: list[EntryPoint]) -> ConfigError:
        claims = ["activelora itself"] * (name in self._built_in) + [point.value for point in points]
        return ConfigError(
            f"`{name}` is brought by {' and by '.join(claims)}",
            where=self._key,
            remedy="Which one runs must not depend on what is installed: rename or remove one.",
        )


def unknown_name(key: str, name: str, known: list[str]) -> ConfigError:
    """Return the error for a name that nothing has, with the nearest one that is known.

    Args:
        key: The setting that holds the name.
        name: What it says.
        known: What it could say.
    """
    near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
    listed = f"Known: {', '.join(sorted(known))}."
    return ConfigError(
        f"there is no `{name}`", where=key, remedy=f"Did you mean `{near[0]}`? {listed}" if near else listed
    )
