"""The templates that campaigns start from: those of this package, an organisation's folders, and other packages'."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from activelora.config.document import read_yaml
from activelora.config.extending import EXTENDS, joined, own_and_extended, read_layers
from activelora.errors import ConfigError
from activelora.registry import closest
from activelora.rules.policy import POLICY_FILE
from pipelines.cli.template_parameters import DECLARATION, Declaration, filled, read_declaration

GROUP = "activelora.templates"
"""Entry points of other packages: each names a folder, as a text or a path."""
CAMPAIGN_FILE = "campaign.yaml"
EXTENDED_FILE = "extended.yaml"
"""What a template takes from files outside its folder, in the campaign's own."""
_NAME = re.compile(r"(?m)^name: .*$")
_EXTENDS = re.compile(rf"(?m)^{EXTENDS}:.*(\n[ \t]*- .*|\n[ \t]+\S.*)*$")


@dataclass(frozen=True)
class Template:
    """A folder that campaigns start from.

    Attributes:
        name: What it is called.
        folder: Holds `campaign.yaml`, and what goes with it.
        declaration: Its parameters; None where it has none.
    """

    name: str
    folder: Path
    declaration: Declaration | None

    @property
    def policy(self) -> Path | None:
        """The policy file beside it: in its folder, or in the folder around that; None where there is none."""
        beside = (folder / POLICY_FILE for folder in (self.folder, self.folder.parent))
        return next((file for file in beside if file.is_file()), None)


def built_in() -> dict[str, Path]:
    """Return the folders of this package's templates, by name."""
    folder = Path(str(files("pipelines") / "templates"))
    return {one.name: one for one in sorted(folder.iterdir()) if (one / CAMPAIGN_FILE).is_file()}


def find_template(wanted: str) -> Template:
    """Return a template by its name, or by its folder.

    Args:
        wanted: A name, of this package's templates or another's, or a folder: that of one template.

    Raises:
        ConfigError: There is none, or several.
        ProblemsError: Its declaration of parameters cannot be.
    """
    own = built_in()
    if wanted in own:
        return Template(wanted, own[wanted], None)
    others = {point.name: point for point in entry_points(group=GROUP)}
    if wanted in others:
        return _made(wanted, _folder_of(others[wanted]))
    folder = Path(wanted).expanduser()
    if folder.is_dir():
        return _made(wanted, folder)
    names = sorted({*own, *others})
    near = closest(wanted, names)
    remedy = f"Did you mean `{near}`? " if near else ""
    listed = ", ".join(names)
    raise ConfigError(
        "there is no such template or folder", where=f"--template {wanted}", remedy=f"{remedy}There are: {listed}."
    )


def fill_folder(template: Template, target: Path, name: str, values: Mapping[str, Any]) -> None:
    """Make a campaign's folder from a template: filled in, and with a copy of what it extends.

    Args:
        template: The template.
        target: The folder to make.
        name: The campaign's name.
        values: The values of its parameters.

    Raises:
        ConfigError: A link leads out of the template, or the parameters do not fit.
        ProblemsError: What it extends cannot be read.
    """
    _check_links(template.folder)
    shutil.copytree(template.folder, target, ignore=shutil.ignore_patterns(".*", "__pycache__", DECLARATION))
    if template.declaration is not None:
        for file in sorted(target.rglob("*.yaml")):
            if file.name != POLICY_FILE:
                where = str(template.folder / file.relative_to(target))
                file.write_text(filled(file.read_text(encoding="utf-8"), values, where), encoding="utf-8")
    file = target / CAMPAIGN_FILE
    text = file.read_text(encoding="utf-8")
    text = _NAME.sub(f"name: {name}", text, count=1) if _NAME.search(text) else f"name: {name}\n{text}"
    file.write_text(_with_extended(template, text, target), encoding="utf-8")
    if template.policy is not None:
        shutil.copyfile(template.policy, target / POLICY_FILE)


def _with_extended(template: Template, text: str, target: Path) -> str:
    """Return a campaign file that extends nothing outside its folder, into which what it extends is written."""
    original = template.folder / CAMPAIGN_FILE
    layers = read_layers(original, read_yaml)
    root = template.folder.resolve()
    if all(path.resolve().is_relative_to(root) for path in layers.paths):
        return text
    settings: dict[str, Any] = {}
    _, names = own_and_extended(original, read_yaml(original))
    for name in names:
        part = read_layers(template.folder / name, read_yaml).settings
        settings = joined(settings, part)
    head = f"# What the template {template.name} takes from {', '.join(names)}.\n"
    body = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (target / EXTENDED_FILE).write_text(head + body, encoding="utf-8")
    return _EXTENDS.sub(f"{EXTENDS}: {EXTENDED_FILE}", text, count=1)


def _made(name: str, folder: Path) -> Template:
    if not (folder / CAMPAIGN_FILE).is_file():
        inside = sorted(file.parent.relative_to(folder).as_posix() for file in folder.rglob(CAMPAIGN_FILE))
        inside = [one for one in inside if not one.startswith(".")]
        remedy = f"Name one of its templates: {', '.join(f'{name}/{one}' for one in inside[:20])}." if inside else ""
        raise ConfigError(
            f"the folder holds no {CAMPAIGN_FILE}",
            where=f"--template {name}",
            remedy=remedy or f"A template is a folder with a {CAMPAIGN_FILE}.",
        )
    return Template(name, folder, read_declaration(folder))


def _folder_of(point: EntryPoint) -> Path:
    """Return the folder that another package's entry point names."""
    package = "" if point.dist is None else f" ({point.dist.name} {point.dist.version})"
    where = f"entry point {GROUP}: {point.name} = {point.value}{package}"
    remedy = "Fix or remove the package that brings it."
    try:
        found = point.load()
        folder = Path(str(found() if callable(found) else found))
    except (Exception, SystemExit) as error:
        problem = f"`{point.name}` cannot be loaded: {type(error).__name__}: {error}"
        raise ConfigError(problem, where=where, remedy=remedy) from error
    if not folder.is_dir():
        raise ConfigError(f"`{point.name}` names no folder, but {folder}", where=where, remedy=remedy)
    return folder


def _check_links(folder: Path) -> None:
    """Refuse a template whose links would copy what lies outside of it."""
    root = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ConfigError("is a link that leads out of the template", where=str(path), remedy="Put the file there.")
