"""The container images of the steps: the one module that names them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from activelora import __version__
from activelora.errors import ConfigError

REGISTRY_VARIABLE = "ACTIVELORA_IMAGE_REGISTRY"
TAG_VARIABLE = "ACTIVELORA_IMAGE_TAG"
CPU_VARIABLE = "ACTIVELORA_CPU_IMAGE"
GPU_VARIABLE = "ACTIVELORA_GPU_IMAGE"
DEFAULT_REGISTRY = "ghcr.io/activelora"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Images:
    """One image per resource class.

    Attributes:
        cpu: Image for steps that run no model, and for models on the CPU.
        gpu: Image for steps with an accelerator.
    """

    cpu: str
    gpu: str


def images(registry: str | None = None, tag: str | None = None) -> Images:
    """Return the images with a pinned tag, by default that of the installed version, or with a digest.

    Where neither argument is given, ``ACTIVELORA_CPU_IMAGE`` and ``ACTIVELORA_GPU_IMAGE`` name whole images, such as
    ``registry/name:1.0@sha256:…``: a digest stays the same also where somebody moves a tag.

    Args:
        registry: Registry and path before the image names; None is ``ACTIVELORA_IMAGE_REGISTRY``, else the public one.
        tag: Tag of both images; None is ``ACTIVELORA_IMAGE_TAG``, else the package's version.

    Raises:
        ConfigError: The tag is not one, it moves (``latest``), or an image's digest is none.
    """
    prefix = (registry or os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY).rstrip("/")
    chosen = tag or os.environ.get(TAG_VARIABLE) or __version__.replace("+", "-")
    _check_tag(chosen, f"image tag (--tag or {TAG_VARIABLE})")
    cpu, gpu = f"{prefix}/activelora-cpu:{chosen}", f"{prefix}/activelora-gpu:{chosen}"
    if registry or tag:
        return Images(cpu, gpu)
    return Images(_whole(CPU_VARIABLE) or cpu, _whole(GPU_VARIABLE) or gpu)


def _whole(variable: str) -> str | None:
    """Return the image that the environment names, if it does and if it stays the same."""
    image = os.environ.get(variable)
    if not image:
        return None
    path, at, digest = image.partition("@")
    name, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:  # that colon stands before a port
        name, tag = path, ""
    if (at and not _DIGEST.fullmatch(digest)) or not (at or tag) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{image!r} is not an image with a tag or a digest",
            where=variable,
            remedy="Write registry/name:tag@sha256:… with the 64 characters that the registry gives.",
        )
    if tag:
        _check_tag(tag, variable, moves=not at)
    return image


def _check_tag(tag: str, where: str, *, moves: bool = True) -> None:
    if (tag == "latest" and moves) or not _TAG.fullmatch(tag):
        raise ConfigError(
            f"{tag!r} is not a tag that stays the same",
            where=where,
            remedy=f"Use a version, for example {__version__}.",
        )
