#!/usr/bin/env bash
# Run locally, a loop's body gets the loop's item where the pipeline says the output of a task before the loop.
#
# kfp 2.17.3 (https://github.com/kubeflow/pipelines), kfp.local with the SubprocessRunner.
# `outer` should be what the task `name` returned, `pool-7`, in both iterations. It is the item. The pipeline succeeds.
# On a cluster the same pipeline is right. A pipeline of its own for the body, with `outer` as a parameter, is right on both.
source "$(dirname "$0")/lib.sh"
environment kfp==2.17.3
program_prints "item=first outer=first
item=second outer=second
the pipeline has succeeded" <<'PYTHON'
from pathlib import Path

from kfp import dsl, local


@dsl.component
def name() -> str:
    return "pool-7"


@dsl.component
def write(folder: str, item: str, outer: str):
    from pathlib import Path

    Path(folder, f"{item}.txt").write_text(f"item={item} outer={outer}")


@dsl.pipeline
def pipeline(folder: str):
    before = name()
    with dsl.ParallelFor(["first", "second"]) as item:
        write(folder=folder, item=item, outer=before.output)


local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root", raise_on_error=True)
folder = Path("written").absolute()
folder.mkdir()
pipeline(folder=str(folder))
for file in sorted(folder.iterdir()):
    print(">", file.read_text())
print("> the pipeline has succeeded")
PYTHON
