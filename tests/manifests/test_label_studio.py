"""Label Studio as the manifests run it calls nobody: by the rendered settings, and by what a real one makes of them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.manifests.rendered import MANIFESTS, OVERLAYS, name_of, pods, resources

QUIET = {
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "LATEST_VERSION_CHECK": "false",
}
READ = """
import json, os, pathlib, sys
import label_studio
folder = pathlib.Path(label_studio.__file__).parent
sys.path.insert(0, str(folder))
os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings.label_studio"
from django.conf import settings
import sentry_sdk
names = ("COLLECT_ANALYTICS", "SENTRY_DSN", "FRONTEND_SENTRY_DSN", "LATEST_VERSION_CHECK")
found = {name: getattr(settings, name) for name in names}
print(json.dumps({**found, "reports": sentry_sdk.get_client().is_active()}))
"""


def config(overlay):
    """Return what Label Studio's container gets from its ConfigMap."""
    (pod,) = [pod for resource, pod in pods(overlay) if resource["metadata"]["name"] == "label-studio"]
    (container,) = pod["containers"]
    assert {"configMapRef": {"name": "label-studio-config"}} in container["envFrom"]
    found = {name_of(one): one["data"] for one in resources(overlay) if one["kind"] == "ConfigMap"}
    return found["ConfigMap/activelora/label-studio-config"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_calls_nobody(overlay):
    given = config(overlay)
    assert {name: given.get(name) for name in QUIET} == QUIET
    # Label Studio reads LABEL_STUDIO_X and HEARTEX_X before X.
    assert not {f"{prefix}_{name}" for prefix in ("LABEL_STUDIO", "HEARTEX") for name in QUIET} & set(given)


TOKEN_LINE = next(line for line in (MANIFESTS / "README.md").read_text().splitlines() if line.startswith("token=$("))


@pytest.mark.parametrize(("program", "made"), [("printf a.b.c", ["a.b.c"]), ("echo refused >&2; exit 1", [])])
def test_the_page_s_line_makes_a_secret_of_the_token_and_none_without(program, made, programs, tmp_path):
    """With stand-ins for both programs; the command itself is tested against a real Label Studio."""
    programs("activelora", program)
    programs("kubectl", f'echo "$*" > {tmp_path}/said; cat > {tmp_path}/secret')
    done = subprocess.run(["bash", "-c", TOKEN_LINE], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) is bool(made)
    assert [path.read_text() for path in tmp_path.glob("secret")] == made
    if made:
        wanted = "-n kubeflow create secret generic activelora-label-studio --from-file=LABEL_STUDIO_API_KEY=/dev/stdin"
        assert (tmp_path / "said").read_text().strip() == wanted


def test_no_secret_sets_a_token_that_label_studio_refuses():
    for file in MANIFESTS.rglob("*"):
        if file.suffix in (".yaml", ".sh"):
            words = "".join(line for line in file.read_text().splitlines() if not line.startswith("#"))
            assert "LABEL_STUDIO_USER_TOKEN" not in words, file


@pytest.mark.slow
@pytest.mark.label_studio
def test_a_real_one_understands_it(tmp_path):
    from tests.labeling.label_studio.server import CannotInstallError, prepare

    try:
        folder = prepare()
    except CannotInstallError as error:
        pytest.skip(str(error))

    def read(environment):
        plain = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        data = {"LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        command = [str(folder / "bin" / "python"), "-c", READ]
        done = subprocess.run(
            command, env={**plain, **environment, **data}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    assert read({**config("kind"), "HOME": str(tmp_path)}) == {
        "COLLECT_ANALYTICS": False,
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": False,
        "reports": False,
    }
    by_default = read({"HOME": str(tmp_path)})
    assert by_default["reports"]
    assert by_default["LATEST_VERSION_CHECK"]
