"""The same answers to real rows by all four doors: `predict`, MLflow's pyfunc, `serve` over HTTP, an export's program.

The model is tiny and its weights are random, so that its answers are worth nothing; that they are the same is what
counts, and for this the texts are what must be real: long ones, quotation marks, other scripts, many lengths.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from activelora.tracking.mlflow_location import prepare_environment
from activelora.tracking.mlflow_model import write_model
from pipelines.cli.main import main
from tests.prediction.conftest import KINDS, evaluated
from tests.prediction.serving.test_command import JSON, serving
from tests.prediction.test_export import WITHOUT_THIS_PACKAGE

prepare_environment()
import mlflow  # noqa: E402
from mlflow.models import Model  # noqa: E402

NUM = 200
SOURCES = {
    "classification": ("trec6/test", "text"),
    "yes_no": ("boolq/validation", "question"),
    "multiple_choice": ("arc_easy/test", "question"),
    "preference": ("arc_easy/test", "question"),
    "multi_label": ("agnews/test", "text"),
    "regression": ("agnews/train", "text"),
    "generation": ("gsm8k/test", "question"),
}
"""File and column of the texts that each kind of task is asked about."""
PER_REQUEST = 50


def real_rows(shared_data: Path, kind: str) -> list[dict[str, Any]]:
    name, column = SOURCES[kind]
    with (shared_data / f"{name}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, NUM)]
    if kind == "preference":
        return [{"text": row[column], "left": row["choices"][0], "right": row["choices"][1]} for row in rows]
    return [{"text": row[column]} | ({"choices": row["choices"]} if "choices" in row else {}) for row in rows]


def predicted(campaign: str, rows: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    assert main(["predict", campaign, str(rows), "--out", str(out), "--round", "1", *options]) == 0
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def served(campaign: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    with serving(campaign, "--round", 1) as (_, address, _):
        connection = http.client.HTTPConnection(*address, timeout=120)
        for begin in range(0, len(rows), PER_REQUEST):
            connection.request("POST", "/predict", json.dumps({"rows": rows[begin : begin + PER_REQUEST]}), JSON)
            answer = connection.getresponse()
            document = json.loads(answer.read())
            assert answer.status == 200, document
            answers += [{"prediction": one["label"], **one} for one in document["answers"]]
        connection.close()
    return answers


def said_by_program(folder: Path, rows: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", WITHOUT_THIS_PACKAGE]
    jobs = json.dumps([[str(folder), str(rows)]])
    ran = subprocess.run(command, input=jobs, capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "Warning" not in ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()[1:]]


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]], columns: list[str]) -> None:
    assert len(found) == len(wanted) == NUM
    for one, other in zip(found, wanted, strict=True):
        for name in columns:
            value = one[name].tolist() if hasattr(one[name], "tolist") else one[name]
            expected = pytest.approx(other[name], abs=1e-5) if isinstance(other[name], float) else other[name]
            assert value == expected, (name, one, other)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_doors_give_the_same_numbers(kind, shared_data, tiny_model_path, tmp_path):
    rows = real_rows(shared_data, kind)
    campaign = evaluated(tmp_path, tiny_model_path, kind)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    wanted = predicted(campaign.store.uri, file, tmp_path / "said.jsonl")
    columns = [name for name in ("prediction", "probability", "uncertainty", "low", "high") if name in wanted[0]]
    assert kind == "generation" or len({str(one["uncertainty"]) for one in wanted}) > NUM / 4  # no answer for all alike

    write_model(campaign, 1, tmp_path / "model", Model())
    frame = mlflow.pyfunc.load_model(str(tmp_path / "model"), suppress_warnings=True).predict(pd.DataFrame(rows))
    assert frame["problem"].isna().all()
    same(frame.to_dict("records"), wanted, columns)
    same(served(campaign.store.uri, rows), wanted, columns)

    assert main(["export", campaign.store.uri, "--round", "1", "--out", str(tmp_path / "out")]) == 0
    if kind == "preference":  # read against the base model, so that no program goes with it
        assert not (tmp_path / "out" / "predict.py").exists()
        return
    mean = predicted(campaign.store.uri, file, tmp_path / "mean.jsonl", "--samples", "0")
    said = said_by_program(tmp_path / "out", file)
    same(said, mean, [name for name in columns if name in said[0]])
