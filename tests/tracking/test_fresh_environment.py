"""A champion from MLflow's registry, in an environment that has what the model asks for and nothing of this package."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from activelora.tracking.mlflow_model import REQUIREMENTS, pinned
from activelora.tracking.mlflow_sync import sync
from pipelines.cli.main import main
from tests.prediction.conftest import evaluated, rows_of
from tests.tracking.test_mlflow_model import wait_until_up
from tests.tracking.test_mlflow_sync import free_port, server_uri  # noqa: F401 - a fixture

URI = "models:/use-classification@champion"
ASK = f"""
import importlib.util, json, sys
import pandas as pd
import mlflow
assert importlib.util.find_spec("activelora") is None
rows = json.load(sys.stdin)
model = mlflow.pyfunc.load_model("{URI}")  # compares the pinned requirements with what is installed
print(json.dumps(model.predict(pd.DataFrame(rows), params={{"num_samples": 0}}).to_dict("records")))
"""


def fresh_environment(folder: Path, requirements: Path) -> Path:
    """Make an environment of what a file asks for, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    # Compiling all of torch's and transformers' modules takes longer than compiling what is imported.
    command = [python, "-m", "pip", "install", "--quiet", "--no-compile", "-r", requirements]
    subprocess.run(command, check=True, cwd=folder)
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_champion_answers_in_an_environment_of_its_requirements_alone(
    server_uri,  # noqa: F811
    tmp_path,
    tiny_model_path,
    monkeypatch,
):
    uri, command = server_uri
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    started = []

    def start(*arguments, log, **options):
        process = subprocess.Popen(
            arguments, cwd=elsewhere, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
        started.append(process)
        return process

    try:
        with (tmp_path / "server.log").open("wb") as log:
            server = start(*command, log=log)
        wait_until_up(f"{uri}/health", server, tmp_path / "server.log")
        campaign = evaluated(tmp_path, tiny_model_path, "classification", tracking={"enabled": True, "uri": uri})
        assert sync(campaign)
        rows = [{"text": row["text"]} for row in rows_of("classification", 20, seed=6)]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = tmp_path / "said.jsonl"
        options = ("--out", str(out), "--round", "1", "--samples", "0")
        assert main(["predict", campaign.store.uri, str(tmp_path / "rows.jsonl"), *options]) == 0
        wanted = [json.loads(line) for line in out.read_text().splitlines()]

        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        import mlflow

        fetched = Path(mlflow.artifacts.download_artifacts(f"{URI}/requirements.txt", dst_path=str(tmp_path / "got")))
        assert sorted(fetched.read_text().split()) == sorted(pinned(REQUIREMENTS))
        python = fresh_environment(tmp_path / "fresh", fetched)
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
        ran = subprocess.run(
            [python, "-c", ASK], input=json.dumps(rows), capture_output=True, text=True, cwd=elsewhere, env=environment
        )
        assert ran.returncode == 0, ran.stderr
        assert "mismatch" not in ran.stderr
        compare(json.loads(ran.stdout.splitlines()[-1]), wanted)

        port = free_port()
        arguments = ["-m", "mlflow", "models", "serve", "-m", URI, "--env-manager", "local", "--port", str(port)]
        with (tmp_path / "model.log").open("wb") as log:
            model = start(str(python), *arguments, log=log, env=environment)
        wait_until_up(f"http://127.0.0.1:{port}/ping", model, tmp_path / "model.log")
        body = {"dataframe_records": rows, "params": {"num_samples": 0}}
        address = f"http://127.0.0.1:{port}/invocations"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            compare(json.loads(answer.read())["predictions"], wanted)
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)  # it is large


def compare(found, wanted):
    assert [one["prediction"] for one in found] == [one["prediction"] for one in wanted]
    for name in ("probability", "uncertainty"):
        assert [one[name] for one in found] == pytest.approx([one[name] for one in wanted], abs=1e-5)
