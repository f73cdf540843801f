"""What `submit` and `schedule` ask a cluster first: a fake of Kubernetes' API (see fake_kubernetes)."""

from __future__ import annotations

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.store import open_store
from activelora.rules.file import checked_config
from pipelines.cli.main import main
from tests.pipelines.cluster.fake_kubernetes import RUNS, running_fake_kubernetes
from tests.pipelines.cluster.test_commands import DOCUMENT

RESOURCES = {"service_account": "activelora-steps", "secrets": ["activelora-s3"], "queue": "gpus"}
TEAMS = ["compute", "learning", "integration", "governance", "relational", "warehouse", "login", "storage"]
SUBMIT, SCHEDULE = ["submit"], ["schedule", "--cron", "0 0 6 * * *"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A cluster with all that the campaign names."""
    with running_fake_kubernetes() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.write_kubeconfig(tmp_path)))
        fake.objects[RUNS] = {}
        fake.objects[f"{RUNS}/serviceaccounts/activelora-steps"] = {}
        fake.put_keys("secrets", "activelora-s3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        fake.objects["/apis/kueue.x-k8s.io"] = {"preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1beta2"}}
        fake.objects["/apis/kueue.x-k8s.io/v1beta2/namespaces/kubeflow/localqueues"] = {
            "items": [{"metadata": {"name": "gpus"}}]
        }
        yield fake


@pytest.fixture
def file(tmp_path, kfp, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    path = tmp_path / "campaign.yaml"
    document = {**DOCUMENT, "task": {"prompt": "{text}", "labels": TEAMS}, "resources": RESOURCES}
    path.write_text(yaml.safe_dump(document))
    return str(path)


def begun(kfp):
    return len(kfp.runs) + len(kfp.recurring)


@pytest.mark.parametrize("command", [SUBMIT, SCHEDULE])
def test_a_missing_secret_is_refused_before_anything_is_written_or_sent(fake, file, kfp, s3_uri, capsys, command):
    del fake.objects[f"{RUNS}/secrets/activelora-s3"]
    del fake.objects[f"{RUNS}/serviceaccounts/activelora-steps"]
    assert main([command[0], file, "--campaign", s3_uri, *command[1:]]) == 1
    err = capsys.readouterr().err
    assert "2 problems found" in err
    assert "secret activelora-s3: is not in kubeflow. Make it with the keys AWS_ACCESS_KEY_ID" in err
    assert "service account activelora-steps: is not there. Apply manifests/" in err
    assert f"Looked at {fake.url}, namespace kubeflow; nothing was sent" in err
    assert kfp.changes() == []
    assert not open_store(s3_uri).exists(CAMPAIGN_KEY)


def test_a_secret_s_wrong_key_is_refused_for_a_campaign_that_is_there(fake, file, kfp, s3_uri, capsys):
    Campaign.create(s3_uri, checked_config({**DOCUMENT, "resources": RESOURCES}, where="test"))
    fake.put_keys("secrets", "activelora-s3", "AWS_ACCESS_KEY_ID")
    assert main(["submit", s3_uri]) == 1
    err = capsys.readouterr().err
    assert "secret activelora-s3: lacks AWS_SECRET_ACCESS_KEY" in err
    assert "c2VjcmV0" not in err
    assert kfp.changes() == []
    assert main(["submit", s3_uri, "--no-doctor"]) == 0
    assert begun(kfp) == 1


@pytest.mark.parametrize("command", [SUBMIT, SCHEDULE])
def test_where_all_is_there_nothing_is_said(fake, file, kfp, s3_uri, capsys, command):
    assert main([command[0], file, "--campaign", s3_uri, *command[1:]]) == 0
    assert "looked at" not in capsys.readouterr().err
    assert begun(kfp) == 1
    assert f"GET {RUNS}/secrets/activelora-s3" in fake.requests


def test_the_namespace_and_the_context_are_those_that_are_named(fake, file, kfp, s3_uri, capsys, tmp_path):
    team = RUNS.replace("kubeflow", "team-a")
    fake.objects |= {path.replace(RUNS, team): found for path, found in fake.objects.items()}
    fake.objects["/apis/kueue.x-k8s.io/v1beta2/namespaces/team-a/localqueues"] = {"items": []}
    command = ["submit", file, "--campaign", s3_uri, "--context", "fake", "--namespace", "team-a"]
    assert main(command) == 1
    assert "queue gpus: is not there" in capsys.readouterr().err
    assert f"GET {team}/secrets/activelora-s3" in fake.requests
    assert main([*command[:5], "another", *command[6:]]) == 0  # it cannot be asked
    assert "not looked at" in capsys.readouterr().err


def said(err):
    return [line for line in err.splitlines() if "not looked at" in line]


def test_a_cluster_that_cannot_be_asked_is_told_in_a_line(file, kfp, s3_uri, capsys):
    assert main(["submit", file, "--campaign", s3_uri]) == 0
    (line,) = said(capsys.readouterr().err)
    assert line.startswith("secrets and accounts in the cluster were not looked at: no cluster can be found")
    assert begun(kfp) == 1


def test_a_server_that_is_away_is_told_in_a_line(fake, file, kfp, s3_uri, capsys, tmp_path):
    (tmp_path / "kubeconfig").write_text((tmp_path / "kubeconfig").read_text().replace(fake.url, "http://127.0.0.1:9"))
    assert main(["submit", file, "--campaign", s3_uri]) == 0
    err = capsys.readouterr().err
    assert len(said(err)) == len(err.splitlines()) == 1
    assert begun(kfp) == 1


def test_a_kubeconfig_of_another_cluster_refuses_nothing(fake, file, kfp, s3_uri, capsys):
    fake.objects.clear()
    assert main(["submit", file, "--campaign", s3_uri]) == 0
    (line,) = said(capsys.readouterr().err)
    assert line.endswith("has no namespace kubeflow")
    assert begun(kfp) == 1


def test_what_this_account_may_not_see_is_told_and_goes_on(fake, file, kfp, s3_uri, capsys):
    fake.forbidden = {RUNS, f"{RUNS}/secrets/activelora-s3"}
    assert main(["submit", file, "--campaign", s3_uri]) == 0
    assert said(capsys.readouterr().err) == ["secrets in kubeflow: not looked at, as this account may not"]
    assert begun(kfp) == 1


def test_a_dry_run_asks_no_cluster(fake, file, s3_uri):
    assert main(["submit", file, "--campaign", s3_uri, "--dry-run"]) == 0
    assert fake.requests == []
