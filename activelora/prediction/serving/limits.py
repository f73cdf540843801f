"""What a client of the server may ask for, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused, and when.

    Attributes:
        request_rows: Number of rows a request may have.
        request_bytes: The largest body of a request.
        num_requests: Number of requests at a time, those that are still being read included.
        queue_rows: Number of rows that may wait for the model.
        batch_rows: Number of rows from which on no further request joins a batch.
        body_seconds: Longest time that a body may take to arrive.
        answer_seconds: Longest time that a request waits for its answer.
    """

    request_rows: int = 1024
    request_bytes: int = 8 << 20
    num_requests: int = 512
    queue_rows: int = 4096
    batch_rows: int = 256
    body_seconds: float = 20.0
    answer_seconds: float = 60.0
