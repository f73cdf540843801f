"""What lies where: the folders of the packages, from their docstrings, in the order that the import contracts give."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from docs.generate.markdown import cell, table

ROOT = Path(__file__).parents[2]


def rooms() -> str:
    """Return a table for each package: what a folder is, and in `activelora` and `pipelines` its storey."""
    parts = []
    for package in ("activelora", "components", "pipelines"):
        storeys = _storeys(package)
        folders = [path.parent for path in (ROOT / package).glob("*/__init__.py")]
        folders.sort(key=lambda folder: (storeys.get(folder.name, 0), folder.name))
        rows = [[f"`{package}/{folder.name}`", cell(_about(folder))] for folder in folders]
        parts += [f"### `{package}`", table(["folder", "what it is"], rows)]
    return "\n\n".join(parts)


def _storeys(package: str) -> dict[str, int]:
    """Return each folder's storey from the top, from the import contracts; components have none."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers: list[str] = next((one["layers"] for one in contracts if one.get("containers") == [package]), [])
    return {name: number for number, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}


def _about(folder: Path) -> str:
    """Return the first sentence about a folder: a step's is its work's."""
    step = folder / "step.py"
    source = step if step.exists() else folder / "__init__.py"
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]
