"""Folders of a cache that several processes share: each appears whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

MARK = "config.json"
"""What a model's folder is known by."""


def arrive(target: Path, make: Callable[[Path], Path], mark: str = MARK) -> bool:
    """Let a model's folder be made beside its place and then put there, unless it is there already.

    Args:
        target: The place.
        make: Is given an empty folder, and returns the model's folder in it.
        mark: The file that the folder is known by.

    Returns:
        Whether it was made now. Another process may still have been faster: its folder is then left as it is.
    """
    if (target / mark).exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as scratch:
        made = make(Path(scratch))
        try:
            made.rename(target)
        except OSError:
            if not (target / mark).exists():
                raise
    return True
