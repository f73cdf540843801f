"""A personal access token from e-mail and password: errors by a small server, the rest by a real Label Studio."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from activelora.labeling.label_studio.client import Client
from activelora.labeling.label_studio.errors import LabelStudioError
from activelora.labeling.label_studio.personal_token import make_token
from activelora.labeling.label_studio.tokens import expiry_of
from pipelines.cli.main import main
from tests.http_server import serving
from tests.labeling.label_studio.people import sign_up
from tests.labeling.label_studio.server import EMAIL, LEGACY_TOKEN, PASSWORD, CannotInstallError, Server, prepare

ALLOWING = {"USE_DEFAULT_BANNED_SUBNETS": "false", "USER_ADDITIONAL_BANNED_SUBNETS": "169.254.0.0/16,0.0.0.0/8"}
"""What manifests/README.md sets for webhooks into private networks: a cluster's Services, and here loopback."""
ANN, ANNS_PASSWORD = "ann@example.com", "not-a-secret-2"


@pytest.fixture(scope="module")
def manifests_server(tmp_path_factory):
    """A server whose organisation is made as by the manifests: without legacy tokens."""
    try:
        folder = prepare()
    except CannotInstallError as error:
        pytest.skip(str(error))
    data = tmp_path_factory.mktemp("label-studio") / "data"
    server = Server(folder, data, settings={"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "0", **ALLOWING})
    with server.running():
        yield server


@pytest.fixture
def token_of(manifests_server, monkeypatch, capsys):
    def token_of(*arguments, email=EMAIL, password=PASSWORD):
        monkeypatch.setenv("LABEL_STUDIO_USERNAME", email)
        monkeypatch.setenv("LABEL_STUDIO_PASSWORD", password)
        code = main(["label-studio", "token", manifests_server.url, *arguments])
        out, err = capsys.readouterr()
        assert password not in out + err
        return code, out, err

    return token_of


@pytest.mark.slow
@pytest.mark.label_studio
@pytest.mark.timeout(900)
def test_a_real_server_refuses_the_user_s_token_and_takes_the_one_that_is_made(manifests_server, token_of):
    url = manifests_server.url
    with pytest.raises(LabelStudioError, match="401"):
        Client(url, LEGACY_TOKEN, 30.0).get("/api/current-user/whoami")
    code, token, err = token_of()
    assert (code, err) == (0, "")
    assert expiry_of(token) is not None
    assert token == token.strip()
    client = Client(url, token, 30.0)
    assert client.get("/api/current-user/whoami")["email"] == EMAIL
    made = client.post("/api/projects", {"title": "tickets"})  # it may do what a campaign does
    client.delete(f"/api/projects/{made['id']}")

    code, out, err = token_of()  # the account has one
    assert (code, out) == (1, "")
    assert f"{EMAIL} has a personal access token already" in err
    assert token.split(".")[2] not in err
    assert client.get("/api/current-user/whoami")["email"] == EMAIL

    code, other, _ = token_of("--replace")
    assert code == 0
    assert other != token
    assert Client(url, other, 30.0).get("/api/current-user/whoami")["email"] == EMAIL
    with pytest.raises(LabelStudioError, match="401"):
        Client(url, token, 30.0).get("/api/current-user/whoami")


@pytest.mark.slow
@pytest.mark.label_studio
@pytest.mark.timeout(900)
def test_another_account_and_a_wrong_password(manifests_server, token_of):
    sign_up(manifests_server.url, ANN)
    code, out, err = token_of(email=ANN, password="wrong")
    assert (code, out) == (1, "")
    assert f"the login of {ANN} is refused" in err
    code, token, _ = token_of("--email", ANN, password=ANNS_PASSWORD)
    assert code == 0
    assert Client(manifests_server.url, token, 30.0).get("/api/current-user/whoami")["email"] == ANN


@pytest.mark.slow
@pytest.mark.label_studio
@pytest.mark.timeout(900)
def test_the_page_s_webhook_takes_a_personal_access_token(manifests_server, token_of):
    """As manifests/README.md makes it, by its own lines."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (Path(__file__).parents[3] / "manifests" / "README.md").read_text().split("\n## Webhooks\n")[1]
    lines = page.split("```bash\n")[1].split("```")[0]
    inside = "activelora-wake.kubeflow.svc.cluster.local"
    assert inside in lines
    assert all(f'{name}: "{value}"' in page for name, value in ALLOWING.items())
    # The server looks whether it can find the name.
    script = lines[lines.index("access=$(") :].replace(inside, "127.0.0.1:9")
    _, token, _ = token_of("--replace")
    client = Client(manifests_server.url, token, 30.0)
    project = client.post("/api/projects", {"title": "tickets"})["id"]
    own = {"LABEL_STUDIO": manifests_server.url, "LABEL_STUDIO_API_KEY": token, "PROJECT": str(project), "secret": "s"}
    subprocess.run(["bash", "-ec", script], env={**os.environ, **own}, capture_output=True, timeout=60, check=True)
    (webhook,) = client.get("/api/webhooks/", project=project)
    assert webhook["headers"] == {"X-ActiveLoRA-Wake": "s"}
    assert sorted(webhook["actions"]) == sorted(["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"])


def test_what_is_no_label_studio_is_told_as_such():
    with serving() as server, pytest.raises(LabelStudioError, match="no login page of Label Studio") as caught:
        make_token(server.url, ANN, ANNS_PASSWORD)
    assert ANNS_PASSWORD not in str(caught.value)
    assert [one[:2] for one in server.seen] == [("GET", "/user/login/")]


def test_a_server_that_is_away():
    with pytest.raises(LabelStudioError, match="Label Studio does not answer"):
        make_token("http://127.0.0.1:9", ANN, ANNS_PASSWORD)


def test_who_it_is_for_has_to_be_said(monkeypatch, capsys):
    for name in ("LABEL_STUDIO_USERNAME", "LABEL_STUDIO_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert main(["label-studio", "token", "http://127.0.0.1:9"]) == 1
    assert "LABEL_STUDIO_USERNAME: nobody said whose token" in capsys.readouterr().err
    assert main(["label-studio", "token", "http://127.0.0.1:9", "--email", ANN]) == 1
    assert "LABEL_STUDIO_PASSWORD: there is no password of" in capsys.readouterr().err
