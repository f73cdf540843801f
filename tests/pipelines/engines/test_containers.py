"""Steps in real containers of podman, with the campaign on a real S3 server and its metrics in a real MLflow server."""

import json
import os
import shlex
import threading
import time

import pytest
from kfp import dsl

from activelora import __version__
from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units, next_plan
from activelora.campaign.manifest import Unit
from components.image import images
from pipelines.cli.main import main
from pipelines.engines import inline
from pipelines.engines import kfp_local as local
from pipelines.engines.containers import LABEL
from pipelines.engines.errors import EngineError, Runner
from pipelines.graphs.campaign import campaign_pipeline
from pipelines.graphs.placement import Placement
from tests.mlflow_server import running_mlflow
from tests.pipelines.tiny import tiny_config
from tests.podman_service import REGISTRY, running_podman, why_not

NUM_ROUNDS = 2
CPU_IMAGE = f"{REGISTRY}/activelora-cpu:{__version__}"
SECRET_WORDS = ("test-secret-key", "test-access-key")


@pytest.fixture(scope="module")
def docker_host(tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    with running_podman(tmp_path_factory.mktemp("podman")) as address:
        yield address


@pytest.fixture
def engine(docker_host, monkeypatch):
    """A client of the container engine that the tests' campaigns use too."""
    import docker

    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("ACTIVELORA_IMAGE_REGISTRY", REGISTRY)
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def config(tmp_path, tiny_model_path):
    """Settings of a campaign whose data and model the containers' user may read."""
    sections = {
        "stopping": {"max_rounds": NUM_ROUNDS},
        "training": {
            "min_steps": 0,
            "warmup_fraction": 0.0,
            "epochs": 60,
            "batch_size": 4,
            "learning_rate": 0.01,
            "checkpoint_every_steps": 1,
        },
        "tracking": {"experiment": "containers"},
    }
    settings = tiny_config(tmp_path, tiny_model_path, **sections)
    for path in (tiny_model_path, *tiny_model_path.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return settings


@dsl.container_component
def shell(script: str):
    return dsl.ContainerSpec(image=CPU_IMAGE, command=["sh", "-ec"], args=[script])


def shell_pipeline(script):
    @dsl.pipeline(name="one-container")
    def one_container() -> None:
        shell(script=script)

    return one_container


def found_out(campaign):
    """Return selections, labels and metrics but for times. Parquet's bytes also name the version that wrote them."""
    results = {}
    for unit in finished_units(campaign):
        manifest = campaign.require(unit)
        results[unit, "metrics"] = {name: value for name, value in manifest.metrics.items() if name != "seconds"}
        if unit.step == "select_batch":
            results[unit, "selection"] = campaign.read_table(manifest, "selection.parquet").to_pylist()
    return results


def kill_when(engine, campaign, unit, is_time, killed, over):
    """Kill the container that works on a unit, once there is a sign of its work in the store."""
    while not over.is_set():
        if any(is_time(key) for key in campaign.store.list(unit.prefix)):
            for container in engine.containers.list(filters={"label": f"{LABEL}={campaign.store.uri}"}):
                container.kill()
                killed.append(container.id)
            return
        time.sleep(0.02)


@pytest.mark.container
@pytest.mark.timeout(1500)
def test_a_campaign_in_containers_one_of_which_is_killed(engine, config, s3_uri, tmp_path, monkeypatch, capfd):
    alone = Campaign.create(str(tmp_path / "alone"), config)
    inline.run_campaign(alone)
    with running_mlflow(tmp_path) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "an-mlflow-token")
        campaign = Campaign.create(f"{s3_uri}/campaign", config)
        unit, killed, over = Unit("train_adapter", 1), [], threading.Event()
        signs = (engine, campaign, unit, lambda key: "checkpoint-" in key, killed, over)
        watch = threading.Thread(target=kill_when, args=signs)
        watch.start()
        try:
            with pytest.raises(EngineError, match="the task train-adapter of the local pipeline failed"):
                local.run_campaign(campaign, Runner.docker)
        finally:
            over.set()
            watch.join()
        assert len(killed) == 1
        assert "exit code 137: it was killed" in capfd.readouterr().err
        assert unit not in finished_units(campaign)

        result = local.run_campaign(campaign, Runner.docker)
        log = capfd.readouterr().err
        assert (result.status, result.round) == ("finished", NUM_ROUNDS)
        assert "training goes on from step" in log
        assert found_out(campaign) == found_out(alone)
        check_logs(campaign, log)
        check_mlflow(address, campaign)
    left = engine.containers.list(all=True, filters={"label": LABEL})
    assert left == []


def check_logs(campaign, printed):
    """Every unit's log is beside its manifest, every line says whose it is, and no secret is anywhere."""
    for unit in finished_units(campaign):
        text = campaign.store.read(f"{unit.prefix}/log.jsonl").decode()
        lines = [json.loads(line) for line in text.splitlines()]
        assert {(line["step"], line["round"], line["campaign"]) for line in lines} == {
            (unit.step, unit.round, campaign.store.uri)
        }
        assert f"{unit} done" in [line["message"] for line in lines]
        printed += text
    for secret in (*SECRET_WORDS, "an-mlflow-token"):
        assert secret not in printed


def check_mlflow(address, campaign):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name(campaign.config.tracking.experiment)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    points = client.get_metric_history(parent.info.run_id, "answers/accuracy")
    evaluations = [campaign.require(Unit("evaluate_adapter", round_)) for round_ in range(NUM_ROUNDS + 1)]
    assert [point.step for point in points] == list(range(NUM_ROUNDS + 1))
    assert [point.value for point in points] == [one.metrics["accuracy"] for one in evaluations]


@pytest.mark.container
def test_the_campaign_pipeline_runs_in_containers_too(engine, config, s3_uri, capfd):
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    arguments = {"campaign_uri": campaign.store.uri, "rounds": [0]}
    pipeline = campaign_pipeline(Placement(campaign.config.resources, images(), in_pods=False), 1)
    local.run_pipeline(pipeline, arguments, campaign.store.uri, local.in_containers(campaign))
    assert Unit("await_labels", 0) in finished_units(campaign)
    assert next_plan(campaign).round == 1


@pytest.mark.container
def test_a_container_has_few_rights(engine, config, s3_uri, monkeypatch, capfd):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/somewhere/here")
    monkeypatch.setenv("ACTIVELORA_KFP_TOKEN", "a-kfp-token")
    monkeypatch.setenv("ACTIVELORA_WEBHOOK_URL", "https://somewhere/secret")
    monkeypatch.setenv("ACTIVELORA_WAKE_SECRET", "a-wake-secret")
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    checks = [
        'test "$(id -u)" = 10001',
        "! touch /opt/activelora/x 2>/dev/null && ! touch /x 2>/dev/null && touch /tmp/x",
        "grep -q 'CapEff:.0000000000000000' /proc/self/status",
        "grep -q 'NoNewPrivs:.1' /proc/self/status",
        "! python3 -m pip --version 2>/dev/null && ! command -v gcc",
        'test "$PYTHONSAFEPATH$ACTIVELORA_LOG" = 1json',
        'test -n "$AWS_SECRET_ACCESS_KEY" && test -z "$AWS_CONFIG_FILE"',
        'test -z "$ACTIVELORA_KFP_TOKEN$ACTIVELORA_WEBHOOK_URL$ACTIVELORA_WAKE_SECRET"',
        "grep -q cyclonedx /opt/activelora/sbom.cdx.json",
        f"! touch {config.data.folder}/pool.jsonl 2>/dev/null && test -r {config.data.folder}/pool.jsonl",
    ]
    told = [f"if ! ( {check} ); then echo untrue: {shlex.quote(check)}; untrue=1; fi" for check in checks]
    script = "; ".join([*told, "echo checked", "exit $untrue"])
    local.run_pipeline(shell_pipeline(script), {}, "here", local.in_containers(campaign))
    assert "checked" in capfd.readouterr().err


@pytest.mark.container
def test_the_command_is_in_the_image(engine, config, s3_uri):
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    check = f'test "$(activelora --version)" = "activelora {__version__}"'
    local.run_pipeline(shell_pipeline(check), {}, "here", local.in_containers(campaign))


@pytest.mark.container
@pytest.mark.parametrize("script", ["exit 3", "false", "sleep 1; exit 1"])
def test_a_container_that_fails_fails_the_run(engine, config, s3_uri, script, capfd):
    """However fast it is: KFP's own runner takes a container that is gone for one that succeeded."""
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    for _ in range(3):
        with pytest.raises(EngineError, match="the task shell of the local pipeline failed"):
            local.run_pipeline(shell_pipeline(script), {}, "here", local.in_containers(campaign))
    assert "the container ended with exit code" in capfd.readouterr().err


@pytest.mark.container
def test_what_a_killed_run_left_behind_is_removed(engine, config, s3_uri):
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    labels = {LABEL: campaign.store.uri}
    ended = engine.containers.run(CPU_IMAGE, ["true"], detach=True, labels=labels, network_mode="none")
    ended.wait()
    with local.in_containers(campaign):
        assert engine.containers.list(all=True, filters={"label": f"{LABEL}={campaign.store.uri}"}) == []


@pytest.mark.container
def test_an_image_that_is_not_there_is_named(engine, config, s3_uri, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_IMAGE_TAG", "0.0.0-none")
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    with pytest.raises(EngineError, match=r"activelora-cpu:0\.0\.0-none: there is no such image"):
        local.run_campaign(campaign, Runner.docker)


def test_a_campaign_in_a_local_folder_is_refused(config, tmp_path):
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    with pytest.raises(EngineError, match=r"cannot write a campaign in a local folder\. Give --campaign s3://"):
        local.run_campaign(campaign, Runner.docker)


def test_no_container_engine_is_said(config, s3_uri, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    with pytest.raises(EngineError, match="no container engine answers"):
        local.run_campaign(campaign, Runner.docker)


@pytest.mark.skipif(os.getuid() != 0, reason="containers run as the caller where that is not root")
def test_data_that_the_containers_user_may_not_read_is_named(config, s3_uri, tmp_path):
    (tmp_path / "pool.jsonl").chmod(0o600)
    campaign = Campaign.create(f"{s3_uri}/campaign", config)
    with pytest.raises(EngineError, match=r"pool\.jsonl: containers run as user 10001:10001, who may not read this"):
        local.run_campaign(campaign, Runner.docker)


def test_a_runner_without_its_engine_is_refused(capsys):
    assert main(["run", "none.yaml", "--runner", "docker"]) == 1
    assert "Add --engine kfp-local" in capsys.readouterr().err
