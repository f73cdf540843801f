"""Which code wrote something: the version and, where it is known, the commit."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

COMMIT_VARIABLE = "ACTIVELORA_COMMIT"
"""The commit that an image was built from."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SHORT = 12


@cache
def code_version() -> str:
    """Return for example ``0.2.0+3f2a9c1d5e6b``; without a commit that is known, the version alone."""
    from activelora import __version__

    found = os.environ.get(COMMIT_VARIABLE, "").strip().lower() or _checked_out(Path(__file__).parents[1])
    return f"{__version__}+{found[:_SHORT]}" if _COMMIT.fullmatch(found) else __version__


def _checked_out(root: Path) -> str:
    """Return the commit of the checkout that this file lies in, or nothing: read from git's own files."""
    git = root / ".git"
    try:
        if git.is_file():  # a worktree's
            git = root / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        shared = git / "commondir"
        common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
        if (common / name).is_file():
            return (common / name).read_text(encoding="utf-8").strip()
        packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except (OSError, UnicodeDecodeError):
        return ""
