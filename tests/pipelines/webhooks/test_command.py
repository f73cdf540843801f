"""`activelora wake` as a process: webhooks in, a tick out, and it ends in order."""

import http.client
import os
import re
import signal
import subprocess
import sys

import pytest

from activelora.campaign.manifest import Unit
from pipelines.cluster.api import Api
from pipelines.cluster.connection import Connection
from pipelines.deploy.packages import Package
from pipelines.deploy.schedules import Drain, Schedule, apply
from pipelines.deploy.submission import register, submit
from pipelines.webhooks.ticks import TickOnKubeflow, run_in_flight, run_of_schedule
from tests.labeling.conftest import make_campaign, select
from tests.pipelines.cluster.conftest import TEXT
from tests.pipelines.cluster.kfp_server import running_kfp_server

SECRET = "0123456789abcdef"


def test_webhooks_bring_a_tick(tmp_path):
    campaign = make_campaign(tmp_path, batch=3)
    select(campaign)
    campaign.attempt(Unit("evaluate_adapter", 0)).commit()
    command = [sys.executable, "-m", "pipelines.cli", "wake", campaign.store.uri, "--port", "0", "--quiet", "0.2"]
    environment = {**os.environ, "ACTIVELORA_WAKE_SECRET": SECRET}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            found = None
            while found is None:
                line = process.stderr.readline()
                assert line, "it ended"
                found = re.search(r"http://([\d.]+):(\d+)/webhook", line)
            for _ in range(5):
                connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=10)
                connection.request("POST", "/webhook", b"{}", {"X-ActiveLoRA-Wake": SECRET})
                assert connection.getresponse().status == 202
                connection.close()
            said = []
            while "the tick has ended" not in (line := process.stderr.readline()):
                assert line, said
                said.append(line)
            assert SECRET not in "".join(said)
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
        assert process.wait(30) == 143
    assert rest.count("the tick has ended") == 0
    assert "stopped" in rest
    assert campaign.store.exists("labeling/round-0000/to_label.csv")  # the tick asked for labels


@pytest.mark.parametrize("secret", ["", "short", "with a line\nend, and long enough"])
def test_it_does_not_start_without_a_secret(secret, tmp_path, run, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_WAKE_SECRET", secret)
    code, _, err = run("wake", str(tmp_path))
    assert code == 1
    assert "ACTIVELORA_WAKE_SECRET: holds no secret" in err
    assert not secret or secret not in err


def test_no_run_is_started_beside_another():
    assert TickOnKubeflow("s3://bucket/campaign", lambda: True).start() is False


def test_a_run_is_what_the_schedule_would_have_run(monkeypatch):
    """Not what the campaign's first settings say: resources may have changed since."""
    for name in ("ACTIVELORA_KFP_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH", "ACTIVELORA_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with running_kfp_server() as server:
        assert run_of_schedule("tickets", "s3://bucket/tickets", server.url, None) is None
        api = Api(Connection(server.url))
        registered = register(api, Package("tickets-tick", "tickets-tick-aaa", "words", TEXT))
        parameters = {"train_accelerator_count": "4"}
        place = ("s3://bucket/tickets", "0 0 6 * * *", "tickets-tick", "tickets-tick-aaa")
        apply(api, Schedule("tickets", *place, "steps", parameters), registered, Drain())
        assert run_of_schedule("tickets", "s3://bucket/another", server.url, None) is None
        start = TickOnKubeflow(
            "s3://bucket/tickets", lambda: False, lambda: run_of_schedule("tickets", place[0], server.url, None)
        )
        assert start.start() is True
        (run,) = server.runs.values()
    assert run["runtime_config"] == {"parameters": {"campaign_uri": place[0], **parameters}}
    assert run["pipeline_version_reference"]["pipeline_version_id"] == registered.version_id
    assert run["service_account"] == "steps"


def test_what_is_in_flight_is_asked_of_kubeflow(monkeypatch):
    for name in ("ACTIVELORA_KFP_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH", "ACTIVELORA_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with running_kfp_server() as server:
        assert run_in_flight("tickets", server.url, None) is False
        api = Api(Connection(server.url))
        package = Package("tiny-tick", "tiny-tick-aaa", "words", TEXT)
        run_id = submit(api, "tickets", "s3://bucket/tickets", package, None)
        assert run_in_flight("tickets", server.url, None) is True
        server.runs[run_id]["state"] = "SUCCEEDED"
        assert run_in_flight("tickets", server.url, None) is False
