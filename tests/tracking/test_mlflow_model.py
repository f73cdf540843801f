"""Registered models as MLflow loads and serves them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from activelora.prediction.bundle import read_bundle
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds
from activelora.prediction.sources import open_bundle
from activelora.tracking.mlflow_location import prepare_environment, tracking_uri
from activelora.tracking.mlflow_model import REQUIREMENTS, pinned, write_model
from activelora.tracking.mlflow_sync import sync
from pipelines.cli.main import main
from tests.prediction.conftest import KINDS, evaluated, rows_of
from tests.tracking.test_mlflow_sync import free_port

prepare_environment()
import mlflow  # noqa: E402
from mlflow.models import Model  # noqa: E402

IMPORTS = """
import ast, json, sys
from pathlib import Path
import activelora.prediction.pyfunc
from activelora.prediction.bundle import read_bundle
from activelora.prediction.loaded import LoadedModel
with LoadedModel.load(read_bundle(Path(sys.argv[1]))) as model:
    model.predict([{"text": "red"}])
found = set()
for name, module in list(sys.modules.items()):
    if name.startswith("activelora."):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
tops = {name.partition(".")[0] for name in found if name in sys.modules}
print(json.dumps(sorted(tops - set(sys.stdlib_module_names))))
"""
"""Prints what those of this package's modules import that asking a model has loaded."""


BROUGHT_BY = {
    "botocore": "boto3",
    "huggingface_hub": "transformers",
    "pydantic_core": "pydantic",
    "s3transfer": "boto3",
    "yaml": "pyyaml",
}
"""Modules of packages that another one brings, or whose package has another name."""


@pytest.fixture(scope="module")
def written(tmp_path_factory, tiny_model_path):
    """Return a function that writes a kind's model once, and gives campaign and folder."""
    made = {}

    def write(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            campaign = evaluated(folder, tiny_model_path, kind)
            write_model(campaign, 1, folder / "model", Model())
            made[kind] = campaign, folder / "model"
        return made[kind]

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_mlflow_s_numbers_are_those_of_predict(written, kind):
    campaign, folder = written(kind)
    rows = rows_of(kind, 12, seed=3)
    model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    frame = pd.DataFrame(rows, index=range(100, 112)).drop(columns="gold")
    found = model.predict(frame)
    with LoadedModel.load(read_bundle(folder / "artifacts" / "bundle")) as loaded:
        wanted = loaded.predict(rows)
        columns = loaded.answer_columns()
    assert list(found.index) == list(frame.index)
    assert list(found.columns) == [*columns, "problem"]
    assert [column.name for column in model.metadata.signature.outputs] == [*columns, "problem"]
    for answer, (_, row) in zip(wanted, found.iterrows(), strict=True):
        for name in columns:
            expected = answer.row()[name]
            expected = pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected
            assert row[name] == expected, name
    assert campaign.config.evaluation.num_samples == 3


def test_two_models_of_one_base_in_one_process(written, tmp_path, tiny_model_path):
    _, folder = written("classification")
    _, other = written("regression")
    rows = pd.DataFrame(rows_of("classification", 4))[["text"]]
    first = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    alone = first.predict(rows)
    second = mlflow.pyfunc.load_model(str(other), suppress_warnings=True)
    numbers = second.predict(rows)
    pd.testing.assert_frame_equal(first.predict(rows), alone)
    pd.testing.assert_frame_equal(second.predict(rows), numbers)


def test_parameters_are_thresholds_and_samples(written):
    _, folder = written("classification")
    rows = rows_of("classification", 12, seed=4)
    frame = pd.DataFrame(rows)[["text"]]
    model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    plain = model.predict(frame)
    middle = float(plain["probability"].median())
    for params, samples, thresholds in (
        ({"min_confidence": middle}, None, Thresholds(middle)),
        ({"num_samples": 0}, 0, Thresholds()),
        ({"num_samples": 5, "min_confidence": 0.0}, 5, Thresholds(0.0)),
    ):
        found = model.predict(frame, params=params)
        with LoadedModel.load(read_bundle(folder / "artifacts" / "bundle"), samples) as loaded:
            wanted = loaded.predict(rows, thresholds=thresholds)
        assert found["review"].tolist() == [answer.review for answer in wanted]
        assert found["probability"].tolist() == pytest.approx([answer.probability for answer in wanted], abs=1e-5)
    assert 0 < model.predict(frame, params={"min_confidence": middle})["review"].sum() < 12
    assert model.predict(frame)["probability"].tolist() == plain["probability"].tolist()


def test_rows_without_an_answer_say_why_and_are_for_review(written):
    _, folder = written("classification")
    model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    found = model.predict(pd.DataFrame({"text": ["red", None, "  ", 12.5]}))
    assert found["prediction"].notna().tolist() == [True, False, False, True]
    assert found["review"].tolist()[1:3] == [True, True]
    assert "column `text` has no value" in found["problem"][1]
    with pytest.raises(mlflow.MlflowException, match="text"):
        model.predict(pd.DataFrame({"other": ["red"]}))


def test_the_model_brings_script_code_signature_and_example_and_nothing_pickled(written):
    campaign, folder = written("multiple_choice")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.py", "code/activelora.zip", "requirements.txt"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".bin", ".pyc"))]
    assert "python_model" not in mlflow.pyfunc.load_model(str(folder), suppress_warnings=True).metadata.flavors
    model = Model.load(str(folder))
    assert [column.name for column in model.signature.inputs] == ["text", "choices"]
    assert [param.name for param in model.signature.params] == ["min_confidence", "max_risk", "num_samples"]
    example = model.load_input_example(str(folder))
    loaded = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    assert loaded.predict(example)["problem"].tolist() == [None]
    document = json.loads((folder / "artifacts" / "bundle" / "bundle.json").read_text())
    assert document["provenance"]["base"]["id"] == campaign.config.model.base
    assert len(document["provenance"]["base"]["sha256"]) == 64
    assert sum(path.stat().st_size for path in (folder / "artifacts").rglob("*") if path.is_file()) < 200_000


def test_the_model_s_folder_is_a_model_for_predict_and_export(written):
    _, folder = written("classification")
    with open_bundle(str(folder)) as bundle, LoadedModel.load(bundle) as model:
        assert model.predict([{"text": "red"}])[0].label is not None


def test_an_uv_lock_of_the_working_folder_stays_out(written, tmp_path, monkeypatch):
    campaign, _ = written("yes_no")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\nversion = '1'\n")
    monkeypatch.chdir(tmp_path)
    write_model(campaign, 1, tmp_path / "model", Model())
    assert not (tmp_path / "model" / "uv.lock").exists()


def test_the_requirements_are_all_that_is_imported(written):
    _, folder = written("classification")
    command = [sys.executable, "-c", IMPORTS, str(folder / "artifacts" / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {BROUGHT_BY.get(name, name) for name in json.loads(done.stdout)}
    assert {"torch", "mlflow", "numpy"} <= imported
    assert imported - {"activelora"} <= set(REQUIREMENTS)
    assert all("==" in line and "+" not in line for line in pinned(REQUIREMENTS))


@pytest.mark.slow
def test_mlflow_serves_it_in_a_process_that_has_no_activelora_of_its_own(written, tmp_path):
    """The code that comes with the model is used: the process is started without this checkout on its path."""
    _, folder = written("classification")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    command += ["--port", str(port), "--host", "127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    rows = rows_of("classification", 3)
    body = {"dataframe_records": [{"text": row["text"]} for row in rows], "params": {"num_samples": 0}}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_until_up(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                said = json.loads(answer.read())["predictions"]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with LoadedModel.load(read_bundle(folder / "artifacts" / "bundle"), 0) as loaded:
        wanted = loaded.predict(rows)
    assert [one["prediction"] for one in said] == [answer.label for answer in wanted]
    assert [one["probability"] for one in said] == pytest.approx([answer.probability for answer in wanted], abs=1e-5)


def wait_until_up(address, process, log):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(address, timeout=2):  # noqa: S310
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.fixture
def tracked(tmp_path, tiny_model_path, empty_database, monkeypatch):
    """A campaign with an evaluated adapter, its own database, and a process whose own MLflow is elsewhere."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    campaign = evaluated(tmp_path, tiny_model_path, "classification", tracking={"enabled": True})
    shutil.copy(empty_database, tmp_path / "campaign" / "mlflow.db")
    return campaign


def test_the_champion_is_loaded_from_the_registry_by_its_alias(tracked, monkeypatch):
    before = mlflow.get_tracking_uri()
    assert sync(tracked)
    assert mlflow.get_tracking_uri() == before
    rows = rows_of("classification", 4)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(tracked))
    model = mlflow.pyfunc.load_model("models:/use-classification@champion", suppress_warnings=True)
    found = model.predict(pd.DataFrame(rows)[["text"]])
    with open_bundle(tracked.store.uri, 1) as bundle, LoadedModel.load(bundle) as loaded:
        wanted = loaded.predict(rows)
    assert found["prediction"].tolist() == [answer.label for answer in wanted]
    assert found["probability"].tolist() == pytest.approx([answer.probability for answer in wanted], abs=1e-5)
    assert main(["export", "models:/use-classification@champion", "--out", "exported"]) == 0
    card = Path("exported/README.md").read_text(encoding="utf-8")
    assert "NLL" in card
    assert tracked.store.uri in card


def test_a_version_of_before_stays_the_round_s_and_can_be_champion(tracked):
    """Versions were external models once: no second one is made beside such a one, and the alias moves to it."""
    assert sync(tracked)
    client = mlflow.MlflowClient(tracking_uri=tracking_uri(tracked), registry_uri=tracking_uri(tracked))
    [new] = client.search_model_versions("name = 'use-classification'")
    client.delete_registered_model_alias(new.name, "champion")
    client.delete_model_version(new.name, new.version)
    run = client.get_run(new.run_id)
    external = client.create_logged_model(
        run.info.experiment_id, name="old", source_run_id=run.info.run_id, tags={"mlflow.model.isExternal": "true"}
    )
    tags = {name: value for name, value in new.tags.items() if name != "activelora.promoted"}
    old = client.create_model_version(
        new.name,
        source=external.artifact_location,
        run_id=run.info.run_id,
        model_id=external.model_id,
        tags=tags | {"activelora.model_id": external.model_id},
    )
    client.delete_tag(run.info.run_id, "activelora.evaluate_adapter")
    for _ in range(2):
        assert sync(tracked)
    [found] = client.search_model_versions("name = 'use-classification'")
    assert found.version == old.version
    assert client.get_model_version_by_alias(new.name, "champion").version == old.version
