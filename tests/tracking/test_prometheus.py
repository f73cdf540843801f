"""The metrics as Prometheus' own parser reads them, from a file and from what a gateway is sent."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from datetime import datetime

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ProblemsError
from activelora.rules.file import checked_config
from activelora.tracking.prometheus import metrics_of, report_metrics
from pipelines.cli.checks import check_campaign
from tests.pipelines.conftest import finish_step, make_config
from tests.pipelines.tiny import tiny_config


def metrics_text(campaign):
    return generate_latest(metrics_of(campaign)).decode()


def values(text):
    """Return every sample by name. The label is the same everywhere."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {tuple(sample.labels.items()) for sample in samples} == {(("campaign", "tiny"),)}
    return {sample.name.removeprefix("activelora_"): sample.value for sample in samples}


@pytest.fixture
def make_campaign(tmp_path):
    def create(**tracking):
        return Campaign.create(str(tmp_path / "campaign"), make_config(tracking={"enabled": False, **tracking}))

    return create


@contextmanager
def gateway(statuses):
    """A server that answers with the given statuses, one a request, and keeps what it was sent."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            requests.append((self.path, body))
            self.send_response(statuses[min(len(requests), len(statuses)) - 1])
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_campaign_that_has_not_begun(make_campaign):
    assert values(metrics_text(make_campaign())) == {
        "round": 0,
        "labels": 0,
        "label_budget": 8,
        "waiting_since_timestamp_seconds": 0,
        "finished": 0,
    }


def test_a_campaign_that_waits_says_since_when(make_campaign):
    campaign = make_campaign()
    for step in ("ingest_pool", "evaluate_adapter", "score_pool", "select_batch"):
        finish_step(campaign, step)
    found = values(metrics_text(campaign))
    asked = datetime.fromisoformat(campaign.require(Unit("select_batch", 0)).finished_at)
    assert found["waiting_since_timestamp_seconds"] == asked.timestamp()
    assert (found["round"], found["labels"], found["accuracy"], found["ece"]) == (0, 0, 0.5, 0.2)
    finish_step(campaign, "await_labels")
    found = values(metrics_text(campaign))
    assert found["waiting_since_timestamp_seconds"] == 0
    assert (found["round"], found["labels"]) == (1, 4)
    stop_campaign(campaign, "enough")
    assert values(metrics_text(campaign))["finished"] == 1


def test_a_regression_has_its_own_metric(tmp_path):
    task = {"kind": "regression", "prompt": "{text}", "minimum": 0, "maximum": 12}
    campaign = Campaign.create(str(tmp_path / "campaign"), make_config(task=task))
    finish_step(campaign, "ingest_pool")
    campaign.attempt(Unit("evaluate_adapter", 0)).commit({"rmse": 1.5, "mae": 1.0, "num_holdout": 10.0}, {})
    found = values(metrics_text(campaign))
    assert found["rmse"] == 1.5
    assert not {"accuracy", "ece"} & set(found)


def test_the_file_is_replaced_whole_and_readable_by_others(make_campaign, tmp_path):
    target = tmp_path / "activelora.prom"
    target.write_text("old")
    campaign = make_campaign(prometheus_textfile=str(target))
    report_metrics(campaign)
    assert target.read_text() == metrics_text(campaign)
    assert target.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.glob(".*")) == []


def test_a_file_that_cannot_be_written_is_a_warning(make_campaign, tmp_path, caplog):
    report_metrics(make_campaign(prometheus_textfile=str(tmp_path / "none" / "activelora.prom")))
    assert "tracking.prometheus_textfile could not be written" in caplog.text


def test_a_gateway_gets_the_metrics_under_the_campaign_s_name(make_campaign):
    with gateway([200]) as (address, requests):
        campaign = make_campaign(pushgateway=f"{address}/")
        report_metrics(campaign)
    assert requests == [("/metrics/job/activelora/campaign/tiny", metrics_text(campaign))]


def test_a_gateway_that_fails_for_a_moment_is_asked_again(make_campaign, caplog):
    with gateway([503, 200]) as (address, requests):
        report_metrics(make_campaign(pushgateway=address))
    assert len(requests) == 2
    assert caplog.text == ""


def test_a_gateway_that_refuses_is_asked_once_and_is_a_warning(make_campaign, caplog):
    with gateway([400]) as (address, requests):
        report_metrics(make_campaign(pushgateway=address))
    assert len(requests) == 1
    assert "tracking.pushgateway: metrics were not taken (HTTP Error 400" in caplog.text


def test_a_gateway_that_is_gone_is_a_warning(make_campaign, caplog):
    with gateway([200]) as (address, _):
        pass
    report_metrics(make_campaign(pushgateway=address))
    assert "tracking.pushgateway: metrics were not taken" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("pushgateway", "gateway:9091", "begins with http:// or https://"),
        ("pushgateway", "http://me:secret@gateway:9091", "looks like a secret"),
        ("prometheus_textfile", "/var/lib/metrics.txt", "end in .prom"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, value, words):
    document = make_config().model_dump(mode="json")
    document["tracking"][name] = value
    with pytest.raises(ProblemsError, match=words):
        checked_config(document, where="campaign.yaml")


def test_check_warns_where_the_collector_s_folder_is_not(tmp_path, tiny_model_path):
    tracking = {"enabled": False, "prometheus_textfile": str(tmp_path / "none" / "activelora.prom")}
    findings = check_campaign(tiny_config(tmp_path, tiny_model_path, tracking=tracking))
    assert f"there is no folder {tmp_path / 'none'} on this machine" in " ".join(findings.warnings)
