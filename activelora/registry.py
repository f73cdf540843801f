"""Named parts: those built in, and those that other packages bring as entry points."""

from __future__ import annotations

import difflib
import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from activelora.errors import ActiveLoRAError, ConfigError

logger = logging.getLogger(__name__)


class Named(Protocol):
    """What every part has."""

    @property
    def name(self) -> str:
        """As written in the campaign file."""


Part = TypeVar("Part", bound=Named)
Result = TypeVar("Result")

_CLOSE = 0.75
"""Share of letters in common from which on a wrong name is taken for a typing mistake: three letters of four."""
_FIX_IT = "Fix the package that brings it, or choose another one; `activelora --verbose` logs the traceback."
_ORIGINS: dict[int, tuple[object, str]] = {}
"""Parts of other packages that were loaded, by identity (they need not be hashable), and the entry point of each."""


class Registry(Mapping[str, Part], Generic[Part]):
    """A mapping from names to parts. Another package's part is loaded when it is asked for, not before.

    Args:
        key: The setting that names a part, for messages.
        group: The entry point group that other packages use.
        built_in: The parts of this package.
        check: Tells whether a loaded object is such a part.
        mistakes: Returns what another package's part declares and cannot, in words.
    """

    def __init__(
        self,
        key: str,
        group: str,
        built_in: Mapping[str, Part],
        check: Callable[[object], bool],
        mistakes: Callable[[Part], Iterable[str]] = lambda part: (),
    ) -> None:
        self._key = key
        self._group = group
        self._built_in = dict(built_in)
        self._check = check
        self._mistakes = mistakes

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
            raise unknown_name(self._key, name, self) from None

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
        package = "" if point.dist is None else f" ({point.dist.name} {point.dist.version})"
        where = f"entry point {self._group}: {point.name} = {point.value}{package}"
        try:
            part: Part = point.load()
            is_one = self._check(part)
            name = part.name if is_one else ""
            mistakes = list(self._mistakes(part)) if is_one else []
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"`{point.name}` cannot be loaded: {type(error).__name__}: {error}",
                where=where,
                remedy="Fix or remove the package that brings it.",
            ) from error
        if not is_one:
            raise ConfigError(
                f"`{point.name}` is not what {self._key} needs, but {type(part).__name__}",
                where=where,
                remedy="Fix or remove the package that brings it.",
            )
        _ORIGINS[id(part)] = (part, where)
        if name != point.name:
            raise ConfigError(
                f"`{point.name}` calls itself `{name}`",
                where=where,
                remedy="In the package that brings it, let the entry point and the part have one name.",
            )
        if mistakes:
            raise ConfigError(mistakes[0], where=where, remedy="Fix or remove the package that brings it.")
        return part

    def _ambiguous(self, name: str, points: list[EntryPoint]) -> ConfigError:
        claims = ["activelora itself"] * (name in self._built_in) + [point.value for point in points]
        return ConfigError(
            f"`{name}` is brought by {' and by '.join(claims)}",
            key=self._key,
            remedy="Which one runs must not depend on what is installed: rename or remove one.",
        )


def call(
    part: Named, what: str, function: Callable[..., Result], *arguments: object, gives: type | None = None
) -> Result:
    """Call a part's function. What goes wrong in another package's part is told with the part and the package.

    Args:
        part: The part. One of this package raises what it raises: that is a fault of this program.
        what: The attribute that the function is, for messages.
        function: The function.
        arguments: Its arguments.
        gives: What it must return; None for anything.

    Raises:
        ActiveLoRAError: Another package's part raised an error that is no problem in words, or one returned something
            else.
    """
    where = origin_of(part)
    try:
        result = function(*arguments)
    except ActiveLoRAError:
        raise
    except Exception as error:
        if not where or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
            raise  # a full disk is nobody's mistake
        logger.debug("`%s` of `%s` failed", what, part.name, exc_info=True)
        problem = f"`{what}` of `{part.name}` raised {type(error).__name__}: {error}"
        raise ActiveLoRAError(problem, where=where, remedy=_FIX_IT) from error
    if gives is not None and (result is None or not isinstance(result, gives)):
        raise wrong_result(part, what, result)
    return result


def wrong_result(part: Named, what: str, result: object) -> ActiveLoRAError:
    """Return the error for what a part's function must not return.

    Args:
        part: The part.
        what: The attribute that the function is.
        result: What it returned.
    """
    found = "None" if result is None else type(result).__name__
    return ActiveLoRAError(
        f"`{what}` of `{part.name}` returned {found}, which it must not", where=origin_of(part), remedy=_FIX_IT
    )


def origin_of(part: object) -> str:
    """Return the entry point that another package's part was loaded from, and the package; nothing for others."""
    return _ORIGINS.get(id(part), (part, ""))[1]


def unknown_names(part: Named, what: str, names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yield in words what a part declares and nothing knows.

    Args:
        part: The part.
        what: What the names are names of.
        names: What it declares.
        known: What there is.
    """
    listed = ", ".join(f"`{one}`" for one in sorted(known))
    for name in sorted({*names} - {*known}):
        yield f"`{part.name}` declares the {what} `{name}`, which there is not, but: {listed}"


def unknown_name(key: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a name that nothing has, with the nearest one that is known.

    Args:
        key: The setting that holds the name.
        name: What it says.
        known: What it could say.
    """
    known = sorted({*known})
    near = closest(name, known)
    listed = f"Known: {', '.join(known)}."
    return ConfigError(f"there is no `{name}`", key=key, remedy=f"Did you mean `{near}`? {listed}" if near else listed)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that a typing mistake makes of one that is known; None where nothing is that close.

    Args:
        name: What somebody wrote.
        known: What there is.
    """
    written = name.casefold()
    folded = {one.casefold(): one for one in sorted(known, reverse=True)}
    near = difflib.get_close_matches(written, folded, n=1, cutoff=_CLOSE)
    swapped = [one for one in sorted(folded) if sorted(one) == sorted(written)]
    found = [*near, *swapped]
    return folded[found[0]] if found else None
