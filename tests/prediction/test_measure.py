"""`activelora evaluate`: on the holdout's rows it says what the evaluation said, and elsewhere what a loop says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.pool import access
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.measure import measure, read_labelled, seen_before
from activelora.prediction.sources import open_bundle
from pipelines.cli.main import main
from tests.prediction.conftest import KINDS, evaluated, rows_of


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def holdout_rows(campaign: Campaign, kind: str) -> list[dict[str, Any]]:
    """The rows of the pool's file that are the holdout."""
    texts = {item.fields["text"] for item in access.holdout(campaign)[0]}
    return [row for row in rows_of(kind) if row["text"] in texts]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "generation"])
def test_on_the_holdouts_rows_it_says_what_the_evaluation_said(
    tmp_path: Path, tiny_model_path: Path, kind: str
) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, kind)
    document = campaign.read_json(campaign.require(Unit("evaluate_adapter", 1)), "evaluation.json")
    table = write(tmp_path / "test.jsonl", holdout_rows(campaign, kind))
    with open_bundle(campaign.store.uri, 1) as bundle, LoadedModel.load(bundle) as model:
        rows = read_labelled(bundle, model.task, str(table))
        found = measure(model, rows)
    assert found.num_items == 20
    assert {name: found.metrics[name] for name in document["metrics"]} == pytest.approx(document["metrics"])
    low, high = document["intervals"]["nll"]
    assert (found.metrics["nll_low"], found.metrics["nll_high"]) == pytest.approx((low, high))
    assert found.scaled == pytest.approx(document["scaled"]["metrics"])
    assert seen_before(campaign, {item.item_id for item in rows.items}) == (0, 20)


def test_what_the_campaign_is_judged_by_is_measured_too(tmp_path: Path, tiny_model_path: Path) -> None:
    judged = {"bootstrap_samples": 100, "primary": "average_precision", "positive_label": "human"}
    campaign = evaluated(tmp_path, tiny_model_path, "classification", evaluation=judged)
    document = campaign.read_json(campaign.require(Unit("evaluate_adapter", 1)), "evaluation.json")
    table = write(tmp_path / "test.jsonl", holdout_rows(campaign, "classification"))
    with open_bundle(campaign.store.uri, 1) as bundle, LoadedModel.load(bundle) as model:
        found = measure(model, read_labelled(bundle, model.task, str(table)))
    assert found.metrics["average_precision"] == pytest.approx(document["metrics"]["average_precision"])
    assert found.scaled is not None
    assert found.scaled["average_precision"] == pytest.approx(document["scaled"]["metrics"]["average_precision"])


def test_a_test_split_from_the_command_line(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"text": f"{row['text']} once more", "answer": row["gold"]} for row in rows_of("classification", 12, seed=5)
    ]
    table = write(tmp_path / "test.jsonl", [*rows, rows[0], {"text": "no label", "answer": None}])
    where = classified.store.uri
    code = main(["evaluate", where, str(table), "--label", "answer", "--round", "1", "--out", f"{tmp_path}/found.json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    found = json.loads((tmp_path / "found.json").read_text())
    with open_bundle(where, 1) as bundle, LoadedModel.load(bundle) as model:
        said = model.predict(rows)
    right = sum(answer.label == row["answer"] for answer, row in zip(said, rows, strict=True))
    assert found["metrics"]["accuracy"] == pytest.approx(right / 12)
    assert (found["num_items"], found["num_left_out"]) == (12, 1)
    assert f"{right / 12:.4f}" in out
    assert "rows without a label that can be used: 1" in out
    assert "holdout" not in err


def test_rows_that_the_campaign_has_used_are_told(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write(tmp_path / "test.jsonl", holdout_rows(classified, "classification")[:3])
    assert main(["evaluate", classified.store.uri, str(table), "--round", "1"]) == 0
    assert "3 rows of the table are in the campaign's holdout" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([{"text": "a", "gold": "purple"}], (), "purple"),
        ([{"text": "a"}], (), "gold"),
        ([{"text": "a", "gold": None}], (), "no row has a label in column `gold`"),
        ([{"text": "a", "gold": "human"}], ("--label", "other"), "other"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    classified: Campaign,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    options: tuple[str, ...],
    words: str,
) -> None:
    table = write(tmp_path / "test.jsonl", rows)
    assert main(["evaluate", classified.store.uri, str(table), "--round", "1", *options]) == 1
    assert words in capsys.readouterr().err


def test_written_answers_are_refused(tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "generation")
    table = write(tmp_path / "test.jsonl", rows_of("generation", 3))
    assert main(["evaluate", campaign.store.uri, str(table), "--round", "1"]) == 1
    assert "are written, and are not measured" in " ".join(capsys.readouterr().err.split())
