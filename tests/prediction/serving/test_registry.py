"""`serve models:/NAME@champion` against a real registry: the alias moves under load, comes back, and is removed."""

from __future__ import annotations

import contextlib
import gc
import http.client
import os
import signal
import subprocess
import threading
import time
import weakref

import pytest

from activelora.prediction.loaded import LoadedModel
from activelora.prediction.serving.batching import Batcher, Wish
from activelora.prediction.serving.limits import Limits
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.served import ServedModel
from activelora.prediction.serving.source import Source
from activelora.prediction.serving.watcher import Watcher
from activelora.prediction.sources import open_bundle
from activelora.tracking.mlflow_location import prepare_environment
from activelora.tracking.mlflow_models import fetch_model, version_uri
from activelora.tracking.mlflow_sync import sync
from components.evaluate_adapter import step as evaluate_adapter
from tests.components.test_evaluate_adapter import write_adapter
from tests.prediction.conftest import evaluated
from tests.prediction.serving.test_command import ask, serving
from tests.tracking.test_mlflow_model import wait_until_up
from tests.tracking.test_mlflow_sync import server_uri  # noqa: F401 - a fixture

prepare_environment()
from mlflow import MlflowClient  # noqa: E402

NAME = "use-classification"
URI = f"models:/{NAME}@champion"
TEXT = "red water of the moon, and the first far river of fire " * 4
CLIENTS = 4


@pytest.fixture
def registry(server_uri, tmp_path, tiny_model_path, monkeypatch):  # noqa: F811
    """Yield a client of a registry with two versions, of which the first is the champion, and their campaign."""
    uri, command = server_uri
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=tmp_path / "server", stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until_up(f"{uri}/health", server, tmp_path / "server.log")
        changes = {
            "tracking": {"enabled": True, "uri": uri},
            "evaluation": {"gates": {"improve_on_champion": False}},
            "adapter": {"last_layers": None},  # prefixes are kept of models that are adapted from the first layer on
        }
        campaign = evaluated(tmp_path, tiny_model_path, "classification", **changes)
        write_adapter(campaign, 2, 6, tmp_path)
        evaluate_adapter.run(campaign, 2)
        assert sync(campaign)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        client = MlflowClient(uri, uri)
        client.set_registered_model_alias(NAME, "champion", "1")
        yield client, campaign
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def expected_of(campaign) -> dict[int, float]:
    """Return the probability that each round's model gives."""
    found = {}
    for round_ in (1, 2):
        with open_bundle(campaign.store.uri, round_) as bundle, LoadedModel.load(bundle) as model:
            found[round_] = model.predict([{"text": TEXT}])[0].probability
    return found


def metric(address, name: str) -> float:
    connection = http.client.HTTPConnection(*address, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer a-token-of-some-length"})
        lines = connection.getresponse().read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"activelora_serve_{name} ")]
    return float(line.split()[1])


def wait_for(true, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


class Asking:
    """Clients that ask one request after the other, each over a connection of its own."""

    def __init__(self, address) -> None:
        self.address = address
        self.ends = threading.Event()
        self.sent = [0] * CLIENTS
        self.seen: list[list[tuple[int, float]]] = [[] for _ in range(CLIENTS)]
        self.troubles: list[object] = []
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def work(self, number: int) -> None:
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=30)) as connection:
            try:
                while not self.ends.is_set():
                    self.sent[number] += 1
                    response, document = ask(connection, TEXT)
                    if response.status != 200:
                        self.troubles.append((response.status, document))
                    self.seen[number].append((document["model"]["round"], document["answers"][0]["probability"]))
            except Exception as error:
                self.troubles.append(error)

    def wait_for_round(self, round_: int, more: int = 5) -> None:
        """Wait until every client has had answers of a round's model."""
        wait_for(lambda: self.troubles or all([one[0] for one in own[-more:]] == [round_] * more for own in self.seen))
        assert self.troubles == []


@pytest.mark.slow
def test_the_alias_moves_under_load_and_is_removed_without_a_lost_request(registry, tmp_path, monkeypatch):
    client, campaign = registry
    wanted = expected_of(campaign)
    assert abs(wanted[1] - wanted[2]) > 1e-3
    files = tmp_path / "temporary"
    files.mkdir()
    monkeypatch.setenv("TMPDIR", str(files))
    monkeypatch.chdir(tmp_path)
    with serving(URI, "--poll-seconds", 0.2) as (process, address, lines):
        with Asking(address) as asking:
            asking.wait_for_round(1)
            (before,) = files.glob("activelora-model-*")
            client.set_registered_model_alias(NAME, "champion", "2")
            asking.wait_for_round(2)
            wait_for(lambda: not before.exists())  # the old model's files
            assert len(list(files.glob("activelora-model-*"))) == 1
            assert metric(address, "swaps_total") == 1
            assert metric(address, "poll_failures_total") == 0
            for _ in range(2):  # each time anew it is said, and the last champion answers on
                warnings, failures = sum(map(is_warning, lines)), metric(address, "poll_failures_total")
                client.delete_registered_model_alias(NAME, "champion")
                wait_for(lambda failures=failures: metric(address, "poll_failures_total") > failures + 1)
                wait_for(lambda warnings=warnings: sum(map(is_warning, lines)) == warnings + 1)
                asking.wait_for_round(2)
                client.set_registered_model_alias(NAME, "champion", "2")
                wait_for(lambda warnings=warnings: sum(map(is_return, lines)) == warnings + 1)
            assert metric(address, "swaps_total") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert asking.troubles == []
    assert asking.sent == [len(own) for own in asking.seen]
    for own in asking.seen:
        rounds = [round_ for round_, _ in own]
        assert rounds == sorted(rounds)
        assert set(rounds) == {1, 2}
        assert all(probability == pytest.approx(wanted[round_], abs=1e-5) for round_, probability in own)
    assert list(files.glob("activelora-model-*")) == []
    assert not any("Traceback" in line for line in lines)


def is_warning(line: str) -> bool:
    return "the newest model cannot be served, and the one before is" in line and "champion" in line


def is_return(line: str) -> bool:
    return "is the newest again" in line


@pytest.mark.slow
def test_what_the_old_champion_kept_is_gone(registry):
    """In this process, where it can be looked at: weights, the merged sample, keys and values of prefixes."""
    client, _ = registry
    source, measured = Source(URI, None, fetch_model, version_uri), Measured()
    newest = source.newest()
    old = ServedModel(source.open(newest))
    batcher = Batcher(old, Limits(), measured)
    watcher = Watcher(source.newest, lambda found: ServedModel(source.open(found)), batcher, newest, 0.0, measured)

    def round_of_answer() -> int:
        rows = [{"text": TEXT}, {"text": TEXT + "again"}]
        return int(batcher.ask(rows, Wish()).result(60).about["round"])

    try:
        assert [round_of_answer() for _ in range(3)] == [1, 1, 1]
        batch_cache = old._model._predictor._engine._batch_cache
        assert batch_cache.prefixes
        assert batch_cache.num_bytes > 0
        weights = [weakref.ref(parameter) for parameter in old._model._predictor._engine.base.model.parameters()]
        assert watcher.look() is False
        client.set_registered_model_alias(NAME, "champion", "2")
        assert watcher.look() is True
        assert (batch_cache.prefixes, batch_cache.num_bytes) == ([], 0)
        del batch_cache  # but not `old`, which the command's log knows as long as it runs
        gc.collect()
        assert not any(weight() is not None for weight in weights)
        assert round_of_answer() == 2
    finally:
        batcher.close()
        batcher.served.close()
