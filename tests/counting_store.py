"""Counts what stores in folders are asked: each is the real one, whoever opens it, and each call is noted first."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from activelora.campaign.local import LocalStore

OPERATIONS = ("read", "open", "write", "create", "upload", "exists", "list", "list_versions", "delete")
WRITES = ("write", "create", "upload", "delete")


@dataclass
class Calls:
    """The calls in their order: operation, and the path that it was about."""

    made: list[tuple[str, str]] = field(default_factory=list)

    def counts(self, *operations: str) -> Counter[str]:
        """Return how often each path was asked for by some operations."""
        return Counter(path for operation, path in self.made if operation in operations)


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Note every call of every store in a folder; one that a store makes of itself is not counted again."""
    calls, inside = Calls(), threading.local()

    def noted(operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: LocalStore, key: str, *arguments: Any) -> Any:
            if getattr(inside, "is_true", False):
                return method(self, key, *arguments)
            calls.made.append((operation, f"{self.folder}/{key}"))
            inside.is_true = True
            try:
                found = method(self, key, *arguments)
                return iter(list(found)) if operation.startswith("list") else found
            finally:
                inside.is_true = False

        return call

    methods = {operation: getattr(LocalStore, operation) for operation in OPERATIONS}
    try:
        for operation, method in methods.items():
            setattr(LocalStore, operation, noted(operation, method))
        yield calls
    finally:
        for operation, method in methods.items():
            setattr(LocalStore, operation, method)
