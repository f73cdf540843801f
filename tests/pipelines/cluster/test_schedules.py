"""A schedule that is applied twice, changed, applied in flight, killed half-way, or removed does what it says."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from activelora.campaign.campaign import stop_campaign
from activelora.campaign.manifest import Unit
from pipelines.cli.main import main
from pipelines.cluster.errors import ClusterError
from pipelines.deploy.remote import remote_status
from pipelines.deploy.schedules import Drain, Schedule, apply, remove
from pipelines.deploy.submission import register, submit

SCHEDULE = Schedule("tiny", "s3://bucket/tiny", "0 0 6 * * *", "tiny-tick", "tiny-tick-aaa", "steps")
CREATE, DELETE = "POST /recurringruns", "DELETE /recurringruns/ID"
DISABLE, ENABLE = "POST /recurringruns/ID:disable", "POST /recurringruns/ID:enable"


@pytest.fixture
def put(kfp, api, package):
    def put(schedule=SCHEDULE, *, keep_disabled=False, **drain):
        registered = register(api, package)
        kfp.calls.clear()
        wait = Drain(**{"pause_seconds": 0.01, "say": lambda _: None, **drain})
        return apply(api, schedule, registered, wait, keep_disabled=keep_disabled)

    return put


def test_a_new_schedule(kfp, put):
    assert put() == "created"
    assert kfp.changes() == ["POST /experiments", CREATE]
    (made,) = kfp.recurring.values()
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 6 * * *"}}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == ("1", True, "ENABLE")
    assert made["service_account"] == "steps"
    assert made["runtime_config"] == {"parameters": {"campaign_uri": "s3://bucket/tiny"}}
    assert made["description"] == f"at 06:00; activelora-spec: sha256:{SCHEDULE.digest}"


def test_applied_twice_it_is_left_alone(kfp, put):
    put()
    assert put() == "unchanged"
    assert kfp.changes() == []


@pytest.mark.parametrize(
    "change",
    [{"cron": "0 0 7 * * *"}, {"version": "tiny-tick-bbb"}, {"campaign_uri": "s3://other"}, {"service_account": None}],
)
def test_a_change_replaces_it(kfp, put, change):
    put()
    assert put(dataclasses.replace(SCHEDULE, **change)) == "replaced"
    assert kfp.changes() == [DISABLE, CREATE, ENABLE, DELETE]  # never none, and never two that are enabled
    assert [one["status"] for one in kfp.recurring.values()] == ["ENABLED"]


CHANGED = dataclasses.replace(SCHEDULE, cron="0 0 7 * * *")


@pytest.mark.parametrize("refused", ["GET /runs", ":disable", CREATE, ":enable", "DELETE"])
def test_whatever_is_refused_in_between_one_schedule_stays_enabled(kfp, put, refused):
    put()
    (old,) = kfp.recurring
    kfp.refused = [refused]  # once: what puts things right again is not refused
    with pytest.raises(ClusterError, match="403"):
        put(CHANGED)
    enabled = [identity for identity, one in kfp.recurring.items() if one["status"] == "ENABLED"]
    assert len(enabled) == 1
    assert (enabled == [old]) is (refused != "DELETE")
    assert put(CHANGED) == "replaced"  # again, and the rest is done
    (left,) = kfp.recurring.values()
    assert (left["status"], left["trigger"]) == ("ENABLED", {"cron_schedule": {"cron": "0 0 7 * * *"}})
    assert kfp.killed == []


def test_what_cannot_be_put_right_says_what_to_do(kfp, put):
    put()
    kfp.refused = [CREATE, ":enable"]
    with pytest.raises(ClusterError, match=r"is disabled and could not be enabled again.*run the same command again"):
        put(CHANGED)
    assert [one["status"] for one in kfp.recurring.values()] == ["DISABLED"]
    assert put(CHANGED) == "replaced"
    assert [one["status"] for one in kfp.recurring.values()] == ["ENABLED"]


def test_what_cannot_be_deleted_is_named_and_deleted_by_the_next_call(kfp, put):
    put()
    (old,) = kfp.recurring
    kfp.refused = ["DELETE"]
    with pytest.raises(ClusterError, match=rf"{old}: tiny-tick is replaced, but .*Run the same command again"):
        put(CHANGED)
    assert len(kfp.recurring) == 2
    assert put(CHANGED) == "replaced"
    assert kfp.changes() == [DELETE]


def test_a_lost_answer_to_enabling_is_looked_up(kfp, put, make_api, package):
    put()
    kfp.lost = [":enable"]
    assert put(CHANGED) == "replaced"
    assert [one["status"] for one in kfp.recurring.values()] == ["ENABLED"]


def test_a_lost_answer_to_creating_leaves_one_enabled(kfp, put):
    put()
    (old,) = kfp.recurring
    kfp.lost = [CREATE]
    with pytest.raises(ClusterError):
        put(CHANGED)
    assert {identity for identity, one in kfp.recurring.items() if one["status"] == "ENABLED"} == {old}
    assert len(kfp.recurring) == 2  # the new one is there, disabled
    assert put(CHANGED) == "replaced"
    assert kfp.changes() == [DISABLE, ENABLE, DELETE]
    (left,) = kfp.recurring.values()
    assert (left["status"], left["trigger"]) == ("ENABLED", {"cron_schedule": {"cron": "0 0 7 * * *"}})


def test_status_shows_the_schedule_that_is_enabled(kfp, api, put):
    put()
    kfp.lost = [CREATE]
    with pytest.raises(ClusterError):
        put(CHANGED)
    assert remote_status(api, "tiny")["schedule"]["cron"] == "0 0 6 * * *"


def test_a_run_in_flight_ends_before_its_schedule_is_deleted(kfp, put):
    put()
    (identity,) = kfp.recurring
    run = kfp.fly(identity)
    said = []

    def say(words):
        said.append(words)
        assert kfp.recurring[identity]["status"] == "DISABLED"
        run["state"] = "SUCCEEDED"

    assert put(dataclasses.replace(SCHEDULE, cron="0 0 7 * * *"), say=say) == "replaced"
    assert said == [f"waiting for the run in flight: {run['run_id']} (RUNNING)"]
    assert kfp.killed == []
    assert kfp.calls.index("GET /runs") < [call.split("/")[0] for call in kfp.calls].index("DELETE ")


def test_a_run_that_does_not_end_keeps_the_old_schedule(kfp, put):
    put()
    (identity,) = kfp.recurring
    kfp.fly(identity)
    with pytest.raises(ClusterError, match=r"still RUNNING after 0.05 seconds.*--timeout"):
        put(dataclasses.replace(SCHEDULE, cron="0 0 7 * * *"), timeout_seconds=0.05)
    assert kfp.recurring[identity]["status"] == "ENABLED"
    assert kfp.changes() == [DISABLE, ENABLE]
    assert kfp.killed == []


def test_a_run_that_is_listed_a_moment_late_is_waited_for(kfp, put):
    put()
    (identity,) = kfp.recurring
    late = threading.Timer(0.2, kfp.fly, [identity])
    late.start()
    with pytest.raises(ClusterError, match="still RUNNING"):
        put(dataclasses.replace(SCHEDULE, cron="0 0 7 * * *"), timeout_seconds=1.0, pause_seconds=0.8)
    late.join()
    assert kfp.killed == []


@pytest.mark.parametrize("refused", ["GET /runs", ":disable"])
def test_what_is_refused_half_way_keeps_the_schedule(kfp, put, refused):
    put()
    (identity,) = kfp.recurring
    kfp.forbidden = refused
    with pytest.raises(ClusterError, match="403"):
        put(dataclasses.replace(SCHEDULE, cron="0 0 7 * * *"))
    assert kfp.recurring[identity]["status"] == "ENABLED"
    assert kfp.changes() == [DISABLE, ENABLE]


@pytest.mark.parametrize("cron", [SCHEDULE.cron, "0 0 7 * * *"])
def test_a_schedule_that_somebody_disabled_stays_so(kfp, put, cron):
    put()
    (one,) = kfp.recurring.values()
    one["status"] = "DISABLED"
    wanted = dataclasses.replace(SCHEDULE, cron=cron)
    assert put(wanted, keep_disabled=True).endswith(", and disabled")
    (now,) = kfp.recurring.values()
    assert now["status"] == "DISABLED"
    assert now["trigger"] == {"cron_schedule": {"cron": cron}}
    assert put(wanted) == "enabled"
    assert now["status"] == "ENABLED"


def test_other_runs_are_not_waited_for(kfp, api, put, package):
    put()
    submit(api, "tiny", "s3://bucket/tiny", package, None)
    assert put(dataclasses.replace(SCHEDULE, cron="0 0 7 * * *"), timeout_seconds=0.05) == "replaced"
    assert [run["state"] for run in kfp.runs.values()] == ["PENDING"]


def test_killed_after_disabling_it_is_finished_by_the_next_call(kfp, put):
    put()
    (identity,) = kfp.recurring
    kfp.recurring[identity]["status"] = "DISABLED"
    assert put() == "enabled"
    assert kfp.recurring[identity]["status"] == "ENABLED"


def test_two_of_a_name_become_one(kfp, put):
    put()
    (one,) = kfp.recurring.values()
    kfp._add(kfp.recurring, "recurring_run_id", {key: value for key, value in one.items() if key != "recurring_run_id"})
    assert put() == "replaced"
    assert len(kfp.recurring) == 1


def test_removing(kfp, api, put):
    assert remove(api, "tiny", Drain()) == 0
    put()
    kfp.calls.clear()
    assert remove(api, "tiny", Drain(pause_seconds=0.01)) == 1
    assert kfp.changes() == [DISABLE, DELETE]
    assert kfp.recurring == {}
    assert remove(api, "tiny", Drain()) == 0


def test_a_registered_version_is_not_uploaded_again(kfp, api, package):
    first = register(api, package)
    assert first.is_new
    again = register(api, package)
    assert (again.version_id, again.is_new) == (first.version_id, False)
    assert kfp.changes() == ["POST /pipelines", "POST /pipelines/upload_version"]


def test_versions_are_found_on_any_page(kfp, api, package):
    for number in range(5):
        register(api, dataclasses.replace(package, version=f"tiny-tick-{number}"))
    assert not register(api, dataclasses.replace(package, version="tiny-tick-4")).is_new
    assert len(kfp.versions) == 5


def test_status_shows_schedule_and_runs(kfp, api, put, package):
    assert remote_status(api, "tiny")["schedule"] is None
    put()
    (identity,) = kfp.recurring
    kfp.fly(identity, "SUCCEEDED")
    failed = kfp.fly(identity, "FAILED")
    failed["run_details"] = {
        "task_details": [
            {"display_name": "train-adapter", "state": "FAILED", "error": {"code": 1, "message": "out of memory"}},
            {"display_name": "root", "state": "FAILED", "child_tasks": [{"pod_name": "p"}]},
            {"display_name": "plan", "state": "SUCCEEDED"},
        ]
    }
    found = remote_status(api, "tiny")
    assert found["schedule"]["words"] == "at 06:00"
    assert len(found["schedule"]["next"]) == 3
    assert [run["state"] for run in found["runs"]] == ["FAILED", "SUCCEEDED"]
    assert found["runs"][0]["failed"] == ["train-adapter: out of memory"]
    assert found["runs"][0]["scheduled"]


def test_the_step_that_failed_is_named_with_the_end_of_its_log(kfp, api, put, new_campaign):
    campaign = new_campaign("ingest_pool")
    unit = Unit("evaluate_adapter", 0)
    lines = [("INFO", "reading"), ("ERROR", "model.base: no such model"), ("INFO", "ending")]
    content = "".join(json.dumps({"level": level, "message": message}) + "\n" for level, message in lines)
    campaign.store.write(unit.log_key, content.encode())
    put()
    (identity,) = kfp.recurring
    failed = kfp.fly(identity, "FAILED")
    failed["run_details"] = {
        "task_details": [
            {"task_id": "1", "display_name": "evaluate-adapter", "state": "FAILED", "child_tasks": [{"pod_name": "p"}]},
            {"task_id": "2", "display_name": "executor(0)", "state": "FAILED", "parent_task_id": "1"},
        ]
    }
    found = remote_status(api, "tiny", campaign)
    assert found["runs"][0]["failed"] == ["evaluate-adapter"]
    assert found["stopped_at"] == {"unit": "evaluate_adapter round 0", "log": ["model.base: no such model"]}
    assert found["ended"] is None


def test_a_schedule_that_outlives_its_campaign_is_told(kfp, put, new_campaign, monkeypatch, capsys):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    campaign = new_campaign("ingest_pool")
    put()
    assert main(["status", campaign.store.uri, "--remote"]) == 0
    assert "ended" not in capsys.readouterr().out
    stop_campaign(campaign, "all 2 planned rounds are done")
    assert main(["status", campaign.store.uri, "--remote"]) == 0
    out = capsys.readouterr().out
    assert "ended:    all 2 planned rounds are done" in out
    assert f"still starts runs that find nothing to do: activelora unschedule {campaign.store.uri}" in out


def test_a_run_without_a_state_is_unknown(kfp, api, put):
    put()
    (identity,) = kfp.recurring
    del kfp.fly(identity)["state"]
    assert [run["state"] for run in remote_status(api, "tiny")["runs"]] == ["UNKNOWN"]
