"""An exported folder: for peft, for transformers, for its own program, and for this package."""

from __future__ import annotations

import json
import math
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ModelError
from activelora.modeling import lora
from activelora.modeling.base import load_base
from activelora.modeling.published import cached_model_uri, publish
from activelora.pool import access
from activelora.prediction.base_files import base_digest
from activelora.prediction.bundle import Bundle, read_bundle, write_bundle
from activelora.prediction.cost import cost_of_mean
from activelora.prediction.export import Export, export
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.program import program
from components.evaluate_adapter import step as evaluate_adapter
from pipelines.cli.main import main
from tests.odd_tokenizers import byte_level
from tests.prediction.conftest import KINDS, evaluated, rows_of

CHAT = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}assistant:"
WITHOUT_THIS_PACKAGE = """
import json, runpy, sys
sys.modules["activelora"] = None
for folder, rows in json.load(sys.stdin):
    sys.argv = ["predict.py", rows]
    print("#", folder, flush=True)
    runpy.run_path(f"{folder}/predict.py", run_name="__main__")
"""
HARD_ROWS = [
    {"text": "  white space\r\nand lines  ", "choices": ["one", "two"]},
    {"text": "Cafe\u0301 ✓ " + "water " * 700, "choices": ["the first", "the second", "third"]},
    {"text": "{text}", "choices": ["a", "b"]},
]


def bundle_of(campaign: Campaign, folder: Path, round_: int = 1) -> Bundle:
    return write_bundle(campaign, round_, folder / "bundle")


def with_tokenizer(model: Path, folder: Path, tokenizer: Any) -> Path:
    """Return a copy of the tiny model with another tokenizer."""
    whole = AutoModelForCausalLM.from_pretrained(model)
    whole.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def of_kind(kind: str, folder: Path, model: Path, **changes: Any) -> Campaign:
    return evaluated(folder, model, kind, **changes)


def chatting(folder: Path, model: Path) -> Campaign:
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT
    own = with_tokenizer(model, folder / "model", tokenizer)
    return evaluated(folder, own, "classification", task={"chat_template": "always", "max_prompt_tokens": 64})


def beginning_with_a_token(folder: Path, model: Path) -> Campaign:
    """The tokenizer puts <s> before every text, and so does the prompt."""
    own = with_tokenizer(model, folder / "model", byte_level())
    changes = {"answer": "text", "prompt": "<s>Question: {text}\n{choices}\nAnswer:"}
    return evaluated(folder, own, "multiple_choice", task=changes)


def an_ensemble(folder: Path, model: Path) -> Campaign:
    changes = {"task": {"label_prior_correction": "always"}}
    campaign = evaluated(folder, model, "classification", 0, adapter={"method": "ensemble", "rank": 2}, **changes)
    attempt = campaign.attempt(Unit("train_adapter", 1))
    for seed in range(2):
        adapted = lora.attach(load_base(campaign.config.model), campaign.config.adapter, seed=seed)
        with lora.attached(adapted):
            torch.manual_seed(seed)
            for parameter in lora.b_parameters(adapted):
                parameter.data.normal_(0, 0.5)
            lora.save(adapted, folder / "made" / f"member-{seed:02d}")
    attempt.upload_folder("adapter", folder / "made")
    attempt.commit(metrics={"num_labels": 2.0})
    evaluate_adapter.run(campaign, 1)
    return campaign


ALIKE = {"description": "water of the moon", "human": "water of the earth", "number": "red", "location": "red fire"}
MODELS: dict[str, Callable[[Path, Path], Campaign]] = {
    **{kind: partial(of_kind, kind) for kind in KINDS if kind != "preference"},  # which has no program
    "labels by text": partial(of_kind, "classification", task={"answer": "text", "answer_words": ALIKE}),
    "labels by letters": partial(
        of_kind, "classification", task={"answer": "letters", "prompt": "{text}\n{labels}\nIt is"}
    ),
    "choices by text": partial(of_kind, "multiple_choice", task={"answer": "text"}),
    "corrected prior": partial(of_kind, "multiple_choice", task={"label_prior_correction": "always"}),
    "corrected prior of labels": partial(of_kind, "classification", task={"label_prior_correction": "always"}),
    "chat template": chatting,
    "begins with a token": beginning_with_a_token,
    "ensemble": an_ensemble,
}
"""Campaigns whose answers are read in all the ways that there are."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory, tiny_model_path) -> dict[str, tuple[Bundle, list[dict], list[dict]]]:
    """Export all of them, and let their programs run in one process that cannot import this package."""
    root = tmp_path_factory.mktemp("exported")
    made: dict[str, tuple[Bundle, list[dict]]] = {}
    jobs = []
    for number, (name, make) in enumerate(MODELS.items()):
        folder = root / str(number)
        campaign = make(folder, tiny_model_path)
        bundle = bundle_of(campaign, folder)
        done = export(bundle, folder / "out")
        assert done.no_program is None, (name, done.no_program)
        rows = rows_of(campaign.config.task.kind, 5, seed=5) + HARD_ROWS
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        made[name] = bundle, rows
        jobs.append([str(folder / "out"), str(folder / "rows.jsonl")])
    command = [sys.executable, "-c", WITHOUT_THIS_PACKAGE]
    ran = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, cwd=root)
    assert ran.returncode == 0, ran.stderr
    said = [[json.loads(line) for line in part.splitlines()[1:]] for part in f"\n{ran.stdout}".split("\n# ")[1:]]
    return {name: (*made[name], answers) for name, answers in zip(made, said, strict=True)}


@pytest.mark.parametrize("name", MODELS)
def test_the_program_answers_as_predict_without_samples(programs, name):
    bundle, rows, said = programs[name]
    with LoadedModel.load(bundle, num_samples=0) as model:
        wanted = model.predict(rows)
    assert [one["prediction"] for one in said] == [
        pytest.approx(one.label, abs=1e-4) if isinstance(one.label, float) else one.label for one in wanted
    ]
    for one, answer in zip(said, wanted, strict=True):
        if "probability" in one:
            assert one["probability"] == pytest.approx(answer.probability, abs=1e-5)


def test_the_program_of_a_plain_task_is_read_at_a_glance(programs):
    for name in ("classification", "yes_no", "labels by letters"):
        text = (programs[name][0].folder.parent / "out" / "predict.py").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines()[1:] if line]  # the first says what it is
        assert len(lines) <= 26, name
        assert max(map(len, lines)) <= 120


def said_here(folder: Path, rows: Path, monkeypatch, capsys) -> list[dict]:
    """Return what a folder's program answers in this process, which costs less, but cannot import this package."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "activelora", None)
        patch.setattr(sys, "argv", ["predict.py", str(rows)])
        capsys.readouterr()
        runpy.run_path(str(folder / "predict.py"), run_name="__main__")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_numbers_that_are_one_token_each_are_averaged(programs, tmp_path, monkeypatch, capsys):
    bundle, rows, _ = programs["classification"]
    shutil.copytree(bundle.folder.parent / "out", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "task.json").read_text()) | {"numbers": [0.0, 1.0, 2.0, 5.0]}
    text = program(document, by_text=False, asks_each_label=False, with_base=False, name="numbers")
    (tmp_path / "out" / "task.json").write_text(json.dumps(document))
    (tmp_path / "out" / "predict.py").write_text(text)
    said = said_here(tmp_path / "out", bundle.folder.parent / "rows.jsonl", monkeypatch, capsys)
    with LoadedModel.load(bundle, num_samples=0) as model:
        found = [list(one.probabilities.values()) for one in model.predict(rows, probabilities=True)]
    wanted = [sum(p * number for p, number in zip(own, document["numbers"], strict=True)) for own in found]
    assert [one["prediction"] for one in said] == pytest.approx(wanted, abs=1e-5)


def test_the_program_reads_csv_with_choices_and_refuses_special_tokens(programs, tmp_path, monkeypatch, capsys):
    bundle, _, _ = programs["multiple_choice"]
    folder = bundle.folder.parent / "out"
    rows = tmp_path / "rows.csv"
    rows.write_text('\ufefftext,choices\nred,"[""one"", ""two""]"\n', encoding="utf-8")
    [said] = said_here(folder, rows, monkeypatch, capsys)
    with LoadedModel.load(bundle, num_samples=0) as model:
        [wanted] = model.predict([{"text": "red", "choices": ["one", "two"]}])
    assert said["prediction"] == wanted.label
    rows.write_text('text,choices\nblue <eos>,"[""one"", ""two""]"\n', encoding="utf-8")
    with pytest.raises(AssertionError, match="has special tokens: 'blue <eos>'"):
        said_here(folder, rows, monkeypatch, capsys)


def test_a_text_that_spells_out_a_token_is_told_apart_by_this_package_alone(programs):
    """So the program must refuse it: both read the same tokens of all that it does not refuse."""
    task = json.loads((programs["chat template"][0].folder.parent / "out" / "task.json").read_text())
    assert task["refused_texts"] == ["<eos>", "<|im_end|>", "<|im_start|>"]


def test_what_is_exported_is_plain_peft_and_a_bundle(programs):
    bundle, rows, _ = programs["classification"]
    folder = bundle.folder.parent / "out"
    base = AutoModelForCausalLM.from_pretrained(bundle.config.model.base)
    adapted = PeftModel.from_pretrained(base, folder, subfolder="adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer("Question: red\nAnswer:")["input_ids"]])
    with torch.no_grad():
        assert torch.isfinite(adapted(input_ids=ids).logits).all()
    again = read_bundle(folder)
    assert again.digest == bundle.digest
    with LoadedModel.load(bundle) as model:
        wanted = model.predict(rows)
    with LoadedModel.load(again) as model:
        assert model.predict(rows) == wanted


def test_the_card_is_the_hub_s_form_and_tells_the_numbers(programs):
    bundle, _, _ = programs["classification"]
    card = (bundle.folder.parent / "out" / "README.md").read_text(encoding="utf-8")
    _, head, text = card.split("---\n", 2)
    document = json.loads((bundle.folder.parent / "out" / "card.json").read_text())
    head = yaml.safe_load(head)
    assert head["library_name"] == "peft"
    assert head["base_model_relation"] == "adapter"
    [metric] = head["model-index"][0]["results"][0]["metrics"]
    assert metric == {"type": "accuracy", "value": round(document["metrics"]["accuracy"], 4)}
    low, high = document["intervals"]["accuracy"]
    assert f"| Accuracy | {document['metrics']['accuracy']:.4f} | {low:.4f} to {high:.4f} |" in text
    for heading in ("How good it is", "Intended use", "Data and labels", "Limits", "Provenance"):
        assert f"## {heading}" in text
    assert "| pool | 24 | `pool.jsonl` |" in text
    assert bundle.provenance["campaign_digest"] in text


def merged_export(campaign: Campaign, folder: Path) -> Export:
    return export(bundle_of(campaign, folder), folder / "merged", merged=True)


def test_the_merged_model_gives_the_logits_of_adapter_and_base(tmp_path, tiny_model_path, monkeypatch, capsys):
    campaign = evaluated(tmp_path, tiny_model_path, "classification")
    done = merged_export(campaign, tmp_path)
    ids = torch.tensor([[5, 17, 300, 9, 42, 7]])
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(tiny_model_path)
        before = base(input_ids=ids).logits
        adapted = PeftModel.from_pretrained(base, tmp_path / "bundle" / "adapter").eval()
        wanted = adapted(input_ids=ids).logits
        found = AutoModelForCausalLM.from_pretrained(done.folder)(input_ids=ids).logits
    assert (wanted - before).abs().max() > 0.1
    assert (found - wanted).abs().max() < 1e-4
    names = {path.name for path in done.folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}
    # What vLLM goes by: the architecture's name, and the tensors' names and types of the base model's own file.
    assert json.loads((done.folder / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    with (
        safe_open(done.folder / "model.safetensors", "pt") as found,
        safe_open(tiny_model_path / "model.safetensors", "pt") as before,
    ):
        assert set(found.keys()) == set(before.keys())
        assert all(found.get_tensor(name).shape == before.get_tensor(name).shape for name in found.keys())  # noqa: SIM118
        assert {found.get_tensor(name).dtype for name in found.keys()} == {torch.float32}  # noqa: SIM118
    assert load_base(campaign.config.model).model.state_dict()["model.embed_tokens.weight"].shape[1] == 32
    with LoadedModel.load(read_bundle(done.folder), num_samples=0) as model:
        wanted = [answer.label for answer in model.predict(rows_of("classification", 5))]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in rows_of("classification", 5)))
    assert "peft" not in (done.folder / "predict.py").read_text()
    assert [one["prediction"] for one in said_here(done.folder, rows, monkeypatch, capsys)] == wanted


@pytest.mark.parametrize("method", ["ensemble", "laplace", "c_lora"])
def test_methods_that_no_single_weights_stand_for_are_not_merged(tmp_path, tiny_model_path, method, programs):
    bundle = programs["classification"][0]
    adapter = bundle.config.adapter.model_copy(update={"method": method})
    other = replace(bundle, config=bundle.config.model_copy(update={"adapter": adapter}))
    with pytest.raises(ModelError, match=f"`{method}` cannot be merged"):
        export(other, tmp_path / "merged", merged=True)
    assert not (tmp_path / "merged").exists()


def test_what_the_mean_costs_is_measured_on_the_holdout(programs):
    bundle, _, _ = programs["classification"]
    cost = cost_of_mean(bundle)
    campaign = Campaign.open(bundle.provenance["campaign"])
    items, labels = access.holdout(campaign)
    document = campaign.read_json(campaign.require(Unit("evaluate_adapter", 1)), "evaluation.json")
    assert cost.posterior == {"accuracy": document["metrics"]["accuracy"], "nll": document["scaled"]["metrics"]["nll"]}
    names = campaign.config.task.labels
    with LoadedModel.load(bundle, num_samples=0) as model:
        answers = model.predict([dict(item.fields) for item in items], probabilities=True)
    right = [answer.label == names[label] for answer, label in zip(answers, labels, strict=True)]
    losses = [-math.log(answer.probabilities[names[label]]) for answer, label in zip(answers, labels, strict=True)]
    assert cost.mean["accuracy"] == pytest.approx(sum(right) / len(right))
    assert cost.mean["nll"] == pytest.approx(sum(losses) / len(losses), abs=1e-6)
    assert f"NLL {cost.mean['nll']:.4f} instead of {cost.posterior['nll']:.4f}" in cost.sentence()


def test_a_campaign_that_is_gone_costs_a_sentence(programs, tmp_path):
    folder = programs["classification"][0].folder.parent
    shutil.copytree(folder / "out", tmp_path / "moved")
    text = (tmp_path / "moved" / "bundle.json").read_text().replace(str(folder), str(tmp_path / "nowhere"))
    (tmp_path / "moved" / "bundle.json").write_text(text)
    done = export(read_bundle(tmp_path / "moved"), tmp_path / "again")
    assert "was not measured: the campaign at" in done.cost.sentence()
    assert "| Accuracy | " in (tmp_path / "again" / "README.md").read_text()


def test_with_base_the_folder_needs_nothing_else(tmp_path, tiny_model_path, programs, monkeypatch, capsys):
    model = tmp_path / "gone"
    shutil.copytree(tiny_model_path, model)
    campaign = evaluated(tmp_path / "campaign", model, "classification")
    bundle = bundle_of(campaign, tmp_path)
    done = export(bundle, tmp_path / "out", with_base=True)
    assert done.base is None
    rows = rows_of("classification", 4)
    with LoadedModel.load(bundle) as loaded:
        wanted = loaded.predict(rows)
    shutil.rmtree(model)
    load_base.cache_clear()
    with LoadedModel.load(read_bundle(tmp_path / "out")) as loaded:
        assert loaded.predict(rows) == wanted
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = said_here(tmp_path / "out", tmp_path / "rows.jsonl", monkeypatch, capsys)
    with LoadedModel.load(read_bundle(tmp_path / "out"), num_samples=0) as loaded:
        assert [one["prediction"] for one in said] == [one.label for one in loaded.predict(rows)]


def test_nothing_is_left_of_an_export_that_fails(tmp_path, tiny_model_path, programs):
    bundle = programs["classification"][0]
    damaged = tmp_path / "bundle"
    shutil.copytree(bundle.folder, damaged)
    other = replace(bundle, folder=damaged, provenance={**bundle.provenance, "campaign": str(tmp_path / "gone")})
    (damaged / "adapter" / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="is not what was written"):
        export(other, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("content", ["file", "folder"])
def test_a_folder_that_is_taken_is_left_as_it_is(tmp_path, programs, content):
    target = tmp_path / "out"
    if content == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(ModelError, match="there already"):
        export(programs["classification"][0], target)
    assert (target if content == "file" else target / "mine").read_text() == "mine"


def test_the_base_model_alone_is_not_exported(tmp_path, tiny_model_path):
    bundle = bundle_of(evaluated(tmp_path, tiny_model_path, "yes_no", 0), tmp_path, 0)
    with pytest.raises(ModelError, match="round 0 is the base model alone"):
        export(bundle, tmp_path / "out")


def test_the_command_exports_and_says_what_it_costs(tmp_path, programs, capsys):
    uri = programs["classification"][0].provenance["campaign"]
    assert main(["export", uri, "--round", "1", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "instead of" in said
    assert "It needs its base model from elsewhere" in said
    assert (tmp_path / "out" / "predict.py").exists()
    assert main(["export", str(tmp_path / "out"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "task.json").read_bytes() == (tmp_path / "out" / "task.json").read_bytes()


def test_the_base_model_s_digest_is_known_where_only_a_store_has_it(tmp_path, tiny_model_path, programs, monkeypatch):
    """As in pods that register a model and have never loaded one."""
    config = programs["classification"][0].config
    here = base_digest(config)
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    away = config.model_copy(update={"model": config.model.model_copy(update={"base": "someone/tiny"})})
    assert base_digest(away) is None
    monkeypatch.setenv("ACTIVELORA_MODEL_CACHE", str(tmp_path / "store"))
    assert base_digest(away) is None
    publish(tiny_model_path, cached_model_uri(str(tmp_path / "store"), "someone/tiny", None), "someone/tiny")
    assert base_digest(away) == here
    assert len(here) == 64
