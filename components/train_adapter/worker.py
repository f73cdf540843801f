"""One of several training processes: ``python -m components.train_adapter.worker URI ROUND``, under torchrun."""

from __future__ import annotations

import argparse
import logging
import os
import threading
import time
from typing import get_args

from activelora.campaign.manifest import Unit
from activelora.config.resources import Parallelism
from components.task_context import Task, task

_POLL_SECONDS = 1.0
_LEFT_ALONE = 143


def main(arguments: list[str] | None = None) -> None:
    """Train beside the other processes; the first one writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign_uri")
    parser.add_argument("round", type=int)
    parser.add_argument("--parallel", choices=get_args(Parallelism), default="ddp")
    parser.add_argument("--parent", type=int, help="process to end with")
    chosen = parser.parse_args(arguments)
    if chosen.parent is not None:
        threading.Thread(target=_end_with, args=(chosen.parent,), daemon=True).start()
    num_neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    # Before torch is imported: all processes together use the cores once.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // num_neighbours)))
    unit = Unit("train_adapter", chosen.round)
    with task(unit.step, chosen.campaign_uri, unit, keeps_log=False) as here:
        from torch.distributed.elastic.multiprocessing.errors import record

        record(_work)(here, unit, chosen.parallel)


def _work(here: Task, unit: Unit, mode: Parallelism) -> None:
    from activelora.modeling.parallel import join, leave
    from components.train_adapter.step import train

    if os.environ.get("RANK", "0") != "0":
        _log_errors_only()
    campaign, team = here.campaign, join(mode)
    if team.leads:
        here.keep_log()
    if not team.agree(campaign.manifest(unit) is not None):
        train(campaign, unit.round, team)
    leave()


def _log_errors_only() -> None:
    """Leave the telling to the first process."""
    for name in ("", "activelora", "components"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _end_with(parent: int) -> None:
    """End at once when the process that started this one is gone: nobody would wait for the result."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(_LEFT_ALONE)


if __name__ == "__main__":
    main()
