"""The code that a model brings along: our own as one file, and packages whose adapter method or kind of task it needs.

Such a package need not be in an index: its modules are copied, with the few lines that an installed package says of
itself, by which the method is found where MLflow has put the folder on Python's path. What it requires is pinned.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import Distribution, EntryPoint
from importlib.util import find_spec
from pathlib import Path

import activelora
from activelora.config import CampaignConfig
from activelora.errors import ModelError
from activelora.kinds.registry import KINDS
from activelora.modeling.methods.registry import METHODS

_OWN = "activelora"
_GROUPS = "activelora."
_COMPILED = ("__pycache__", "*.pyc")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.\-]*)")
_BY_EXTRA = re.compile(r";.*\bextra\s*==")


@dataclass(frozen=True)
class Packages:
    """What a model needs of other packages.

    Attributes:
        code: Files and folders that belong on Python's path.
        requirements: Names of the packages that they require, in the form of an index, without our own.
    """

    code: tuple[Path, ...]
    requirements: tuple[str, ...]


def pack_own_code(path: Path) -> None:
    """Write this package's modules into a file that Python imports them from: one upload instead of hundreds.

    Equal code gives equal bytes.

    Args:
        path: The file, a ``.zip``.
    """
    root = Path(activelora.__file__).parent
    modules = sorted(file for file in root.rglob("*") if file.is_file() and not _is_compiled(file))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in modules:
            name = f"{_OWN}/{file.relative_to(root).as_posix()}"
            packed.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)


def copy_packages(config: CampaignConfig, folder: Path) -> Packages:
    """Copy the packages that bring a campaign's adapter method and kind of task; none where both are our own.

    Args:
        config: The settings.
        folder: An empty folder.

    Raises:
        ModelError: A package's modules are not there as files.
    """
    required: set[str] = set()
    for registry, name in ((METHODS, config.adapter.method), (KINDS, config.task.kind)):
        if (point := registry.entry_point(name)) is None:
            continue
        part = registry[name]
        modules = {point.module, *_named_modules(part)}
        if point.dist is not None:
            modules |= {name for name in _top_modules(point.dist) if _found(name) is not None}
            _describe(point.dist, folder)
            required |= {*_required(point.dist)}
        for module in sorted(modules):
            if module.partition(".")[0] != _OWN:
                _copy_module(module, point, folder)
    return Packages(tuple(sorted(folder.iterdir())), tuple(sorted(required)))


def _is_compiled(file: Path) -> bool:
    return any(fnmatch(part, pattern) for part in file.parts for pattern in _COMPILED)


def _named_modules(part: object) -> Iterator[str]:
    """Yield the modules that a part names as ``module:attribute``."""
    for attribute in ("implementation", "judge"):
        value = getattr(part, attribute, None)
        if isinstance(value, str) and ":" in value:
            yield value.partition(":")[0]


def _top_modules(package: Distribution) -> set[str]:
    """Return the names that a package installs on Python's path, as far as it says."""
    listed = (package.read_text("top_level.txt") or "").split()
    if not listed:
        listed = [file.parts[0].removesuffix(".py") for file in package.files or () if file.suffix == ".py"]
    return {name for name in listed if name.isidentifier() and not name.startswith("__editable__")}


def _describe(package: Distribution, folder: Path) -> None:
    """Write what an installed package says of itself, as far as it concerns us."""
    info = folder / f"{re.sub(r'[-_.]+', '_', package.name)}-{package.version}.dist-info"
    info.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    points = sorted((one.group, one.name, one.value) for one in package.entry_points if one.group.startswith(_GROUPS))
    lines = [f"[{group}]\n{name} = {value}\n" for group, name, value in points]
    (info / "entry_points.txt").write_text("".join(lines), encoding="utf-8")


def _required(package: Distribution) -> Iterator[str]:
    """Yield the names of what a package requires, but for extras."""
    for line in package.requires or ():
        found = _REQUIREMENT.match(line)
        if found is not None and not _BY_EXTRA.search(line) and found[1].lower() != _OWN:
            yield re.sub(r"[-_.]+", "-", found[1]).lower()


def _copy_module(module: str, point: EntryPoint, folder: Path) -> None:
    """Copy the outermost package that a module is in; of a namespace, which many share, the package in it."""
    found = _found(module)
    if found is None:
        package = "" if point.dist is None else f" of the package {point.dist.name} {point.dist.version}"
        raise ModelError(
            f"the module `{module}`{package} is not there as files, so that a registered model cannot bring it",
            where=f"entry point {point.group}: {point.name} = {point.value}",
            remedy="Install the package unpacked, with pip.",
        )
    path, spaces = found
    target = folder.joinpath(*spaces)
    target.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target / path.name, ignore=shutil.ignore_patterns(*_COMPILED), dirs_exist_ok=True)
    else:
        shutil.copy(path, target / path.name)


def _found(module: str) -> tuple[Path, tuple[str, ...]] | None:
    """Return the folder or file of the outermost package that a module is in, and the namespaces around that."""
    names = tuple(module.split("."))
    for depth in range(1, len(names) + 1):
        try:
            spec = find_spec(".".join(names[:depth]))
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if spec.origin is not None:
            origin = Path(spec.origin)
            path = origin if spec.submodule_search_locations is None else origin.parent
            return (path, names[: depth - 1]) if origin.is_file() else None
    return None
