"""What goes wrong between here and a cluster, in words that say what to do."""

from __future__ import annotations

import json

from activelora.errors import ActiveLoRAError
from activelora.redacting import without_secrets

REMEDIES = {
    400: "The server does not accept the request; its version may differ from this package's.",
    401: "Give a valid token in ACTIVELORA_KFP_TOKEN, or mount one and name its file in KF_PIPELINES_SA_TOKEN_PATH.",
    403: "The account may not do this: give it the role in manifests/components/registrar, or name its --namespace.",
    404: "Check KF_PIPELINES_ENDPOINT: it must be the address of the API, for example http://localhost:8888.",
    409: "Something of that name is there already, and differs. Look at it in the Kubeflow UI.",
    429: "The server is busy. Try again later.",
}


class ClusterError(ActiveLoRAError):
    """A cluster cannot be reached, or refuses what is asked of it."""

    status: int = 0
    """The HTTP status, or 0 without an answer."""


def refused(status: int, body: str, method: str, url: str) -> ClusterError:
    """Return the error for an answer that is no success.

    Args:
        status: HTTP status.
        body: The answer; KFP's holds a JSON object with a message.
        method: HTTP method of the request.
        url: URL of the request, without its query.
    """
    remedy = REMEDIES.get(status, "Look at the server's log: kubectl logs deploy/ml-pipeline.")
    error = ClusterError(f"{method} answered {status}: {_message(body)}", where=url, remedy=remedy)
    error.status = status
    return error


def unreachable(reason: object, method: str, url: str, tries: int) -> ClusterError:
    """Return the error for a request that got no answer."""
    times = "once" if tries == 1 else f"{tries} times"
    return ClusterError(
        f"{method} got no answer, tried {times}: {reason}",
        where=url,
        remedy="Check KF_PIPELINES_ENDPOINT and the network; for a port-forward: "
        "kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888.",
    )


def _message(body: str) -> str:
    """Return the server's own message, cut to a length that fits a terminal."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict):
        body = str(content.get("message") or content.get("error") or content.get("error_message") or body)
    return without_secrets(" ".join(body.split()))[:300] or "no message"
