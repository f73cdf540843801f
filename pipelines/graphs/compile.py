"""Compile the pipelines of a campaign file to KFP's YAML."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions

from activelora.config import ResourcesConfig
from components.image import Images
from pipelines.graphs.accelerators import without_defaults
from pipelines.graphs.campaign import campaign_pipeline
from pipelines.graphs.canonical import canonical
from pipelines.graphs.placement import Placement
from pipelines.graphs.predict import predict_pipeline
from pipelines.graphs.round import Graph
from pipelines.graphs.tick import tick_pipeline
from pipelines.graphs.train_job_spec import job_template, job_text


def compile_pipelines(resources: ResourcesConfig, max_rounds: int, out: Path, images: Images) -> list[Path]:
    """Write ``tick.yaml`` and ``campaign.yaml``, and return their paths.

    Where trainings run on several nodes, also ``train-job.yaml``: what the step that trains will start.

    Args:
        resources: What the tasks ask of the cluster.
        max_rounds: The planned rounds of the campaign pipeline; a run may be given others.
        out: The folder to write to; made if it is not there.
        images: Images that the pods run.
    """
    placement = Placement(resources, images)
    pipelines = {
        "tick.yaml": tick_pipeline(placement),
        "campaign.yaml": campaign_pipeline(placement, max_rounds),
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = [_compile(pipeline, out / name) for name, pipeline in pipelines.items()]
    if resources.train.num_nodes > 1:
        paths.append(out / "train-job.yaml")
        write_whole(paths[-1], job_text(job_template(resources, images)))
    return paths


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all; its folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as scratch:
        partial = Path(scratch) / path.name
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


def compile_text(resources: ResourcesConfig, max_rounds: int, images: Images, *, loop: bool) -> str:
    """Return the YAML of the tick pipeline, or of the campaign pipeline (the loop).

    Every run has to be given its accelerators (:func:`~pipelines.graphs.accelerators.parameters_of`): the text holds
    none.
    """
    placement = Placement(resources, images)
    pipeline = campaign_pipeline(placement, max_rounds) if loop else tick_pipeline(placement)
    with tempfile.TemporaryDirectory() as folder:
        path = _compile(pipeline, Path(folder) / "pipeline.yaml", change=without_defaults)
        return path.read_text(encoding="utf-8")


def compile_predict(resources: ResourcesConfig, images: Images) -> str:
    """Return the YAML of the predict pipeline, as :func:`compile_text` does."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = predict_pipeline(Placement(resources, images))
        return _compile(pipeline, Path(folder) / "pipeline.yaml", change=without_defaults).read_text(encoding="utf-8")


def compile_manifest(
    resources: ResourcesConfig, max_rounds: int, path: Path, images: Images, *, loop: bool, name: str, namespace: str
) -> Path:
    """Write a pipeline as Kubernetes resources, a ``Pipeline`` and a ``PipelineVersion``, and return the path.

    For a Kubeflow that keeps its pipelines in Kubernetes' API.

    Args:
        resources: What the tasks ask of the cluster.
        max_rounds: The planned rounds of the campaign pipeline.
        path: The file.
        images: Images that the pods run.
        loop: The campaign pipeline; otherwise the tick.
        name: Name of the pipeline, unique in the namespace.
        namespace: Namespace of the resources.
    """
    placement = Placement(resources, images)
    pipeline = campaign_pipeline(placement, max_rounds) if loop else tick_pipeline(placement)
    text = compile_text(resources, max_rounds, images, loop=loop)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = KubernetesManifestOptions(
        pipeline_name=name,
        pipeline_display_name=name,
        pipeline_version_name=version_name(name, text),
        namespace=namespace,
        include_pipeline_manifest=True,
    )
    return _compile(
        pipeline,
        path,
        change=without_defaults,
        kubernetes_manifest_format=True,
        kubernetes_manifest_options=options,
    )


def version_name(pipeline: str, text: str) -> str:
    """Return the name of the version that has this content: the same content is never registered twice."""
    return f"{pipeline}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _compile(
    pipeline: Graph, path: Path, *, change: Callable[[dict[str, Any]], None] | None = None, **options: Any
) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as scratch:
        partial = Path(scratch) / path.name
        Compiler().compile(pipeline, package_path=str(partial), **options)
        partial.write_text(canonical(partial.read_text(encoding="utf-8"), change), encoding="utf-8")
        partial.replace(path)
    return path
