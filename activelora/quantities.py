"""Numbers of things in words: 1 item, 2 items."""

from __future__ import annotations


def quantity(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun, as a sentence has it: ``1 item``, ``1,200 items``.

    Args:
        number: How many.
        one: Noun for one of them, and words that go with it.
        several: The same for any other number; None adds an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
