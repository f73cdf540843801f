"""Campaign files that extend others: `extends: ../defaults.yaml` takes what that file says, and adds its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.errors import ConfigError, ProblemsError

EXTENDS = "extends"
"""The key, at the top of a campaign file: a relative path, or a list of them, of which the later ones win."""
_HOW = "Write a path that is relative to this file, such as ../defaults.yaml."


@dataclass(frozen=True)
class Layered:
    """The settings of a file with those of the files that it extends.

    Attributes:
        settings: All of them, without :data:`EXTENDS`.
        files: The file that gave a setting, by its dotted key, where that is not the first one.
        paths: The files, the extended ones first and each once.
    """

    settings: dict[str, Any]
    files: Mapping[str, str]
    paths: tuple[Path, ...]


def read_layers(path: Path, read: Callable[[Path], dict[str, Any]]) -> Layered:
    """Read a file and all that it extends. Sections are joined, other values replaced; what extends has the last word.

    Args:
        path: The campaign file.
        read: Reads one file.

    Raises:
        ProblemsError: A file is not there, extends itself, or lies outside (:func:`root_of`).
    """
    found = _read(path, read, path, ())
    own = str(path)
    files = {key: file for key, file in found.files.items() if file != own}
    return Layered(found.settings, files, found.paths)


def root_of(path: Path) -> Path:
    """Return the folder that files may extend others in: the git checkout, without one the folder around the file's.

    Args:
        path: The campaign file.
    """
    folder = path.resolve().parent
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder.parent)


def own_and_extended(path: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a file's own settings, and the paths that it extends as they are written.

    Args:
        path: The file.
        settings: What it says.

    Raises:
        ProblemsError: What it extends is no path.
    """
    named = settings.get(EXTENDS, [])
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise _problem(path, f"`{EXTENDS}` must be a path or a list of paths (given: {str(named)[:60]!r})")
    return {key: value for key, value in settings.items() if key != EXTENDS}, names


def _read(path: Path, read: Callable[[Path], dict[str, Any]], first: Path, inside: tuple[Path, ...]) -> Layered:
    resolved = path.resolve()
    if resolved in inside:
        circle = " → ".join(one.name for one in (*inside[inside.index(resolved) :], resolved))
        raise _problem(inside[-1], f"`{EXTENDS}` goes in a circle: {circle}", "Take one of them out.")
    own, names = own_and_extended(path, read(path))
    settings: dict[str, Any] = {}
    files: dict[str, str] = {}
    paths: dict[Path, None] = {}
    for name in names:
        other = _read(_checked(path, name, root_of(first)), read, first, (*inside, resolved))
        settings = joined(settings, other.settings)
        files |= other.files
        paths |= dict.fromkeys(other.paths)
    _note_files(own, str(path), files, ())
    return Layered(joined(settings, own), files, (*paths, path))


def _checked(path: Path, name: str, root: Path) -> Path:
    """Return the path of a file that another one extends."""
    if "://" in name or name.startswith("~") or Path(name).is_absolute():
        raise _problem(path, f"`{EXTENDS}: {name}` is no relative path")
    found = path.parent / name
    if not found.resolve().is_relative_to(root):
        problem = f"`{EXTENDS}: {name}` leads out of {root}"
        raise _problem(path, problem, "Put the file in there: a campaign and what it extends belong together.")
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "is not there"
        raise _problem(path, f"`{EXTENDS}: {name}` {what} ({found.resolve()})")
    return found


def joined(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return settings with others put over them: sections are joined, other values replaced.

    Args:
        before: Settings.
        after: Settings that win.
    """
    result = dict(before)
    for key, value in after.items():
        known = result.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        result[key] = joined(known, value) if both and isinstance(known, dict) else value
    return result


def _note_files(node: Any, file: str, files: dict[str, str], location: Sequence[str]) -> None:
    """Note for each value of a file that it is from there, in place."""
    files[".".join(location)] = file
    if isinstance(node, dict):
        for key, value in node.items():
            _note_files(value, file, files, (*location, str(key)))


def _problem(path: Path, problem: str, remedy: str = _HOW) -> ProblemsError:
    return ProblemsError([ConfigError(problem, where=str(path), remedy=remedy)])
