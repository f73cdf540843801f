"""Whole campaigns through the command line with the real pretrained model on real text."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGNS = Path(__file__).parents[1] / "pipelines" / "campaigns"
MEMORY_GIB = 6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def activelora(*arguments):
    command = [str(Path(sys.executable).with_name("activelora")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rounds_of(campaign):
    return json.loads(activelora("status", campaign, "--json"))["rounds"]


def test_the_demo_learns_and_fits_in_memory(tmp_path):
    output = activelora("demo", "--campaign", tmp_path / "demo")
    assert "report.html" in output
    assert "mlflow ui" in output
    rounds = rounds_of(tmp_path / "demo")
    assert len(rounds) >= 4
    assert rounds[-1]["accuracy"] >= rounds[0]["accuracy"] + 0.2
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kib < MEMORY_GIB << 20


def overrides_of(settings):
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def test_trec6_from_its_ready_file(tmp_path, shared_data):
    small = overrides_of({"acquisition.strategy": "random", "data.pool.limit": 300, "data.holdout.limit": 250})
    file, data = CAMPAIGNS / "trec6.yaml", shared_data / "trec6"
    activelora("run", file, "--data", data, "--campaign", tmp_path / "c", *small)
    rounds = rounds_of(tmp_path / "c")
    assert [one["num_labels"] for one in rounds] == [0, 25, 50, 75, 100, 125, 150]
    assert max(one["accuracy"] for one in rounds) >= 0.7


def test_arc_easy_by_the_choices_text_from_its_ready_file(tmp_path, shared_data):
    small = {
        "data.pool.limit": 60,
        "data.holdout.limit": 80,
        "acquisition.batch_size": 10,
        "stopping.max_rounds": 1,
    }
    file, data = CAMPAIGNS / "arc_easy.yaml", shared_data / "arc_easy"
    activelora("run", file, "--data", data, "--campaign", tmp_path / "c", *overrides_of(small))
    zero_shot, trained = rounds_of(tmp_path / "c")
    assert trained["num_labels"] == 10
    assert zero_shot["accuracy"] > 0.3  # chance is 0.25
