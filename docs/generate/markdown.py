"""From the code's docstrings to Markdown."""

from __future__ import annotations

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path

_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_TITLES = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Raises": "Raises",
    "Yields": "Yields",
}


def prose(text: str) -> str:
    """Return a docstring's text as Markdown: roles and double backticks become code, sections become lists."""
    lines: list[str] = []
    rows = inspect.cleandoc(text).splitlines()
    index = 0
    while index < len(rows):
        if found := _SECTION.match(rows[index]):
            lines += ["", f"**{_TITLES[found[1]]}**", ""]
            index += 1
            while index < len(rows) and (rows[index].startswith("    ") or not rows[index]):
                lines.append(_entry(rows[index][4:]))
                index += 1
            continue
        if rows[index].startswith("Letters: "):
            lines.append("")
        lines.append(rows[index])
        index += 1
    return code("\n".join(lines)).strip()


def _entry(row: str) -> str:
    """Return a line of a section: an entry begins a list item, what is indented goes on with it."""
    if row.startswith("    "):
        return f"  {row.strip()}"
    name, colon, rest = row.partition(": ")
    return f"- `{name}`: {rest}" if colon else row


def code(text: str) -> str:
    """Return text with Sphinx roles and double backticks as plain code."""
    named = _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2] if '~' in found[0] else found[1]}`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", named)


def cell(text: str) -> str:
    """Return text as one cell of a table."""
    parts = " ".join(code(text).split()).split("`")
    plain = [part.replace("|", "\\|").replace("<", "&lt;") for part in parts]
    return "`".join(part if number % 2 else plain[number] for number, part in enumerate(parts))


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table; its cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def module_docstring(module: str) -> str:
    """Return a module's docstring without importing it: some of them need torch."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
