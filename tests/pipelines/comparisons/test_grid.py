"""`activelora compare` with a tiny model: whole, killed, apart, and refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Unit
from activelora.comparison.sharing import share_beginning
from activelora.config.adapter import SelfTrainingConfig
from activelora.errors import ProblemsError
from pipelines.cli.main import main
from pipelines.comparisons.grid import Grid, run_cells
from pipelines.comparisons.workers import ComparisonError
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config


@pytest.fixture
def file(tmp_path, tiny_model_path, monkeypatch):
    """A campaign file with a tiny model, one round and a holdout of its own."""
    monkeypatch.chdir(tmp_path)
    stopping = {"max_rounds": 1, "target_accuracy": 0.0, "plateau_rounds": None}
    document = tiny_config(tmp_path, tiny_model_path, stopping=stopping).model_dump(mode="json", exclude_unset=True)
    lines = (tmp_path / "pool.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "pool.jsonl").write_text("".join(lines[:28]))
    (tmp_path / "test.jsonl").write_text("".join(lines[28:]))
    document["data"] |= {"folder": ".", "holdout": {"path": "test.jsonl"}}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def digests(folder: Path) -> dict[str, dict[str, str]]:
    """Return what every finished unit of every campaign of a comparison produced."""
    found = {}
    for path in sorted((folder / "campaigns").iterdir()):
        campaign = Campaign.open(str(path))
        found[path.name] = {str(unit): campaign.require(unit).digest for unit in finished_units(campaign)}
    return found


def test_a_comparison_from_the_command_line(run, file, tmp_path):
    code, out, err = run("compare", file, "--strategies", "entropy", "--seeds", "0,1", "--jobs", 1)
    assert code == 0, err
    assert out.startswith("2 methods × 2 seeds: 4 campaigns of 4 labels, each against random\n")
    assert "smallest detectable difference in AULC: " in out
    assert "- entropy's calibration with 4 labels, against random: " in out
    assert "- random is what the others are compared with." in out
    assert "- entropy is " in out
    folder = tmp_path / "comparisons" / "tiny"
    document = json.loads((folder / "compare.json").read_text())
    assert [method["name"] for method in document["methods"]] == ["random", "entropy"]
    assert document["labels"] == [0, 4]  # the file's target, met from the start, does not end it
    assert document["command"] == "activelora compare tiny.yaml --strategies entropy --seeds 0,1"
    assert document["methods"][1]["tests"]["aulc"]["num_items"] == 12
    assert "Command: `activelora compare" in (folder / "compare.md").read_text()
    assert (folder / "compare.html").read_text().count("<svg") == 2

    before = digests(folder)
    assert sorted(before) == [f"{name}-lora-seed{seed}" for name in ("entropy", "random") for seed in (0, 1)]
    begin = time.monotonic()
    code, again, _ = run("compare", file, "--strategies", "entropy", "--seeds", "0,1", "--jobs", 1)
    assert code == 0
    assert out.endswith(again)  # what is planned is said before the first run alone
    assert again.lstrip().startswith("Comparison: tiny")
    assert time.monotonic() - begin < 20
    assert digests(folder) == before


def test_what_is_taken_over_is_what_would_have_been_computed(file, tmp_path):
    cells = Grid(file, ("entropy", "margin"), seeds=(0,)).cells(tmp_path / "shared")
    run_cells(cells, 1)
    for cell in cells:
        alone = Campaign.create(str(tmp_path / "alone" / cell.folder.name), cell.config)
        run_campaign(alone)
        shared = Campaign.open(str(cell.folder))
        assert finished_units(shared) == finished_units(alone)
        for unit in finished_units(alone):
            assert shared.require(unit).digest == alone.require(unit).digest, (cell.folder.name, unit)
    copies = [Campaign.open(str(cell.folder)).require(Unit("evaluate_adapter", 0)).attempt for cell in cells]
    assert len(set(copies)) == 1
    scores = [Campaign.open(str(cell.folder)).require(Unit("score_pool", 0, 0)).attempt for cell in cells]
    assert scores[0] == scores[1] == scores[2]  # a random seed set does not run the model over the pool


def test_nothing_is_taken_over_where_another_setting_differs(file, tmp_path):
    (random, entropy) = Grid(file, ("entropy",), seeds=(0,)).cells(tmp_path / "a")
    (other, _) = Grid(file, ("entropy",), seeds=(1,)).cells(tmp_path / "b")
    donor, taker, stranger = (Campaign.create(str(cell.folder), cell.config) for cell in (random, entropy, other))
    assert share_beginning(taker, donor) == []
    run_campaign(donor)
    assert share_beginning(stranger, donor) == []
    unscored = [Unit("score_pool", 0, shard) for shard in range(2)]
    assert share_beginning(taker, donor) == [Unit("ingest_pool"), Unit("evaluate_adapter", 0), *unscored]
    assert share_beginning(taker, donor) == []


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_and_ends_alike(file, tmp_path):
    command = [sys.executable, "-m", "pipelines.cli", "compare", str(file), "--strategies", "entropy", "--seeds", "0"]
    command += ["--jobs", "1", "--out"]
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    assert main([*command[3:], str(calm)]) == 0
    units = 3
    with subprocess.Popen([*command, str(stormy)], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        begin = time.monotonic()
        while process.poll() is None and time.monotonic() - begin < 120:
            if len(list(stormy.rglob("manifest.json"))) >= units:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
    assert process.returncode == -signal.SIGKILL
    assert not (stormy / "compare.json").exists()
    assert main([*command[3:], str(stormy)]) == 0
    assert digests(stormy) == digests(calm)
    results = [json.loads((folder / "compare.json").read_text()) for folder in (calm, stormy)]
    for document in results:
        for method in document["methods"]:
            method["summary"].pop("seconds")
            for one in method["runs"]:
                one.pop("seconds")
    assert results[0] == results[1]


@pytest.mark.slow
def test_processes_apart_do_the_same(file, tmp_path, monkeypatch):
    import torch

    grid = Grid(file, ("entropy",), seeds=(0,))
    here, apart = grid.cells(tmp_path / "here"), grid.cells(tmp_path / "apart")
    # Sums on another number of threads differ in their last bit.
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    run_cells(here, 1)
    run_cells(apart, 2)
    assert digests(tmp_path / "here") == digests(tmp_path / "apart")


@pytest.mark.slow
def test_a_campaign_that_fails_apart_is_named_with_its_log(file, tmp_path):
    cells = Grid(file, ("entropy",), seeds=(0,)).cells(tmp_path / "out")
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(ComparisonError, match="campaigns failed") as caught:
        run_cells(cells, 2)
    log = Path(str(caught.value.where).split(", ")[0])
    assert "test.jsonl" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategies", "starr"], "--strategies starr: `acquisition.strategy`: there is no `starr`"),
        (["--adapters", "nonsense"], "--adapters nonsense: `adapter.method`: there is no `nonsense`"),
        (["--strategies", "a,,b"], "--strategies a,,b: names nothing between two commas"),
        (["--seeds", "0,x"], "--seeds 0,x: is not a list of whole numbers"),
        (["--set", "labeling.source=files"], "labeling.source: files: a comparison asks"),
        (["--strategies", "bald", "--set", "adapter.dropout=0"], "`adapter.dropout`"),
        (["--set", "task.labels=[water, water bottle, red, fire]"], "begin with the token"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(run, file, tmp_path, arguments, words):
    code, out, err = run("compare", file, *arguments)
    assert (code, out) == (1, "")
    assert words in " ".join(err.split())
    assert "Traceback" not in err
    assert not (tmp_path / "comparisons").exists()


def test_a_strategy_that_does_not_fit_the_task_is_refused_before_anything_is_written(run, file, tmp_path):
    document = yaml.safe_load(file.read_text())
    document["task"] |= {"kind": "multi_label", "prompt": "{text}: {label}?"}
    file.write_text(yaml.safe_dump(document))
    code, out, err = run("compare", file, "--strategies", "badge,star,batch_bald", "--seeds", "0,1")
    assert (code, out) == (1, "")
    words = " ".join(err.split())
    for name in ("badge", "batch_bald"):
        assert words.count(f"`{name}` needs one distribution over answers for each item") == 1
    assert "`star`" not in words.replace("`core_set`, `star` or `uncertainty`", "")
    assert not (tmp_path / "comparisons").exists()


def test_random_and_every_name_once(file, tmp_path):
    cells = Grid(file, ("entropy", "random", "entropy"), seeds=(3, 3)).cells(tmp_path)
    assert [(cell.method.strategy, cell.seed) for cell in cells] == [("random", 3), ("entropy", 3)]
    assert [cell.method.strategy for cell in Grid(file, seeds=(0,)).cells(tmp_path)] == ["random", "star"]


def test_a_method_may_have_a_seed_set_of_its_own(file, tmp_path):
    found = Grid(file, ("typiclust+entropy", "entropy"), seeds=(3, 4)).cells(tmp_path)
    acquisitions = [(cell.config.acquisition.initial, cell.config.acquisition.strategy) for cell in found[:3]]
    assert acquisitions == [("random", "random"), ("typiclust", "entropy"), ("random", "entropy")]
    assert found[1].folder.name == "typiclust+entropy-lora-seed3"
    assert {cell.config.split_seed for cell in found} == {3}
    with pytest.raises(ProblemsError) as caught:
        Grid(file, ("typiclusts+entropy",)).cells(tmp_path)
    words = "--strategies typiclusts+entropy: `typiclusts` draws no seed set; did you mean `typiclust`?"
    assert words in str(caught.value)


def test_an_arm_may_train_itself_and_the_others_do_not(file, tmp_path):
    names = ("random+self_training", "typiclust+entropy+self_training", "entropy")
    found = Grid(file, names, seeds=(3,)).cells(tmp_path)
    assert [cell.method.strategy for cell in found] == ["random", *names]
    acquisitions = [(cell.config.acquisition.initial, cell.config.acquisition.strategy) for cell in found]
    assert acquisitions == [("random", "random"), ("random", "random"), ("typiclust", "entropy"), ("random", "entropy")]
    defaults = SelfTrainingConfig()
    assert [cell.config.training.self_training for cell in found] == [None, defaults, defaults, None]
    folders = [cell.folder.name for cell in found]
    assert folders == ["random-lora-seed3", *(f"{name}-lora-seed3" for name in names)]


def test_where_the_file_trains_all_methods_so_no_arm_is_another_one(run, file, tmp_path):
    all_so = ("training.self_training.per_label=3",)
    found = Grid(file, ("entropy",), seeds=(0,), settings=all_so).cells(tmp_path / "a")
    assert [cell.config.training.self_training.per_label for cell in found] == [3, 3]  # random's, too
    code, out, err = run("compare", file, "--strategies", "entropy+self_training", "--set", *all_so)
    words = " ".join(err.split())
    assert (code, out) == (1, "")
    assert "--strategies entropy+self_training: `training.self_training` is set, so that all methods train so" in words
    assert "Add --set training.self_training=null to compare with and without it, or write `entropy`." in words
    without = (*all_so, "training.self_training=null")
    (plain, own) = Grid(file, ("random+self_training",), seeds=(0,), settings=without).cells(tmp_path / "b")
    assert plain.config.training.self_training is None
    assert own.config.training.self_training == SelfTrainingConfig()


@pytest.mark.slow
def test_self_training_is_compared_with_random(run, file, tmp_path):
    names = "random+self_training,entropy"
    settings = ["stopping.max_rounds=2", "training.min_steps=4"]
    options = [part for one in settings for part in ("--set", one)]
    code, out, err = run("compare", file, "--strategies", names, "--seeds", "0,1", "--jobs", 1, *options)
    assert code == 0, err
    assert "- random+self_training is " in out
    document = json.loads((tmp_path / "comparisons" / "tiny" / "compare.json").read_text())
    assert [(method["name"], method["control"]) for method in document["methods"]] == [
        ("random", None),
        ("random+self_training", "random"),
        ("entropy", "random"),
    ]
    cells = Grid(file, names.split(","), (), (0, 1), settings).cells(tmp_path / "comparisons" / "tiny")
    for cell in cells:
        alone = Campaign.create(str(tmp_path / "alone" / cell.folder.name), cell.config)
        run_campaign(alone)
        shared = Campaign.open(str(cell.folder))
        assert finished_units(shared) == finished_units(alone)
        for unit in finished_units(alone):
            assert shared.require(unit).digest == alone.require(unit).digest, (cell.folder.name, unit)
    seed_0 = [Campaign.open(str(cell.folder)) for cell in cells[:3]]
    begun = [Unit("ingest_pool"), Unit("evaluate_adapter", 0), Unit("score_pool", 0, 0)]
    for unit in begun:
        assert len({campaign.require(unit).attempt for campaign in seed_0}) == 1
    for step in ("train_adapter", "evaluate_adapter"):
        assert len({campaign.require(Unit(step, 1)).attempt for campaign in seed_0}) == 3
