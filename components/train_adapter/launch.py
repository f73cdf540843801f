"""Several training processes on one machine or in one pod, by torch's elastic launcher (torchrun)."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config import CampaignConfig
from activelora.config.resources import TrainResources
from activelora.errors import ActiveLoRAError, ConfigError
from activelora.rules.parallel import TRAIN_VARIABLE, parallel, with_pod_settings

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

logger = logging.getLogger(__name__)
WORKER = "components.train_adapter.worker"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SIGNALS_VARIABLE = "TORCHELASTIC_SIGNALS_TO_HANDLE"


class TrainingError(ActiveLoRAError):
    """One of several training processes failed, or what runs them did."""


def train_here(config: CampaignConfig) -> TrainResources:
    """Return the resources of a training here: the campaign's, or in a pod those that its pipeline was compiled with.

    The campaign keeps those of its first day, and they may change.
    """
    train = config.resources.train
    return with_pod_settings(train, given) if (given := os.environ.get(TRAIN_VARIABLE)) else train


def processes_here(train: TrainResources) -> int:
    """Return how many training processes there are on this machine, or in this pod.

    Raises:
        ConfigError: More are asked for than there are GPUs.
    """
    import torch

    num_gpus = torch.cuda.device_count()
    if train.num_processes is not None:
        if 0 < num_gpus < train.num_processes:
            raise ConfigError(
                f"each process takes a GPU, and there are {num_gpus} here",
                where=f"resources.train.num_processes: {train.num_processes}",
                remedy=f"Set it to {num_gpus} or less, or leave it out.",
            )
        return train.num_processes
    if train.accelerator_type is None or num_gpus == 0:
        return 1
    return min(train.accelerator_count, num_gpus)


def check_processes(config: CampaignConfig, train: TrainResources, num_processes: int) -> None:
    """Check what `activelora check` has checked with the number of processes in the file.

    Raises:
        ConfigError: The method, or the batch size, does not go with that number.
    """
    asked = train.model_copy(update={"num_nodes": 1, "num_processes": num_processes})
    resources = config.resources.model_copy(update={"train": asked})
    for conflict in parallel(config.model_copy(update={"resources": resources})):
        raise ConfigError(conflict.problem, where=conflict.key, remedy=conflict.remedy)


def worker_command(train: TrainResources, campaign_uri: str, round_: int) -> list[str]:
    """Return what a training process runs, as arguments of Python."""
    return ["-m", WORKER, campaign_uri, str(round_), "--parallel", train.parallel]


def launch(campaign: Campaign, unit: Unit, train: TrainResources, num_processes: int) -> None:
    """Train in several processes, the first of which writes the manifest.

    They end with this process, even where it is killed; the next run goes on from the last checkpoint.

    Args:
        campaign: The campaign.
        unit: train_adapter of the round.
        train: Resources from :func:`train_here`.
        num_processes: Number of processes, from :func:`processes_here`.

    Raises:
        TrainingError: One of them failed. The others are stopped.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    command = [*worker_command(train, campaign.store.uri, unit.round), "--parent", str(os.getpid())]
    logger.info("training in %d processes (%s)", num_processes, train.parallel)
    with tempfile.TemporaryDirectory() as scratch, _own_signals(), _quiet_launcher():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=num_processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",  # a container's own name may mean nothing to it
            max_restarts=0,  # the next tick is the retry, and goes on from the checkpoint
            logs_specs=DefaultLogsSpecs(log_dir=scratch),
        )
        try:
            elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as error:
            raise failed(error, num_processes, campaign.store.uri) from None
        except SignalException as error:
            if error.sigval is signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + int(error.sigval)) from None


def failed(error: ChildFailedError, num_processes: int, where: str) -> TrainingError:
    """Return the error that says which process failed first, and why."""
    rank, failure = error.get_first_failure()
    return TrainingError(
        f"training process {rank + 1} of {num_processes} {_reason(failure)}",
        where=where,
        remedy="Its log is above. Run the same command again: training goes on from the last checkpoint.",
    )


def _reason(failure: ProcessFailure) -> str:
    """Return why a process failed: its own last words, or what killed it."""
    if failure.exitcode < 0:
        return f"was killed by {failure.signal_name()}, by hand or because memory ran out"
    if not Path(failure.error_file).is_file():  # torch puts a placeholder there
        return f"ended with exit code {failure.exitcode}"
    message: Any = failure.message
    return f"failed: {message.get('message', '') if isinstance(message, dict) else message}"


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back the signal handlers and the variable that the launcher sets."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    variable = os.environ.get(_SIGNALS_VARIABLE)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        if variable is None:
            os.environ.pop(_SIGNALS_VARIABLE, None)
        else:
            os.environ[_SIGNALS_VARIABLE] = variable


@contextmanager
def _quiet_launcher() -> Iterator[None]:
    """Keep the launcher from telling in its own way what :class:`TrainingError` tells."""
    torch_logger = logging.getLogger("torch.distributed.elastic")
    level = torch_logger.level
    torch_logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        torch_logger.setLevel(level)
