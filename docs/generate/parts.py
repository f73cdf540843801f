"""The parts of pages that are generated, by the names that comments on the pages call them by."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate import api, catalogue, commands, errors, models, rooms, settings

ROOT = Path(__file__).parents[2]
GENERATORS = {
    "adapters": catalogue.adapters,
    "commands": commands.commands,
    "errors": errors.errors_and_remedies,
    "measures": catalogue.measures,
    "models": models.models,
    "python-api": api.python_api,
    "rooms": rooms.rooms,
    "settings": settings.settings,
    "strategies": catalogue.strategies,
}
"""Name in `<!-- generated: NAME -->` to the function whose Markdown takes its place."""


def filled(markdown: str) -> str:
    """Return a page with its generated parts and included files in their places.

    Raises:
        KeyError: A comment names a generator that there is none of.
    """
    markdown = re.sub(r"<!-- generated: ([\w-]+) -->", lambda found: GENERATORS[found[1]](), markdown)
    return re.sub(r"<!-- include: (\S+) -->", lambda found: _included(ROOT / found[1]), markdown)


def _included(path: Path) -> str:
    """Return a file without its title, which the page has."""
    return re.sub(r"\A# .*\n+", "", path.read_text(encoding="utf-8"))
