"""train_adapter in several processes: on one machine, and on two nodes of a cluster that a fake of Trainer plays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.multiprocessing.errors.error_handler import ErrorHandler

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.config.resources import ResourcesConfig, TrainResources
from activelora.errors import ConfigError, StoreError
from components.image import images
from components.train_adapter.launch import TrainingError, failed, processes_here, train_here
from components.train_adapter.step import run
from pipelines.cluster.kube import Kube
from pipelines.cluster.train_jobs import TrainJobs
from pipelines.cluster.train_step import train_in_job
from pipelines.engines.inline import tick
from pipelines.graphs.train_job_spec import job_template
from tests.pipelines.cluster.fake_kubernetes import running_fake_kubernetes
from tests.pipelines.cluster.fake_trainer import COMPLETE, FAILED, NAMESPACE, RUNNING, FakeTrainer
from tests.pipelines.tiny import tiny_config

pytestmark = pytest.mark.timeout(600)  # seconds, but for machines with other things to do
UNIT = Unit("train_adapter", 1)
TRAINING = {
    "min_steps": 0,
    "warmup_fraction": 0.0,
    "epochs": 60,
    "batch_size": 3,
    "learning_rate": 0.002,
    "checkpoint_every_steps": 5,
}
TWO = {"train": {"num_processes": 2}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_model_path):
    """A campaign whose first labels are there."""
    folder = tmp_path_factory.mktemp("distributed")
    config = tiny_config(folder, tiny_model_path, training=TRAINING, resources=TWO)
    campaign = Campaign.create(str(folder / "campaign"), config)
    tick(campaign)
    return folder / "campaign"


@pytest.fixture
def campaign(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "campaign")
    return Campaign.open(str(tmp_path / "campaign"))


def result(campaign):
    """Return what a training left: losses, and the digests of its files."""
    manifest = campaign.require(UNIT)
    return campaign.read_json(manifest, "loss.json"), {name: one.sha256 for name, one in manifest.files.items()}


def wait_until(holds):
    until = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


class Nodes:
    """What Trainer does for a job: each node runs the command, with torchrun's variables."""

    def __init__(self, trainer):
        self.trainer, self.processes, self.logs = trainer, [], []

    def start(self, job):
        spec = job["spec"]["trainer"]
        assert spec["command"][0] == "python3"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(spec["numNodes"]):
            torchrun = {
                "PET_NNODES": spec["numNodes"],
                "PET_NPROC_PER_NODE": spec["numProcPerNode"],
                "PET_NODE_RANK": rank,
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": port,
            }
            environment = {**os.environ, **{name: str(value) for name, value in torchrun.items()}}
            command = [sys.executable, *spec["command"][1:], *spec["args"]]
            self.processes.append(
                subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            )
        self.trainer.script = [RUNNING]
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        self.logs = [process.communicate(timeout=240)[1] for process in self.processes]
        self.trainer.script = [COMPLETE if all(one.returncode == 0 for one in self.processes) else FAILED]


@pytest.fixture(scope="module")
def by_two_nodes(prepared, tmp_path_factory):
    """The result of a TrainJob on two nodes of one process each."""
    folder = tmp_path_factory.mktemp("nodes")
    shutil.copytree(prepared, folder / "campaign")
    campaign = Campaign.open(str(folder / "campaign"))
    template = job_template(ResourcesConfig.model_validate({"train": {"num_nodes": 2}}), images())
    with running_fake_kubernetes() as kubernetes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubernetes.write_kubeconfig(folder)))
        trainer = FakeTrainer(kubernetes)
        nodes = Nodes(trainer)
        trainer.on_create = nodes.start
        train_in_job(campaign, UNIT, template, TrainJobs(Kube(), NAMESPACE, poll_seconds=0.1))
        assert trainer.jobs == {}
    return campaign, nodes


@pytest.mark.slow
def test_two_nodes_train_one_adapter(by_two_nodes):
    campaign, nodes = by_two_nodes
    manifest = campaign.require(UNIT)
    assert manifest.details["processes"] == 2
    assert manifest.metrics["num_steps"] == len(result(campaign)[0])
    assert sum("train_adapter round 1 done" in log for log in nodes.logs) == 1  # the first process alone writes
    assert not list(campaign.store.list(f"{UNIT.prefix}/checkpoint-"))
    assert len({key.split("/")[3] for key in campaign.store.list(f"{UNIT.prefix}/attempt-")}) == 1
    lines = campaign.store.read(f"{UNIT.prefix}/log.jsonl").decode().splitlines()
    assert json.loads(lines[-1])["step"] == "train_adapter"


@pytest.mark.slow
def test_killed_and_run_again_it_ends_as_if_nothing_had_been(by_two_nodes, campaign):
    program = (
        "import sys; from activelora.campaign.campaign import Campaign; from components.train_adapter.step import run;"
        "run(Campaign.open(sys.argv[1]), 1)"
    )
    first = subprocess.Popen([sys.executable, "-c", program, campaign.store.uri], stderr=subprocess.DEVNULL)
    wait_until(lambda: list(campaign.store.list(f"{UNIT.prefix}/checkpoint-")))
    workers = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait()
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # nobody goes on alone
    assert campaign.manifest(UNIT) is None
    run(campaign, 1)
    assert result(campaign) == result(by_two_nodes[0])


@pytest.mark.slow
def test_a_process_that_is_killed_fails_the_step(campaign):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = {one.pid for one in psutil.Process().children()}

    def workers():
        return [one for one in psutil.Process().children() if one.pid not in before]

    def kill_one():
        wait_until(lambda: len(workers()) == 2)
        workers()[-1].send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(TrainingError, match=r"process \d of 2 was killed by SIGKILL") as error:
        run(campaign, 1)
    killer.join()
    assert "goes on from the last checkpoint" in error.value.remedy
    assert workers() == []
    assert campaign.manifest(UNIT) is None
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert "TORCHELASTIC_SIGNALS_TO_HANDLE" not in os.environ


def failure(folder, exitcode, error=None):
    """Return what the launcher raises when a process has ended so; an error is what `record` has written down."""
    file = folder / "error.json"
    if error is not None:
        handler = ErrorHandler()
        os.environ["TORCHELASTIC_ERROR_FILE"] = str(file)
        handler.record_exception(error)
    return ChildFailedError("worker", {1: ProcessFailure(1, 4711, exitcode, str(file))})


def test_why_a_process_failed_is_told_in_its_own_words(tmp_path):
    assert failed(failure(tmp_path, 1), 2, "here").problem == "training process 2 of 2 ended with exit code 1"
    killed = failed(failure(tmp_path, -signal.SIGKILL), 2, "here")
    assert killed.problem.startswith("training process 2 of 2 was killed by SIGKILL")
    error = StoreError("await_labels round 0 is not done yet", where="s3://b/c", remedy="Run it.")
    told = failed(failure(tmp_path, 1, error), 2, "here")
    assert told.problem == f"training process 2 of 2 failed: StoreError: {error}"
    assert told.where == "here"


def test_a_pod_trains_as_its_pipeline_says_not_as_the_campaign_began(monkeypatch, tiny_model_path, tmp_path):
    config = tiny_config(tmp_path, tiny_model_path, resources={"train": {"num_processes": 2}})
    monkeypatch.delenv("ACTIVELORA_TRAIN", raising=False)
    assert train_here(config) == config.resources.train
    for gpus in (True, False):
        told = {"num_processes": None, "parallel": "fsdp", "on_accelerators": gpus}
        monkeypatch.setenv("ACTIVELORA_TRAIN", json.dumps(told))
        train = train_here(config)
        assert train.parallel == "fsdp"
        assert processes_here(train) == (max(1, torch.cuda.device_count()) if gpus else 1)


def test_what_a_method_cannot_do_is_refused_in_the_pod_too(prepared, monkeypatch, tiny_model_path, tmp_path):
    config = tiny_config(tmp_path, tiny_model_path, adapter={"method": "blob"})
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    told = {"num_processes": 2, "parallel": "ddp", "on_accelerators": False}
    monkeypatch.setenv("ACTIVELORA_TRAIN", json.dumps(told))
    with pytest.raises(ConfigError, match="`blob` trains in one process"):
        run(campaign, 1)


def test_processes_on_a_machine_without_a_gpu(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert processes_here(TrainResources()) == 1
    assert processes_here(TrainResources(accelerator_type="nvidia.com/gpu", accelerator_count=4)) == 1
    assert processes_here(TrainResources(num_processes=3)) == 3


def test_more_processes_than_gpus():
    count = torch.cuda.device_count()
    if count == 0:
        pytest.skip("this machine has no GPU")
    with pytest.raises(ConfigError, match="each process takes a GPU"):
        processes_here(TrainResources(num_processes=count + 1))
