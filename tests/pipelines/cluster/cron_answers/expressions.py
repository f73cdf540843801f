"""Prints random cron expressions of six fields, each with a moment to start at: what ``answers.go`` reads."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

NUM = 4_500
_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = {
    4: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    5: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_FIRST, _LAST = datetime(2023, 1, 1, tzinfo=UTC).timestamp(), datetime(2032, 1, 1, tzinfo=UTC).timestamp()
FIXED = (
    "0 0 6-6 * * *", "0 0 0 31-31 * *", "0 0 0 * * mon-mon", "0 0 0 29 2 *", "0 0 0 29 feb *", "0 0 0 31 4 *",
    "0 0 0 30 2 *", "0 0 0 1,* * *", "0 1,* 0 * * *", "0 0 *,3 * * *", "0 0 0 * 1,* *", "0 0 0 * * *,mon",
    "0 5/20 * * * *", "0 0 3/7 * * *", "0 0 0 5/9 * *", "0 0 0 ? * ?", "0 0 0 */2 * mon", "0 0 0 1 * */3",
    "0 0 0 1 * mon", "0 0 0 1-7 * MON", "0 30 2 * MAR sun", "0 0 0 32 * *", "0 0 0 0 * *", "0 0 24 * * *",
    "0 60 * * * *", "0 0 0 * 13 *", "0 0 0 * * 7", "0 0 9-5 * * *", "0 */0 * * * *", "0 0 0 L * *",
    "0 0 0 * * mon#2", "0 0 0 1-2-3 * *", "0 0 0 1/2/3 * *", "0 -1 * * * *", "0 x * * * *", "0 */70 * * * *",
)  # fmt: skip


def field(index: int, draw: random.Random) -> str:
    """Return a random field: mostly one that is understood."""
    kinds = ("star", "one", "list", "range", "step", "range/step", "one/step", "star in a list", "equal", "bad")
    weights = (40, 18, 8, 8, 7, 4, 4, 2, 4, 0.3)
    kind = draw.choices(kinds, weights)[0]
    low, high = _RANGES[index]
    first, last = sorted(draw.randint(low, high) for _ in range(2))
    step = draw.randint(1, high)
    word = _word(index, draw)
    return {
        "star": "?" if index in (3, 5) and draw.random() < 0.2 else "*",
        "one": word(first),
        "list": ",".join(word(draw.randint(low, high)) for _ in range(draw.randint(2, 4))),
        "range": f"{word(first)}-{word(last)}",
        "step": f"*/{step}",
        "range/step": f"{word(first)}-{word(last)}/{step}",
        "one/step": f"{word(first)}/{step}",
        "star in a list": f"{word(first)},*",
        "equal": f"{word(first)}-{word(first)}",
        "bad": draw.choice([str(high + 1), f"{last}-{first - 1}", "x", f"{first}-", "/2", "*/0", f"{first}/"]),
    }[kind]


def _word(index: int, draw: random.Random) -> Callable[[int], str]:
    names = _NAMES.get(index)
    low = _RANGES[index][0]

    def word(number: int) -> str:
        if names is None or draw.random() < 0.5:
            return str(number)
        name = names[number - low]
        return name.upper() if draw.random() < 0.3 else name

    return word


def expressions() -> list[tuple[str, int]]:
    """Return the expressions with their starts, in seconds since 1970."""
    draw = random.Random(20)
    made = list(FIXED)
    while len(made) < NUM:
        fields = [field(index, draw) for index in range(6)]
        if draw.random() < 0.95:
            fields[0] = str(draw.choice([0, 0, 0, draw.randint(0, 59)]))
        made.append(" ".join(fields))
    return [(one, draw.randint(int(_FIRST), int(_LAST))) for one in made]


if __name__ == "__main__":
    for expression, start in expressions():
        print(f"{expression}\t{start}")
