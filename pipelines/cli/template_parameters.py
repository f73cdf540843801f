"""What a template asks for: `template.yaml` declares parameters, and `${name}` stands for one in its YAML files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from activelora.config.document import parse_yaml, read_yaml
from activelora.config.messages import explain_other
from activelora.config.section import Section
from activelora.errors import ActiveLoRAError, ConfigError, ProblemsError
from activelora.registry import unknown_name
from pipelines.cli.yaml_lines import yaml_list, yaml_text

DECLARATION = "template.yaml"
_FIELD = re.compile(r"\$(\$)?\{([a-z][a-z0-9_]*)\}")
_ALONE = re.compile(r"(?P<before>^.*[:-][ \t]+)\$\{(?P<name>[a-z][a-z0-9_]*)\}(?P<after>[ \t]*(#.*)?)$")
Kind = Literal["string", "number", "integer", "boolean", "list"]
_TYPES: dict[Kind, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
}


class Parameter(Section):
    """A parameter of a template."""

    description: str
    """What it is, for whoever sets it."""
    kind: Kind = "string"
    """What it holds: a list is one of texts."""
    default: Any = None
    """Its value where none is given; a parameter without one has to be given."""
    choices: tuple[Any, ...] = ()
    """The values that it may have; none: any of its kind."""


class Declaration(Section):
    """What `template.yaml` says."""

    description: str = ""
    """What the template is for."""
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Parameter] = Field(default={})
    """Parameters by name."""

    @model_validator(mode="after")
    def _defaults_fit(self) -> Declaration:
        for name, parameter in self.parameters.items():
            if parameter.default is not None and (why := unfit(parameter, parameter.default)):
                raise ValueError(f"the default of parameter `{name}` {why}")
        return self


def read_declaration(folder: Path) -> Declaration | None:
    """Return what a template declares; None where it has no parameters, and `${...}` no meaning.

    Raises:
        ProblemsError: Its `template.yaml` cannot be.
    """
    file = folder / DECLARATION
    if not file.is_file():
        return None
    try:
        return Declaration.model_validate(read_yaml(file))
    except ValidationError as error:
        raise ProblemsError([*explain_other(error, str(file), Declaration)]) from None


def values_of(declaration: Declaration | None, given: Sequence[str]) -> dict[str, Any]:
    """Return the value of every parameter.

    Args:
        declaration: What the template declares.
        given: ``name=value`` each, the value YAML.

    Raises:
        ProblemsError: One is unknown, of another kind, or missing.
    """
    known = {} if declaration is None else declaration.parameters
    values = {name: one.default for name, one in known.items() if one.default is not None}
    problems: list[ActiveLoRAError] = []
    for text in given:
        name, sign, written = text.partition("=")
        where = f"--param {text}"
        if not sign or not name.strip():
            problems.append(
                ConfigError("is not of the form name=value", where=where, remedy="Write --param team=billing.")
            )
        elif name.strip() not in known:
            problems.append(_unknown(name.strip(), known, where))
        elif why := unfit(known[name.strip()], value := _parsed(known[name.strip()], written)):
            problems.append(ConfigError(f"`{name.strip()}` {why}", where=where, remedy=known[name.strip()].description))
        else:
            values[name.strip()] = value
    asked = {text.partition("=")[0].strip() for text in given}
    problems += [
        ConfigError(f"parameter `{name}` has to be given: {one.description}", remedy=f"Add --param {name}=...")
        for name, one in known.items()
        if name not in values and name not in asked
    ]
    if problems:
        raise ProblemsError(problems)
    return values


def unfit(parameter: Parameter, value: Any) -> str | None:
    """Return why a parameter cannot have a value, in words, or None."""
    is_kind = isinstance(value, _TYPES[parameter.kind]) and (parameter.kind == "boolean" or not isinstance(value, bool))
    if not is_kind or (parameter.kind == "list" and not all(isinstance(one, str) for one in value)):
        what = "a list of texts" if parameter.kind == "list" else f"a {parameter.kind}"
        return f"must be {what} (given: {value!r})".replace("a integer", "an integer")
    if parameter.choices and value not in parameter.choices:
        return f"must be {' or '.join(map(str, parameter.choices))} (given: {value!r})"
    return None


def filled(text: str, values: Mapping[str, Any], where: str) -> str:
    """Return the text of a YAML file with parameters in place of ``${name}``; ``$${name}`` stays ``${name}``.

    A parameter changes values and nothing else: what it makes of the file is compared with what it should make.

    Args:
        text: The file.
        values: The value of every parameter.
        where: The file's name, for messages.

    Raises:
        ConfigError: The file names a parameter that is not declared, or the value would change its form.
    """
    for _, name in (match.groups() for match in _FIELD.finditer(text) if not match[1]):
        if name not in values:
            remedy = f"Declare it in {DECLARATION}, or write $${{{name}}} for these characters."
            raise ConfigError(f"names the parameter `{name}`, which is not declared", where=where, remedy=remedy)
    result = "\n".join(_filled_line(line, values) for line in text.split("\n"))
    try:
        is_right = parse_yaml(result) == _filled_node(parse_yaml(text), values)
    except yaml.YAMLError:
        is_right = False
    if not is_right:
        raise ConfigError(
            "the values of the parameters would change the form of the file",
            where=where,
            remedy="In the template, put ${name} alone behind its key, or within a text of several lines.",
        )
    return result


def _filled_line(line: str, values: Mapping[str, Any]) -> str:
    if (match := _ALONE.match(line)) and not match["before"].lstrip().startswith("#"):
        return f"{match['before']}{_as_yaml(values[match['name']])}{match['after']}"
    return _FIELD.sub(lambda found: found[0][1:] if found[1] else _as_text(values[found[2]]), line)


def _filled_node(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {_filled_node(key, values): _filled_node(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled_node(one, values) for one in node]
    if not isinstance(node, str):
        return node
    if (match := _FIELD.fullmatch(node)) and not match[1]:
        return values[match[2]]
    return _FIELD.sub(lambda found: found[0][1:] if found[1] else _as_text(values[found[2]]), node)


def _as_yaml(value: Any) -> str:
    return (
        yaml_list(value) if isinstance(value, list) else yaml_text(value) if isinstance(value, str) else _as_text(value)
    )


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


def _parsed(parameter: Parameter, written: str) -> Any:
    if parameter.kind == "string":
        return written
    try:
        value = parse_yaml(written)
    except yaml.YAMLError:
        return written
    if parameter.kind == "list" and isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [str(one) for one in value] if parameter.kind == "list" and isinstance(value, list) else value


def _unknown(name: str, known: Mapping[str, Parameter], where: str) -> ConfigError:
    if not known:
        return ConfigError("the template has no parameters", where=where, remedy="Leave --param out.")
    error = unknown_name("--param", name, known)
    return ConfigError(error.problem, where=where, remedy=error.remedy)
