"""What a benchmark found: rows, each a comparison with a spread and with a check that the outputs agree."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 0.3


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        case: What was done, with its sizes.
        peer: What it is compared with, with its version; empty for a measurement that stands alone.
        ratios: The peer's time divided by ours, one a repetition; both ran side by side in each of them.
        agreement: In words, how the compared outputs were found to agree.
        agrees: Whether they do.
        figures: Name to number: seconds, gigabytes, rows per second.
        tolerance: Share of the kept ratio that a later run may fall short by.
        limits: Name of a figure to the most that it may be.
    """

    case: str
    peer: str = ""
    ratios: tuple[float, ...] = ()
    agreement: str = ""
    agrees: bool = True
    figures: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The row's name, by which a new run is compared with a kept one."""
        return f"{self.case} | {self.peer}"

    @property
    def ratio(self) -> float | None:
        """The middle one of the ratios."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def spread(self) -> str:
        """The ratio in words, with its range."""
        if self.ratio is None:
            return ""
        if len(self.ratios) == 1:
            return f"{self.ratio:.3g}×"
        return f"{self.ratio:.3g}× ({min(self.ratios):.3g} to {max(self.ratios):.3g})"


@dataclass(frozen=True)
class Result:
    """A benchmark's rows and how they came about.

    Attributes:
        name: The benchmark.
        summary: What it compares.
        machine: Cores, versions, and the load while it ran, in words.
        rows: The comparisons.
        notes: What a reader must know to read them.
    """

    name: str
    summary: str
    machine: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"python -m benchmarks --only {self.name}"


def markdown(result: Result) -> str:
    """Return the result as a page with one table."""
    names = list(dict.fromkeys(name for row in result.rows for name in row.figures))
    head = ["case", "compared with", "ratio (range)", *(name.replace("_", " ") for name in names), "agreement"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in result.rows:
        numbers = [f"{row.figures[name]:.3g}" if name in row.figures else "" for name in names]
        agreement = row.agreement if row.agrees else f"**no**: {row.agreement}"
        lines.append(f"| {' | '.join([row.case, row.peer, row.spread, *numbers, agreement])} |")
    parts = [f"# {result.name}", result.summary, "\n".join(lines), *result.notes, result.machine]
    return "\n\n".join([*parts, f"Command: `{result.command}`"]) + "\n"


def write(result: Result, folder: Path) -> None:
    """Write JSON and Markdown into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = asdict(result) | {"command": result.command}
    (folder / f"{result.name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / f"{result.name}.md").write_text(markdown(result), encoding="utf-8")


def read(name: str, folder: Path) -> Result | None:
    """Return a kept result; None if there is none."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(Row(**{**row, "ratios": tuple(row["ratios"])}) for row in document["rows"])
    return Result(document["name"], document["summary"], document["machine"], rows, tuple(document["notes"]))


def regressions(new: Result, kept: Result | None) -> list[str]:
    """Return in words where a new run is worse than the kept one, or wrong in itself.

    A ratio may fall short of the kept one by the kept row's tolerance: both sides ran on the same machine at the same
    time, so that its speed cancels out. Rows that the new run does not have are not judged: their peer may be missing.
    """
    return [*_faults(new.rows), *([] if kept is None else _losses(new.rows, kept.rows))]


def _faults(rows: Sequence[Row]) -> list[str]:
    found = [f"{row.name}: the outputs do not agree: {row.agreement}" for row in rows if not row.agrees]
    for row in rows:
        for name, most in row.limits.items():
            if row.figures[name] > most:
                found.append(f"{row.name}: {name} is {row.figures[name]:.3g}, at most {most:g} is allowed")
    return found


def _losses(rows: Sequence[Row], kept: Sequence[Row]) -> list[str]:
    ratios = {row.name: row.ratio for row in rows}
    found = []
    for row in kept:
        ratio = ratios.get(row.name)
        if ratio is not None and row.ratio is not None and ratio < row.ratio * (1.0 - row.tolerance):
            found.append(f"{row.name}: {ratio:.3g}×, was {row.ratio:.3g}× (tolerance {row.tolerance:.0%})")
    return found
