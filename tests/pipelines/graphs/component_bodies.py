"""The component bodies that pipelines on clusters hold: compiled once by an older commit, and run by every later image.

``python -m tests.pipelines.graphs.component_bodies f7d52e2`` prints those of ActiveLoRA 0.1.0, which
``bodies_0_1_0.json`` holds.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_COMPILE_0_1_0 = """
import json, sys
from pathlib import Path
import yaml
from activelora.config import ResourcesConfig
from components.image import images
from pipelines.compile import compile_pipelines
found = {}
for nodes in (1, 2):
    told = {"notify": {"secret": "webhook"}, "train": {"num_nodes": nodes, "accelerator_type": "nvidia.com/gpu"}}
    folder = Path(sys.argv[1]) / str(nodes)
    compile_pipelines(ResourcesConfig.model_validate(told), 2, folder, images())
    for name in ("tick.yaml", "campaign.yaml"):
        spec = next(yaml.safe_load_all((folder / name).read_text()))
        for executor in spec["deploymentSpec"]["executors"].values():
            container = executor["container"]
            function, body = container["args"][-1], container["command"][-1]
            several = function == "train_adapter" and nodes > 1
            known = found.setdefault("train_adapter in a TrainJob" if several else function, body)
            assert known == body, function
json.dump(dict(sorted(found.items())), sys.stdout, indent=1)
"""
"""Run in the older tree: every body of the tick and the loop, with one node for training and with several."""


def bodies_at(commit: str) -> str:
    """Return the component bodies that a commit of 0.1.0 compiles, as JSON: name to source.

    Args:
        commit: A commit of this repository.
    """
    archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
            tree.extractall(folder, filter="data")
        command = [sys.executable, "-W", "ignore", "-c", _COMPILE_0_1_0, str(Path(folder) / "compiled")]
        environment = os.environ | {"PYTHONPATH": folder}
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
        ).stdout


if __name__ == "__main__":
    print(json.dumps(json.loads(bodies_at(sys.argv[1])), indent=1))
