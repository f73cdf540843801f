"""Is a cluster ready for a campaign: everything that can be known before the first run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3

from activelora.config import CampaignConfig, ResourcesConfig
from activelora.config_secrets import SECRET_KEYS
from activelora.errors import ActiveLoRAError
from components.image import Images
from pipelines.cluster.connection import ENDPOINT_VARIABLE, find_connection
from pipelines.cluster.errors import ClusterError
from pipelines.cluster.findings import Finding, failed, ok, warning
from pipelines.cluster.kube import ForbiddenError, Kube
from pipelines.cluster.nodes import check_nodes
from pipelines.cluster.registry import check_image
from pipelines.cluster.training_checks import check_training
from pipelines.pods import CONFIG_KEYS

APPLY = "Apply manifests/ (see manifests/README.md)."
_POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
RIGHTS = (("list", "pods"), ("get", "pods/log"), ("list", "events"), ("get", "secrets"), ("get", "configmaps"))


def examine(
    config: CampaignConfig,
    namespace: str,
    images: Images,
    *,
    campaign_uri: str | None = None,
    context: str | None = None,
    endpoint: str | None = None,
) -> Iterator[Finding]:
    """Yield what is found, one check after the other.

    Args:
        config: The campaign's settings.
        namespace: Where the pods of runs are.
        images: What they run.
        campaign_uri: Where the campaign lives or will live; None leaves the storage out.
        context: Of the kubeconfig.
        endpoint: Of Kubeflow Pipelines' API; None is ``KF_PIPELINES_ENDPOINT``.
    """
    resources = config.resources
    reachable = False
    for finding in _check_api(context):
        reachable = finding.state == "ok"
        yield finding
    if reachable:
        kube = Kube(context)
        checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
            ("namespace", lambda: _check_namespace(kube, namespace)),
            ("types", lambda: _check_types(kube, resources)),
            ("rights", lambda: _check_rights(kube, namespace)),
            ("accounts", lambda: _check_named(kube, namespace, resources)),
            ("training", lambda: check_training(kube, namespace, resources)),
            ("priorities", lambda: _check_priorities(kube, resources)),
            ("secrets", lambda: _check_secrets(kube, namespace, resources)),
            ("nodes", lambda: check_nodes(_items(kube, "/api/v1/nodes"), resources)),
            ("MLflow", lambda: _check_mlflow(kube, namespace, config)),
        )
        for name, check in checks:
            yield from _guarded(name, check)
    yield _check_pipelines(endpoint)
    yield _check_storage(campaign_uri)
    used = {
        images.gpu if one.accelerator_type else images.cpu for one in (resources.cpu, resources.train, resources.score)
    }
    for image in sorted(used):
        yield check_image(image, has_pull_secret=bool(resources.image_pull_secrets))


def _guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a check's findings; what this account may not see is a finding too, and the next check goes on."""
    try:
        yield from check()
    except ForbiddenError as error:
        yield warning(name, f"cannot be looked at: {error.problem}", "Ask for the role activelora-viewer, or an admin.")
    except ClusterError as error:
        yield failed(name, error.problem, error.remedy or "Look at the API server.")


def _check_api(context: str | None) -> Iterator[Finding]:
    try:
        kube = Kube(context)
        version = (kube.get("/version") or {}).get("gitVersion", "unknown")
    except ClusterError as error:
        yield failed("API", str(error), "Set KUBECONFIG or --context, and check the network.")
        return
    yield ok("API", f"{kube.host} is Kubernetes {version}")


def _check_pipelines(endpoint: str | None) -> Finding:
    """Ask Kubeflow Pipelines' API how it is, as `submit` and `schedule` reach it."""
    from pipelines.cluster.api import Api

    check = "Kubeflow Pipelines"
    try:
        connection = find_connection(endpoint, required=False)
        if connection.endpoint is None:
            remedy = f"Name its API with --endpoint or {ENDPOINT_VARIABLE}; `submit` and `schedule` need it."
            return warning(check, "not looked at", remedy)
        Api(connection).health()
    except ClusterError as error:
        remedy = error.remedy or f"Check {ENDPOINT_VARIABLE}."
        return failed(check, ": ".join(filter(None, (error.where, error.problem))), remedy)
    return ok(check, f"{connection.endpoint} answers")


def _check_namespace(kube: Kube, namespace: str) -> Iterator[Finding]:
    if kube.get(f"/api/v1/namespaces/{namespace}") is None:
        yield failed("namespace", f"there is no {namespace}", f"{APPLY} Or name the right one with --namespace.")
    else:
        yield ok("namespace", f"{namespace} is there")


def _check_types(kube: Kube, resources: ResourcesConfig) -> Iterator[Finding]:
    groups = {
        one["name"]: [version["version"] for version in one["versions"]] for one in (kube.get("/apis") or {})["groups"]
    }
    wanted = {"argoproj.io": "Argo Workflows, which Kubeflow Pipelines runs on"}
    if resources.queue:
        wanted["kueue.x-k8s.io"] = "Kueue, for resources.queue"
    for group, words in wanted.items():
        if group in groups:
            yield ok(f"types of {group}", ", ".join(groups[group]))
        else:
            yield failed(f"types of {group}", f"not installed: {words}", "Install it (see manifests/README.md).")
    for group in ("trainer.kubeflow.org", "external-secrets.io", "monitoring.coreos.com"):
        yield ok(f"types of {group}", ", ".join(groups.get(group, ["not installed, and not needed"])))


def _check_rights(kube: Kube, namespace: str) -> Iterator[Finding]:
    missing = [f"{verb} {resource}" for verb, resource in RIGHTS if not kube.may(verb, resource, namespace)]
    if not kube.may("list", "nodes", None):
        missing.append("list nodes")
    if missing:
        remedy = "The checks that need them say so below. Ask an admin, or run this as one."
        yield warning("rights", f"this account may not {', '.join(missing)} in {namespace}", remedy)
    else:
        yield ok("rights", "this account may see all that is looked at here")


def _check_named(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Check service account, volume claim and queue, where the campaign names them."""
    place = f"/api/v1/namespaces/{namespace}"
    if account := resources.service_account:
        there = kube.get(f"{place}/serviceaccounts/{account}") is not None
        yield _there(f"service account {account}", there, APPLY)
    if resources.model_cache and (claim := resources.model_cache.claim):
        found = kube.get(f"{place}/persistentvolumeclaims/{claim}")
        yield _there(f"volume claim {claim}", found is not None, "Make it, or leave model_cache.claim out.")
        if found is not None and "ReadWriteMany" not in found["spec"].get("accessModes", ()):
            yield warning(
                f"volume claim {claim}",
                "is not ReadWriteMany",
                "Pods on several nodes cannot share it: use one that is.",
            )
    if resources.queue:
        names = [one["metadata"]["name"] for one in _queues(kube, namespace)]
        yield _there(f"queue {resources.queue}", resources.queue in names, "Apply manifests/components/kueue.")


def _queues(kube: Kube, namespace: str) -> list[dict[str, Any]]:
    group = kube.get("/apis/kueue.x-k8s.io")
    if group is None:
        return []
    version = group["preferredVersion"]["groupVersion"]
    return _items(kube, f"/apis/{version}/namespaces/{namespace}/localqueues")


def _check_priorities(kube: Kube, resources: ResourcesConfig) -> Iterator[Finding]:
    """Check the priority classes that the campaign names, and the policy without which Kubernetes' have no effect."""
    found: dict[str, set[str]] = {"queue": set(), "pod": set()}
    for one in (resources.cpu, resources.train, resources.score):
        if one.priority_class:
            waits = resources.queue is not None and one.accelerator_type is not None
            found["queue" if waits else "pod"].add(one.priority_class)
    for name in sorted(found["queue"]):
        group = kube.get("/apis/kueue.x-k8s.io")
        version = group["preferredVersion"]["groupVersion"] if group else "kueue.x-k8s.io/v1beta2"
        there = kube.get(f"/apis/{version}/workloadpriorityclasses/{name}") is not None
        yield _there(f"Kueue's priority class {name}", there, "Make that WorkloadPriorityClass, or name another.")
    for name in sorted(found["pod"]):
        there = kube.get(f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}") is not None
        yield _there(f"priority class {name}", there, "Make that PriorityClass, or name another.")
    if found["pod"]:
        there = kube.get(f"{_POLICIES}/activelora-priority") is not None
        yield _there("priority policy", there, "Apply manifests/components/priority (Kubernetes 1.36 or newer).")


def _check_secrets(kube: Kube, namespace: str, resources: ResourcesConfig) -> Iterator[Finding]:
    """Look at the names of the keys; the values are not read into any message."""
    named: dict[str, set[str]] = {name: set(SECRET_KEYS) for name in resources.secrets}
    for variable, source in resources.secret_env.items():
        named.setdefault(source.name, set()).add(source.key or variable)
    if resources.notify:
        named.setdefault(resources.notify.secret, set()).add(resources.notify.key)
    wanted = [("secrets", name, tuple(sorted(keys))) for name, keys in named.items()]
    wanted += [("secrets", name, (".dockerconfigjson",)) for name in resources.image_pull_secrets]
    if resources.config_map:
        wanted.append(("configmaps", resources.config_map, CONFIG_KEYS))
    for kind, name, keys in wanted:
        found = kube.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        check = f"{kind[:-1]} {name}"
        missing = sorted(set(keys) - set((found or {}).get("data") or ()))
        if found is None:
            remedy = f"Make it with the keys {', '.join(keys)}. {APPLY}"
            yield failed(check, f"is not in {namespace}", remedy)
        elif missing and kind == "secrets":
            yield failed(check, f"lacks {', '.join(missing)}", "Add the keys, spelled exactly so.")
        elif missing:
            yield warning(check, f"lacks {', '.join(missing)}", "Right where the cloud's defaults do.")
        else:
            yield ok(check, f"has {', '.join(keys)}")


def _check_mlflow(kube: Kube, namespace: str, config: CampaignConfig) -> Iterator[Finding]:
    tracking, uri = config.tracking, config.tracking.uri
    if not tracking.enabled:
        yield ok("MLflow", "not wanted")
        return
    if uri is None and config.resources.config_map:
        found = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{config.resources.config_map}")
        uri = ((found or {}).get("data") or {}).get("MLFLOW_TRACKING_URI")
    if uri is None:
        remedy = "Set tracking.uri or resources.config_map. The campaign runs without, and its report is there."
        yield warning("MLflow", "pods are told of no server", remedy)
        return
    host = urlsplit(uri).hostname or ""
    parts = host.split(".")
    if len(parts) == 2 or ".svc" in host:
        yield _check_service(kube, parts[0], parts[1])
    else:
        yield _check_health(uri)


def _check_service(kube: Kube, service: str, namespace: str) -> Finding:
    """Look for ready pods behind a Service: its name means nothing outside of the cluster."""
    slices = _items(
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
    check = "MLflow"
    if ready:
        return ok(check, f"Service {service} in {namespace} has {len(ready)} ready pod(s)")
    remedy = f"kubectl -n {namespace} get pods; kubectl -n {namespace} logs deploy/{service} --all-containers"
    return failed(check, f"Service {service} in {namespace} has no ready pod", remedy)


def _check_health(uri: str) -> Finding:
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5.0, read=15.0), retries=False)
    try:
        status = pool.request("GET", f"{uri.rstrip('/')}/health").status
    except urllib3.exceptions.HTTPError as error:
        return warning("MLflow", f"{uri} cannot be reached from here: {error}", "Pods may; look at the server.")
    if status == 200:
        return ok("MLflow", f"{uri} answers")
    return failed("MLflow", f"{uri}/health answered {status}", "403 is MLflow's --allowed-hosts: list the name there.")


def _check_storage(campaign_uri: str | None) -> Finding:
    from activelora.campaign.store import open_store

    if campaign_uri is None:
        return warning("storage", "not looked at", "Name the campaign's place with --campaign s3://bucket/prefix.")
    try:
        next(open_store(campaign_uri).list(""), None)
    except ActiveLoRAError as error:
        return failed("storage", error.problem, error.remedy or "Check bucket, endpoint and keys.")
    return ok("storage", f"{campaign_uri} can be listed from here")


def _there(check: str, is_there: bool, remedy: str) -> Finding:
    return ok(check, "is there") if is_there else failed(check, "is not there", remedy)


def _items(kube: Kube, path: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (kube.get(path, **query) or {}).get("items") or []
    return found
