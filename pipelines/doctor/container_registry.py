"""Asks a container registry whether an image is there, as a node would before pulling it."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import urlencode

from activelora.http import HttpClient, Limits, NoResponseError, Response
from pipelines.doctor.findings import Finding, failed, ok, warning

_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_LOCAL = re.compile(r"(localhost|127\.0\.0\.1)(:\d+)?")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Image(NamedTuple):
    """The parts of an image's name."""

    registry: str
    repository: str
    reference: str


def parse_image(name: str) -> Image:
    """Return the parts of ``registry/repository:tag`` or ``…@sha256:…``; without a registry it is Docker Hub's."""
    path, at, digest = name.partition("@")
    first, slash, rest = path.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, repository = (first, rest) if has_registry else ("registry-1.docker.io", path)
    if not has_registry and "/" not in path:
        repository = f"library/{path}"
    repository, _, tag = repository.partition(":")
    return Image("registry-1.docker.io" if registry == "docker.io" else registry, repository, digest if at else tag)


def check_image(name: str, *, has_pull_secret: bool = False) -> Finding:
    """Ask the registry for the image's manifest, without credentials.

    Args:
        name: Name of the image.
        has_pull_secret: The campaign names a secret for a private registry: a refusal then says nothing.
    """
    check, image = f"image {name}", parse_image(name)
    client = HttpClient(Limits(total_seconds=60.0, max_bytes=1 << 20), num_tries=2, num_redirects=3)
    scheme = "http" if _LOCAL.fullmatch(image.registry) else "https"
    url = f"{scheme}://{image.registry}/v2/{image.repository}/manifests/{image.reference}"
    headers = {"Accept": _ACCEPT}
    try:
        answer = client.request("HEAD", url, headers=headers)
        if answer.status == 401 and (token := _token(client, answer.headers.get("WWW-Authenticate", ""))):
            answer = client.request("HEAD", url, headers={**headers, "Authorization": f"Bearer {token}"})
    except (NoResponseError, ValueError) as error:
        reason = error.problem if isinstance(error, NoResponseError) else "its token is not JSON"
        return warning(check, f"the registry cannot be asked from here: {reason}", "The nodes may reach it; try a pod.")
    if answer.status == 200:
        return ok(check, f"is there{_digest(answer)}")
    if answer.status in (401, 403):
        remedy = "Log in and look, or make it public; pods need resources.image_pull_secrets."
        if has_pull_secret:
            return warning(check, "is private, and the pull secret's right to it was not tried", "Try a pod.")
        return failed(check, f"is private or not there (the registry answered {answer.status})", remedy)
    if answer.status == 404:
        return failed(check, "is not there", "Build and push it (images/), or name others with --registry and --tag.")
    return warning(check, f"the registry answered {answer.status}", "Try again later.")


def _token(client: HttpClient, challenge: str) -> str | None:
    """Return an anonymous token from where the registry's challenge says, if it gives one."""
    parameters = dict(_PARAMETER.findall(challenge))
    realm = parameters.pop("realm", "")
    if not challenge.startswith("Bearer ") or not realm.startswith(
        ("https://", "http://localhost", "http://127.0.0.1")
    ):
        return None
    answer = client.request("GET", f"{realm}?{urlencode(parameters)}")
    if answer.status != 200:
        return None
    content: dict[str, str] = json.loads(answer.content)
    return content.get("token") or content.get("access_token")


def _digest(answer: Response) -> str:
    digest = answer.headers.get("Docker-Content-Digest")
    return f", {digest}" if digest else ""
