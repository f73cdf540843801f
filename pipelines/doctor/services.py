"""Are the servers that a campaign's pods talk to there, as pods see them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from activelora.config import CampaignConfig
from activelora.http import HttpClient, Limits, NoResponseError
from activelora.redacting import redact
from pipelines.cluster.kube import Kube
from pipelines.cluster.service_names import service_of
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.doctor.objects import items_at

_ALLOWED_HOSTS = "403 is MLflow's --allowed-hosts: list the name there."


def check_services(kube: Kube, namespace: str, config: CampaignConfig) -> Iterator[Finding]:
    """Look for MLflow, Label Studio and the object store.

    Args:
        kube: The cluster.
        namespace: Namespace of the pods of runs.
        config: The campaign's settings.
    """
    named = config.resources.config_map
    found = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{named}") if named else None
    environment: dict[str, str] = (found or {}).get("data") or {}
    yield _check_mlflow(kube, config, environment.get("MLFLOW_TRACKING_URI"))
    url = config.labeling.label_studio.url
    if url is not None and "label_studio" in (config.labeling.source, config.labeling.llm.people.source):
        yield _check_server(kube, "Label Studio", url, "Look at labeling.label_studio.url.")
    store = environment.get("AWS_ENDPOINT_URL_S3")
    if store is not None and (service := service_of(store)) is not None:
        yield _check_service(kube, "object store", service.name, service.namespace)


def _check_mlflow(kube: Kube, config: CampaignConfig, given_uri: str | None) -> Finding:
    tracking = config.tracking
    if not tracking.enabled:
        return ok("MLflow", "not wanted")
    uri = tracking.uri or given_uri
    if uri is None:
        remedy = "Set tracking.uri or resources.config_map. The campaign runs without, and its report is there."
        return warning("MLflow", "pods are given no server", remedy)
    return _check_server(kube, "MLflow", uri, _ALLOWED_HOSTS)


def _check_server(kube: Kube, check: str, url: str, remedy: str) -> Finding:
    parts = (urlsplit(url).hostname or "").split(".")
    if len(parts) == 2 or service_of(url) is not None:  # short names are a Service's, too
        return _check_service(kube, check, parts[0], parts[1])
    return _check_health(check, url, remedy)


def _check_service(kube: Kube, check: str, service: str, namespace: str) -> Finding:
    """Look for ready pods behind a Service: its name means nothing outside of the cluster."""
    slices = items_at(
        kube,
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        labelSelector=f"kubernetes.io/service-name={service}",
    )
    ready = [
        one
        for part in slices
        for one in part.get("endpoints") or ()
        if (one.get("conditions") or {}).get("ready") is not False
    ]
    if ready:
        return ok(check, f"Service {service} in {namespace} has {len(ready)} ready pod(s)")
    remedy = f"kubectl -n {namespace} get pods; kubectl -n {namespace} logs svc/{service} --all-containers"
    return failed(check, f"Service {service} in {namespace} has no ready pod", remedy)


def _check_health(check: str, url: str, remedy: str) -> Finding:
    client, shown = HttpClient(Limits(total_seconds=30.0), num_tries=2), redact(url)
    try:
        status = client.request("GET", f"{url.rstrip('/')}/health").status
    except NoResponseError as error:
        problem = f"{shown} cannot be reached from here: {error.problem}"
        return warning(check, problem, "Pods may; look at the server.")
    if status == 200:
        return ok(check, f"{shown} answers")
    return failed(check, f"{shown}/health answered {status}", remedy)
