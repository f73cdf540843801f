"""What the server measures of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Measured:
    """Counts and times, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        name = "activelora_serve_"
        self._requests = Counter(f"{name}requests", "Requests answered.", ["path", "status"], registry=registry)
        self._seconds = Histogram(
            f"{name}request_seconds", "Time from request to response.", ["path"], buckets=_SECONDS, registry=registry
        )
        self.rows = Counter(f"{name}rows", "Rows answered.", registry=registry)
        self.review_rows = Counter(f"{name}review_rows", "Rows that a person should look at.", registry=registry)
        self.queue_rows = Gauge(f"{name}queue_rows", "Rows that wait for the model.", registry=registry)
        self.wait_seconds = Histogram(
            f"{name}wait_seconds", "Time that a request waits for the model.", buckets=_SECONDS, registry=registry
        )
        self._batch_rows = Histogram(
            f"{name}batch_rows", "Rows that the model answers together.", buckets=_ROWS, registry=registry
        )
        self._batch_seconds = Histogram(
            f"{name}batch_seconds", "Time that the model takes for a batch.", buckets=_SECONDS, registry=registry
        )
        self._model = Gauge(
            f"{name}model_info", "1 for the model that answers.", ["model", "version", "round"], registry=registry
        )
        self.swaps = Counter(f"{name}swaps", "Models that took the place of another.", registry=registry)
        self.poll_failures = Counter(
            f"{name}poll_failures", "Looks for a newer champion that failed.", registry=registry
        )
        self.logged_rows = Counter(f"{name}logged_rows", "Rows written for the pool.", registry=registry)
        self.unlogged_rows = Counter(
            f"{name}unlogged_rows", "Rows for the pool that were lost: nobody took them in time.", registry=registry
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: Template of its path.
            status: Status of the response.
            seconds: Time that it took.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, num_rows: int, seconds: float) -> None:
        """Count a batch.

        Args:
            num_rows: Number of its rows.
            seconds: Time that the model took.
        """
        self._batch_rows.observe(num_rows)
        self._batch_seconds.observe(seconds)

    def model(self, about: Mapping[str, Any]) -> None:
        """Say which model answers.

        Args:
            about: What clients are told of it.
        """
        self._model.clear()
        self._model.labels(*(str(about.get(key, "")) for key in ("name", "version", "round"))).set(1)

    def text(self) -> bytes:
        """Return all of it, in Prometheus' text format."""
        return generate_latest(self._registry)
