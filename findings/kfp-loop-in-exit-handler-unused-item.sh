#!/usr/bin/env bash
# A loop over a pipeline's parameter, inside an exit handler, is not handed its list where no task uses the loop's item.
#
# kfp 2.17.3 (https://github.com/kubeflow/pipelines), the compiler.
# The loop's graph asks its surroundings, the exit handler, for `pipelinechannel--names`, which the exit handler does not
# declare and is not given: the YAML is made without a word, and a run cannot find the list. With the item as an argument
# of a task, or without the exit handler, the list is handed down.
source "$(dirname "$0")/lib.sh"
environment kfp==2.17.3
program_prints "item unused: the handler declares []
item used: the handler declares ['pipelinechannel--names']" <<'PYTHON'
from kfp import compiler, dsl
import yaml


@dsl.component
def work(name: str = "any"):
    pass


@dsl.component
def tell():
    pass


def declared(uses_item):
    @dsl.pipeline
    def pipeline(names: list):
        with dsl.ExitHandler(tell()):
            with dsl.ParallelFor(names) as name:
                work(name=name) if uses_item else work()

    compiler.Compiler().compile(pipeline, "pipeline.yaml")
    spec = next(yaml.safe_load_all(open("pipeline.yaml")))
    handler = spec["components"]["comp-exit-handler-1"]
    (loop,) = [one for name, one in handler["dag"]["tasks"].items() if name.startswith("for-loop")]
    assert loop["inputs"]["parameters"]["pipelinechannel--names"] == {
        "componentInputParameter": "pipelinechannel--names"
    }
    return sorted(handler.get("inputDefinitions", {}).get("parameters", {}))


print("> item unused: the handler declares", declared(False))
print("> item used: the handler declares", declared(True))
PYTHON
