"""Which of the engine's ways to save time a model allows: those that change none of its numbers but by rounding."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class FastPaths:
    """Ways to save time, each of which may be off.

    Attributes:
        head: Whether the output head is run apart from the model's own code around it.
        split: Whether the layers below the adapter are run once, apart from those above.
        prefix: Whether what all texts begin with is run once.
        packing: Whether texts that begin alike are run as one sequence.
        narrowing: Whether the last layer leaves out tokens that are not read.
    """

    head: bool = True
    split: bool = True
    prefix: bool = True
    packing: bool = True
    narrowing: bool = True

    def __and__(self, other: FastPaths) -> FastPaths:
        """Return what both allow."""
        return FastPaths(*(mine and theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[bool, ...]:
        """Return which are on, in the order of the attributes."""
        return tuple(asdict(self).values())

    @property
    def off(self) -> tuple[str, ...]:
        """What is off, in words."""
        return tuple(_WORDS[one.name] for one in fields(self) if not getattr(self, one.name))


ALL = FastPaths()
PLAIN = FastPaths(*[False] * len(fields(FastPaths)))
"""The model's own forward pass, batch by batch."""
_WORDS = {
    "head": "reading single tokens off the head",
    "split": "running frozen layers once",
    "prefix": "running a shared beginning once",
    "packing": "packing texts that begin alike",
    "narrowing": "leaving out tokens that are not read",
}
