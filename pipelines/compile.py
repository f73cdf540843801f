"""Compile the pipelines of a campaign file to KFP's YAML."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kfp.compiler import Compiler

from activelora.config import ResourcesConfig
from components.image import Images
from pipelines.campaign import campaign_pipeline
from pipelines.placement import Placement
from pipelines.round import Graph
from pipelines.tick import tick_pipeline


def compile_pipelines(resources: ResourcesConfig, max_rounds: int, out: Path, images: Images) -> list[Path]:
    """Write ``tick.yaml`` and ``campaign.yaml``, and return their paths.

    Args:
        resources: What the tasks ask of the cluster.
        max_rounds: The planned rounds of the campaign pipeline; a run may be given others.
        out: The folder to write to; made if it is not there.
        images: What the pods run.
    """
    place = Placement(resources, images)
    pipelines = {
        "tick.yaml": tick_pipeline(place),
        "campaign.yaml": campaign_pipeline(place, max_rounds),
    }
    out.mkdir(parents=True, exist_ok=True)
    return [_compile(pipeline, out / name) for name, pipeline in pipelines.items()]


def _compile(pipeline: Graph, path: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as scratch:
        partial = Path(scratch) / path.name
        Compiler().compile(pipeline, package_path=str(partial))  # KFP takes a callable; it is a GraphComponent
        partial.replace(path)
    return path
