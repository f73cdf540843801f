"""The container images of the steps: the one place that names them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from activelora import __version__
from activelora.errors import ConfigError

REGISTRY_VARIABLE = "ACTIVELORA_IMAGE_REGISTRY"
TAG_VARIABLE = "ACTIVELORA_IMAGE_TAG"
DEFAULT_REGISTRY = "ghcr.io/activelora"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Images:
    """One image per resource class.

    Attributes:
        cpu: For steps that run no model, and for models on the CPU.
        gpu: For steps with an accelerator.
    """

    cpu: str
    gpu: str


def images(registry: str | None = None, tag: str | None = None) -> Images:
    """Return the images with a pinned tag, by default that of the installed version.

    Args:
        registry: Registry and path before the image names; None is ``ACTIVELORA_IMAGE_REGISTRY``, else the public one.
        tag: None is ``ACTIVELORA_IMAGE_TAG``, else the package's version.

    Raises:
        ConfigError: The tag is not one, or it moves (``latest``).
    """
    place = (registry or os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY).rstrip("/")
    chosen = tag or os.environ.get(TAG_VARIABLE) or __version__.replace("+", "-")
    if chosen == "latest" or not _TAG.fullmatch(chosen):
        raise ConfigError(
            f"{chosen!r} is not a tag that stays the same",
            where=f"image tag (--tag or {TAG_VARIABLE})",
            remedy=f"Use a version, for example {__version__}.",
        )
    return Images(cpu=f"{place}/activelora-cpu:{chosen}", gpu=f"{place}/activelora-gpu:{chosen}")
