"""A whole campaign that is judged by a metric of one rare label: every place that has a headline goes by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import average_precision_score

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import area_under_learning_curve, evaluated, read_history
from activelora.campaign.manifest import Unit
from activelora.errors import ProblemsError
from activelora.evaluation.forecast import forecast
from activelora.evaluation.gates import champion
from activelora.kinds.registry import headline_of
from activelora.rules.file import load_config
from activelora.tracking.frames import curve
from activelora.tracking.mlflow_content import metrics_of
from activelora.tracking.prometheus import metrics_of as prometheus_of
from activelora.tracking.report import render_report
from pipelines.cli.checks import check_campaign
from pipelines.cli.main import main
from pipelines.cli.status_document import status_document
from tests.test_task_kinds import run, write_campaign

TASK = {"labels": ["water", "fire"]}
PRIMARY = {"primary": "average_precision", "positive_label": "fire", "bootstrap_samples": 100}


def label_of(index: int) -> str:
    return "fire" if index % 6 == 0 else "water"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Campaign:
    folder = tmp_path_factory.mktemp("primary")
    changes: dict[str, Any] = {
        "evaluation": PRIMARY,
        "acquisition": {"strategy": "random"},
        "stopping": {"max_rounds": 5, "plateau_rounds": 2, "plateau_gain": 1.0},
    }
    file = write_campaign(folder, tiny_model_path, TASK, label_of, **changes)
    made: Campaign = run(file, folder)
    return made


def test_its_numbers_are_those_of_the_predictions(campaign: Campaign) -> None:
    for round_ in (0, 1, 2, 3):
        evaluation = campaign.require(Unit("evaluate_adapter", round_))
        rows = campaign.read_table(evaluation, "predictions.parquet").to_pylist()
        expected = average_precision_score([row["label"] for row in rows], [row["probs"][1] for row in rows])
        found = evaluation.metrics
        assert found["average_precision"] == pytest.approx(expected)
        assert found["average_precision_low"] <= expected <= found["average_precision_high"]
        assert found["num_positive"] == sum(row["label"] for row in rows) > 0
        assert evaluation.details["primary"]["metric"] == "average_precision"


def test_it_steers_stopping_and_champion(campaign: Campaign) -> None:
    values = [record.metrics["average_precision"] for record in evaluated(read_history(campaign))]
    assert status_document(campaign)["reason"].startswith("average precision of fire is on a plateau")
    best = values[0]
    expected = None
    for round_, value in enumerate(values[1:], start=1):
        if value >= best and (expected is None or value >= values[expected]):
            expected = round_
    found = champion(campaign)
    assert (None if found is None else found.round) == expected


def test_it_is_the_headline_everywhere(campaign: Campaign) -> None:
    records, headline = read_history(campaign), headline_of(campaign.config)
    last = campaign.require(Unit("evaluate_adapter", 3)).metrics
    assert status_document(campaign)["rounds"][3]["average_precision"] == last["average_precision"]
    assert forecast(campaign, headline).metric == "average_precision"
    assert "average precision of fire" in forecast(campaign, headline).sentence
    page = render_report(campaign, {})
    assert "Average precision of fire" in page
    assert "of them with the label" in page
    logged = {metric.key: metric.value for metric in metrics_of(records[3], records, headline)}
    assert logged["answers/average_precision"] == last["average_precision"]
    assert logged["answers/aulc"] == area_under_learning_curve(records, "average_precision")
    assert curve(campaign)["average_precision"].iloc[-1] == last["average_precision"]
    shown = prometheus_of(campaign).get_sample_value("activelora_primary", {"campaign": "tiny"})
    assert shown == last["average_precision"]


def test_check_says_by_what_it_is_judged_and_refuses_a_holdout_without_the_label(
    tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_campaign(tmp_path, tiny_model_path, TASK, label_of, evaluation=PRIMARY)
    findings = check_campaign(load_config(file))
    assert ("judged by", "Average precision of fire") in [(name, words[:25]) for name, words in findings.facts]
    assert any("holdout items have the label `fire`" in warning for warning in findings.warnings)
    rows = [{"text": f"far {index}", "gold": "water"} for index in range(30)]
    (tmp_path / "holdout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = write_campaign(
        tmp_path, tiny_model_path, TASK, label_of, evaluation=PRIMARY, data={"holdout": {"path": "holdout.jsonl"}}
    )
    with pytest.raises(ProblemsError, match="no holdout item has the label `fire`, so"):
        check_campaign(load_config(file))
    assert main(["run", str(file), "--campaign", str(tmp_path / "other")]) == 1
    assert "no holdout item has the label `fire`" in " ".join(capsys.readouterr().err.split())
