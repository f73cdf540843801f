"""Labels of one column that may be one label: in two spellings, or in two languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import combinations

from activelora.tasks.written import plain_name

MAX_LABELS = 200
"""Columns with more labels are not compared pair by pair."""
_MAX_HINTS = 5
_LEAST_CHARS = 5
_ALIKE = 0.85
"""Share of letters in common from which on a rare label may be a misspelling."""
_RARE = 0.1
_SAME_WORDS = (
    {"yes", "ja", "oui", "si", "sim", "tak", "ano", "да", "evet", "はい", "是", "true", "wahr", "vrai", "y", "j"},
    {"no", "nein", "non", "nao", "nie", "ne", "нет", "hayir", "いいえ", "否", "false", "falsch", "faux", "n", "nej"},
    {"positive", "positiv", "positif", "positivo", "positief"},
    {"negative", "negativ", "negatif", "negativo", "negatief"},
    {"neutral", "neutre", "neutro", "neutraal"},
    {"other", "others", "sonstiges", "andere", "autre", "autres", "otro", "otros", "altro", "misc"},
    {"unknown", "unbekannt", "inconnu", "desconocido", "sconosciuto"},
)  # fmt: skip
"""What people answer most, in several languages, without accents."""


def spelling_hints(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence on each group or pair of labels that look like one.

    Args:
        counts: Label as it is written, to the rows that hold it.
    """
    variants: dict[str, list[str]] = {}
    for label in counts:
        variants.setdefault(plain_name(label), []).append(label)
    found = [
        f"{_listed(group, counts)} are read as one label: case, blanks and quotes play no part"
        for group in variants.values()
        if len(group) > 1
    ]
    rows = {name: sum(counts[label] for label in group) for name, group in variants.items()}
    shown = {name: max(group, key=lambda label: counts[label]) for name, group in variants.items()}
    if len(rows) <= MAX_LABELS:
        for one, other in combinations(rows, 2):
            if (why := _alike(one, other, rows)) is not None:
                numbers = {shown[name]: rows[name] for name in (one, other)}
                found.append(f"{_listed(numbers, numbers)} {why}, and count as two; make them one if they are")
    yield from found[:_MAX_HINTS]
    if len(found) > _MAX_HINTS:
        yield f"and {len(found) - _MAX_HINTS} more labels that look like one"


def _alike(one: str, other: str, rows: Mapping[str, int]) -> str | None:
    """Return why two labels may be one, in words; None where nothing speaks for it."""
    first, second = _folded(one), _folded(other)
    if first and first == second:
        return "look like two spellings of one label"
    if any(first in words and second in words for words in _SAME_WORDS):
        return "look like one label in two languages or words"
    few, many = sorted((rows[one], rows[other]))
    if min(len(first), len(second)) < _LEAST_CHARS or not 0 < few <= _RARE * many or _digits(one) != _digits(other):
        return None
    if first.endswith(second) or second.endswith(first):  # relevant, irrelevant
        return None
    is_alike = SequenceMatcher(None, first, second, autojunk=False).ratio() >= _ALIKE
    return "look like a label and a misspelling of it" if is_alike else None


def _folded(name: str) -> str:
    """Return the letters and digits of a label, without accents."""
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss"))
    return "".join(letter for letter in letters if letter.isalnum())


def _digits(name: str) -> str:
    return "".join(letter for letter in name if letter.isdigit())


def _listed(labels: Mapping[str, int] | list[str], counts: Mapping[str, int]) -> str:
    shown = [f"`{label}` ({counts[label]:,})" for label in labels]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
