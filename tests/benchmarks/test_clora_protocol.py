"""The six-task protocol: two presets that differ as they say, run end to end, and never share a table."""

import dataclasses
import json

import pytest

from activelora.errors import ConfigError, DataError
from activelora.modeling.encoding import Encoder
from benchmarks.clora_protocol import CLEAN, LEGACY, Result, differences, main, table
from benchmarks.six_task_runs import Limits, read_data, run_task, settings
from benchmarks.six_tasks import FOLDERS, ClosingEncoder, clean_task, legacy_task, read_rows


@pytest.fixture
def data(tmp_path):
    """A few rows of every task but ARC-C."""
    choices = {"WG-S": 2, "WG-M": 2, "ARC-E": 4, "OBQA": 4}
    for task, folder in FOLDERS.items():
        if task == "ARC-C":
            continue
        (tmp_path / folder).mkdir()
        for split, count in (("train", 20), ("validation", 10), ("test", 7)):
            rows = []
            for index in range(count):
                row = {"id": f"{split}-{index}", "question": f"What is red or green {index} ?", "label": index % 2}
                if task == "BoolQ":
                    row["passage"] = "the river is far " * 100
                else:
                    row["choices"] = [f"choice {number} of {index}" for number in range(choices[task])]
                if task.startswith("WG"):
                    row["group"] = f"{split}-{index // 2}"
                rows.append(json.dumps(row))
            (tmp_path / folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n")
    return tmp_path


def result(protocol, **changes):
    names = {"protocol": protocol, "task": "OBQA", "method": "c_lora", "model": "m"}
    numbers = {field.name: 0 for field in dataclasses.fields(Result) if field.name not in names}
    return Result(**{**names, **numbers, **changes})


def test_results_of_both_protocols_are_refused_in_one_table():
    with pytest.raises(ConfigError, match="clean and legacy do not belong in one table"):
        table([result("legacy"), result("clean")])
    assert "| clean | OBQA |" in table([result("clean"), result("clean", task="BoolQ")])
    assert "protocol" in table([])


def test_the_protocols_differ_in_every_respect_they_name():
    for field in dataclasses.fields(LEGACY):
        assert getattr(LEGACY, field.name) != getattr(CLEAN, field.name)
        assert field.name.replace("_", " ") in differences()


def test_clean_holds_out_once_and_keeps_twins_together(data):
    found = read_data(CLEAN, "WG-S", data, seed=1, limits=Limits())
    assert len(found.train) + len(found.held_out) == 20
    assert len(found.held_out) >= 2
    assert not set(found.train.groups) & set(found.held_out.groups)
    assert len(found.test) == 10
    assert len(read_data(CLEAN, "OBQA", data, 1, Limits()).test) == 7
    again, other = (read_data(CLEAN, "WG-S", data, seed, Limits()) for seed in (1, 2))
    assert again == found
    assert other.held_out != found.held_out


def test_legacy_reports_the_validation_split_but_for_its_last_batch(data):
    found = read_data(LEGACY, "OBQA", data, seed=1, limits=Limits())
    assert [item.item_id for item in found.test.items] == [f"validation-{index}" for index in range(8)]
    assert len(found.held_out) == 4


def test_legacy_prompts_have_the_published_faults_and_clean_ones_do_not(data):
    from activelora.kinds.registry import make_task

    def prompt(task, legacy):
        rows = read_rows(data, task, "train", legacy)
        return make_task(legacy_task(task) if legacy else clean_task(task)).queries(rows.items[1])[0]

    assert "choice 0 of 1) A\n" in prompt("OBQA", True).prompt
    assert "Chioces:" in prompt("OBQA", True).prompt
    assert "A) choice 0 of 1\n" in prompt("WG-S", True).prompt
    assert prompt("ARC-E", True).answers == ("A", "B", "C", "D", "E")
    assert prompt("BoolQ", True).answers == ("True", "False")  # label 0 is no
    assert len(read_rows(data, "BoolQ", "train", True).items[0].fields["passage"]) == 1024
    assert "A. choice 0 of 1\n" in prompt("OBQA", False).prompt
    assert prompt("ARC-E", False).answers == ("A", "B", "C", "D")
    assert prompt("BoolQ", False).answers == ("no", "yes")


def test_legacy_closes_prompts_with_the_end_token(data, tiny_model_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_path)
    items = read_rows(data, "WG-S", "train", legacy=True).items[:2]
    plain = Encoder(tokenizer, legacy_task("WG-S")).encode(items)
    closed = ClosingEncoder(tokenizer, legacy_task("WG-S")).encode(items)
    for left, right in zip(plain, closed, strict=True):
        assert right.prompt_ids == (*left.prompt_ids, tokenizer.eos_token_id)
        assert right.answer_ids == left.answer_ids


def test_a_scaled_likelihood_becomes_a_rate_and_a_weight():
    legacy, clean = (settings(protocol, "WG-M", "c_lora", "m", 1500).adapter for protocol in (LEGACY, CLEAN))
    assert legacy.c_lora.learning_rate == pytest.approx(4 * clean.c_lora.learning_rate)
    assert legacy.c_lora.kl_weight == pytest.approx(clean.c_lora.kl_weight / 4)
    assert settings(CLEAN, "WG-M", "lora", "m", 1500).adapter.targets == ("q_proj", "v_proj")
    assert settings(LEGACY, "BoolQ", "c_lora", "m", 1500).training.min_steps == 1500


@pytest.mark.parametrize("protocol", ["clean", "legacy"])
def test_both_run_end_to_end_and_write_what_they_found(data, tiny_model_path, capsys, protocol):
    arguments = [protocol, "--data", data, "--model", tiny_model_path, "--results", data / "results"]
    arguments += ["--tasks", "OBQA", "WG-S", "--seeds", 0, "--samples", 0, 2, "--steps", 4, "--train", 16, "--test", 8]
    main([str(argument) for argument in arguments])
    document = json.loads((data / "results" / f"clora-{protocol}.json").read_text())
    assert document["protocol"]["name"] == protocol
    rows = [(row["task"], row["method"], row["num_samples"]) for row in document["results"]]
    assert rows == [
        (task, method, number)
        for task in ("OBQA", "WG-S")
        for method, number in (("c_lora", 0), ("c_lora", 2), ("lora", 0))
    ]
    for row in document["results"]:
        assert row["num_steps"] == 4
        assert 0 <= row["accuracy"] <= 1
        assert row["scaled_nll"] > 0
    assert f"| {protocol} | WG-S | lora |" in capsys.readouterr().out
    before = (data / "results" / f"clora-{protocol}.json").read_bytes()
    main([str(argument) for argument in arguments])
    assert (data / "results" / f"clora-{protocol}.json").read_bytes() == before


@pytest.mark.parametrize("protocol", ["clean", "legacy"])
def test_a_finished_run_of_one_step_is_not_repeated(data, tiny_model_path, protocol):
    path = data / FOLDERS["OBQA"] / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    many = [{**row, "id": f"{row['id']}-{copy}"} for copy in range(50) for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in many))
    arguments = [protocol, "--data", data, "--model", tiny_model_path, "--results", data / "results", "--tasks", "OBQA"]
    arguments += ["--methods", "lora", "--seeds", 0, "--steps", 1, "--test", 4]
    for _ in range(2):
        main([str(argument) for argument in arguments])
    results = json.loads((data / "results" / f"clora-{protocol}.json").read_text())["results"]
    assert [row["num_steps"] for row in results] == [1]


def test_no_steps_are_refused(data, capsys):
    with pytest.raises(SystemExit):
        main(["clean", "--data", str(data), "--results", str(data), "--steps", "0"])
    assert "--steps" in capsys.readouterr().err


def test_the_seconds_of_a_number_of_samples_are_its_own(data, tiny_model_path):
    """More samples take longer than none, whichever is measured first."""
    rows = read_data(CLEAN, "OBQA", data, seed=1, limits=Limits(train=16, test=8))
    config = settings(CLEAN, "OBQA", "c_lora", str(tiny_model_path), 1)
    many, none = run_task(CLEAN, "OBQA", config, rows, 1, [40, 0])
    assert (many.num_samples, none.num_samples) == (40, 0)
    assert many.seconds > none.seconds > 0


def test_results_of_another_form_of_a_protocol_are_not_added_to(data, tmp_path):
    (tmp_path / "clora-clean.json").write_text(json.dumps({"protocol": {"name": "clean"}, "results": []}))
    with pytest.raises(ConfigError, match="another form of `clean`"):
        main(["clean", "--data", str(data), "--results", str(tmp_path), "--tasks", "OBQA"])


def test_the_legacy_step_is_chosen_on_the_held_out_rows(tiny_model_path, data):
    """The judge prefers an early step: its weights are kept, not the last ones."""
    import torch

    from activelora.config import ModelConfig
    from activelora.modeling.base import load_base
    from activelora.modeling.methods.registry import get_method
    from benchmarks.six_task_runs import Job

    config = settings(CLEAN, "OBQA", "c_lora", str(tiny_model_path), 6)
    base = load_base(ModelConfig(base=str(tiny_model_path)))
    rows = read_rows(data, "OBQA", "train", legacy=False)
    encoded = Encoder(base.tokenizer, config.task).encode(rows.items)
    from safetensors.torch import load_file

    tensors = {}
    for name, judged in (("first", [0.0, *[1.0] * 9]), ("last", [*[1.0] * 5, 0.0]), ("plain", None)):
        folder = data / name
        folder.mkdir()
        judge = None if judged is None else iter(judged).__next__
        get_method("c_lora").implement().fit(Job(base, config, encoded, rows.labels, folder, 3, judge))
        tensors[name] = load_file(folder / "adapter_model.safetensors")
    assert all(torch.equal(tensors["last"][key], tensors["plain"][key]) for key in tensors["plain"])
    assert not all(torch.equal(tensors["first"][key], tensors["plain"][key]) for key in tensors["plain"])


def test_a_task_without_data_is_named(data):
    with pytest.raises(DataError, match="there is no validation split of ARC-C"):
        read_data(LEGACY, "ARC-C", data, 0, Limits())
