"""The commands as a person types them, in this process, against the local server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.store import open_store
from activelora.config import ModelConfig
from activelora.errors import ActiveLoRAError, ProblemsError
from activelora.rules.file import checked_config
from pipelines.cli.main import main
from pipelines.deploy.packages import check_pods_reach

DOCUMENT = {
    "name": "tickets",
    "task": {"prompt": "{text}", "labels": ["a", "b"]},
    "data": {"pool": {"path": "builtin:aws-requests"}, "holdout_size": 20},
    "model": {"base": "HuggingFaceTB/SmolLM2-135M-Instruct"},
    "labeling": {"source": "files"},
    "resources": {"service_account": "activelora-steps"},
}
URI = "s3://bucket/tickets"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    return str(path)


@pytest.fixture
def endpoint(kfp, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", kfp.url)
    return kfp.url


def test_a_dry_run_without_any_server(file, capsys, kfp):
    assert main(["schedule", file, "--campaign", URI, "--cron", "0 0 6 * * *", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("at 06:00 (UTC")
    assert '"max_concurrency": "1"' in out
    assert '"no_catchup": true' in out
    assert "No endpoint is given" in err
    assert kfp.calls == []


@pytest.mark.parametrize("command", ["submit", "upgrade", "unschedule"])
def test_without_a_server_nothing_is_begun(command, file, capsys, kfp):
    place = [file, "--campaign", URI] if command == "submit" else [file]
    assert main([command, *place]) == 1
    assert "nobody said where Kubeflow Pipelines is" in capsys.readouterr().err


def test_upgrade_moves_the_schedule_and_leaves_the_run_in_flight(file, endpoint, kfp, capsys):
    assert main(["upgrade", file]) == 0
    assert "schedule: none" in capsys.readouterr().out
    assert sorted(one["name"] for one in kfp.pipelines.values()) == ["tickets-campaign", "tickets-tick"]

    version = next(one for one in kfp.versions.values() if one["name"].startswith("tickets-tick"))
    kfp._add(kfp.experiments, "experiment_id", {"display_name": "activelora-tickets"})
    kfp._add(
        kfp.recurring,
        "recurring_run_id",
        {
            "display_name": "tickets-tick",
            "description": "by an older version",
            "experiment_id": next(iter(kfp.experiments)),
            "pipeline_version_reference": {key: version[key] for key in ("pipeline_id", "pipeline_version_id")},
            "runtime_config": {"parameters": {"campaign_uri": URI}},
            "trigger": {"cron_schedule": {"cron": "0 5 4 * * *"}},
            "status": "ENABLED",
        },
    )
    kfp.calls.clear()
    assert main(["upgrade", file, "--tag", "9.9.9", "--timeout", "0.05"]) == 0
    out = capsys.readouterr().out
    assert out.count(": new") == 2
    assert "schedule: replaced" in out
    (recurring,) = kfp.recurring.values()
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 5 4 * * *"
    assert recurring["runtime_config"]["parameters"]["campaign_uri"] == URI
    assert recurring["pipeline_version_reference"]["pipeline_version_id"] != version["pipeline_version_id"]

    kfp.calls.clear()
    assert main(["upgrade", file, "--tag", "9.9.9", "--timeout", "0.05"]) == 0
    assert kfp.changes() == []
    assert "schedule: unchanged" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["compile", "upgrade"])
def test_commands_carry_the_images_digests(file, endpoint, kfp, tmp_path, monkeypatch, command):
    """As the environment names them: a run's pods pull what was tested, whatever becomes of the tag."""
    image = "r.io/x/activelora-cpu:1.0@sha256:" + "c" * 64
    monkeypatch.setenv("ACTIVELORA_CPU_IMAGE", image)
    assert main([command, file, *(["--out", str(tmp_path)] if command == "compile" else [])]) == 0
    texts = [(tmp_path / "tick.yaml").read_text()] if command == "compile" else kfp.uploads
    assert texts
    for text in texts:
        executors = next(yaml.safe_load_all(text))["deploymentSpec"]["executors"]
        assert executors["exec-plan"]["container"]["image"] == image


@pytest.fixture
def s3_file(tmp_path, s3_uri):
    """A campaign file whose data is in S3."""
    rows = [{"text": f"word {number}", "label": "ab"[number % 2]} for number in range(60)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    open_store(s3_uri).write("data/pool.jsonl", content.encode())
    data = {"pool": {"path": f"{s3_uri}/data/pool.jsonl"}, "holdout_size": 20, "known_labels": "ignore"}
    small = {"acquisition": {"batch_size": 4}, "stopping": {"max_rounds": 2}}
    path = tmp_path / "s3.yaml"
    path.write_text(yaml.safe_dump({**DOCUMENT, **small, "data": data}))
    return str(path)


def test_submit_creates_the_campaign_and_starts_a_run(s3_file, endpoint, kfp, s3_uri, capsys):
    assert main(["submit", s3_file, "--campaign", s3_uri]) == 0
    assert Campaign.open(s3_uri).config.name == "tickets"
    (run,) = kfp.runs.values()
    assert run["runtime_config"]["parameters"]["campaign_uri"] == s3_uri
    assert run["runtime_config"]["parameters"]["train_accelerator_count"] == "1"
    assert run["service_account"] == "activelora-steps"
    capsys.readouterr()
    assert main(["submit", s3_uri, "--loop"]) == 0  # by its URI alone, as settings are kept there
    assert "tickets-campaign-" in capsys.readouterr().out
    assert len(kfp.runs) == 2


def test_a_workflow_for_argo_alone_comes_with_its_campaign_where_that_is_wanted(s3_file, s3_uri, tmp_path, capsys):
    options = ["--argo", "argo", "--campaign", s3_uri, "--out", str(tmp_path)]
    assert main(["compile", s3_file, *options]) == 0
    with pytest.raises(ActiveLoRAError):
        Campaign.open(s3_uri)
    assert main(["compile", s3_file, *options, "--create"]) == 0
    assert Campaign.open(s3_uri).config.name == "tickets"
    (template,) = yaml.safe_load_all((tmp_path / "argo.yaml").read_text())
    assert template["spec"]["arguments"]["parameters"] == [{"name": "campaign-uri", "value": s3_uri}]


def test_a_loop_that_one_run_cannot_hold_is_refused_before_anything_is_created(
    tmp_path, s3_file, endpoint, kfp, s3_uri, capsys
):
    document = yaml.safe_load(Path(s3_file).read_text())
    file, uri = tmp_path / "long.yaml", f"{s3_uri}/long"
    document |= {"stopping": {"max_rounds": 30}, "acquisition": {"batch_size": 1}}
    file.write_text(yaml.safe_dump(document))
    assert main(["submit", str(file), "--campaign", uri, "--loop"]) == 1
    err = capsys.readouterr().err
    assert "--loop: 31 rounds in one run are too many: up to 22 its Workflow object stays under 700 kB" in err
    assert "`activelora schedule`" in err
    assert not list(open_store(uri).list(""))
    assert kfp.runs == {}
    document["resources"] = {**document.get("resources", {}), "graph": "fused"}
    file.write_text(yaml.safe_dump(document))
    assert main(["submit", str(file), "--campaign", uri, "--loop"]) == 0
    assert len(kfp.runs) == 1


def test_schedule_status_unschedule(s3_file, endpoint, kfp, s3_uri, capsys):
    command = ["schedule", s3_file, "--campaign", s3_uri, "--cron", "0 0 6 * * *"]
    assert main(command) == 0
    assert "schedule tickets-tick: created" in capsys.readouterr().out
    assert main(command) == 0
    assert "schedule tickets-tick: unchanged" in capsys.readouterr().out
    assert main(["status", s3_file, "--remote"]) == 0
    assert "schedule: at 06:00 (0 0 6 * * *), enabled" in capsys.readouterr().out
    assert main(["status", s3_file, "--remote", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []
    assert main(["unschedule", s3_file, "--timeout", "0.05"]) == 0
    assert "removed" in capsys.readouterr().out
    assert kfp.recurring == {}


def test_another_number_of_gpus_needs_no_new_pipeline(s3_file, endpoint, kfp, s3_uri, tmp_path):
    document = yaml.safe_load(Path(s3_file).read_text())
    command = ["schedule", s3_file, "--campaign", s3_uri, "--cron", "0 0 6 * * *", "--timeout", "0.05"]
    assert main(command) == 0
    same = {"accelerator_type": "nvidia.com/gpu", "cpu": "4", "memory": "32Gi"}  # as the defaults
    document["resources"]["train"] = {**same, "accelerator_count": 4, "node_selector": {"gpu": "h100"}}
    Path(s3_file).write_text(yaml.safe_dump(document))
    assert main(command) == 0
    assert len(kfp.versions) == 1
    (recurring,) = kfp.recurring.values()
    assert recurring["runtime_config"]["parameters"] == {
        "campaign_uri": s3_uri,
        "train_accelerator": "nvidia.com/gpu",
        "train_accelerator_count": "4",
        "train_node_selector": {"gpu": "h100"},
        "score_accelerator": "nvidia.com/gpu",
        "score_accelerator_count": "1",
        "score_node_selector": {},
    }


def test_terminated_while_it_waits_it_enables_the_schedule_again(s3_file, endpoint, kfp, s3_uri):
    """As when a job's deadline passes."""
    assert main(["schedule", s3_file, "--campaign", s3_uri, "--cron", "0 0 6 * * *"]) == 0
    (identity,) = kfp.recurring
    kfp.fly(identity)
    command = [sys.executable, "-m", "pipelines.cli", "upgrade", s3_file, "--tag", "9.9.9"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert "waiting for the run in flight" in process.stderr.readline()
    assert kfp.recurring[identity]["status"] == "DISABLED"
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "Interrupted" in err
    assert kfp.recurring[identity]["status"] == "ENABLED"
    assert kfp.killed == []


def test_what_pods_cannot_reach_is_refused_all_at_once(tmp_path, capsys, kfp):
    document = {
        **DOCUMENT,
        "data": {"pool": {"path": "pool.csv"}, "holdout": {"path": "test.csv"}},
        "model": {"base": "./model"},
        "tracking": {"uri": "sqlite:///mlflow.db"},
    }
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(document))
    assert main(["submit", str(path), "--campaign", "here", "--dry-run"]) == 1
    err = capsys.readouterr().err
    assert "5 problems found" in err
    for key in ("--campaign", "data.pool.path", "data.holdout.path", "model.base", "tracking.uri"):
        assert key in err


def test_the_built_in_model_is_refused_for_pods(tmp_path, capsys, kfp):
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in DOCUMENT.items() if key != "model"}))
    assert main(["submit", str(path), "--campaign", URI, "--dry-run"]) == 1
    err = capsys.readouterr().err
    assert "model.base" in err
    assert "Name a hub id: HuggingFaceTB/SmolLM2-135M-Instruct" in err
    assert "resources.model_cache.uri" in err


def test_the_built_in_model_is_published_for_pods(s3_file, endpoint, kfp, s3_uri, capsys, tmp_path, monkeypatch):
    from activelora.modeling.published import cached_model_uri, find

    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "cache" / "models" / "smollm2-135m-instruct"
    model.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (model / name).write_text("{}")  # submit does not load it
    document = yaml.safe_load(Path(s3_file).read_text())
    del document["model"]
    document["resources"]["model_cache"] = {"uri": f"{s3_uri}/models"}
    uri = cached_model_uri(f"{s3_uri}/models", "smollm2-135m-instruct", None)
    Campaign.create(s3_uri, checked_config(document, where="test"))
    assert main(["submit", s3_uri, "--dry-run"]) == 0
    assert f"would publish smollm2-135m-instruct at {uri}" in capsys.readouterr().err
    assert find(uri) is None
    assert main(["submit", s3_uri]) == 0
    assert {file.name for file in find(uri).files} == {"config.json", "model.safetensors"}
    (text,) = kfp.uploads
    executors = next(yaml.safe_load_all(text))["deploymentSpec"]["executors"]
    environment = {one["name"]: one["value"] for one in executors["exec-train-adapter"]["container"]["env"]}
    assert environment["ACTIVELORA_MODEL_CACHE"] == f"{s3_uri}/models"


def test_a_folder_is_pushed_and_then_named(tiny_model_path, s3_uri, capsys):
    for words in ("published", "already there"):
        assert main(["model", "push", str(tiny_model_path), f"{s3_uri}/tiny"]) == 0
        assert words in capsys.readouterr().out
    config = checked_config({**DOCUMENT, "model": {"base": f"{s3_uri}/tiny"}}, where="test")
    check_pods_reach(config, s3_uri)
    with pytest.raises(ProblemsError, match="activelora model push"):
        check_pods_reach(config.model_copy(update={"model": ModelConfig(base=str(tiny_model_path))}), s3_uri)


@pytest.mark.parametrize("command", [["submit"], ["schedule", "--cron", "0 0 6 * * *"]])
def test_a_campaign_named_by_its_uri_is_checked_too(tmp_path, endpoint, capsys, kfp, command):
    uri = str(tmp_path / "campaign")
    Campaign.create(uri, checked_config(DOCUMENT, where="test"))
    assert main([command[0], uri, *command[1:]]) == 1
    assert "pods cannot reach it" in capsys.readouterr().err
    assert kfp.changes() == []


def test_a_token_is_never_printed(file, endpoint, kfp, capsys, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_KFP_TOKEN", "very-secret")
    kfp.token = "another"
    assert main(["unschedule", file]) == 1
    kfp.token = "very-secret"
    assert main(["unschedule", file, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "very-secret" not in out + err
    assert "401" in err
