"""An exported folder: for peft, for transformers, for its own program, and for this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM

from activelora.campaign.campaign import Campaign
from activelora.errors import ModelError
from activelora.modeling.base import load_base
from activelora.prediction.bundle import Bundle, read_bundle, write_bundle
from activelora.prediction.export import export
from activelora.prediction.loaded import LoadedModel
from tests.prediction.conftest import KINDS, evaluated, rows_of

WITHOUT_THIS_PACKAGE = (
    "import runpy, sys; sys.modules['activelora'] = None; sys.argv = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run_program(folder: Path, rows: list[dict], *arguments: str) -> list[dict]:
    """Return what the folder's own program answers, in a process that cannot import this package."""
    table = folder.parent / f"{folder.name}-rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = [sys.executable, "-c", WITHOUT_THIS_PACKAGE, str(folder / "predict.py"), str(table), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_same_answers(bundle: Bundle, said: list[dict], rows: list[dict]) -> None:
    """Check a program's answers against those of this package without samples."""
    with LoadedModel.load(bundle, num_samples=0) as model:
        wanted = model.predict(rows)
    assert [one["prediction"] for one in said] == [
        pytest.approx(one.label, abs=1e-4) if isinstance(one.label, float) else one.label for one in wanted
    ]
    for one, answer in zip(said, wanted, strict=True):
        if "probability" in one:
            assert one["probability"] == pytest.approx(answer.probability, abs=1e-5)


def bundle_of(campaign: Campaign, folder: Path, round_: int = 1) -> Bundle:
    return write_bundle(campaign, round_, folder / "bundle")


HARD_ROWS = [
    {"text": "  white space\r\nand lines  ", "choices": ["one", "two"]},
    {"text": "Cafe\u0301 ✓ " + "water " * 700, "choices": ["the first", "the second", "third"]},
    {"text": "{text}", "choices": ["a", "b"]},
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_answers_as_predict_without_samples(kind, tmp_path, tiny_model_path):
    bundle = bundle_of(evaluated(tmp_path, tiny_model_path, kind), tmp_path)
    done = export(bundle, tmp_path / "out")
    assert done.no_program is None
    assert "activelora" not in (tmp_path / "out" / "predict.py").read_text()
    rows = rows_of(kind, 6, seed=5) + HARD_ROWS
    check_same_answers(bundle, run_program(tmp_path / "out", rows), rows)
