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


DIGEST = "sha256:" + "ab" * 32


def test_whole_images_with_digests(monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CPU_IMAGE", f"registry.local:5000/a/activelora-cpu:1.0@{DIGEST}")
    assert images().cpu == f"registry.local:5000/a/activelora-cpu:1.0@{DIGEST}"
    assert images().gpu.endswith(f"/activelora-gpu:{__version__}")
    monkeypatch.setenv("ACTIVELORA_GPU_IMAGE", f"registry.local:5000/a/activelora-gpu@{DIGEST}")
    assert images().gpu == f"registry.local:5000/a/activelora-gpu@{DIGEST}"
    assert images(tag="9.9").cpu.endswith("/activelora-cpu:9.9")  # what is typed comes before the environment


@pytest.mark.parametrize(
    "image",
    [
        "a/b",
        "registry:5000/a",
        "a/b:latest",
        "a/b@sha256:12",
        f"a/b@{DIGEST}0",
        "a/b@",
        "a b:1",
        "https://a/b:1",
        f"A/b@{DIGEST}",
    ],
)
def test_an_image_that_moves_or_is_none_is_refused(monkeypatch, image):
    monkeypatch.setenv("ACTIVELORA_GPU_IMAGE", image)
    with pytest.raises(ConfigError, match="ACTIVELORA_GPU_IMAGE"):
        images()
