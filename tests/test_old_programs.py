"""`python -m OLD_NAME` of modules that moved."""

import subprocess
import sys
from pathlib import Path

import pytest

from activelora.moved import MOVED, PROGRAMS

ROOT = Path(__file__).parents[1]


def run_module(name, *arguments):
    command = [sys.executable, "-m", name, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("old", ["pipelines.compile", "pipelines.commands.labels", "pipelines.wake"])
def test_what_is_no_program_says_its_new_name_in_one_line(old):
    done = run_module(old)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith(f": {old} is now {MOVED[old]}, which is no program")
    assert len(done.stderr.splitlines()) == 1


def test_the_one_that_was_a_program_runs(tmp_path):
    done = run_module("pipelines.compare_workers", str(tmp_path / "none"), "1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error:" in done.stderr
    assert "pipelines.compare_workers is now pipelines.cli.compare_worker" in done.stderr
    assert list(PROGRAMS) == ["pipelines.compare_workers"]
