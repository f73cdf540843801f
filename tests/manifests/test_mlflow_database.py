"""MLflow's containers and its database's driver: `postgresql://` means another one from SQLAlchemy 2.1 on."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess

import pytest
from sqlalchemy.engine import make_url

from tests.manifests.rendered import MANIFESTS, OVERLAYS, containers, pods
from tests.manifests.test_scripts import run


def mlflow_containers(overlay):
    (pod,) = [pod for resource, pod in pods(overlay) if resource["metadata"]["name"] == "mlflow"]
    return {one["name"]: [*one["command"], *one["args"]] for one in containers(pod)}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgresql://u:p%40$x@h:5432/db", "postgresql+psycopg2://u:p%40$x@h:5432/db"),
        ("postgresql+psycopg://u:p@h/db", "postgresql+psycopg://u:p@h/db"),
        ("postgresql+psycopg2://u:p@h/db", "postgresql+psycopg2://u:p@h/db"),
        ("mysql+pymysql://u:p@h/db", "mysql+pymysql://u:p@h/db"),
    ],
)
def test_containers_name_the_driver_that_the_image_has(overlay, given, taken, programs):
    programs("mlflow", 'printf "%s\\n" "$MLFLOW_BACKEND_STORE_URI" "$@"')
    said = {}
    for name, command in mlflow_containers(overlay).items():
        environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": given}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        said[name] = done.stdout.splitlines()
    assert said["migrate"] == [taken, "db", "upgrade", taken]
    assert said["mlflow"] == [taken, "server", "--host=0.0.0.0", "--port=5000", "--workers=2", "--serve-artifacts"]


def test_the_development_secret_names_a_driver_of_the_full_image(programs, tmp_path):
    """The image is made from the extra `db`, among others (mlflow/mlflow, docker/Dockerfile.full)."""
    log = tmp_path / "log"
    programs(
        "kubectl",
        f"""echo "$*" >> {log}
case "$*" in *--ignore-not-found*) exit 0 ;; *"get secret"*) exit 1 ;; esac""",
    )
    done = run(MANIFESTS / "overlays" / "kind" / "create-secrets.sh")
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in log.read_text().splitlines() if "MLFLOW_BACKEND_STORE_URI=" in one]
    url = make_url(line.split("MLFLOW_BACKEND_STORE_URI=")[1].split()[0])
    assert (url.get_backend_name(), url.get_driver_name()) == ("postgresql", "psycopg2")
    requires = [one for one in importlib.metadata.requires("mlflow") or () if one.partition(";")[2] == ' extra == "db"']
    assert any(one.startswith("psycopg2") for one in requires)
