"""How far a run is, so that the next one goes on from there; and that only one run writes at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from activelora.errors import DataError
from activelora.prediction.targets import Target


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        settings: All that the result depends on, by its name in words; empty where no run can go on.
        chunks: Chunks of the input that are written.
        rows: Rows in them.
        review: How many of those are for review.
        unanswered: How many could not be answered.
        columns: The columns that are written.
        marks: Mark of each writer.
    """

    settings: Mapping[str, Any]
    chunks: int = 0
    rows: int = 0
    review: int = 0
    unanswered: int = 0
    columns: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)

    def save(self, target: Target) -> None:
        """Write it beside the target, all at once."""
        partial = target.progress.with_name(f"{target.progress.name}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target.progress)


def found_progress(targets: list[Target], settings: Mapping[str, Any], *, overwrite: bool) -> Progress | None:
    """Return how far an interrupted run is that would have had the same result; None if there is none.

    Args:
        targets: What is written; the first one has the record beside it.
        settings: All that the result depends on.
        overwrite: Throw away what another run has begun.

    Raises:
        DataError: A run with other settings was interrupted.
    """
    try:
        found = Progress(**json.loads(targets[0].progress.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        found = None
    same = json.loads(json.dumps(settings))
    if found is not None and found.settings == same:
        there = len(found.marks) == len(targets) and all(map(_is_there, targets, found.marks))
        return found if there and not overwrite else None
    if overwrite:
        return None
    differing = [key for key in {**same, **(found.settings if found else {})} if _of(found, key) != same.get(key)]
    changes = ", ".join(f"{key} was {_shown(_of(found, key))}, now {_shown(same.get(key))}" for key in differing)
    raise DataError(
        f"a run that writes this was interrupted, and had other settings ({changes})",
        where=targets[0].name,
        remedy="Repeat that command to go on, or say --overwrite to begin anew.",
    )


def remove_traces(target: Target) -> None:
    """Remove what an interrupted run left."""
    with suppress(FileNotFoundError):
        if target.partial.is_dir():
            shutil.rmtree(target.partial)
        else:
            target.partial.unlink()
    target.progress.unlink(missing_ok=True)


def publish(target: Target) -> None:
    """Let what was written appear under its name, all at once."""
    if target.path is None:
        return
    if target.path.is_dir():
        shutil.rmtree(target.path)
    target.partial.replace(target.path)
    target.progress.unlink(missing_ok=True)


@contextmanager
def locked(target: Target) -> Iterator[None]:
    """Keep other runs from writing the same; the lock of a killed run ends with it.

    Raises:
        DataError: Another run writes it now.
    """
    if target.path is None:
        yield
        return
    with target.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                "another run is writing this", where=target.name, remedy="Wait for it, or stop it."
            ) from None
        try:
            yield
        finally:
            target.lock.unlink(missing_ok=True)


def _is_there(target: Target, mark: int) -> bool:
    """Tell whether what a mark stands for is on the disk."""
    if target.format == "parquet":
        return all((target.partial / f"part-{number:05d}.parquet").is_file() for number in range(mark))
    return target.partial.is_file() and target.partial.stat().st_size >= mark


def _of(found: Progress | None, key: str) -> Any:
    return None if found is None else found.settings.get(key)


def _shown(value: Any) -> str:
    return f"{value[:12]}" if isinstance(value, str) and len(value) > 40 else str(value)
