"""A request that gets no answer, and why."""

from __future__ import annotations

from http import HTTPStatus


class RefusedError(Exception):
    """What a client is told instead of an answer.

    Args:
        status: Status of the response.
        problem: Sentence on what is wrong, and what would be right.
        headers: Headers that go with the status.
    """

    def __init__(self, status: HTTPStatus, problem: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = headers or {}


def bad(problem: str) -> RefusedError:
    """Return the refusal of a request that is wrong in itself."""
    return RefusedError(HTTPStatus.BAD_REQUEST, problem)


def busy(problem: str, retry_seconds: int = 1) -> RefusedError:
    """Return the refusal of a request that came at a bad time.

    Args:
        problem: Sentence on what there is too much of.
        retry_seconds: Seconds after which to try again.
    """
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, problem, {"Retry-After": str(retry_seconds)})


def too_large(problem: str) -> RefusedError:
    """Return the refusal of a request that is larger than the server takes."""
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
