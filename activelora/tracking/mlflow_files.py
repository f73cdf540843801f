"""Files sent to MLflow side by side: its own way is one after another, and waits for each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_NUM_AT_ONCE = 8


def upload_folder(log: Callable[[str, str | None], object], folder: Path, below: str = "") -> None:
    """Send the files of a folder, whatever lies below it.

    Args:
        log: Sends one file, given its path and the folder among the artifacts; None is the outermost.
        folder: The folder.
        below: Folder among the artifacts that takes its place; none is the outermost.

    Raises:
        Exception: What the first file that could not be sent raised, after all have been tried.
    """

    def send(path: Path) -> None:
        parent = "/".join((*filter(None, [below]), *path.relative_to(folder).parts[:-1]))
        log(str(path), parent or None)

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for first in files[:1]:
        send(first)  # the client remembers from now on where these artifacts are
    with ThreadPoolExecutor(_NUM_AT_ONCE) as threads:
        list(threads.map(send, files[1:]))
