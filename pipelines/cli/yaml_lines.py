"""Settings as lines of YAML with reasons beside them, as a person would write them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping

_WIDTH = 110
_PLAIN = re.compile(r"[^\W\d_][\w /.&+-]*[\w.)]|[^\W\d_]")
"""Text that YAML reads as text, unless it is one of :data:`_WORDS`."""
_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
_PATH = re.compile(r"[\w./-]*[A-Za-z_/][\w./-]*")
"""A path that is no number."""


def yaml_list(values: Iterable[str]) -> str:
    """Return texts as a list in one line of YAML, in quotes where they need them.

    Args:
        values: The texts.
    """
    return f"[{', '.join(yaml_text(value) for value in values)}]"


def yaml_text(value: str) -> str:
    """Return a text as YAML writes it in one line, in quotes where it needs them.

    Args:
        value: The text.
    """
    is_plain = _PLAIN.fullmatch(value) or (_PATH.fullmatch(value) and "/" in value)
    return value if is_plain and value.casefold() not in _WORDS else json.dumps(value, ensure_ascii=False)


def comment(text: str, indent: int = 0, after: str = "") -> Iterator[str]:
    """Yield a text as lines of comments.

    Args:
        text: One paragraph.
        indent: Blanks before them.
        after: Blanks after the sign of a comment, from the second line on.
    """
    before = " " * indent + "# "
    inner = before + after
    yield from textwrap.wrap(text, _WIDTH, initial_indent=before, subsequent_indent=inner, break_on_hyphens=False)


def setting(key: str, value: object, reason: str = "", indent: int = 0) -> Iterator[str]:
    """Yield a setting as lines, with its reason beside it where there is room, else above it.

    Args:
        key: Its name.
        value: Text, number, list of texts, or texts by name.
        reason: Why it has that value; empty where there is nothing to say.
        indent: Blanks before it.
    """
    lines = [" " * indent + line for line in _lines(key, value)]
    if reason and len(lines) == 1 and len(lines[0]) + len(reason) + 3 <= _WIDTH:
        yield f"{lines[0]} # {reason}"
        return
    if reason:
        yield from comment(reason, indent)
    yield from lines


def _lines(key: str, value: object) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return [f"{key}: |", *(f"  {line}".rstrip() for line in value.splitlines())]
    if isinstance(value, str):
        return [f"{key}: {yaml_text(value)}"]
    if isinstance(value, bool):
        return [f"{key}: {str(value).lower()}"]
    if isinstance(value, Mapping):
        return [f"{key}:", *(f"  {yaml_text(str(name))}: {yaml_text(str(one))}" for name, one in value.items())]
    if isinstance(value, list | tuple):
        line = f"{key}: {yaml_list(map(str, value))}"
        return [line] if len(line) <= _WIDTH else [f"{key}:", *(f"  - {yaml_text(str(one))}" for one in value)]
    return [f"{key}: {value}"]
