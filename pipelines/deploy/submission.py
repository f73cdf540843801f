"""Starts runs on Kubeflow, and registers pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kfp_server_api as kfp

from pipelines.cluster.api import Api
from pipelines.cluster.errors import ClusterError
from pipelines.deploy.packages import Package


@dataclass(frozen=True)
class Registered:
    """A pipeline version on the server.

    Attributes:
        package: Package that it holds.
        pipeline_id: The server's id of the pipeline.
        version_id: The server's id of the version.
        is_new: This call made it.
    """

    package: Package
    pipeline_id: str
    version_id: str
    is_new: bool

    @property
    def reference(self) -> kfp.V2beta1PipelineVersionReference:
        """How runs name it."""
        return kfp.V2beta1PipelineVersionReference(pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id)


def register(api: Api, package: Package) -> Registered:
    """Register a pipeline version, unless the same content is there. Two callers at once end with one version."""
    pipeline_id = api.pipeline_id(package.name)
    if pipeline_id is None:
        pipeline_id = _or_found(
            lambda: api.create_pipeline(package.name, package.description), lambda: api.pipeline_id(package.name)
        )
    elif version_id := api.version_id(pipeline_id, package.version):
        return Registered(package, pipeline_id, version_id, is_new=False)
    version_id = _or_found(
        lambda: api.upload_version(pipeline_id, package.version, package.description, package.text),
        lambda: api.version_id(pipeline_id, package.version),
    )
    return Registered(package, pipeline_id, version_id, is_new=True)


def experiment_of(api: Api, campaign: str) -> str:
    """Return the id of a campaign's experiment, made where it is not there."""
    name = experiment_name(campaign)
    return api.experiment_id(name) or _or_found(lambda: api.create_experiment(name), lambda: api.experiment_id(name))


def experiment_name(campaign: str) -> str:
    """Return the name of the KFP experiment that holds a campaign's runs."""
    return f"activelora-{campaign}"


def submit(
    api: Api,
    campaign: str,
    campaign_uri: str,
    package: Package,
    service_account: str | None,
    parameters: Mapping[str, Any] = {},
) -> str:
    """Register the pipeline and start one run of it; return the run's id.

    Args:
        api: The server.
        campaign: The campaign's name.
        campaign_uri: URI of the campaign.
        package: Package to run.
        service_account: Service account of the pods; None is Kubeflow's default.
        parameters: More of the run's parameters.
    """
    registered = register(api, package)
    run = kfp.V2beta1Run(
        display_name=package.name,
        description=campaign_uri,
        experiment_id=experiment_of(api, campaign),
        pipeline_version_reference=registered.reference,
        runtime_config=kfp.V2beta1RuntimeConfig(
            parameters={"campaign_uri": campaign_uri, **package.parameters, **parameters}
        ),
        service_account=service_account,
    )
    return api.create_run(run)


def _or_found(make: Callable[[], str], find: Callable[[], str | None]) -> str:
    """Make something; if another caller has just made it (409), find it."""
    try:
        return make()
    except ClusterError as error:
        found = find() if error.status == 409 else None
        if found is None:
            raise
        return found
