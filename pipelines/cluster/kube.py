"""Kubernetes' API, with time-outs: what is there, what is not, and what this account may not see or do."""

from __future__ import annotations

import json
import os
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from pipelines.cluster.errors import ClusterError

TIMEOUT_SECONDS = (5, 20)
RETRIES = 2


class ForbiddenError(ClusterError):
    """This account may not see it."""


class Kube:
    """Kubernetes' API as the kubeconfig, or the pod's own account, reaches it.

    Args:
        context: Context of the kubeconfig; None is the current one.
        retries: Number of times that a request without an answer is sent again.

    Raises:
        ClusterError: There is no kubeconfig and this is no pod, or it cannot be used.
    """

    def __init__(self, context: str | None = None, *, retries: int = RETRIES) -> None:
        settings = client.Configuration()
        try:
            _load(settings, context)
        except (ConfigException, TypeError, ValueError, OSError) as error:
            raise ClusterError(
                f"no cluster can be found: {error}",
                where="kubeconfig",
                remedy="Set KUBECONFIG, or name a --context that it has.",
            ) from error
        settings.retries = retries
        self._client = client.ApiClient(settings)
        self.host: str = settings.host

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return an object or a list, or None if it is not there.

        Raises:
            ForbiddenError: This account may not see it.
            ClusterError: There was no answer, or another error.
        """
        return self._call("GET", path, list(query.items()), None)

    def time(self) -> datetime | None:
        """Return the API server's time, to the second; None if its answers do not tell.

        Raises:
            ClusterError: There was no answer.
        """
        answer = self._request("GET", "/version", [], None)
        try:
            return None if answer is None else parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return None

    def text(self, path: str, **query: str) -> str | None:
        """Return a pod's log, or None if it is not there.

        Raises:
            ForbiddenError: This account may not see it.
            ClusterError: There was no answer, or another error.
        """
        answer = self._request("GET", path, list(query.items()), None)
        return None if answer is None else answer.data.decode(errors="replace")

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Create an object, unless a field of it is not known, and return it; None if there is no such type.

        Raises:
            ForbiddenError: This account may not, a quota is used up, or an admission webhook refuses it.
            ClusterError: There was no answer, or another error; its ``status`` is 409 where it is there already.
        """
        return self._call("POST", path, [("fieldValidation", "Strict")], body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Merge something into an object and return it, or None if it is not there. Errors as of :meth:`create`."""
        return self._call("PATCH", path, [], body, content_type="application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object and what it owns; what is not there is as it should be. Errors as of :meth:`create`."""
        self._call("DELETE", path, [("propagationPolicy", "Background")], None)

    def may(self, verb: str, resource: str, namespace: str | None, group: str = "", account: str | None = None) -> bool:
        """Tell whether an account may do something.

        Args:
            verb: Kubernetes verb, for example ``list``.
            resource: Plural, with a subresource after a slash: ``pods/log``.
            namespace: Namespace; None asks for the whole cluster.
            group: API group; empty is the core.
            account: A service account of the namespace (SubjectAccessReview); None is the one that asks
                (SelfSubjectAccessReview).

        Raises:
            ForbiddenError: This account may not ask for another one.
        """
        name, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "resource": name, "group": group, "namespace": namespace or ""}
        if subresource:
            attributes["subresource"] = subresource
        kind = "SelfSubjectAccessReview" if account is None else "SubjectAccessReview"
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        if account is not None:
            spec["user"] = f"system:serviceaccount:{namespace}:{account}"
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = self._call("POST", f"/apis/authorization.k8s.io/v1/{kind.lower()}s", [], body)
        return bool(answer and answer.get("status", {}).get("allowed"))

    def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Any,
        content_type: str = "application/json",
    ) -> dict[str, Any] | None:
        answer = self._request(method, path, query, body, content_type)
        content: dict[str, Any] | None = None if answer is None else json.loads(answer.data)
        return content

    def _request(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Any,
        content_type: str = "application/json",
    ) -> BaseHTTPResponse | None:
        try:
            answer: BaseHTTPResponse = self._client.call_api(
                path,
                method,
                query_params=query,
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._refused(method, path, error) from error
        except (HTTPError, OSError) as error:
            raise ClusterError(f"{method} {path} got no answer: {error}", where=self.host) from error
        return answer

    def _refused(self, method: str, path: str, error: ApiException) -> ClusterError:
        kind = ForbiddenError if error.status == 403 else ClusterError
        body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body or ""
        try:
            words = json.loads(body).get("message") or error.reason
        except (ValueError, AttributeError):
            words = error.reason
        refusal = kind(f"{method} {path} answered {error.status}: {words}", where=self.host)
        refusal.status = error.status
        return refusal


def _load(settings: client.Configuration, context: str | None) -> None:
    """Read the kubeconfig; where there is none, in a pod, its account."""
    files = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    if not any(Path(file).exists() for file in files.split(os.pathsep)) and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=settings)
        return
    config.load_kube_config(config_file=files, context=context, client_configuration=settings)
