"""A fixed set of answers of several tokens: numbers of a grid, or labels that their first token cannot tell apart.

By the chain rule, an answer's log-likelihood is the sum over its tokens. None may begin another then, for whoever
begins another one would always be the likelier of the two. Labels are read as far as it takes to tell them apart, as
they are by one token where that is enough: what follows would cost a token a label, and tells no label from another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

Code = tuple[int, ...]


def with_ends(codes: Sequence[Code], end: int | None) -> tuple[Code, ...] | None:
    """Put an end token after every code that begins another, as 1 begins 10; None where there is none."""
    beginnings = {code[:length] for code in codes for length in range(1, len(code))}
    if not beginnings & set(codes):
        return tuple(codes)
    return None if end is None else tuple((*code, end) if code in beginnings else code for code in codes)


def distinct_beginnings(codes: Sequence[Code]) -> tuple[Code, ...]:
    """Cut each of C codes, none of which begins another, after the first token that it shares with no other."""
    shared_by = Counter(code[:length] for code in codes for length in range(1, len(code) + 1))
    lengths = (next(n for n in range(1, len(code) + 1) if shared_by[code[:n]] == 1) for code in codes)
    return tuple(code[:length] for code, length in zip(codes, lengths, strict=True))


@lru_cache(maxsize=8)
def grouped_paths(answers: tuple[tuple[int, ...], ...]) -> list[tuple[tuple[int, tuple[int, ...]], ...]]:
    """Group answers so that a group's first one, run but for its last token, tells the likelihood of all of it.

    That is so where it runs through the parents (all but the last token) of the others.
    """
    groups: list[list[tuple[int, tuple[int, ...]]]] = []
    for index, ids in sorted(enumerate(answers), key=lambda one: (-len(one[1]), one[0])):
        parent = ids[:-1]
        for group in groups:
            if group[0][1][: len(parent)] == parent:
                group.append((index, ids))
                break
        else:
            groups.append([(index, ids)])
    return [tuple(group) for group in groups]


def num_run(answers: Sequence[Code]) -> int:
    """Return how many tokens are run after a prompt for all answers, where what those share is run once."""
    return len({code[:length] for code in answers for length in range(1, len(code))})
