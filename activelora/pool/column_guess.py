"""Which columns of a table are text and label, where nobody says so: told only if it is sure, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from activelora.errors import ConfigError, ProblemsError
from activelora.pool.profile import EXPORTED_LABEL, Column, Profile, is_date
from activelora.quantities import quantity
from activelora.registry import closest

_BEFORE = r"(?:.*[._ -])?"
_TEXTS = re.compile(
    _BEFORE
    + r"(texts?|messages?|body|content|sentence|question|query|utterance|review|comment|description|prompt|input|"
    r"input|document|tweet|post|email|mail|ticket|request|feedback|complaint)",
    re.IGNORECASE,
)
_LABELS = re.compile(
    _BEFORE + r"(labels?|class(es)?|categor(y|ies)|topics?|intents?|tags?|team|department|sentiment|answer|target|"
    r"ratings?|stars?|scores?|output|response|completion|solution)",
    re.IGNORECASE,
)
_CHOICES = re.compile(_BEFORE + r"(choices|options|endings|alternatives)", re.IGNORECASE)
_IDS = re.compile(_BEFORE + r"(id|uuid|key|nr|number)", re.IGNORECASE)
_LONG_CHARS = 20
_MAX_CLASSES = 50
_MIN_PER_CLASS = 3
_SHOWN_CHARS = 40
_NAMEABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_. -]*")
"""What a prompt can name; see :mod:`activelora.tasks.prompt`."""
_TAKEN = ("label", "labels", "choices")


class Guess(NamedTuple):
    """Columns, and why it is they.

    Attributes:
        columns: One, or several texts.
        reason: Why, in words.
    """

    columns: tuple[Column, ...]
    reason: str


class Named(NamedTuple):
    """The columns that somebody names.

    Attributes:
        texts: What the model is shown; none: to be guessed.
        label: The labels; None: to be guessed.
        choices: Each item's own choices; None: to be guessed, where there are any.
    """

    texts: tuple[str, ...] = ()
    label: str | None = None
    choices: str | None = None

    def with_options(self) -> list[tuple[str, str]]:
        """Return the names with the options that give them."""
        found = [("--text", name) for name in self.texts]
        others = (("--label", self.label), ("--choices", self.choices))
        return [*found, *((option, name) for option, name in others if name is not None)]


class Columns(NamedTuple):
    """Which column is what.

    Attributes:
        texts: What the model is shown.
        label: The labels.
        choices: Each item's own choices; None where it has none.
    """

    texts: Guess
    label: Guess
    choices: Column | None


def find_columns(profile: Profile, named: Named) -> Columns:
    """Return the columns of texts, the one of labels, and that of choices, where there is one.

    Args:
        profile: The table.
        named: The columns that somebody names.

    Raises:
        ProblemsError: One that is named is not there, or it is not sure which one is meant. All columns are listed.
    """
    if profile.tool is not None and named.label not in profile.columns:
        named = named._replace(label=EXPORTED_LABEL)  # the tool's question of that name
    missing = [(option, name) for option, name in named.with_options() if name not in profile.columns]
    if missing:
        raise ProblemsError([_missing(*one, profile) for one in missing], hint=listed(profile))
    columns = profile.columns
    choices = _choices(profile) if named.choices is None else columns[named.choices]
    apart = {name for name in (named.label, choices.name if choices else None) if name is not None}
    texts: Guess | None = Guess(tuple(columns[name] for name in named.texts), "as --text says")
    if not named.texts:
        texts = _guess_text(profile, apart)
    label: Guess | None = None
    if named.label is not None:
        label = Guess((columns[named.label],), "as --label says" if profile.tool is None else "of the export")
    else:
        label = _guess_label(profile, apart | {one.name for one in (texts.columns if texts else ())})
    if texts is None or label is None:
        unsure = [one for one, found in (("text", texts), ("label", label)) if found is None]
        raise ProblemsError([_unsure(what) for what in unsure], hint=listed(profile))
    return Columns(texts, label, choices)


def listed(profile: Profile) -> str:
    """Return the columns of a table with what they hold, a line each."""
    width = max(map(len, profile.columns), default=0)
    return "\n".join(
        [
            f"{profile.path} has these columns:",
            *(f"  {one.name:<{width}}  {_holds(one)}" for one in profile.columns.values()),
        ]
    )


def unfit_for_prompt(name: str) -> str | None:
    """Return why a prompt cannot name a column, in words, or None."""
    if not _NAMEABLE.fullmatch(name):
        return "a prompt names columns by letters from A to Z, digits, blanks and _ . - only, with a letter first"
    return "the prompt uses this name for something else" if name in _TAKEN else None


def id_column(profile: Profile, others: Iterable[str]) -> Column | None:
    """Return the column of people's own ids: named like one, filled in every row, and never twice the same."""
    for column in profile.columns.values():
        is_filled = column.num_filled == profile.num_rows == sum((column.values or {}).values())
        if (
            _IDS.fullmatch(column.name)
            and column.name not in others
            and is_filled
            and column.num_values == profile.num_rows
        ):
            return column
    return None


def _missing(option: str, name: str, profile: Profile) -> ConfigError:
    near = closest(name, profile.columns)
    remedy = f"Did you mean `{near}`?" if near else "Name one of its columns."
    return ConfigError(f"there is no column `{name}` in {profile.path}", where=option, remedy=remedy)


def _unsure(what: str) -> ConfigError:
    remedy = f"Say it with --{what} COLUMN."
    if what == "label":
        remedy += " If no column holds labels yet, add one and label 10 or more rows, drawn at random, to measure with."
    return ConfigError(f"which column is the {what}, cannot be told for sure", where=f"--{what}", remedy=remedy)


def _choices(profile: Profile) -> Column | None:
    found = [one for one in profile.columns.values() if _CHOICES.fullmatch(one.name) and one.is_lists]
    return found[0] if len(found) == 1 and profile.tool is None else None


def _guess_text(profile: Profile, others: set[str]) -> Guess | None:
    candidates = [one for one in profile.columns.values() if one.name not in others and _is_text(one)]
    named = [one for one in candidates if _TEXTS.fullmatch(one.name)]
    if len(named) == 1:
        return Guess((named[0],), f"by its name, with texts of {named[0].mean_chars:.0f} characters on average")
    long = [one for one in candidates if one.mean_chars >= _LONG_CHARS and not _LABELS.fullmatch(one.name)]
    if not named and len(long) == 1:
        return Guess((long[0],), f"no other column holds texts of {_LONG_CHARS} characters and more")
    return None


def _guess_label(profile: Profile, others: set[str]) -> Guess | None:
    candidates = [one for one in profile.columns.values() if one.name not in others and one.num_filled]
    named = [one for one in candidates if _LABELS.fullmatch(one.name)]
    if exact := [one for one in named if one.name.casefold() == EXPORTED_LABEL]:
        return Guess((exact[0],), "by its name")
    if len(named) == 1:
        return Guess((named[0],), f"by its name, with {_num(named[0])}")
    few = [one for one in candidates if _is_class(one)]
    if not named and len(few) == 1:
        return Guess((few[0],), f"no other column holds a few values again and again: {_num(few[0])}")
    return None


def _num(column: Column) -> str:
    what = "different value" if column.labels is column.values else "different label"
    return f"many {what}s" if column.labels is None else quantity(len(column.labels), what)


def _is_text(column: Column) -> bool:
    if not column.num_filled or column.is_numeric or column.num_lists or _IDS.fullmatch(column.name):
        return False
    some = list(column.values or ())[:20]
    return column.values is None or (len(column.values) > column.num_filled / 2 and not all(map(is_date, some)))


def _is_class(column: Column) -> bool:
    return 2 <= column.num_values <= min(_MAX_CLASSES, column.num_filled // _MIN_PER_CLASS) and not _IDS.fullmatch(
        column.name
    )


def _holds(column: Column) -> str:
    if not column.num_filled:
        return "nothing"
    kind = "lists" if column.is_lists else "numbers" if column.is_numeric else "texts"
    values = list((column.values or {}).items())
    if _is_class(column):
        shown = ", ".join(f"{_short(name)} {count}" for name, count in sorted(values, key=lambda one: -one[1])[:5])
        return f"{column.num_filled} filled, {column.num_values} different: {shown}"
    example = f", such as {_short(values[0][0])!r}" if values else ""
    return f"{column.num_filled} filled, {kind} of {column.mean_chars:.0f} characters on average{example}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
