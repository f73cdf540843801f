"""The command line as a person uses it: exit codes, words, and what is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from activelora import __version__
from activelora.campaign.campaign import Campaign
from activelora.rules.file import load_with_settings
from tests.pipelines.engines.test_inline import fill_in
from tests.pipelines.tiny import LABELS, tiny_config

TEMPLATES = ("classification", "yes-no", "multiple-choice", "multi-label", "regression", "generation", "preference")

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def campaign_file(place, tiny_model_path):
    """A campaign file with a tiny model, beside its data."""

    def write(**sections: object) -> Path:
        config = tiny_config(place, tiny_model_path, **sections)
        document = config.model_dump(mode="json", exclude_unset=True)
        document["data"]["folder"] = "."
        path = place / "tiny.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    return write


def test_help_names_every_command_and_loads_nothing_slow():
    program = (
        "import sys; from pipelines.cli.main import main; code = main(['--help']);"
        "slow = ('torch', 'transformers', 'mlflow', 'kfp', 'matplotlib', 'pandas', 'scipy', 'pyarrow', 'pydantic');"
        "print([name for name in slow if name in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr
    making = ("demo", "init", "check", "schema", "run", "tick", "compile", "list")
    labelling = ("diagnose", "labels", "label", "wake", "delete-item", "label-studio")
    for command in (*making, *labelling, "status", "forecast", "report", "stop", "compare"):
        assert f" {command} " in done.stdout


def test_version(run):
    assert run("--version") == (0, f"activelora {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["nonsense"], ["list", "nonsense"], ["run"], ["run", "x", "--engine", "argo"]])
def test_wrong_usage_is_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage:" in err


@pytest.mark.parametrize("kind", ["strategies", "adapters", "sources", "measures", "kinds"])
def test_list_gives_names_with_a_summary(run, kind):
    code, out, _ = run("list", kind, "--json")
    entries = json.loads(out)
    assert code == 0
    assert entries
    assert all(entry["name"] and entry["summary"] for entry in entries)
    code, text, _ = run("list", kind)
    assert [line.split()[0] for line in text.splitlines()] == [entry["name"] for entry in entries]


def test_list_agrees_with_the_registries(run):
    from activelora.acquisition.registry import STRATEGIES
    from activelora.kinds.registry import KINDS
    from activelora.labeling.registry import SOURCES
    from activelora.modeling.methods.registry import METHODS
    from activelora.uncertainty.measures import MEASURES, NUMBER_MEASURES
    from activelora.uncertainty.semantic_entropy import MEANING_MEASURES
    from activelora.uncertainty.text_measures import ORACLE_NLL, TEXT_MEASURES

    measures = {*MEASURES, *NUMBER_MEASURES, *TEXT_MEASURES, *MEANING_MEASURES, ORACLE_NLL}
    registries = {"strategies": STRATEGIES, "adapters": METHODS, "sources": SOURCES, "measures": measures}
    registries["kinds"] = KINDS
    for kind, known in registries.items():
        names = [entry["name"] for entry in json.loads(run("list", kind, "--json")[1])]
        assert set(names) == set(known)


def test_schema_is_the_configuration_s(run):
    code, out, _ = run("schema")
    schema = json.loads(out)
    assert code == 0
    assert schema["properties"]["name"]["pattern"]
    assert "acquisition" in schema["properties"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_passes_its_check(run, place, monkeypatch, template):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(place / "no-model-here"))
    code, out, _ = run("init", "my-task", "--template", template)
    assert code == 0
    commands = [line.strip() for line in out.splitlines() if line.startswith("  activelora ")]
    assert [command.split()[1] for command in commands] == ["check", "run", "status"]
    text = (place / "my-task/campaign.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=campaign.schema.json\n")
    assert "\nname: my-task\n" in text
    assert json.loads((place / "my-task/campaign.schema.json").read_text())["properties"]
    code, out, err = run(*commands[0].split()[1:])
    assert code == 0, err
    assert "my-task/campaign.yaml is fine" in out
    assert "items to choose from" in out
    assert "run this check again" in err  # the model is not here, and is not fetched
    assert not (place / "no-model-here").exists()


def test_init_never_overwrites(run, place):
    (place / "taken").mkdir()
    code, out, err = run("init", "taken")
    assert (code, out) == (1, "")
    assert "taken: is there already" in err
    assert list((place / "taken").iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "Upper", "a b", "-x", ""])
def test_init_refuses_what_is_no_campaign_name(run, place, name):
    code, _, _ = run("init", "--", name)
    assert code == 1
    assert list(place.iterdir()) == []


def test_check_says_all_problems_at_once(run, campaign_file):
    wrong = ["acquisition.strategy=starr", "acquisition.measure=entrpy", "data.columns.label=lable"]
    code, out, err = run("check", campaign_file(), *(part for one in wrong for part in ("--set", one)))
    assert (code, out) == (1, "")
    assert "problems found" in err
    said = " ".join(err.split())
    assert "--set acquisition.strategy=...: `acquisition.strategy`: there is no `starr`. Did you mean `star`?" in said
    assert "--set acquisition.measure=...: `acquisition.measure`: there is no `entrpy`. Known: bald, " in said
    assert "`lable`" in said
    assert "Traceback" not in err


def test_check_sums_up_what_it_found(run, campaign_file):
    code, out, err = run("check", campaign_file())
    assert code == 0, err
    facts = dict(line.split(maxsplit=1) for line in out.splitlines() if "  " in line)
    assert facts["pool"] == "30 items to choose from"
    assert facts["holdout"].startswith("10 items (")
    assert facts["budget"] == "8 labels in 2 rounds"
    assert "GiB in float32" in facts["memory"]
    assert ": its tokens tell the answers apart; the longest item has about " in facts["model"]


@pytest.mark.parametrize(("numbers", "first"), [("zero_based", 0), ("one_based", 1)])
def test_check_says_which_label_each_number_was_taken_for(run, campaign_file, place, numbers, first):
    file = campaign_file()
    rows = [json.loads(line) for line in (place / "pool.jsonl").read_text().splitlines()]
    numbered = [{**row, "label": LABELS.index(row["label"]) + first} for row in rows]
    (place / "pool.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*numbered, {"text": "x", "label": -1}])
    )
    code, out, err = run("check", file, "--set", f"data.label_numbers={numbers}")
    assert code == 0, err
    counts = [sum(row["label"] == label for row in rows) for label in LABELS]
    pairs = zip(LABELS, counts, strict=True)
    shown = ", ".join(f"{number} = {label} {count}" for number, (label, count) in enumerate(pairs, first))
    assert f"labels       {shown}\n" in out
    assert "the oracle has no label to give for them: 1 (rows whose label is -1, which stands for no label: 1)" in err
    code, _, err = run("check", file)
    assert code == 1
    assert f"`{1 + first}` is a number: from 0 it is" in err


def test_check_says_what_a_kind_of_model_is_run_without(run, campaign_file, tiny_model_path, tmp_path):
    from transformers import AutoTokenizer

    from tests.modeling.families import WINDOWED, family

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_path)
    tokenizer.save_pretrained(tmp_path / "gemma")
    family("gemma2", **WINDOWED, vocab_size=len(tokenizer)).save_pretrained(tmp_path / "gemma")
    code, out, err = run("check", campaign_file(), "--set", f"model.base={tmp_path / 'gemma'}")
    assert code == 0, err
    assert "runs without packing texts that begin alike" in " ".join(out.split())
    assert "speed" not in run("check", campaign_file())[1]


def test_check_says_that_a_model_would_be_asked_without_a_token(run, campaign_file, monkeypatch):
    monkeypatch.delenv("ACTIVELORA_LLM_TOKEN", raising=False)
    section = {"url": "http://localhost:9/v1", "model": "m", "price_in": 0, "price_out": 0, "max_cost": 0}
    file = campaign_file(labeling={"source": "llm", "llm": section})
    code, _, err = run("check", file)
    assert code == 0, err
    assert "ACTIVELORA_LLM_TOKEN is not set here" in " ".join(err.split())
    monkeypatch.setenv("ACTIVELORA_LLM_TOKEN", "a-token-for-tests")
    assert "ACTIVELORA_LLM_TOKEN" not in run("check", file)[2]


def test_check_compares_the_budget_with_the_pool(run, campaign_file):
    code, _, err = run("check", campaign_file(), "--set", "stopping.max_rounds=8")
    assert code == 1
    assert "label budget of 32 is larger than the pool of 30 items" in err


def test_check_says_what_a_target_asks_of_a_small_holdout(run, campaign_file):
    targets = ["--set", "stopping.target_accuracy=0.9", "--set", "stopping.target_ece=0.05"]
    code, out, err = run("check", campaign_file(), *targets)
    assert code == 0, err
    assert "accuracy 0.9: on 10 holdout items about 0.982 must be measured to be sure" in out
    assert "stopping.target_ece 0.05 can hardly be reached: on 10 holdout items" in " ".join(err.split())
    code, out, err = run("check", campaign_file(), *targets, "--set", "stopping.target_on=point")
    assert "must be measured" not in out
    assert "hardly" not in err


def test_check_looks_at_the_answers_of_the_tokenizer(run, campaign_file):
    code, _, err = run("check", campaign_file(), "--set", "task.labels=[water, fire, red, water bottle]")
    assert code == 1
    assert "begin with the token" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], "the campaign file does not exist"),
        (["status", "nowhere"], "there is no campaign here"),
        (["tick", "nowhere"], "there is no campaign here"),
        (["report", "nowhere"], "there is no campaign here"),
        (["compile", "--tag", "latest"], "not a tag"),
    ],
)
def test_what_is_not_there_is_one_clear_error(run, place, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--set", "nonsense"], ["--set", "=3"], ["--data", "nowhere"]])
def test_a_wrong_option_value_is_one_clear_error(run, campaign_file, arguments):
    code, _, err = run("run", campaign_file(), *arguments)
    assert code == 1
    assert arguments[0] in err


def test_a_campaign_that_would_fail_is_not_created(run, campaign_file, place):
    code, _, _ = run("run", campaign_file(), "--set", "acquisition.strategy=starr")
    assert code == 1
    assert not (place / "campaigns").exists()


def test_status_points_to_the_log_of_what_was_begun(run, campaign_file, place):
    campaign = Campaign.create(str(place / "begun"), load_with_settings(campaign_file(), []))
    _, out, _ = run("status", str(place / "begun"))
    assert "log of" not in out
    campaign.store.write("pool/log.jsonl", b"{}\n")
    _, out, _ = run("status", str(place / "begun"))
    assert f"log of what was begun: {campaign.store.uri}/pool/log.jsonl" in out


def test_run_status_and_report(run, campaign_file, place):
    code, out, err = run("run", campaign_file(), "--set", "stopping.max_rounds=1")
    assert code == 0, err
    assert "finished: all 1 planned rounds are done (4 labels)" in out
    uri = place / "campaigns" / "tiny"
    assert f"report:   {uri}/report.html" in out

    code, out, _ = run("status", uri, "--json")
    standing = json.loads(out)
    assert (code, standing["status"]) == (0, "finished")
    assert [one["num_labels"] for one in standing["rounds"]] == [0, 4]
    assert all(0 <= one["accuracy"] <= 1 for one in standing["rounds"])
    code, out, _ = run("status", uri)
    assert code == 0
    assert "accuracy" in out
    assert "4 labels collected" in out

    (uri / "report.html").unlink()
    assert run("report", uri)[1].strip() == f"{uri}/report.html"
    copy = place / "for the board.html"
    assert run("report", uri, "--out", str(copy))[1].strip() == str(copy)
    assert copy.read_bytes() == (uri / "report.html").read_bytes()
    code, _, err = run("report", uri, "--out", str(copy / "below.html"))
    assert code == 1
    assert "cannot be written" in err
    assert (uri / "report.html").exists()


def test_a_person_ends_a_campaign(run, campaign_file, place):
    file = campaign_file(labeling={"source": "files"}, acquisition={"batch_size": 4, "strategy": "random"})
    assert run("tick", file)[0] == 0
    uri = place / "campaigns" / "tiny"
    code, _, err = run("stop", uri, "--reason", "  ")
    assert (code, "--reason: is empty" in err) == (1, True)
    code, out, err = run("stop", uri, "--reason", "the project <ended>")
    assert code == 0, err
    assert "finished: stopped by hand: the project <ended>" in out
    assert f"`activelora extend {Campaign.open(str(uri)).store.uri} --resume` lets it go on" in out
    assert "stopped by hand: the project &lt;ended&gt;" in (uri / "report.html").read_text()
    assert json.loads(run("status", uri, "--json")[1])["status"] == "finished"
    assert "finished: stopped by hand" in run("run", file)[1]
    code, _, err = run("stop", uri, "--reason", "again")
    assert code == 1
    assert "has ended already: stopped by hand: the project <ended>" in err


def test_settings_of_a_campaign_are_frozen(run, campaign_file, place):
    Campaign.create("campaigns/tiny", tiny_config(place, place / "nowhere"))
    code, _, err = run("run", campaign_file())
    assert code == 1
    assert "a campaign with other settings is there already" in err


def test_resources_tracking_and_waiting_times_may_be_changed(run, campaign_file, place):
    labeling = {"source": "files"}
    file = campaign_file(labeling=labeling, acquisition={"batch_size": 4, "strategy": "random"})
    assert run("run", file)[0] == 0
    stored = (place / "campaigns/tiny/campaign.json").read_bytes()
    changed = ["resources.train.memory=64Gi", "tracking.enabled=true", "labeling.wait_minutes=0.001"]
    code, out, err = run("run", file, *(part for one in changed for part in ("--set", one)))
    assert code == 0, err
    assert "waiting: 0 of 4 labels of round 0" in out
    assert (place / "campaigns/tiny/campaign.json").read_bytes() == stored
    assert not Campaign.open("campaigns/tiny").config.tracking.enabled
    assert run("tick", "campaigns/tiny")[0] == 0
    assert "other settings" in run("run", file, "--set", "labeling.min_fraction=0.5")[2]


def test_waiting_is_fine_and_says_what_to_do(run, campaign_file, place):
    file = campaign_file(labeling={"source": "files"}, acquisition={"batch_size": 4, "strategy": "random"})
    code, out, err = run("tick", file)
    assert code == 0, err
    assert "waiting: 0 of 4 labels of round 0" in out
    assert "to_label.csv" in out
    fill_in(Campaign.open("campaigns/tiny"), 0, 3)
    code, out, _ = run("status", file)
    assert code == 0
    assert "waiting: 3 of 4 labels of round 0" in out
    assert json.loads(run("status", "campaigns/tiny", "--json")[1])["status"] == "waiting"


def test_data_option_replaces_the_folder(run, campaign_file, place):
    file = campaign_file()
    (place / "elsewhere").mkdir()
    (place / "pool.jsonl").rename(place / "elsewhere" / "pool.jsonl")
    assert run("check", file)[0] == 1
    assert run("check", file, "--data", "elsewhere")[0] == 0


def test_compile_takes_resources_from_the_file(run, campaign_file, place):
    file = campaign_file(resources={"score": {"memory": "17Gi"}}, stopping={"max_rounds": 6})
    code, out, err = run("compile", file, "--out", "built", "--registry", "registry.local/x", "--tag", "7")
    assert code == 0
    assert out.split() == ["built/tick.yaml", "built/campaign.yaml"]
    assert "a tick with nothing to do 4 pods, one with every step 28 pods, 19 of them one after another" in err
    assert "a round 28 pods; one run may have 22 rounds" in err
    text = (place / "built/campaign.yaml").read_text()
    assert "17Gi" in text
    assert "registry.local/x/activelora-gpu:7" in text
    assert run("compile", "--out", "plain")[0] == 0


def test_compile_writes_a_workflow_for_argo_alone(run, place):
    file = ROOT / "manifests" / "overlays" / "kind" / "campaign.yaml"
    options = ("--argo", "argo", "--campaign", "s3://activelora/demo/", "--cron", "0  6 * * *", "--tag", "7")
    code, out, err = run("compile", file, "--out", "built", *options)
    assert (code, out.split()) == (0, ["built/argo.yaml"]), err
    assert "a tick with nothing to do 1 pod, one with every step" in err
    template, cron = yaml.safe_load_all((place / "built/argo.yaml").read_text())
    assert template["spec"]["arguments"]["parameters"] == [{"name": "campaign-uri", "value": "s3://activelora/demo"}]
    assert cron["spec"]["schedules"] == ["0 6 * * *"]
    assert cron["metadata"]["namespace"] == "argo"
    code, _, err = run("compile", file, "--argo", "argo", "--out", "template-alone")
    assert code == 0, err
    (template,) = yaml.safe_load_all((place / "template-alone/argo.yaml").read_text())
    assert template["spec"]["arguments"]["parameters"] == [{"name": "campaign-uri"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cron", "0 6 * * *"), "--cron: --cron belongs to --argo"),
        (("--campaign", "s3://b/c"), "--campaign: --campaign belongs to --argo"),
        (("--create",), "--create: --create belongs to --argo"),
        (("--argo", "a", "--cron", "0 6 * * *"), "--cron: nobody said which campaign --cron is for"),
        (("--argo", "a", "--create"), "--create: nobody said which campaign --create is for"),
        (("--argo", "a_b"), "--argo: 'a_b' is no name of a namespace"),
        (("--argo", "a", "--campaign", "s3://b/c", "--cron", "0 0 6 * * *"), "six fields, and Argo's cron has five"),
        (("--argo", "a", "--campaign", "s3://b/c", "--cron", "0 6 * *"), "has 4 fields, not five"),
        (("--argo", "a", "--campaign", "s3://b/c", "--cron", "0 25 * * *"), "25"),
        (("--argo", "a", "--campaign", "campaigns/x"), "pods cannot reach it"),
    ],
)
def test_what_argo_s_workflow_cannot_be_made_of_is_refused(run, place, options, said):
    code, _, err = run("compile", ROOT / "manifests" / "overlays" / "kind" / "campaign.yaml", *options)
    assert (code, list(place.iterdir())) == (1, []), err
    assert said in err


@pytest.mark.parametrize("namespace", ["Bad NS", "", "a_b", "a" * 64])
def test_resources_are_not_written_for_what_cannot_be_a_namespace(run, place, namespace):
    code, _, err = run("compile", "--kubernetes", namespace)
    assert (code, list(place.iterdir())) == (1, [])
    assert f"--kubernetes: {namespace!r} is no name of a namespace" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output_is_named():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "pipelines.cli", "schema"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "No space left on device. Free some space" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_interrupted_or_terminated_loses_nothing(campaign_file, place, number, code):
    file = campaign_file(labeling={"source": "files", "wait_minutes": 10, "poll_seconds": 0.1})
    command = [sys.executable, "-m", "pipelines.cli", "run", str(file)]
    # Whatever runs the tests may ignore Ctrl-C, as what a shell runs in the background does, and children inherit that.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heeding
    ) as process:
        asked = place / "campaigns/tiny/rounds/0000/select_batch/manifest.json"
        begin = time.monotonic()
        while not asked.exists() and process.poll() is None and time.monotonic() - begin < 60:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code
    assert "Nothing is lost: run the same command again" in err
    assert "Traceback" not in err
