"""train_adapter where it runs on several nodes: what its pod does.

As a command, where there is no Kubeflow Pipelines: ``python3 -m pipelines.cluster.train_step --campaign-uri=URI
--round=1``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Manifest, Unit
from activelora.errors import ConfigError
from activelora.tracking.prometheus import report_metrics
from components.entry import Pointer, point
from components.task_context import task
from pipelines.cluster.kube import Kube
from pipelines.cluster.train_jobs import Document, TrainJobError, TrainJobs, make_job

logger = logging.getLogger(__name__)
JOB_VARIABLE = "ACTIVELORA_TRAIN_JOB"
"""Holds the TrainJob that a training on several nodes starts, as JSON."""
POD_VARIABLES = {
    "ACTIVELORA_POD_NAME": "metadata.name",
    "ACTIVELORA_POD_UID": "metadata.uid",
    "ACTIVELORA_POD_NAMESPACE": "metadata.namespace",
}
"""Tell the pod that starts it who it is: the job is deleted with it."""
_NAME, _UID, _NAMESPACE = POD_VARIABLES


def main(arguments: list[str] | None = None) -> None:
    """Train if it is due."""
    parser = argparse.ArgumentParser(prog="pipelines.cluster.train_step", description="Train a round in a TrainJob.")
    parser.add_argument("--campaign-uri", required=True)
    parser.add_argument("--round", type=int, required=True)
    chosen = parser.parse_args(arguments)
    train_if_due(chosen.campaign_uri, chosen.round)


def train_at(campaign_uri: str, round_: int, artifact: Pointer) -> None:
    """Do train_adapter on several nodes, due or not: what pipelines compiled by 0.1.0 call.

    Args:
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        artifact: Artifact that the KFP UI shows.
    """
    unit = Unit("train_adapter", int(round_))
    with task(unit.step, campaign_uri, unit) as here:
        _train(here.campaign, unit, artifact)


def train_if_due(campaign_uri: str, round_: int, artifact: Pointer | None = None) -> None:
    """Do train_adapter on several nodes if it is due, and point a KFP artifact at what it produced.

    Args:
        campaign_uri: The campaign.
        round_: The round. KFP hands over whole numbers as floats.
        artifact: Artifact that the KFP UI shows; None where there is none.
    """
    unit = Unit("train_adapter", int(round_))
    with task(unit.step, campaign_uri, unit, keeps_log=False) as here:
        campaign = here.campaign
        if campaign.manifest(unit) is None and unit not in next_plan(campaign).units:
            logger.info("%s is not due", unit)
            return
        here.keep_log()
        _train(campaign, unit, artifact)


def _train(campaign: Campaign, unit: Unit, artifact: Pointer | None) -> None:
    """Train in a job that this pod starts, as its environment describes it."""
    template, namespace, owner = json.loads(_variable(JOB_VARIABLE)), _variable(_NAMESPACE), _this_pod()
    manifest = train_in_job(campaign, unit, template, TrainJobs(Kube(), namespace, owner))
    if artifact is not None:
        point(artifact, campaign, manifest)
    report_metrics(campaign)


def train_in_job(campaign: Campaign, unit: Unit, template: Document, jobs: TrainJobs) -> Manifest:
    """Train a round's adapter in a job, unless it is done.

    Args:
        campaign: The campaign, where all nodes reach it.
        unit: train_adapter of the round.
        template: Template of :func:`~pipelines.graphs.train_job_spec.job_template`.
        jobs: Training jobs of the namespace to run it in.

    Raises:
        TrainJobError: It failed; or ended well and left no manifest.
    """
    job = make_job(template, campaign.config.name, campaign.store.uri, unit.round)
    if done := campaign.manifest(unit):
        jobs.remove(job["metadata"]["name"])
        return done
    jobs.run(job)
    if manifest := campaign.manifest(unit):
        return manifest
    raise TrainJobError(
        "the job ended well, but there is no manifest",
        where=f"{campaign.store.uri}/{unit.manifest_key}",
        remedy="Its pods must reach the same store: compare resources.secrets and resources.config_map.",
    )


def _this_pod() -> dict[str, str]:
    name, uid = _variable(_NAME), _variable(_UID)
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}


def _variable(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise ConfigError(
        "is not set: only a pod of a compiled pipeline has it",
        where=name,
        remedy="Compile the pipeline anew, and submit it.",
    )


if __name__ == "__main__":
    main()
