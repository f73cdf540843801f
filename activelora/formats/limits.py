"""What is read at most: large enough for any honest file, small enough for memory."""

from __future__ import annotations

MAX_TEXT_BYTES = 16 << 20
"""The longest line of JSON lines or CSV, object of a JSON document, and cell."""
MAX_BROKEN_ROWS = 100
"""Number of rows that are not CSV at all after which the rest of a file is not looked at."""
MAX_UNPACKED_RATIO = 250
"""A packed file that unpacks to more than this many times its size, and to more than the bytes below, is refused."""
FREE_UNPACKED_BYTES = 512 << 20
MAX_SPREADSHEET_BYTES = 1 << 30
"""Size of a workbook's parts, unpacked."""


def in_words(num_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{num_bytes >> 20} MiB" if num_bytes < 1 << 30 else f"{num_bytes >> 30} GiB"
