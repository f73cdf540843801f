"""Named parts: those built in, and those that other packages bring as entry points."""

from __future__ import annotations

import difflib
import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from types import NoneType, TracebackType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

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


class _Origin(NamedTuple):
    """Where another package's part is from: it, its entry point in words, and the package's top-level modules."""

    part: object
    where: str
    modules: frozenset[str]


_ORIGINS: dict[int, _Origin] = {}
"""Parts of other packages that were loaded, by identity: they need not be hashable."""


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
        if name not in self:  # it may have come onto Python's path since, with a model that MLflow loads
            self.__dict__.pop("_third_party", None)
        try:
            return self[name]
        except KeyError:
            raise unknown_name(self._key, name, self) from None

    def entry_point(self, name: str) -> EntryPoint | None:
        """Return the entry point of another package that brings a part; None for our own parts and unknown names."""
        points = self._third_party.get(name)
        return points[0] if points else None

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
        listed = "" if point.dist is None else point.dist.read_text("top_level.txt") or ""
        _ORIGINS[id(part)] = _Origin(part, where, frozenset({point.module.partition(".")[0], *listed.split()}))
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
    part: Named,
    what: str,
    function: Callable[..., Result],
    *arguments: object,
    gives: type | tuple[type, ...] | None = None,
) -> Result:
    """Call a part's function. What goes wrong in another package's part is told with the part and the package.

    Args:
        part: The part. One of this package raises what it raises: that is a fault of this program.
        what: The attribute that the function is, for messages.
        function: The function.
        arguments: Its arguments.
        gives: The types of which its result must be one; None for any result.

    Raises:
        ActiveLoRAError: Another package's part raised an error that is no problem in words, or one returned something
            else.
    """
    try:
        result = function(*arguments)
    except Exception as error:
        if (blame := _blame(part, what, error)) is None:
            raise
        raise blame from error
    if gives is not None and not _fits(result, gives):
        raise wrong_result(part, what, result)
    return result


def _blame(part: Named, what: str, error: Exception) -> ActiveLoRAError | None:
    """Return what to raise instead of an error of another package's part; None where the error itself says it."""
    where = origin_of(part)
    if not where or isinstance(error, ActiveLoRAError) or _is_nobodys(error):
        return None
    logger.debug("`%s` of `%s` failed", what, part.name, exc_info=error)
    line = _fault_line(error.__traceback__, _ORIGINS[id(part)].modules)
    problem = f"`{what}` of `{part.name}` raised {type(error).__name__}: {error}"
    return ActiveLoRAError(problem, where=f"{where}{line}", remedy=_FIX_IT)


def _is_nobodys(error: Exception) -> bool:
    """Tell whether a disk or a memory is full, which is no package's mistake; torch is not imported for its error."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _fault_line(trace: TracebackType | None, modules: frozenset[str]) -> str:
    """Return file and line of a package's innermost frame, as a message goes on with it; nothing if it has none."""
    line = ""
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in modules:
            line = f", {trace.tb_frame.f_code.co_filename} line {trace.tb_lineno}"
        trace = trace.tb_next
    return line


def _fits(result: object, gives: type | tuple[type, ...]) -> bool:
    if result is None:  # it is an object too
        return isinstance(gives, tuple) and NoneType in gives
    return isinstance(result, gives)


def guard(part: Named, made: Result, gives: Mapping[str, type | tuple[type, ...]]) -> Result:
    """Return what a part made, such as a task, so that what it raises or returns wrongly is told as by :func:`call`.

    What a part of this package made is returned as it is.

    Args:
        part: The part.
        made: What it made.
        gives: The types of which each attribute, or what it returns, must be one; what is not named is not checked.
    """
    return cast("Result", _Guarded(part, made, gives)) if origin_of(part) else made


def unguarded(made: Result) -> Result:
    """Return what :func:`guard` was given: another package's code gets what it made."""
    return cast("Result", made._made) if isinstance(made, _Guarded) else made


class _Guarded:
    """What :func:`guard` returns. Methods are looked up once: some are called for every row of a pool."""

    def __init__(self, part: Named, made: object, gives: Mapping[str, type | tuple[type, ...]]) -> None:
        self._part, self._made, self._gives = part, made, gives

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        part, gives = self._part, self._gives.get(name)
        found = call(part, name, getattr, self._made, name)
        if not callable(found):
            return call(part, name, lambda: found, gives=gives)

        def method(*arguments: object, **options: object) -> Any:
            return call(part, name, partial(found, *arguments, **options), gives=gives)

        self.__dict__[name] = method
        return method


def wrong_result(part: Named, what: str, result: object, why: str = "") -> ActiveLoRAError:
    """Return the error for what a part's function must not return.

    Args:
        part: The part.
        what: The attribute that the function is.
        result: What it returned.
        why: What is wrong with it, as a sentence that names it goes on; nothing where its type says it.
    """
    found = "None" if result is None else type(result).__name__
    if (shape := getattr(result, "shape", None)) is not None:
        found += f" of shape {shape}"
    problem = f"`{what}` of `{part.name}` returned {found}{why or ', which it must not'}"
    return ActiveLoRAError(problem, where=origin_of(part), remedy=_FIX_IT)


def origin_of(part: object) -> str:
    """Return the entry point that another package's part was loaded from, and the package; nothing for others."""
    found = _ORIGINS.get(id(part))
    return "" if found is None else found.where


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
