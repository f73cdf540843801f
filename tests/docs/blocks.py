"""The blocks of commands and code on a page, and what the page says about running them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("bash", "python")
"""What a reader is meant to run; other blocks show files, settings and formulas."""
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (test: run|test: slow|not run: [^>]+|test-command) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        page: Path of the page in the repository.
        line: Line of its first fence.
        language: As written after the fence.
        text: Content.
        mark: What the comment right before it says; None without one.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str | None

    @property
    def script(self) -> str:
        """The block as lines of bash."""
        if self.language == "python":
            return f"python - <<'END_OF_BLOCK'\n{self.text}END_OF_BLOCK\n"
        return self.text


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()])
        line = text[: match.start()].count("\n") + 1
        name = page.relative_to(ROOT).as_posix()
        found.append(Block(name, line, match[1], match[2], mark[1] if mark else None))
    return found


def script_of(page: Path, *, slow: bool) -> str:
    """Return the blocks of a page that are run, in order, as one script; each says first where it stands."""
    marks = ("test: run", "test: slow") if slow else ("test: run",)
    parts = [
        f'echo "+ {block.page}:{block.line}" >&2\n{block.script}' for block in blocks_of(page) if block.mark in marks
    ]
    return "".join(parts)
