"""Is a cluster ready for a campaign: everything that can be known before the first run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from activelora.config import CampaignConfig, ResourcesConfig
from activelora.errors import ActiveLoRAError
from components.image import Images
from pipelines.cluster.connection import ENDPOINT_VARIABLE, find_connection
from pipelines.cluster.errors import ClusterError
from pipelines.cluster.kube import ForbiddenError, Kube
from pipelines.doctor.container_registry import check_image
from pipelines.doctor.findings import Finding, failed, ok, warning
from pipelines.doctor.installation import check_clock, check_installation
from pipelines.doctor.nodes import check_nodes
from pipelines.doctor.objects import APPLY, check_named, check_priorities, check_secrets, items_at
from pipelines.doctor.quotas import check_quotas
from pipelines.doctor.requests import requested_by_node
from pipelines.doctor.services import check_services
from pipelines.doctor.training_checks import check_training

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
        namespace: Namespace of the pods of runs.
        images: Images that they run.
        campaign_uri: URI of the campaign, also of one to come; None leaves the storage out.
        context: Context of the kubeconfig.
        endpoint: URL of Kubeflow Pipelines' API; None is ``KF_PIPELINES_ENDPOINT``.
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
            ("clock", lambda: check_clock(kube)),
            ("types", lambda: _check_types(kube, resources)),
            ("installation", lambda: check_installation(kube, namespace)),
            ("rights", lambda: _check_rights(kube, namespace)),
            ("accounts", lambda: check_named(kube, namespace, resources)),
            ("training", lambda: check_training(kube, namespace, resources)),
            ("priorities", lambda: check_priorities(kube, resources)),
            ("secrets", lambda: check_secrets(kube, namespace, resources)),
            ("nodes", lambda: _check_nodes(kube, resources)),
            ("quotas", lambda: check_quotas(kube, namespace, resources)),
            ("services", lambda: check_services(kube, namespace, config)),
        )
        for name, check in checks:
            yield from _guarded(name, check)
    yield _check_pipelines(endpoint)
    yield _check_storage(campaign_uri)
    yield from _check_models(config)
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


def _check_nodes(kube: Kube, resources: ResourcesConfig) -> Iterator[Finding]:
    """Look at nodes; without the right to see all pods, as if they were empty."""
    nodes = items_at(kube, "/api/v1/nodes")
    try:
        requested = requested_by_node(items_at(kube, "/api/v1/pods"))
    except ForbiddenError:
        yield from check_nodes(nodes, resources)
        yield warning(
            "room", "this account may not see all pods: nodes were taken for empty", "Ask an admin to run this."
        )
    else:
        yield from check_nodes(nodes, resources, requested)


def _check_rights(kube: Kube, namespace: str) -> Iterator[Finding]:
    missing = [f"{verb} {resource}" for verb, resource in RIGHTS if not kube.may(verb, resource, namespace)]
    if not kube.may("list", "nodes", None):
        missing.append("list nodes")
    if missing:
        remedy = "The checks that need them say so below. Ask an admin, or run this as one."
        yield warning("rights", f"this account may not {', '.join(missing)} in {namespace}", remedy)
    else:
        yield ok("rights", "this account may see all that is looked at here")


def _check_storage(campaign_uri: str | None) -> Finding:
    from activelora.campaign.store import open_store

    if campaign_uri is None:
        return warning("storage", "not looked at", "Name the campaign's URI with --campaign s3://bucket/prefix.")
    try:
        next(open_store(campaign_uri).list(""), None)
    except ActiveLoRAError as error:
        return failed("storage", error.problem, error.remedy or "Check bucket, endpoint and keys.")
    return ok("storage", f"{campaign_uri} can be listed from here")


def _check_models(config: CampaignConfig) -> Iterator[Finding]:
    """Look for the models that pods fetch from an object store."""
    yield from _check_model(config, "model", config.model.base, config.model.revision)
    if (nli := config.scoring.nli) is not None:
        yield from _check_model(config, "NLI model", nli.model, nli.revision)


def _check_model(config: CampaignConfig, what: str, base: str, revision: str | None) -> Iterator[Finding]:
    from activelora.modeling.builtin import NAME
    from activelora.modeling.published import cached_model_uri, find

    cache = config.resources.model_cache
    if base.startswith("s3://"):
        uri, remedy = base, "Publish it with: activelora model push FOLDER s3://bucket/prefix."
    elif cache is not None and cache.uri is not None:
        uri = cached_model_uri(cache.uri, base, revision)
        remedy = f"{'`activelora submit`' if base == NAME else 'The first run'} publishes it."
    else:
        return
    try:
        found = find(uri)
    except ActiveLoRAError as error:
        yield failed(what, f"{uri}: {error.problem}", error.remedy or "Check bucket, endpoint and keys.")
        return
    if found is not None:
        yield ok(what, f"{uri} holds {found.name}, {sum(file.size for file in found.files) / 1e6:.0f} MB")
    else:
        state = failed if base == uri else warning
        yield state(what, f"{uri} holds no model yet", remedy)
