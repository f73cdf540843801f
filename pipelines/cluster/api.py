"""The calls to Kubeflow Pipelines that this project makes, on KFP's own generated client (``kfp-server-api``)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kfp_server_api as kfp

from pipelines.cluster.connection import Connection
from pipelines.cluster.errors import ClusterError
from pipelines.cluster.transport import NOWHERE, Transport

PAGE_SIZE = 100
MAX_PAGES = 1000


class Api:
    """A Kubeflow Pipelines API server.

    Args:
        connection: Address and credentials of the server.
        transport: Sender of the requests; None makes one.
    """

    def __init__(self, connection: Connection, transport: Transport | None = None) -> None:
        self.namespace = connection.namespace
        self.endpoint = connection.endpoint
        configuration = kfp.Configuration(host=connection.endpoint or NOWHERE)
        client = kfp.ApiClient(configuration)
        client.rest_client = transport or Transport(connection)
        self._pipelines = kfp.PipelineServiceApi(client)
        self._uploads = kfp.PipelineUploadServiceApi(client)
        self._experiments = kfp.ExperimentServiceApi(client)
        self._runs = kfp.RunServiceApi(client)
        self._recurring = kfp.RecurringRunServiceApi(client)
        self._health = kfp.HealthzServiceApi(client)

    def health(self) -> Any:
        """Return what the server says of itself (``V2beta1GetHealthzResponse``)."""
        return self._health.healthz_service_get_healthz()

    def pipeline_id(self, name: str) -> str | None:
        """Return the id of the pipeline of this name, if there is one."""
        try:
            found = self._pipelines.pipeline_service_get_pipeline_by_name(name, **self._where)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise
        return str(found.pipeline_id)

    def version_id(self, pipeline_id: str, name: str) -> str | None:
        """Return the id of the pipeline's version of this name, if there is one."""
        listed = self._pipelines.pipeline_service_list_pipeline_versions
        for version in _pages(lambda **page: listed(pipeline_id, **page), "pipeline_versions"):
            if name in (version.name, version.display_name):
                return str(version.pipeline_version_id)
        return None

    def create_pipeline(self, name: str, description: str) -> str:
        """Create a pipeline without versions, and return its id."""
        body = kfp.V2beta1Pipeline(name=name, display_name=name, description=description, **self._where)
        return str(self._pipelines.pipeline_service_create_pipeline(body).pipeline_id)

    def upload_version(self, pipeline_id: str, name: str, description: str, text: str) -> str:
        """Create a version of a pipeline, and return its id."""
        with _file(text) as path:
            made = self._uploads.upload_pipeline_version(
                path, name=name, pipelineid=pipeline_id, description=description
            )
        return str(made.pipeline_version_id)

    def experiment_id(self, name: str) -> str | None:
        """Return the id of the experiment of this name, if there is one."""
        listed = self._experiments.experiment_service_list_experiments
        for found in _pages(lambda **page: listed(filter=_named(name), **self._where, **page), "experiments"):
            if found.display_name == name:
                return str(found.experiment_id)
        return None

    def create_experiment(self, name: str) -> str:
        """Create an experiment and return its id."""
        body = kfp.V2beta1Experiment(display_name=name, **self._where)
        return str(self._experiments.experiment_service_create_experiment(body).experiment_id)

    def create_run(self, run: kfp.V2beta1Run) -> str:
        """Start a run and return its id."""
        return str(self._runs.run_service_create_run(run).run_id)

    def runs(self, experiment_id: str) -> Iterator[kfp.V2beta1Run]:
        """Yield an experiment's runs, the newest first."""
        listed = self._runs.run_service_list_runs
        scope = {"experiment_id": experiment_id, "sort_by": "created_at desc", **self._where}
        return _pages(lambda **page: listed(**scope, **page), "runs")

    def run(self, run_id: str) -> kfp.V2beta1Run:
        """Return a run, with its tasks."""
        return self._runs.run_service_get_run(run_id)

    def recurring_runs(self, experiment_id: str, name: str) -> list[kfp.V2beta1RecurringRun]:
        """Return an experiment's recurring runs of this name, the newest first."""
        listed = self._recurring.recurring_run_service_list_recurring_runs
        scope = {"experiment_id": experiment_id, "sort_by": "created_at desc", **self._where}
        pages = _pages(lambda **page: listed(filter=_named(name), **scope, **page), "recurring_runs", "recurringRuns")
        return [one for one in pages if one.display_name == name]

    def create_recurring_run(self, recurring: kfp.V2beta1RecurringRun) -> str:
        """Create a recurring run and return its id."""
        return str(self._recurring.recurring_run_service_create_recurring_run(recurring).recurring_run_id)

    def disable(self, recurring_run_id: str) -> None:
        """Let a recurring run start nothing more."""
        self._recurring.recurring_run_service_disable_recurring_run(recurring_run_id)

    def enable(self, recurring_run_id: str) -> None:
        """Let a recurring run start runs again."""
        self._recurring.recurring_run_service_enable_recurring_run(recurring_run_id)

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run. KFP kills what it has in flight (kubeflow/pipelines#7421): drain it first."""
        self._recurring.recurring_run_service_delete_recurring_run(recurring_run_id)

    @property
    def _where(self) -> dict[str, str]:
        return {"namespace": self.namespace} if self.namespace else {}


def _pages(fetch: Callable[..., Any], *names: str) -> Iterator[Any]:
    """Yield the items of all pages."""
    token = ""
    for _ in range(MAX_PAGES):
        page = fetch(page_size=PAGE_SIZE, **({"page_token": token} if token else {}))
        for name in names:
            yield from getattr(page, name, None) or ()
        token = page.next_page_token
        if not token:
            return
    raise ClusterError(f"the server's list does not end after {MAX_PAGES} pages", remedy="Report this.")


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Yield the path of a pipeline's text, for the time of an upload."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_text(text, encoding="utf-8")
        yield str(path)
