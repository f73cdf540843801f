"""Problems of data, collected so that one run shows many of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.registry import closest

MAX_PROBLEMS = 20
MAX_SAME = 3


class Collector(Protocol):
    """Takes what readers say."""

    def add(self, error: DataError) -> None:
        """Take a problem: something that was not read. A :class:`RowError` tells its line."""

    def note(self, text: str) -> None:
        """Take what was read in a way that somebody should know of."""


class RowError(DataError):
    """A row, or the rest of a file, cannot be read.

    Args:
        problem: What is wrong.
        file: The file's path or URI.
        line: The line that it begins on; None if nothing of the file can be read.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, file: str, line: int | None, remedy: str = "") -> None:
        super().__init__(problem, where=file if line is None else f"{file}:{line}", remedy=remedy)
        self.file = file
        self.line = line


class Problems:
    """Collects what is wrong with the data, row by row.

    The same problem is shown with its first :data:`MAX_SAME` places and then only counted. After
    :data:`MAX_PROBLEMS` shown ones, reading stops.
    """

    def __init__(self) -> None:
        self._shown: list[ActiveLoRAError] = []
        self._counts: dict[str, int] = {}
        self._notes: dict[str, None] = {}

    def add(self, error: ActiveLoRAError) -> None:
        """Note a problem.

        Raises:
            ProblemsError: There are enough of them.
        """
        count = self._counts[error.problem] = self._counts.get(error.problem, 0) + 1
        if count <= MAX_SAME:
            self._shown.append(error)
        if len(self._shown) >= MAX_PROBLEMS:
            self._shown.append(DataError("reading stopped here: fix these first"))
            self.refuse()

    def note(self, text: str) -> None:
        """Note what is allowed but should be known, once."""
        self._notes[text] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted, in order."""
        return tuple(self._notes)

    def refuse(self) -> None:
        """Do nothing if all is well.

        Raises:
            ProblemsError: All that was noted.
        """
        if not self._shown:
            return
        rest = [
            DataError(f"{count - MAX_SAME} more places have this problem: {problem}")
            for problem, count in self._counts.items()
            if count > MAX_SAME
        ]
        raise ProblemsError([*self._shown, *rest])

    def __bool__(self) -> bool:
        """Tell whether there is any problem."""
        return bool(self._shown)


def missing_column(column: str, present: Collection[str], where: str) -> DataError:
    """Return the problem of a row or file without a column that the campaign needs."""
    shown = ", ".join(sorted(str(name) for name in present)[:20]) or "none"
    near = closest(column, map(str, present))
    guess = f"Did you mean `{near}`? " if near else ""
    return DataError(
        f"there is no column `{column}`; the columns are: {shown}",
        where=where,
        remedy=f"{guess}Correct the data, the prompt's columns, or `data.columns` in the campaign file.",
    )
