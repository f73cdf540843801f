"""What mkdocs calls while it builds: generated parts take the place of their comments."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

from mkdocs.structure.files import File, Files  # noqa: E402

from docs.generate import api, catalogue, commands, errors, settings  # noqa: E402

GENERATORS = {
    "adapters": catalogue.adapters,
    "commands": commands.commands,
    "errors": errors.errors_and_remedies,
    "measures": catalogue.measures,
    "python-api": api.python_api,
    "settings": settings.settings,
    "sources": catalogue.sources,
    "strategies": catalogue.strategies,
}
"""Name in `<!-- generated: NAME -->` to the function whose Markdown takes its place."""
RESULTS = ROOT / "benchmarks" / "results"


def on_files(files: Files, config: Any) -> Files:
    """Add the measured results, which lie beside the benchmarks, to the pages."""
    for path in sorted(RESULTS.iterdir()):
        if path.suffix in (".md", ".png"):
            files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in what is generated, and whole files of the repository."""
    return filled(markdown)


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
