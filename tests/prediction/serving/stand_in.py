"""A model that answers at once, or when it is allowed to: for the server around it."""

from __future__ import annotations

import threading
import time

from activelora.errors import DataError
from activelora.prediction.serving.app import Service, make_app
from activelora.prediction.serving.batching import Batcher
from activelora.prediction.serving.guard import Guard
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured


class StandIn:
    """Answers a text with itself in capitals, and remembers what it was asked together."""

    columns = ("text",)
    gives_numbers = False

    def __init__(self, version="1"):
        self.about = {"name": "tiny", "version": version, "round": int(version)}
        self.batches = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.has_begun = threading.Event()
        self.is_closed = False
        self.seconds = 0.0

    def check(self, wish):
        if wish.max_risk is not None:
            raise DataError("the model's evaluation has no thresholds for a risk")

    def answer(self, requests, *, probabilities):
        assert not self.is_closed
        self.batches.append([[row["text"] for row in rows] for rows in requests])
        self.has_begun.set()
        assert self.may_answer.wait(20)
        time.sleep(self.seconds)
        if any(row["text"] == "crash" for rows in requests for row in rows):
            raise RuntimeError("crash")
        return [[row["text"] for row in rows] for rows in requests]

    def finish(self, found, wish):
        for number, text in enumerate(found, 1):
            if not text:
                raise DataError("the column `text` is empty", where=f"row:{number}")
        least = wish.min_confidence or 0.0
        one = [{"label": text.upper(), "probability": 0.75, "review": least > 0.75} for text in found]
        return [{**answer, "probabilities": {"A": 1.0}} if wish.probabilities else answer for answer in one]

    def close(self):
        self.is_closed = True


def make_service(model=None, limits=None, *, token=None, is_local=False, log=None):
    measured = Measured()
    limits = limits or Limits()
    batcher = Batcher(model or StandIn(), limits, measured)
    return Service(batcher, limits, measured, Guard(token, is_local=is_local), log)


def app_of(service):
    return make_app(service)
