from __future__ import annotations

import pytest

from activelora import __version__
from activelora.errors import ConfigError
from components.image import images


def test_tag_is_the_version(monkeypatch):
    monkeypatch.delenv("ACTIVELORA_IMAGE_TAG", raising=False)
    assert images().cpu.endswith(f"/activelora-cpu:{__version__}")
    assert images().gpu.endswith(f"/activelora-gpu:{__version__}")


def test_environment_and_arguments_replace_registry_and_tag(monkeypatch):
    monkeypatch.setenv("ACTIVELORA_IMAGE_REGISTRY", "registry.local:5000/team/")
    monkeypatch.setenv("ACTIVELORA_IMAGE_TAG", "1.2.3-rc1")
    assert images().cpu == "registry.local:5000/team/activelora-cpu:1.2.3-rc1"
    assert images("other.io/x", "9").gpu == "other.io/x/activelora-gpu:9"


@pytest.mark.parametrize("tag", ["latest", "a:b", "-x", "spaced out"])
def test_a_tag_that_moves_or_is_none_is_refused(tag):
    with pytest.raises(ConfigError, match="not a tag"):
        images(tag=tag)
