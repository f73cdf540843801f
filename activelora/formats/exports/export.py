"""What an export of a labelling tool says of one task, whatever tool it is from."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activelora.errors import DataError

SEVERAL = "several labels where the task takes one"
EMPTY = "empty"


@dataclass(frozen=True)
class Asked:
    """What is looked for in an export.

    Attributes:
        columns: Names of the columns that hold content: the prompt's, the choices', the ids'.
        labels: Names under which labels may stand, the likeliest first; none where labels are not read.
        names: Names of the task's labels; empty where labels are not listed.
        takes_several: Whether one label may be several of the names, or none.
    """

    columns: frozenset[str]
    labels: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    takes_several: bool = False

    def knows(self, value: object) -> bool:
        """Tell whether a value is the name of a label, in any case."""
        folded = str(value).strip().casefold()
        return any(folded == name.strip().casefold() for name in self.names)

    def question(self, names: Collection[str], what: str) -> str | None:
        """Return which of a tool's questions the campaign asks; None where there is none.

        Args:
            names: Names of the questions of one kind that can answer.
            what: How the tool calls them, in the plural.

        Raises:
            DataError: There are several, and none of them is named.
        """
        for wanted in self.labels:
            for name in names:
                if name == wanted or wanted == f"responses.{name}":
                    return name
        if len(names) > 1:
            problem = f"holds several {what}, and none is called `{self.labels[0]}`: {', '.join(sorted(names)[:20])}"
            raise DataError(problem, remedy="Say which one is the label by `data.columns.label`.")
        return next(iter(names), None)


@dataclass(frozen=True)
class Annotation:
    """What one annotator says of a task.

    Attributes:
        label: The label as written: text, number, truth value or a list of names.
        annotator: The annotator's name or number; None where the export does not tell.
        labeled_at: When, as ISO 8601; None where the export does not tell.
    """

    label: Any
    annotator: str | None = None
    labeled_at: str | None = None


@dataclass
class Export:
    """One row of an export.

    Attributes:
        tool: Name of the tool.
        values: Plain columns: content, ids and what else there is.
        annotations: What is a label.
        passed: Reasons why what else annotators did is no label, one for each time.
        remarks: What is to be said of the file, whichever row it is.
    """

    tool: str
    values: dict[str, Any]
    annotations: list[Annotation] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, asked: Asked, labels: Sequence[Any], annotator: object = None, time: object = None) -> None:
        """Note what an annotator chose: one label of a task that takes one, any number of one that takes several."""
        if asked.takes_several:
            label: Any = list(labels)
        elif len(labels) == 1:
            label = labels[0]
        else:
            self.passed.append(SEVERAL if labels else EMPTY)
            return
        if label is None or (isinstance(label, str) and not label.strip()):
            self.passed.append(EMPTY)
        else:
            self.annotations.append(Annotation(label, person(annotator), moment(time)))


def passed_in_words(passed: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """Yield a line a tool that says how much is no label, and why.

    Args:
        passed: Tool and reason to a count.
    """
    for tool in dict.fromkeys(tool for tool, _ in passed):
        counts = {reason: count for (one, reason), count in passed.items() if one == tool}
        shown = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        num, of_tool = sum(counts.values()), f" of {tool}" * bool(tool)
        yield f"{num} annotation{'s' * (num > 1)}{of_tool} {'are no labels' if num > 1 else 'is no label'}: {shown}"


def spans(tool: str, what: str) -> DataError:
    """Return the refusal of labels that speak of a part of a text."""
    return DataError(
        f"holds {what} of {tool}, which label parts of a text; a label of this task is about the whole of it",
        remedy="Export a project that classifies texts.",
    )


def as_object(value: object) -> Mapping[str, Any]:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    """Return a list as it is, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def person(raw: object) -> str | None:
    """Return an annotator as a tool names him: a name, a number, or an object with one of these."""
    if isinstance(raw, Mapping):
        raw = next((raw[name] for name in ("email", "username", "name", "id") if raw.get(name) not in (None, "")), None)
    return None if raw is None or raw != raw or str(raw).strip() == "" else str(raw).strip()


def moment(raw: object) -> str | None:
    """Return a time as ISO 8601; seconds since 1970 are UTC."""
    if isinstance(raw, datetime.datetime):
        return raw.isoformat()
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        try:
            return datetime.datetime.fromtimestamp(raw, datetime.UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return str(raw)
    return raw.strip() or None if isinstance(raw, str) else None
