"""What `submit` and `schedule` ask the cluster first, where it can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activelora.errors import ProblemsError
from pipelines.cluster.errors import ClusterError

if TYPE_CHECKING:
    from activelora.config import CampaignConfig
    from pipelines.doctor.findings import Finding

SINGLE_USER_NAMESPACE = "kubeflow"
_NOT_SEEN = "secrets and accounts in the cluster were not looked at"


def check_cluster(
    config: CampaignConfig, namespace: str | None, context: str | None, say: Callable[[str], None]
) -> None:
    """Refuse a run whose pods would wait for a secret, an account or a queue that is not there.

    Args:
        config: The campaign's settings.
        namespace: Namespace of the pods of runs; None is that of a single-user Kubeflow.
        context: Context of the kubeconfig; None is the current one.
        say: Called with a line where the cluster cannot be asked, or not be asked everything; the run goes on then.

    Raises:
        ProblemsError: Everything that is not there, each with its remedy.
    """
    namespace = namespace or SINGLE_USER_NAMESPACE
    try:
        host, found = _look(config, namespace, context)
    except ClusterError as error:
        say(f"{_NOT_SEEN}: {error.problem}")
        return
    if found is None:
        say(f"{_NOT_SEEN}: {host}, which the kubeconfig names, has no namespace {namespace}")
        return
    if unseen := [one for one in found if one.state == "warning" and "cannot be looked at" in one.words]:
        say(f"{', '.join(one.check for one in unseen)} in {namespace}: not looked at, as this account may not")
    problems = [ClusterError(one.words, where=one.check, remedy=one.remedy) for one in found if one.state == "failed"]
    if problems:
        raise ProblemsError(
            [*problems],
            hint=f"Looked at {host}, namespace {namespace}; nothing was sent. Where runs are elsewhere, name --context "
            "and --namespace, or leave this out with --no-doctor.",
        )


def _look(config: CampaignConfig, namespace: str, context: str | None) -> tuple[str, list[Finding] | None]:
    from pipelines.cluster.kube import Kube
    from pipelines.doctor.before_runs import examine_named, has_namespace

    kube = Kube(context, retries=0)  # one that is away must not be waited for
    if not has_namespace(kube, namespace):
        return kube.host, None
    return kube.host, list(examine_named(kube, namespace, config.resources))
