"""`activelora serve` as a process: it answers, stops in order under load, and says why it does not start."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from activelora.config import SourceConfig
from activelora.formats.problems import Problems
from activelora.formats.row import Wanted
from activelora.pool.readers import read_rows
from pipelines.cli.main import main
from tests.prediction.conftest import evaluated

TOKEN = "a-token-of-some-length"
JSON = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}


@contextlib.contextmanager
def serving(*arguments, token=TOKEN):
    """Start the command, and give the process with its address and its lines."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", *map(str, arguments), "--port", "0"]
    environment = {**os.environ, "ACTIVELORA_SERVE_TOKEN": token, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        lines = []
        try:
            while not lines or "listening at" not in lines[-1]:
                line = process.stderr.readline()
                assert line, "".join(lines)
                lines.append(line)
            found = re.search(r"(https?)://([\d.]+):(\d+)", lines[-1])
            threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
            yield process, (found[2], int(found[3])), lines
        finally:
            process.kill()


def ask(connection, text):
    connection.request("POST", "/predict", json.dumps({"rows": [{"text": text}]}), JSON)
    response = connection.getresponse()
    return response, json.loads(response.read())


def test_no_request_is_lost_when_it_stops(classified, tmp_path):
    """Eight clients ask without a pause; when they are told that a connection ends, none has an open question."""
    options = ("--round", 1, "--drain-seconds", 0.5, "--log", tmp_path / "log", "--samples", 0)
    with serving(classified.store.uri, *options) as (process, address, lines):
        troubles, counts, is_told = [], [0] * 8, threading.Event()

        def client(number):
            connection = http.client.HTTPConnection(*address, timeout=30)
            try:
                while True:
                    response, document = ask(connection, f"red water {number} {counts[number]}")
                    assert response.status == 200, document
                    assert document["answers"][0]["label"]
                    counts[number] += 1
                    if response.getheader("Connection") == "close":
                        is_told.set()
                        return
            except Exception as error:
                troubles.append(error)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        while min(counts) < 3 and not troubles:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert is_told.wait(30), troubles
        ready = http.client.HTTPConnection(*address, timeout=30)
        ready.request("GET", "/v2/health/ready")
        assert ready.getresponse().status == 503
        for thread in threads:
            thread.join(30)
        assert process.wait(30) == 0
    assert troubles == []
    assert any("stopped: every request that had come was answered" in line for line in lines)
    assert not any("Traceback" in line or TOKEN in line for line in lines)
    problems = Problems()
    logged = list(read_rows(SourceConfig(path=str(tmp_path / "log")), "/", Wanted(("text",)), problems))
    assert len(logged) == sum(counts)  # the last file is written too
    assert len({row.values["text"] for row in logged}) == sum(counts)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_over_tls_what_has_begun_is_answered_and_the_rest_is_cut(classified, certificate):
    """Without a drain. A connection that nobody looks at does not hold up the end."""
    files = ("--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem")
    with serving(classified.store.uri, "--round", 1, *files) as (process, address, lines):
        context = ssl.create_default_context(cafile=certificate / "cert.pem")
        idle = http.client.HTTPSConnection(*address, timeout=30, context=context)
        with contextlib.closing(idle):
            response, document = ask(idle, "red moon")
            assert (response.status, document["model"]["round"]) == (200, 1)
            with contextlib.closing(http.client.HTTPSConnection(*address, timeout=60, context=context)) as busy:
                rows = [{"text": f"first river {number} " + "blue moon " * (number % 9)} for number in range(1000)]
                busy.request("POST", "/predict", json.dumps({"rows": rows}), JSON)
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
                response = busy.getresponse()
                assert response.status == 200
                assert len(json.loads(response.read())["answers"]) == 1000
            began = time.monotonic()
            assert process.wait(30) == 0
            assert time.monotonic() - began < 10
    assert any("stopped" in line for line in lines)


@pytest.fixture
def refused(capsys, monkeypatch):
    """What the command says where it does not start."""

    def run(*arguments, token=""):
        monkeypatch.setenv("ACTIVELORA_SERVE_TOKEN", token)
        assert main(["serve", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    return run


def test_without_a_token_it_listens_on_this_machine_only(classified, refused):
    said = refused(classified.store.uri, "--host", "0.0.0.0")  # noqa: S104 - refused
    assert "--host 0.0.0.0: without a token in ACTIVELORA_SERVE_TOKEN the server listens on this machine only" in said
    assert "--insecure" in said
    for token in ("short", "with a space in the middle", "ünicode-ünicode-ünicode"):
        said = refused(classified.store.uri, token=token)
        assert "ACTIVELORA_SERVE_TOKEN: holds no token of at least 16" in said
        assert token not in said


def test_a_campaign_without_a_champion_is_refused_with_its_gates(tmp_path, tiny_model_path, refused):
    campaign = evaluated(tmp_path, tiny_model_path, "classification", evaluation={"gates": {"min_accuracy": 1.0}})
    said = refused(campaign.store.uri, "--port", 0)
    assert re.search(r"no champion: no round has passed its gates \(round 1: accuracy .* --round N", said)


def test_files_for_tls_are_looked_at_first(classified, certificate, tmp_path, refused):
    key, other = certificate / "key.pem", tmp_path / "other.pem"
    assert "--tls-key: TLS needs a certificate and its key" in refused(classified.store.uri, "--tls-cert", key)
    said = refused(classified.store.uri, "--tls-cert", other, "--tls-key", key)
    assert "cannot be used: No such file or directory" in said
    command = ["openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", other]
    subprocess.run(command, check=True, capture_output=True)
    said = refused(classified.store.uri, "--tls-cert", certificate / "cert.pem", "--tls-key", other)
    assert "cannot be used" in said
    command[-2:] = ["-aes256", "-pass", "pass:secret", "-out", other]
    subprocess.run(command, check=True, capture_output=True)
    said = refused(classified.store.uri, "--tls-cert", certificate / "cert.pem", "--tls-key", other)
    assert "the key not encrypted" in said


def test_a_port_that_is_taken_is_said(classified, refused):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refused(classified.store.uri, "--round", 1, "--port", port)
    assert f"127.0.0.1:{port}: cannot listen: Address already in use" in said


def test_a_model_that_is_not_there_is_said(tmp_path, refused, monkeypatch, empty_database):
    assert "there is no campaign" in refused(tmp_path / "nothing")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{empty_database}")
    said = refused("models:/nothing@champion", "--port", 0)
    assert "models:/nothing@champion: cannot be fetched from MLflow: " in said
    assert "names no model, or no alias" in refused("models:/@champion", "--port", 0)


def test_where_no_mlflow_is_named_none_is_made(tmp_path, refused, monkeypatch):
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mlflow, "is_tracking_uri_set", lambda: False)
    assert "Set MLFLOW_TRACKING_URI; `activelora status` prints what" in refused(
        "models:/tickets@champion", "--port", 0
    )
    assert not list(tmp_path.iterdir())
