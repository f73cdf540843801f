"""Time and memory of one function in a process of its own: `python -m benchmarks.measuring MODULE:FUNCTION JSON`.

A process of its own gives each side its own peak of memory, its own number of threads, and no warm caches of the other.
The function takes a :class:`Clock` first and starts it only around what is measured.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_MARK = "measured: "


class Clock:
    """Measures what happens inside :meth:`running`.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: Time of all threads of this process and of its children that have ended.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._begin = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time spent inside."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        self._begin = cpu
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - wall
            self.cpu_seconds += _cpu_seconds() - cpu

    def so_far(self) -> float:
        """Return the CPU seconds since the clock was last started."""
        return _cpu_seconds() - self._begin


@dataclass(frozen=True)
class Measured:
    """What a function took and returned.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: Time of all its threads: what to compare on a machine that does other things, too.
        peak_gb: The process's largest resident memory in GB, data and libraries included.
        value: What it returned.
    """

    seconds: float
    cpu_seconds: float
    peak_gb: float
    value: Any


class NotInstalledError(Exception):
    """A peer is not there; its rows are left out."""


def checked_out(commit: str, folder: Path) -> Path:
    """Write an older build into a folder.

    Args:
        commit: The build.
        folder: A folder that is not there yet.

    Raises:
        NotInstalledError: Git does not have it.
    """
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise NotInstalledError(f"commit {commit}: {archive.stderr.decode().strip()}")
    folder.mkdir()
    (folder / "archive.tar").write_bytes(archive.stdout)
    with tarfile.open(folder / "archive.tar") as tar:
        tar.extractall(folder, filter="data")
    return folder


def measure(function: str, *, threads: int = 1, **arguments: Any) -> Measured:
    """Run a function in a new process.

    Args:
        function: ``module:name``.
        threads: Of all numeric libraries.
        arguments: Its keyword arguments: what JSON can hold.

    Raises:
        NotInstalledError: A package that it imports is not installed.
        RuntimeError: It failed, with the end of what it said.
    """
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "POLARS_MAX", "RAYON")
    environment = os.environ | {f"{name}_NUM_THREADS": str(threads) for name in names}
    command = [sys.executable, "-m", "benchmarks.measuring", function, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        if "ModuleNotFoundError" in (last := (done.stderr.strip().splitlines() or [""])[-1]):
            raise NotInstalledError(last)
        raise RuntimeError(f"{function} failed: {done.stderr[-3000:]}")
    last = next(line for line in reversed(done.stdout.splitlines()) if line.startswith(_MARK))
    return Measured(**json.loads(last.removeprefix(_MARK)))


def machine_line(loads: list[float]) -> str:
    """Return cores, versions and load in words.

    Args:
        loads: Runnable processes as the system reports them, our own included, at different times of the run.
    """
    span = f"{min(loads):.1f} to {max(loads):.1f}"
    cores = len(os.sched_getaffinity(0))
    return f"Measured on {cores} cores, load {span} (our own included), Python {platform.python_version()}."


def load() -> float:
    """Return the load of the last minute."""
    return os.getloadavg()[0]


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_gb() -> float:
    # `getrusage` would count the process that started this one, too.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 / 1e9 if found else float("nan")


def main(function: str, arguments: str) -> None:
    """Run a function and print what it took."""
    module, name = function.split(":")
    clock = Clock()
    value = getattr(importlib.import_module(module), name)(clock, **json.loads(arguments))
    document = {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "peak_gb": _peak_gb(), "value": value}
    print(_MARK + json.dumps(document), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
