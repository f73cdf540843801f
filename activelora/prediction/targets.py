"""Where answers are written: which formats there are, and which of them an interrupted run can go on with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from activelora.errors import DataError
from activelora.prediction.inputs import PIPE

OutFormat = Literal["csv", "tsv", "jsonl", "parquet", "xlsx"]
_ENDINGS: dict[str, OutFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
_PACKED = (".gz", ".gzip")


@dataclass(frozen=True)
class Target:
    """A table that is written.

    Attributes:
        path: Its path; None for standard output.
        format: What it is.
        is_packed: Whether it is packed by gzip.
    """

    path: Path | None
    format: OutFormat
    is_packed: bool = False

    @property
    def name(self) -> str:
        """For messages."""
        return "standard output" if self.path is None else str(self.path)

    @property
    def is_resumable(self) -> bool:
        """Whether an interrupted run can go on: not through pipes, in packed files and in workbooks."""
        return self.path is not None and not self.is_packed and self.format != "xlsx"

    @property
    def partial(self) -> Path:
        """What is written until all is there, beside the path."""
        return self._beside("partial")

    @property
    def progress(self) -> Path:
        """Where a run says how far it is."""
        return self._beside("progress.json")

    @property
    def lock(self) -> Path:
        """Locked by the run that writes."""
        return self._beside("lock")

    def check_free(self, *, overwrite: bool) -> None:
        """Check that it can be written.

        Raises:
            DataError: There is something already, or no such folder.
        """
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise DataError("there is no such folder", where=str(self.path.parent), remedy="Make it first.")
        if self.path.is_dir() and not (self.format == "parquet" and _holds_parts(self.path)):
            raise DataError("is a folder, and not one of answers", where=self.name, remedy="Name another one.")
        if self.path.exists() and not overwrite:
            raise DataError("is there already", where=self.name, remedy="Name another one, or say --overwrite.")
        if not os.access(self.path.parent, os.W_OK):
            raise DataError("nothing can be written there", where=str(self.path.parent))

    def _beside(self, ending: str) -> Path:
        if self.path is None:
            raise ValueError("nothing lies beside standard output")
        return self.path.with_name(f".{self.path.name}.{ending}")


def target_of(name: str, option: str, pipe_format: OutFormat = "csv") -> Target:
    """Return what a name on the command line means.

    Args:
        name: A path, or ``-`` for standard output.
        option: The option that it was given by, for messages.
        pipe_format: What goes through a pipe.

    Raises:
        DataError: Its ending says nothing.
    """
    if name == PIPE:
        return Target(None, pipe_format)
    if "://" in name:
        raise DataError("only local files are written", where=f"{option} {name}", remedy="Copy the file afterwards.")
    plain = name.lower().rstrip("/")
    packed = next((ending for ending in _PACKED if plain.endswith(ending)), "")
    plain = plain.removesuffix(packed)
    found = next((format_ for ending, format_ in _ENDINGS.items() if plain.endswith(ending)), None)
    if found is None or (packed and found in ("parquet", "xlsx")):
        raise DataError(
            "the name's ending does not say what is to be written",
            where=f"{option} {name}",
            remedy=f"End it in {', '.join(_ENDINGS)}, or for text in .gz after that.",
        )
    return Target(Path(name), found, bool(packed))


def _holds_parts(folder: Path) -> bool:
    return all(path.name.startswith("part-") for path in folder.iterdir())
