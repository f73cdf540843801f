"""The text of a campaign file and of the command line, as one document of settings."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from activelora.config.extending import read_layers
from activelora.config.messages import INIT_REMEDY
from activelora.config.moved_settings import moved_keys, upgrade_acquisition
from activelora.errors import ActiveLoRAError, ConfigError, ModelError, ProblemsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Document:
    """What a campaign file and the command line say, before it is validated.

    Attributes:
        settings: The settings, under the keys of today.
        where: The file.
        origins: Settings that the command line gives, and sections that are there for one of these, dotted, each with
            the key that was given.
        problems: What of the command line cannot be.
        files: The file that gave a setting, by its dotted key, where the campaign file extends it.
        paths: The files that were read, the campaign file last; none where there is no file.
    """

    settings: dict[str, Any]
    where: str
    origins: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[ActiveLoRAError] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    paths: Sequence[Path] = ()

    def located(self, problem: ActiveLoRAError) -> ActiveLoRAError:
        """Return a problem of a setting with the place that the setting came from.

        Args:
            problem: A problem; one that is about no setting comes back as it is. What model and task make of each
                other is about a setting of the task, wherever it was found.
        """
        if isinstance(problem, ModelError) and problem.where.startswith("task."):
            problem = ConfigError(problem.problem, remedy=problem.remedy, key=problem.where.partition(":")[0])
        if not isinstance(problem, ConfigError) or not problem.key:
            return problem
        inside = (given for given in self.origins.values() if problem.key.startswith(f"{given}."))
        given = self.origins.get(problem.key) or next(inside, None)
        file = self.files.get(problem.key, self.where)
        return problem.given_in(file if given is None else _option(given))


def read_document(path: Path, overrides: Mapping[str, str]) -> Document:
    """Read a campaign file, with what it extends, without validating it.

    Args:
        path: A YAML file.
        overrides: Dotted key to YAML value, for example ``{"stopping.max_rounds": "3"}``; they win over the
            file.

    Raises:
        ProblemsError: The file, or one that it extends, cannot be read.
    """
    layers = read_layers(path, _read_today)
    document = layers.settings
    origins: dict[str, str] = {}
    problems: list[ActiveLoRAError] = []
    for key, value in overrides.items():
        try:
            made = _override(document, key, value)
        except ConfigError as error:
            problems.append(error)
            continue
        origins |= dict.fromkeys([*made, key, *moved_keys(document).get(key, ())], key)
        document = _of_today(document, _option(key))
    return Document(document, str(path), origins, problems, layers.files, layers.paths)


def _read_today(path: Path) -> dict[str, Any]:
    """Return what one file says, under the keys of today."""
    document = read_yaml(path)
    _refuse_both(document, path)
    return _of_today(document, str(path))


def flat(node: Any, path: str = "") -> dict[str, Any]:
    """Return the values of a document by their dotted keys.

    Args:
        node: Document, or a part of it.
        path: Dotted key of that part.
    """
    if not isinstance(node, dict):
        return {path: node}
    found: dict[str, Any] = {}
    for key, value in node.items():
        found |= flat(value, f"{path}.{key}" if path else key)
    return found


def _refuse_both(document: dict[str, Any], path: Path) -> None:
    """Refuse a setting that stands in a file under its old key and under that of today."""
    given = flat(document)
    problems: list[ActiveLoRAError] = [
        ConfigError(f"`{old}` is now `{new}`, and both are given", where=str(path), remedy=f"Leave `{old}` out.")
        for old, keys in moved_keys(document).items()
        for new in keys
        if new in given
    ]
    if problems:
        raise ProblemsError(problems)


def _of_today(document: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a file's settings under the keys of today, and say which ones it should say."""
    for old, keys in moved_keys(document).items():
        new = " and ".join(f"`{key}`" for key in keys)
        _warn_once(f"{where}: `{old}` is now {new}. The old key still works, and goes with ActiveLoRA 0.3")
    return upgrade_acquisition(document)


@cache
def _warn_once(text: str) -> None:
    """Say it once in a process: a comparison reads its file for every campaign."""
    logger.warning("%s", text)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, where YAML would silently take the last one; and values that are none."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except _NO_VALUE as error:
            reason = f": {error}" if type(error) is ValueError and len(str(error)) < _MAX_REASON else ""
            problem = f"`{str(node.value)[:40]}` is no value that can be read{reason}"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            problem = f"`{str(node.value)[:40]}` is a number of too many digits"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"`{key.value}` is written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_NO_VALUE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What PyYAML raises for 2026-13-45, `!!bool x` or a number of 5,000 digits."""
_MAX_VALUES = 100_000
_MAX_DEPTH = 60
_MAX_REASON = 60
_MAX_BITS = 4_000
"""Longer whole numbers Python does not write out, for a message say."""


def parse_yaml(text: str) -> Any:
    """Parse YAML, but refuse a few lines that aliases (``*name``) blow up to more than any machine can hold.

    Raises:
        yaml.YAMLError: It is none, or far too much.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except _NO_VALUE:  # of a set or an ordered mapping, which are filled in later
        raise yaml.constructor.ConstructorError(problem="it holds a value that is not what its tag says") from None
    num_values, depth = _measure(document, {})
    if num_values > _MAX_VALUES:
        raise yaml.constructor.ConstructorError(problem=f"its aliases unfold to more than {_MAX_VALUES} values")
    if depth > _MAX_DEPTH:
        raise yaml.constructor.ConstructorError(problem=f"it is nested more than {_MAX_DEPTH} levels deep")
    return document


def _measure(node: Any, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return the number of values and the depth of a document with its aliases unfolded; a shared one is read once."""
    if not isinstance(node, dict | list):
        return 1, 0
    if id(node) not in known:
        known[id(node)] = None  # being counted
        children = [_measure(child, known) for child in (node.values() if isinstance(node, dict) else node)]
        depth = 1 + max((depth for _, depth in children), default=0)
        known[id(node)] = 1 + sum(num_values for num_values, _ in children), depth
    found = known[id(node)]
    if found is None:
        raise yaml.constructor.ConstructorError(problem="an alias stands inside what it stands for")
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ProblemsError: It cannot be read, or holds something else.
    """
    try:
        document = parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise _problem(path, "the campaign file does not exist", INIT_REMEDY) from None
    except IsADirectoryError:
        raise _problem(path, "is a folder", "Name the campaign file in it.") from None
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _problem(path, f"is not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from None
    except RecursionError:
        raise _problem(path, "is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
        raise _problem(where, f"is not a valid campaign file: {reason}") from None
    if not isinstance(document, dict):
        raise _problem(path, "is empty or not a mapping of settings", INIT_REMEDY)
    return document


def _override(document: dict[str, Any], key: str, value: str) -> list[str]:
    """Put a value into a document, and return the sections that were made for it."""
    where = _option(key)
    *parents, last = key.split(".")
    if not all((*parents, last)) or len(parents) > _MAX_DEPTH:
        raise ConfigError("is not a dotted key", where=where, remedy="Write for example --set stopping.max_rounds=3.")
    section, made = document, list[str]()
    for number, parent in enumerate(parents, start=1):
        if section.get(parent) is None:
            section[parent] = {}
            made.append(".".join(parents[:number]))
        section = section[parent]
        if not isinstance(section, dict):
            raise ConfigError(f"`{parent}` is no section, it has a value", where=where)
    try:
        section[last] = parse_yaml(value)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(
            "the value is not valid YAML", where=where, remedy="Put text with : # [ or { in quotes."
        ) from None
    return made


def _option(key: str) -> str:
    return f"--set {key}=..."


def _problem(where: Path | str, problem: str, remedy: str = "") -> ProblemsError:
    return ProblemsError([ConfigError(problem, where=str(where), remedy=remedy)])
