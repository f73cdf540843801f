"""Addresses that a cluster's own DNS knows: what they name, and whether this machine knows them too."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit


class Service(NamedTuple):
    """A Service of Kubernetes, as an address names it."""

    name: str
    namespace: str
    port: int

    @property
    def forward_command(self) -> str:
        """The command that makes it reachable at the same port of this machine."""
        return f"kubectl -n {self.namespace} port-forward svc/{self.name} {self.port}:{self.port}"


def service_of(url: str) -> Service | None:
    """Return the Service that an address names in full, as in ``http://name.namespace.svc[.cluster.local]:port``.

    Args:
        url: An address. None is returned for one that is none, or of something else.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    labels = host.rstrip(".").split(".")
    if len(labels) < 3 or labels[2] != "svc" or not all(labels):
        return None
    return Service(labels[0], labels[1], port or (443 if parts.scheme == "https" else 80))


def service_unknown_here(url: str) -> Service | None:
    """Return the Service that an address names, where this machine cannot find its name; None for all others.

    Nothing is sent to it: a name that is found here, in a pod or through a tunnel, is as good as any.
    """
    service = service_of(url)
    if service is None:
        return None
    try:
        socket.getaddrinfo(urlsplit(url).hostname, service.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return service
    return None
