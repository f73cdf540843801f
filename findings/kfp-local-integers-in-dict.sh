#!/usr/bin/env bash
# Whole numbers inside a dictionary parameter arrive as floating-point numbers.
#
# kfp 2.17.3 (https://github.com/kubeflow/pipelines), kfp.local with the SubprocessRunner. Parameters of type dict travel
# as protobuf's Struct, which knows one kind of number. A parameter that is itself an integer arrives as one. `range(rows)`
# in the task raises a TypeError, and a JSON written from it says 1000.0.
source "$(dirname "$0")/lib.sh"
environment kfp==2.17.3
program_prints "{'rows': 'float', 'sizes': ['float', 'float'], 'alone': 'int'}" <<'PYTHON'
from pathlib import Path

from kfp import dsl, local


@dsl.component
def types(path: str, settings: dict, alone: int):
    from pathlib import Path

    found = {"rows": type(settings["rows"]).__name__, "sizes": [type(one).__name__ for one in settings["sizes"]]}
    Path(path).write_text(repr({**found, "alone": type(alone).__name__}))


@dsl.pipeline
def pipeline(path: str, settings: dict, alone: int):
    types(path=path, settings=settings, alone=alone)


local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root", raise_on_error=True)
path = Path("types.txt").absolute()
pipeline(path=str(path), settings={"rows": 1000, "sizes": [25, 50]}, alone=1000)
print(">", path.read_text())
PYTHON
