"""One side of ``benchmarks.mlflow_publish``, run with either build on the path: ``... FOLDER EARLY LATE``.

It writes a campaign round by round, publishes it after each, and prints what two of the publishes took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from activelora.tracking.mlflow_location import prepare_environment

prepare_environment()

import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

from activelora.campaign.campaign import Campaign  # noqa: E402
from activelora.tracking import mlflow_sync  # noqa: E402
from activelora.tracking.publish import publish  # noqa: E402
from tests.tracking.conftest import add_rounds, make_config, write_pool  # noqa: E402


def main(folder: Path, early: int, late: int) -> None:
    """Publish a campaign after each round, and print what two of them took.

    Args:
        folder: For the campaign; its name is that of the experiment and of the registered model.
        early: One of the rounds.
        late: The other one, which is the last.
    """
    name = folder.name
    tracking = {"experiment": name, "registered_model": name}
    campaign = Campaign.create(str(folder), make_config(tracking=tracking, stopping__max_rounds=late + 2))
    write_pool(campaign)
    taken = {"requests": 0, "mlflow": 0.0}
    send, sync = requests.Session.send, mlflow_sync.sync

    def counted(*args: Any, **keywords: Any) -> Any:
        taken["requests"] += 1
        return send(*args, **keywords)

    def timed(*args: Any, **keywords: Any) -> Any:
        begin = time.perf_counter()
        try:
            return sync(*args, **keywords)
        finally:
            taken["mlflow"] += time.perf_counter() - begin

    requests.Session.send = counted
    mlflow_sync.sync = timed
    found = {}
    for round_ in range(late + 1):
        add_rounds(campaign, round_, round_ + 1)
        taken.update(requests=0, mlflow=0.0)
        begin = time.perf_counter()
        publish(campaign)
        seconds = time.perf_counter() - begin
        if round_ in (early, late):
            found[str(round_)] = {**taken, "publish": seconds, "shown": _shown(name)}
    print(json.dumps(found))


def _shown(experiment: str) -> list[Any]:
    """Return what MLflow has: by run, its metrics and the names of its files, but for those that hold times."""
    client = MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    shown = []
    for run in runs:
        files = sorted(
            file.path
            for place in ("", "evaluation", "selection", "labels", "adapter")
            for file in client.list_artifacts(run.info.run_id, place)
        )
        metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith("seconds/")}
        shown.append([run.data.tags["mlflow.runName"], metrics, files, run.info.status])
    return sorted(shown, key=lambda one: str(one[0]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
