"""One side of ``benchmarks.store_calls``, run with either build on the path: builds a campaign, or measures a command.

``python store_calls_side.py build FOLDER SHARDS ROUNDS`` or ``... measure COMMAND URI WARM_UP``. It imports what both
builds have, by the names that each has for it.
"""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

ROWS_PER_SHARD, BATCH, NUM_HOLDOUT = 20, 50, 40
LABELS = ["entity", "human", "number"]


def either(*names: str) -> Any:
    """Return the module that this build has: the first name is today's."""
    for name in names[:-1]:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    return import_module(names[-1])


def build(folder: Path, num_shards: int, num_rounds: int) -> None:
    """Write a campaign whose first rounds have their labels, and whose last one waits for them.

    Args:
        folder: For the data; the campaign lies in it, in ``campaign``.
        num_shards: Of the pool.
        num_rounds: With labels.
    """
    from activelora.campaign.campaign import Campaign
    from activelora.pool.access import shard_items
    from components.await_labels import step as await_labels
    from components.ingest_pool import step as ingest_pool
    from components.select_batch import step as select_batch

    folder.mkdir()
    campaign = Campaign.create(str(folder / "campaign"), _config(folder, num_shards))
    ingest_pool.run(campaign)
    ids_of = [[item.item_id for item in shard_items(campaign, shard)] for shard in range(num_shards)]
    for round_ in range(num_rounds + 1):
        _measured(campaign, round_)
        _scored(campaign, round_, ids_of)
        selection = select_batch.run(campaign, round_)
        if round_ < num_rounds:
            ids = campaign.read_table(selection, "selection.parquet")["item_id"].to_pylist()
            rows = "".join(f"{item_id},{LABELS[index % 3]},ann\n" for index, item_id in enumerate(ids))
            campaign.store.write(f"inbox/round-{round_}.csv", f"item_id,label,annotator\n{rows}".encode())
            await_labels.run(campaign, round_)


def _config(folder: Path, num_shards: int) -> Any:
    rows = [{"text": f"question {index}?"} for index in range(num_shards * ROWS_PER_SHARD + NUM_HOLDOUT)]
    held_out = [{**row, "label": LABELS[index % 3]} for index, row in enumerate(rows[:NUM_HOLDOUT])]
    for name, written in (("pool", rows[NUM_HOLDOUT:]), ("holdout", held_out)):
        lines = "".join(f"{json.dumps(row)}\n" for row in written)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    document = {
        "name": "store-calls",
        "task": {"prompt": "{text}", "labels": LABELS},
        "data": {
            "folder": str(folder),
            "pool": {"path": "pool.jsonl"},
            "holdout": {"path": "holdout.jsonl"},
            "shard_rows": ROWS_PER_SHARD,
        },
        "acquisition": {"strategy": "random", "batch_size": BATCH},
        "evaluation": {"bootstrap_samples": 100},
        "stopping": {"max_rounds": 100},
        "labeling": {"source": "files"},
        "tracking": {"enabled": False},
    }
    path = folder / "campaign.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return either("activelora.rules.file", "activelora.config_file").load_config(path)


def _measured(campaign: Any, round_: int) -> None:
    """Write what training and evaluation leave, of predictions that were drawn."""
    import numpy as np

    from activelora.campaign.manifest import Unit

    evaluation = either("activelora.evaluation.evaluation", "activelora.uncertainty.evaluation")
    if round_:
        attempt = campaign.attempt(Unit("train_adapter", round_))
        attempt.write_json("loss.json", [1.0, 0.5])
        attempt.commit({"num_labels": round_ * BATCH, "seconds": 1.0})
    probs_NC = np.random.default_rng(round_).dirichlet(np.ones(3), size=NUM_HOLDOUT)
    settings = evaluation.EvaluationSettings(15, 100, 0.95, 1, tuple(LABELS))
    document = evaluation.evaluate(probs_NC, np.arange(NUM_HOLDOUT) % 3, settings)
    document |= {"label_prior": None, "temperature": None, "scaled": None}
    attempt = campaign.attempt(Unit("evaluate_adapter", round_))
    attempt.write_json("evaluation.json", document)
    metrics = evaluation.flat_metrics(document) | {"num_holdout": NUM_HOLDOUT, "seconds": 1.0}
    attempt.commit(metrics, {"gates": {"passed": False, "reasons": ["drawn"]}, "champion_round": None})


def _scored(campaign: Any, round_: int, ids_of: list[list[str]]) -> None:
    """Write what the shards' tasks leave; each has a process of its own, so that nobody remembers its manifest."""
    from activelora.campaign.campaign import Campaign
    from activelora.campaign.manifest import Unit
    from activelora.scoring.table import unscored_table

    own = Campaign(campaign.store, campaign.config)
    for shard, ids in enumerate(ids_of):
        attempt = own.attempt(Unit("score_pool", round_, shard))
        attempt.write_table("scores.parquet", unscored_table(ids))
        attempt.commit({"num_scored": len(ids), "seconds": 0.5})


def measure(command: str, uri: str, warm_up: str) -> dict[str, Any]:
    """Run a command of the command line on a campaign; count the requests to the server, and the time they take.

    Args:
        command: ``status`` or ``tick``.
        uri: The campaign.
        warm_up: A small campaign, for a first run that loads modules.
    """
    from botocore.httpsession import URLLib3Session

    command_line = either("pipelines.cli.main", "pipelines.cli")
    requests: list[str] = []
    send = URLLib3Session.send

    def counting(self: Any, request: Any) -> Any:
        requests.append(str(request.method))
        return send(self, request)

    URLLib3Session.send = counting  # type: ignore[method-assign]
    for place in (warm_up, uri):
        requests.clear()
        printed, begin = io.StringIO(), time.perf_counter()
        with redirect_stdout(printed):
            code = command_line.main([command, place])
        seconds = time.perf_counter() - begin
    return {"code": code, "requests": len(requests), "seconds": seconds, "printed": printed.getvalue()}


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        print(json.dumps(measure(*sys.argv[2:])))
