"""What a round's publish to MLflow takes, beside the build that sent hundreds of files one after another.

Both builds write to one real MLflow server on this machine, each a campaign of fabricated predictions of its own, and
publish after every round. Needs git, with the older build's commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, checked_out
from benchmarks.result import Row

SUMMARY = "Requests to MLflow, and time, of the publish after a round: files, metrics, a model's version and the report"
BEFORE = "bb28da0"
EARLY, LATE = 2, 10
NOTES = (
    "The server is on the same two cores, so that a request costs next to nothing but work; each one waits for the "
    "network besides where the server is elsewhere. `seconds of MLflow` are without the report, which both draw alike.",
)


def run(repetitions: int) -> Iterator[Row]:
    """Compare both builds on one server.

    Args:
        repetitions: Of each campaign, with both builds in turn.

    Raises:
        NotInstalledError: The older commit is not there.
    """
    from tests.mlflow_server import running_mlflow

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = checked_out(BEFORE, folder / "before")
        (folder / "server").mkdir()
        with running_mlflow(folder / "server") as uri:
            found = [
                tuple(_measured(root, uri, folder / f"{number}-{side}") for side, root in enumerate((before, ROOT)))
                for number in range(repetitions)
            ]
    for round_ in (EARLY, LATE):
        yield _row(round_, [(theirs[str(round_)], ours[str(round_)]) for theirs, ours in found])


def _measured(root: Path, uri: str, folder: Path) -> dict[str, Any]:
    """Let a build publish a campaign, and return what two of its rounds took."""
    script = ROOT / "benchmarks" / "mlflow_publish_side.py"
    command = [sys.executable, str(script), str(folder), str(EARLY), str(LATE)]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{root} failed: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _row(round_: int, found: list[tuple[dict[str, Any], dict[str, Any]]]) -> Row:
    theirs, ours = found[-1]
    agrees = all(theirs["shown"] == ours["shown"] for theirs, ours in found)
    return Row(
        f"round {round_}",
        BEFORE,
        tuple(theirs["mlflow"] / ours["mlflow"] for theirs, ours in found),
        "the same metrics and files" if agrees else "they show something else",
        agrees,
        {
            "requests before": theirs["requests"],
            "requests today": ours["requests"],
            "seconds of MLflow before": min(theirs["mlflow"] for theirs, _ in found),
            "seconds of MLflow today": min(ours["mlflow"] for _, ours in found),
            "seconds before": min(theirs["publish"] for theirs, _ in found),
            "seconds today": min(ours["publish"] for _, ours in found),
        },
    )
