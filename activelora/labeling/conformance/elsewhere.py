"""Another process that works on the same campaign."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from activelora.campaign.campaign import Campaign
from activelora.labeling.conformance.bench import Bench, NonconformingError, essence, within
from activelora.labeling.conformance.trial import Trial
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request

START_SECONDS = 60.0


class OtherProcess:
    """A process that publishes and collects when it is asked to.

    Args:
        process: Runs :func:`serve`.
        seconds: The longest that one operation may take.
    """

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self._read()

    def begin(self, operation: str) -> None:
        """Let it begin ``publish`` or ``collect``, and do not wait."""
        _stream(self._process.stdin).write(f"{operation}\n")
        _stream(self._process.stdin).flush()

    def end(self) -> Any:
        """Wait for the operation's end, and return its result."""
        return self._read()

    def _read(self) -> Any:
        line = within(self._seconds + START_SECONDS, "the other process", _stream(self._process.stdout).readline)
        if not line:
            self._process.kill()
            said = _stream(self._process.stderr).read()
            raise NonconformingError(f"it fails in a process of its own: {said[-500:]}")
        return json.loads(line)


@contextmanager
def other_process(bench: Bench, trial: Trial) -> Iterator[OtherProcess]:
    """Start a process that works on round 0 of a campaign with the source that its file names."""
    command = [sys.executable, "-c", f"from {__name__} import serve; serve()", trial.campaign.store.uri]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield OtherProcess(process, bench.timeout_seconds)
        finally:
            process.kill()


def serve() -> None:
    """Do what standard input says, in the campaign that the first argument names."""
    campaign = Campaign.open(sys.argv[1])
    source, request = get_source(campaign.config.labeling.source), make_request(campaign, 0)
    _say(None)
    for line in sys.stdin:
        if line.strip() == "publish":
            source.publish(request)
            _say(None)
        else:
            _say(essence(source.collect(request)))


def _say(result: Any) -> None:
    sys.stdout.write(f"{json.dumps(result)}\n")
    sys.stdout.flush()


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise AssertionError("all streams are pipes")
    return stream
