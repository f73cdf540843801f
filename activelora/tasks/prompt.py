"""Prompt templates: text with ``{column}`` fields. Nothing in a template or in an item is ever executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from activelora.errors import ConfigError

_FIELD_OR_BRACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_. -]*)\}|[{}]")


@dataclass(frozen=True)
class Template:
    """A parsed template.

    Attributes:
        parts: Literal text and fields in turn; a field is a tuple of one name.
    """

    parts: tuple[str | tuple[str], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            ConfigError: A brace is open, or the template names no field at all.
        """
        parts: list[str | tuple[str]] = []
        end = 0
        for match in _FIELD_OR_BRACE.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            if match.group() in ("{{", "}}"):
                parts.append(match.group()[0])
            elif match.group(1):
                parts.append((match.group(1).strip(),))
            else:
                raise ConfigError(
                    f"the prompt has a single `{match.group()}` at character {match.start() + 1}",
                    where="task.prompt",
                    remedy="Write a column as {column}, and a brace as {{ or }}.",
                )
        parts.append(text[end:])
        template = cls(tuple(part for part in parts if part != ""))
        if not template.fields:
            raise ConfigError(
                "the prompt names no column, so it would be the same for every item",
                where="task.prompt",
                remedy="Name a column of your data, for example {text}.",
            )
        return template

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, each once, in order."""
        return tuple(dict.fromkeys(part[0] for part in self.parts if isinstance(part, tuple)))

    @property
    def closing(self) -> str:
        """The literal text after the last field."""
        tail = []
        for part in reversed(self.parts):
            if isinstance(part, tuple):
                break
            tail.append(part)
        return "".join(reversed(tail)).rstrip()

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with every field replaced, without white space at the end (answers bring their own)."""
        return "".join(values[part[0]] if isinstance(part, tuple) else part for part in self.parts).rstrip()
