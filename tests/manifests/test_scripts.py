"""The two scripts, with stand-ins for the programs that need a cluster or a registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from activelora import __version__
from tests.manifests.rendered import MANIFESTS, build

DIGEST = "sha256:" + "ab" * 32


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def copy(tmp_path):
    build(MANIFESTS / "overlays" / "production")  # skips where there is no kustomize
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    return tmp_path / "manifests" / "overlays" / "production"


def test_production_is_pinned_by_what_the_registry_says(copy, programs):
    programs("skopeo", f'[ "$1 $2 $3" = "inspect --format {{{{.Digest}}}}" ] && echo {DIGEST}')
    for _ in range(2):  # again after a change, starting from tags
        done = run(copy / "pin-digests.sh")
        assert done.returncode == 0, done.stderr
    images = {line.split("image: ")[1].strip() for line in build(copy).splitlines() if "image: " in line}
    assert len(images) == 3
    assert all(image.endswith(f"@{DIGEST}") for image in images), images
    found = {one["metadata"]["name"]: one for one in yaml.safe_load_all(build(copy)) if one["kind"] == "ConfigMap"}
    (name,) = [name for name in found if name.startswith("activelora-images")]
    assert found[name]["data"] == {
        f"ACTIVELORA_{kind.upper()}_IMAGE": f"ghcr.io/activelora/activelora-{kind}:{__version__}@{DIGEST}"
        for kind in ("cpu", "gpu")
    }
    (job,) = [
        one
        for one in yaml.safe_load_all(build(copy))
        if one["metadata"]["name"].startswith("activelora-reg") and one["kind"] == "Job"
    ]
    (registrar,) = job["spec"]["template"]["spec"]["containers"]
    assert registrar["envFrom"] == [{"configMapRef": {"name": name, "optional": True}}]
    assert not list((copy / "digests").glob(".partial*"))


@pytest.mark.parametrize("answer", ["exit 1", "echo nonsense"])
def test_a_registry_that_does_not_know_an_image_stops_it_and_the_old_digests_stay(copy, programs, answer):
    digests = copy / "digests" / "kustomization.yaml"
    content = yaml.safe_load(digests.read_text())
    content["images"] = [{"name": "ghcr.io/activelora/activelora-cpu", "digest": DIGEST}]
    digests.write_text(yaml.safe_dump(content))
    programs("skopeo", answer)
    assert run(copy / "pin-digests.sh").returncode != 0
    assert yaml.safe_load(digests.read_text()) == content
    assert list(digests.parent.iterdir()) == [digests]


def test_secrets_dry_run_names_what_the_pods_need():
    done = run(MANIFESTS / "overlays" / "kind" / "create-secrets.sh", "--dry-run")
    assert done.returncode == 0, done.stderr
    made = dict(line.removeprefix("secret ").split(": ") for line in done.stdout.splitlines())
    assert made["activelora/activelora-s3"] == "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY identities.json"
    assert made["kubeflow/activelora-s3"] == "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"
    assert set(made) == {
        "activelora/activelora-s3",
        "kubeflow/activelora-s3",
        "activelora/activelora-postgres",
        "activelora/activelora-mlflow",
        "activelora/activelora-label-studio",
    }


def test_secrets_are_made_once(programs, tmp_path):
    log = tmp_path / "log"
    programs(
        "kubectl",
        f"""echo "$*" >> {log}
case "$*" in
  *"get secret activelora-mlflow") exit 0 ;;
  *"get secret"*"--ignore-not-found"*) exit 0 ;;
  *"get secret"*) exit 1 ;;
esac""",
    )
    done = run(MANIFESTS / "overlays" / "kind" / "create-secrets.sh")
    assert done.returncode == 0, done.stderr
    assert "secret activelora/activelora-mlflow is there and is kept" in done.stdout
    created = [line for line in log.read_text().splitlines() if "create secret generic" in line]
    assert len(created) == 4
    s3 = [line.split("AWS_SECRET_ACCESS_KEY=")[1].split()[0] for line in created if "activelora-s3" in line]
    assert s3[0] == s3[1]
    assert len(s3[0]) == 48
    assert f'"secretKey":"{s3[0]}"' in log.read_text()
