"""Where the Kubeflow Pipelines API is, and the token for it: from the environment, never from a file of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.cluster.errors import ClusterError

ENDPOINT_VARIABLE = "KF_PIPELINES_ENDPOINT"
TOKEN_VARIABLE = "ACTIVELORA_KFP_TOKEN"  # noqa: S105 - a name
TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - a name
CA_VARIABLE = "ACTIVELORA_KFP_CA"
NAMESPACE_VARIABLE = "ACTIVELORA_NAMESPACE"
PROJECTED_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path


@dataclass(frozen=True)
class Connection:
    """How to reach the API.

    Attributes:
        endpoint: ``http(s)://host[:port][/path]``; None if nobody said, which only a dry run accepts.
        namespace: Namespace in a multi-user installation; None for a single-user one.
        token_path: A file with the token, read anew for every request, because Kubernetes renews it.
        ca_path: Certificates to trust instead of the usual ones.
    """

    endpoint: str | None
    namespace: str | None = None
    token_path: str | None = None
    ca_path: str | None = None

    def token(self) -> str | None:
        """Return the token, if there is one.

        Raises:
            ClusterError: The token's file cannot be read.
        """
        if token := os.environ.get(TOKEN_VARIABLE):
            return token.strip()
        if self.token_path is None:
            return None
        try:
            return Path(self.token_path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ClusterError(
                f"the token cannot be read: {error.strerror}",
                where=self.token_path,
                remedy=f"Mount it, or unset {TOKEN_PATH_VARIABLE}.",
            ) from error


def find_connection(endpoint: str | None = None, namespace: str | None = None, *, required: bool = True) -> Connection:
    """Return the connection that options and environment describe.

    Args:
        endpoint: URL of the API; None is ``KF_PIPELINES_ENDPOINT``.
        namespace: Namespace of the runs; None is ``ACTIVELORA_NAMESPACE``.
        required: Refuse a missing endpoint.

    Raises:
        ClusterError: There is no endpoint, or it is not an http(s) address without credentials.
    """
    environment: Mapping[str, str] = os.environ
    found = endpoint or environment.get(ENDPOINT_VARIABLE) or None
    if found is None and required:
        raise ClusterError(
            "nobody said where Kubeflow Pipelines is",
            where=f"--endpoint or {ENDPOINT_VARIABLE}",
            remedy="For example: kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888, then "
            f"export {ENDPOINT_VARIABLE}=http://localhost:8888. With --dry-run nothing is needed.",
        )
    token_path = environment.get(TOKEN_PATH_VARIABLE)
    if token_path is None and Path(PROJECTED_TOKEN).exists():
        token_path = PROJECTED_TOKEN
    return Connection(
        None if found is None else _checked(found),
        namespace or environment.get(NAMESPACE_VARIABLE) or None,
        token_path,
        environment.get(CA_VARIABLE) or None,
    )


def _checked(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ClusterError(
            "is not the address of an API",
            where=f"endpoint {parts.hostname or endpoint!r}",
            remedy="Write http://host:port.",
        )
    if parts.username or parts.password:
        raise ClusterError(
            "carries credentials", where=f"endpoint {parts.hostname}", remedy=f"Put a token in {TOKEN_VARIABLE}."
        )
    return endpoint.rstrip("/")
