"""Problems of data, collected so that one run shows many of them."""

from __future__ import annotations

from collections.abc import Collection

from activelora.errors import ActiveLoRAError, DataError, ProblemsError
from activelora.registry import closest

MAX_PROBLEMS = 20
MAX_SAME = 3


class Problems:
    """Collects what is wrong with the data, row by row.

    The same problem is shown with its first :data:`MAX_SAME` places and then only counted. After
    :data:`MAX_PROBLEMS` shown ones, reading stops.
    """

    def __init__(self) -> None:
        self._shown: list[ActiveLoRAError] = []
        self._counts: dict[str, int] = {}

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
