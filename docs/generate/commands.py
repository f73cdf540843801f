"""The command line reference, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from docs.generate.markdown import cell, prose, table
from pipelines.cli.main import app


def commands() -> str:
    """Return a heading, usage, help and options for every command, in the order of ``activelora --help``."""
    return "\n\n".join(_command(typer.main.get_command(app), "activelora"))


def _command(command: Any, name: str) -> Iterator[str]:
    arguments = [one for one in command.params if not one.opts[0].startswith("-")]
    options = [one for one in command.params if one.opts[0].startswith("-") and not one.hidden]
    children = getattr(command, "commands", {})
    words = [name, *(_usage(one) for one in arguments), *["COMMAND"] * bool(children), *["[OPTIONS]"] * bool(options)]
    yield f"## `{name}`"
    yield f"```text\n{' '.join(words)}\n```"
    yield prose(command.help or command.callback.__doc__ or "")
    if arguments:
        yield table(["argument", "meaning"], [[f"`{_metavar(one)}`", cell(one.help or "")] for one in arguments])
    if options:
        yield table(["option", "default", "meaning"], [_option(one) for one in options])
    for child, found in children.items():
        yield from _command(found, f"{name} {child}")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _usage(argument: Any) -> str:
    words = _metavar(argument) + ("..." if argument.nargs == -1 else "")
    return words if argument.required else f"[{words}]"


def _option(option: Any) -> list[str]:
    names = " / ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar or _type_name(option)}"
    default = option.default
    empty = default is None or default is False or default == [] or callable(default)
    shown = "required" if option.required else "" if empty else f"`{getattr(default, 'value', default)}`"
    return [f"`{names}{value}`", shown, cell(option.help or "")]


def _type_name(option: Any) -> str:
    annotation = option.type_descriptor.annotation
    members = [member.value for member in annotation] if hasattr(annotation, "__members__") else []
    words = {int: "NUMBER", float: "NUMBER", str: "TEXT"}
    return "|".join(members) or words.get(annotation, getattr(annotation, "__name__", "VALUE").upper())
