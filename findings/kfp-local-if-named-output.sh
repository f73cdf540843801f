#!/usr/bin/env bash
# Run locally, a condition on a named output of a task is never met, and the pipeline succeeds.
#
# kfp 2.17.3 (https://github.com/kubeflow/pipelines), kfp.local with the SubprocessRunner.
# `is_due` is true, so the task inside `dsl.If` should write its file. It does not run, and nobody says so. The same
# condition on the only, nameless output of a task is met. On a cluster both are.
source "$(dirname "$0")/lib.sh"
environment kfp==2.17.3
program_prints "named output:    written: []
nameless output: written: ['nameless']" <<'PYTHON'
from pathlib import Path
from typing import NamedTuple

from kfp import dsl, local


@dsl.component
def named() -> NamedTuple("Outputs", [("what", str), ("is_due", bool)]):
    from collections import namedtuple

    return namedtuple("Outputs", ["what", "is_due"])("train", True)


@dsl.component
def nameless() -> bool:
    return True


@dsl.component
def write(folder: str, name: str):
    from pathlib import Path

    Path(folder, name).write_text("")


@dsl.pipeline
def on_named(folder: str):
    with dsl.If(named().outputs["is_due"] == True):
        write(folder=folder, name="named")


@dsl.pipeline
def on_nameless(folder: str):
    with dsl.If(nameless().output == True):
        write(folder=folder, name="nameless")


local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root", raise_on_error=True)
for text, pipeline in {"named output:   ": on_named, "nameless output:": on_nameless}.items():
    folder = Path(pipeline.name).absolute()
    folder.mkdir()
    pipeline(folder=str(folder))
    print(">", text, "written:", sorted(file.name for file in folder.iterdir()))
PYTHON
