"""Packages of others, as they are once installed: modules on Python's path, and what says their entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def declare_package(site: Path, name: str, points: Mapping[str, Iterable[str]], version: str = "1.0") -> None:
    """Write what an installed package says of itself.

    Args:
        site: Folder on Python's path, in which the package's modules lie.
        name: Name of the package.
        points: Lines ``name = module:attribute`` of each group, this without ``activelora.`` before it.
        version: Version of the package.
    """
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = ["\n".join([f"[activelora.{group}]", *lines]) for group, lines in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups) + "\n")


def said_by(program: str, site: Path, *arguments: str) -> Any:
    """Run a program in a process that sees the packages, and return the JSON of its last line.

    Args:
        program: Python code.
        site: Folder with the packages.
        arguments: Command-line arguments.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
