"""One word for one thing: what docstrings, messages and names of the project say, and what they no longer say."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for name in ("activelora", "components", "pipelines") for path in (ROOT / name).rglob("*.py"))
RETIRED_NAMES = {
    "kept": "cache, checked or stored: what it is",
    "place": "uri, path, row index, placement or field: what it is",
    "places": "uris, paths, row indices, placements or fields",
    "standing": "status",
    "company": "padding rows",
    "roster": "padding rows",
    "bell": "debounce",
    "steer": "accelerator parameters",
    "steered": "accelerator parameters",
    "steering": "accelerator parameters",
    "told": "given",
    "mend": "fix",
    "moments": "deadlines",
    "outlook": "forecast",
    "desk": "terminal requests",
}
"""Word in a name → what to say instead."""
RETIRED_TEXT = re.compile(
    r"\b(mend(s|ed|ing)?|so many [a-z]+ (of|are|is)|steer(ed|ing)?|outlook|roster)\b", re.IGNORECASE
)
NO_NOUN = (
    "Of ",
    "For ",
    "As ",
    "In ",
    "With ",
    "None ",
    "Below ",
    "Where ",
    "From ",
    "To ",
    "By ",
    "At ",
    "On ",
    "So many",
)


def trees():
    for path in SOURCES:
        if path.name == "moved.py":  # holds the old names
            continue
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def names_of(node):
    """Return the names that a node binds, and not those that it only uses."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    return []


def words_of(name):
    """Split a name at underscores and at capitals."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


@pytest.mark.parametrize("package", ["activelora", "components", "pipelines"])
def test_no_name_holds_a_retired_word(package):
    found = [
        f"{path}:{getattr(node, 'lineno', 0)}: {name}: say {RETIRED_NAMES[word]}"
        for path, tree in trees()
        if path.startswith(package)
        for node in ast.walk(tree)
        for name in names_of(node)
        for word in words_of(name)
        if word in RETIRED_NAMES
    ]
    assert not found, "\n".join(found)


def test_no_text_holds_a_retired_word():
    found = [
        f"{path}:{getattr(node, 'lineno', 0)}: {match[0]}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in RETIRED_TEXT.finditer(node.value)
    ]
    assert not found, "\n".join(found)


def documented(tree):
    """Yield docstrings: line, text, and whether the text is of a constant or a setting, as a string below it."""
    for node in ast.walk(tree):
        for number, child in enumerate(
            getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []
        ):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.lineno, child.value.value, number > 0


def test_every_argument_attribute_and_setting_is_described_by_a_noun():
    entry = re.compile(r"^\s{4,}\*{0,2}\w+: (.+)$")
    found = []
    for path, tree in trees():
        for first, text, is_below in documented(tree):
            if is_below and text.startswith(NO_NOUN):
                found.append(f"{path}:{first}: {text[:60]!r}")
            found += [
                f"{path}:{first + number}: {line.strip()[:60]!r}"
                for number, line in enumerate(text.splitlines())
                if (match := entry.match(line)) and match[1].startswith(NO_NOUN)
            ]
    assert not found, "\n".join(found)
