"""Time-outs, repetitions, tokens and refusals, against a real server on this machine."""

from __future__ import annotations

import time

import pytest

from pipelines.cluster.api import Api
from pipelines.cluster.connection import Connection, find_connection
from pipelines.cluster.errors import ClusterError
from pipelines.cluster.transport import TRIES, Transport
from pipelines.deploy.submission import register, submit


def test_a_busy_server_is_asked_again(kfp, api):
    kfp.trouble = [503, 429, 500]
    assert api.health().multi_user is False
    assert kfp.calls == ["GET /healthz"] * 4


def test_repetitions_are_bounded(kfp, api):
    kfp.trouble = [503] * 20
    with pytest.raises(ClusterError, match="GET answered 503: trouble"):
        api.health()
    assert len(kfp.calls) == TRIES


def test_what_changes_something_is_not_repeated_after_an_error(kfp, api):
    """The server may have done it: a repetition would start a second run."""
    kfp.trouble = [500]
    with pytest.raises(ClusterError, match="POST answered 500"):
        api.create_experiment("x")
    assert kfp.changes() == ["POST /experiments"]


def test_what_was_refused_unread_is_repeated(kfp, api):
    kfp.trouble = [429, 429]
    assert api.create_experiment("x").startswith("experiment-")
    assert len(kfp.experiments) == 1


def test_a_slow_server_is_not_waited_for(kfp, make_api):
    kfp.delay_seconds = 0.4
    started = time.monotonic()
    with pytest.raises(ClusterError, match=r"POST got no answer, tried once: .*timed out"):
        make_api(read_seconds=0.05).create_experiment("x")
    assert time.monotonic() - started < 0.4
    kfp.delay_seconds = 0.1
    assert make_api(read_seconds=5.0).health().multi_user is False


def test_nobody_there():
    connection = Connection("http://127.0.0.1:9")
    with pytest.raises(ClusterError, match=f"tried {TRIES} times.*port-forward"):
        Api(connection, Transport(connection, pause_seconds=0.001)).create_experiment("x")


def test_a_missing_token_is_refused_in_words(kfp, api):
    kfp.token = "secret-token"
    with pytest.raises(ClusterError, match=r"401: Unauthenticated.*ACTIVELORA_KFP_TOKEN"):
        api.health()
    assert len(kfp.calls) == 1


def test_a_token_from_the_environment(kfp, api, monkeypatch):
    kfp.token = "secret-token"
    monkeypatch.setenv("ACTIVELORA_KFP_TOKEN", "secret-token")
    assert api.health().multi_user is False


def test_a_projected_token_is_read_anew_for_every_request(kfp, tmp_path):
    path = tmp_path / "token"
    api = Api(Connection(kfp.url, token_path=str(path)))
    for token in ("first", "renewed"):
        path.write_text(token + "\n")
        kfp.token = token
        assert api.health().multi_user is False
    path.unlink()
    with pytest.raises(ClusterError, match="the token cannot be read"):
        api.health()


def test_a_login_page_is_no_answer(kfp, api):
    kfp.web_page = True
    with pytest.raises(ClusterError, match="not JSON, perhaps a login page"):
        api.health()


def test_every_page_is_read(kfp, api):
    experiment = api.create_experiment("x")
    for number in range(7):
        kfp._add(kfp.runs, "run_id", {"experiment_id": experiment, "display_name": str(number)})
    assert [run.display_name for run in api.runs(experiment)] == list("6543210")
    assert kfp.calls.count("GET /runs") == 4


def test_a_dry_run_sends_reads_only(kfp, package):
    connection = Connection(kfp.url)
    transport = Transport(connection, dry=True)
    submit(Api(connection, transport), "tiny", "s3://bucket/tiny", package, "steps")
    assert kfp.changes() == []
    assert [request.url.removeprefix(kfp.url).partition("?")[0] for request in transport.planned] == [
        "/apis/v2beta1/pipelines",
        "/apis/v2beta1/pipelines/upload_version",
        "/apis/v2beta1/experiments",
        "/apis/v2beta1/runs",
    ]


def test_a_dry_run_plans_what_a_real_run_sends(kfp, api, package):
    connection = Connection(kfp.url)
    transport = Transport(connection, dry=True)
    submit(Api(connection, transport), "tiny", "s3://bucket/tiny", package, "steps")
    submit(api, "tiny", "s3://bucket/tiny", package, "steps")
    planned = [
        f"{one.method} {one.url.removeprefix(kfp.url + '/apis/v2beta1').partition('?')[0]}" for one in transport.planned
    ]
    assert planned == kfp.changes()
    (run,) = kfp.runs.values()
    body = transport.planned[-1].body
    assert {key: run[key] for key in body if "id" not in key and "reference" not in key} == {
        key: value for key, value in body.items() if "id" not in key and "reference" not in key
    }


def test_a_dry_run_needs_no_server(package):
    connection = Connection(None)
    transport = Transport(connection, dry=True)
    submit(Api(connection, transport), "tiny", "s3://bucket/tiny", package, None)
    assert len(transport.planned) == 4
    assert "sha256" in str(transport.planned[1])


def test_another_caller_at_the_same_time_is_no_error(kfp, api, package):
    kfp.conflicts = {package.name, package.version}
    registered = register(api, package)
    assert list(kfp.pipelines) == [registered.pipeline_id]
    assert list(kfp.versions) == [registered.version_id]


def test_a_conflict_with_something_else_is_an_error(kfp, api):
    kfp.trouble = [409]
    with pytest.raises(ClusterError, match="409"):
        api.create_experiment("x")


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("localhost:8888", "is not the address of an API"),
        ("ftp://host", "is not the address of an API"),
        ("https://user:pass@host", "carries credentials"),
        (None, "nobody said where"),
    ],
)
def test_what_is_no_endpoint(endpoint, problem, monkeypatch):
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    with pytest.raises(ClusterError, match=problem) as caught:
        find_connection(endpoint)
    assert "pass" not in str(caught.value)


def test_a_namespace_goes_with_every_call_that_takes_one(kfp, package):
    connection = Connection(kfp.url, namespace="team")
    submit(Api(connection), "tiny", "s3://bucket/tiny", package, None)
    (pipeline,), (experiment,) = kfp.pipelines.values(), kfp.experiments.values()
    assert (pipeline["namespace"], experiment["namespace"]) == ("team", "team")
    assert Api(Connection(kfp.url, namespace="team")).pipeline_id(package.name) == pipeline["pipeline_id"]
    assert Api(Connection(kfp.url, namespace="others")).pipeline_id(package.name) is None
