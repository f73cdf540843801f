"""Names that only a cluster's DNS knows, and what the commands say of them on a machine that does not."""

from __future__ import annotations

import socket

import pytest
import yaml

from activelora.errors import StoreError
from activelora.rules.file import checked_config
from pipelines.cli.checks import check_campaign
from pipelines.cli.cluster_addresses import refuse_unknown_store
from pipelines.cli.main import main
from pipelines.cluster.service_names import Service, service_of, service_unknown_here
from tests.pipelines.cluster.test_commands import DOCUMENT

INSIDE = "http://label-studio.activelora.svc:8080"
MLFLOW = "http://mlflow.activelora.svc.cluster.local:5000"
STORE = "http://seaweedfs.activelora.svc.cluster.local:8333"
TEAMS = ["compute", "learning", "integration", "governance", "relational", "warehouse", "login", "storage"]
OUTSIDE = "http://labels.invalid:8080"  # RFC 6761: never found


@pytest.mark.parametrize(
    ("url", "service"),
    [
        (INSIDE, Service("label-studio", "activelora", 8080)),
        (STORE, Service("seaweedfs", "activelora", 8333)),
        ("https://a.b.svc.another.domain.", Service("a", "b", 443)),
        ("http://a.b.svc/path", Service("a", "b", 80)),
        ("http://labels.example.org", None),
        ("http://svc.example.org", None),
        ("http://a.b.svcs:1", None),
        ("http://mlflow:5000", None),
        ("http://a.b.svc:99999", None),
        ("sqlite:///mlflow.db", None),
        ("", None),
    ],
)
def test_what_an_address_names(url, service):
    assert service_of(url) == service


def test_a_name_that_this_machine_finds_is_as_good_as_any(monkeypatch):
    assert service_unknown_here(INSIDE) == service_of(INSIDE)
    assert service_unknown_here(OUTSIDE) is None
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])  # as in a pod, or through a tunnel
    assert service_unknown_here(INSIDE) is None


def document(url=INSIDE, **more):
    people = {"labeling": {"source": "label_studio", "label_studio": {"url": url, "timeout_seconds": 1}}}
    return {**DOCUMENT, "task": {"prompt": "{text}", "labels": TEAMS}, **people, "tracking": {"uri": MLFLOW}, **more}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a-token")

    def write(**more):
        path = tmp_path / "campaign.yaml"
        path.write_text(yaml.safe_dump(document(**more)))
        return str(path)

    return write


def test_check_warns_of_names_of_the_cluster_and_refuses_nothing(file, capsys):
    assert main(["check", file()]) == 0
    out, err = capsys.readouterr()
    assert "campaign.yaml is fine" in out
    assert f"labeling.label_studio.url: {INSIDE} has a name that the cluster gives" in err
    assert f"tracking.uri: {MLFLOW}" in err
    assert err.count("activelora doctor") == 2


def test_check_refuses_others_as_before(file, capsys):
    assert main(["check", file(url=OUTSIDE)]) == 1
    assert "Label Studio does not answer" in capsys.readouterr().err


def test_a_campaign_that_runs_here_has_to_reach_it_from_here(file):
    with pytest.raises(Exception, match="Label Studio does not answer"):
        check_campaign(checked_config(document(), where="test"), runs_here=True)


def test_a_token_that_nobody_has_is_missing_inside_too(file, monkeypatch, capsys):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    assert main(["check", file()]) == 1
    assert "there is no token for Label Studio" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["submit"], ["schedule", "--cron", "0 0 6 * * *"]])
def test_submit_and_schedule_warn_and_go_on(file, kfp, s3_uri, capsys, command, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    assert main([command[0], file(), "--campaign", s3_uri, *command[1:]]) == 0
    err = capsys.readouterr().err
    assert f"warning: labeling.label_studio.url: {INSIDE}" in err
    assert f"warning: tracking.uri: {MLFLOW}" in err
    assert len(kfp.runs) + len(kfp.recurring) == 1


def test_submit_refuses_others_as_before(file, kfp, s3_uri, capsys, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    assert main(["submit", file(url=OUTSIDE), "--campaign", s3_uri]) == 1
    assert "Label Studio does not answer" in capsys.readouterr().err
    assert kfp.changes() == []


@pytest.fixture
def store_inside(monkeypatch):
    for name, value in (("AWS_ENDPOINT_URL_S3", STORE), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(name, value)


FORWARD = (
    "kubectl -n activelora port-forward svc/seaweedfs 8333:8333 & export AWS_ENDPOINT_URL_S3=http://localhost:8333"
)


def test_check_warns_that_nothing_in_the_cluster_s_store_was_looked_at(file, store_inside, capsys):
    sources = {"data": {"pool": {"path": "s3://bucket/pool.csv"}, "holdout_size": 20}, "labeling": {"source": "oracle"}}
    assert main(["check", file(**sources, model={"base": "s3://bucket/model"})]) == 0
    err = capsys.readouterr().err
    assert f"data.pool.path, model.base: the object store {STORE}" in err
    assert FORWARD in err


def test_a_campaign_in_the_cluster_s_store_cannot_be_made_from_here_and_says_how(file, store_inside, kfp, capsys):
    path = file()
    assert main(["submit", path, "--campaign", "s3://bucket/c", "--endpoint", kfp.url]) == 1
    assert FORWARD in capsys.readouterr().err
    assert kfp.changes() == []
    assert main(["submit", path, "--campaign", "s3://bucket/c", "--dry-run"]) == 0  # it reads and writes nothing
    with pytest.raises(StoreError, match="port-forward svc/seaweedfs"):
        refuse_unknown_store("s3://bucket/c")


def test_a_store_elsewhere_is_left_to_its_client(store_inside, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", OUTSIDE)
    refuse_unknown_store("s3://bucket/c")
    refuse_unknown_store("/a/folder")
