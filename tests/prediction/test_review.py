"""Prediction sets and thresholds are the evaluation's own, applied to new rows; other packages' kinds answer too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ModelError
from activelora.evaluation import abstention, conformal
from activelora.pool import access
from activelora.prediction.answers import Answer
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds
from activelora.prediction.sources import open_bundle
from tests.prediction import conftest
from tests.prediction.conftest import evaluated


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Campaign:
    """A campaign whose calibration split is large enough for sets and for a risk."""
    return larger(tmp_path_factory.mktemp("judged"), tiny_model_path, "classification")


def larger(folder: Path, model: Path, kind: str) -> Campaign:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "rows_of", lambda kind, rows=conftest.rows_of: rows(kind, 200))
        trust = {"conformal": {"alpha": 0.2, "class_conditional": False}, "abstention": {"max_risk": 0.97}}
        sizes = {"holdout_size": 30, "calibration_size": 80}
        return evaluated(folder, model, kind, data=sizes, evaluation={"bootstrap_samples": 100, **trust})


def document_of(campaign: Campaign) -> dict[str, Any]:
    found: dict[str, Any] = campaign.read_json(campaign.require(Unit("evaluate_adapter", 1)), "evaluation.json")
    return found


def answers(campaign: Campaign, **options: Any) -> list[Answer]:
    rows = [dict(item.fields) for item in access.holdout(campaign)[0]]
    with open_bundle(campaign.store.uri, 1) as bundle, LoadedModel.load(bundle) as model:
        return model.predict(rows, probabilities=True, **options)


def test_sets_cover_as_the_evaluation_says(judged: Campaign) -> None:
    document, said = document_of(judged), answers(judged)
    items, labels = access.holdout(judged)
    found = conformal.from_document(document["conformal"])
    assert isinstance(found, conformal.PredictionSets)
    for answer in said:
        probabilities = answer.probabilities or {}
        assert answer.prediction_set == [name for name, p in probabilities.items() if 1 - p <= found.threshold]
    names = judged.config.task.labels
    covered = np.mean([names[label] in (one.prediction_set or []) for label, one in zip(labels, said, strict=True)])
    assert covered == pytest.approx(document["conformal"]["holdout"]["coverage"])
    assert len(items) == 30


def test_the_campaign_s_own_risk_is_asked_where_nobody_asks(judged: Campaign) -> None:
    found = abstention.from_document(document_of(judged)["abstention"])
    assert found is not None
    threshold = found.threshold(0.97)
    assert threshold is not None
    for said, limit in (
        (answers(judged), threshold),
        (answers(judged, thresholds=Thresholds(max_risk=0.97)), threshold),
        (answers(judged, thresholds=Thresholds(0.99, 0.97)), 0.99),
        (answers(judged, thresholds=Thresholds(0.0)), 0.0),
        (answers(judged, thresholds=Thresholds(max_risk=0.001)), 2.0),
    ):
        assert [answer.review for answer in said] == [(answer.probability or 0) < limit for answer in said]
    with open_bundle(judged.store.uri, 1) as bundle, LoadedModel.load(bundle) as model:
        assert model.review_rule == f"a probability below {threshold:.3g} (of the rest at most 97 % are wrong)"


def test_a_risk_needs_a_calibration_split(classified: Campaign) -> None:
    with pytest.raises(ModelError, match=r"no thresholds for a risk.*data.calibration_size"):
        answers(classified, thresholds=Thresholds(max_risk=0.05))


def test_intervals_of_numbers_and_sets_of_labels(tmp_path: Path, tiny_model_path: Path) -> None:
    numbers = larger(tmp_path / "numbers", tiny_model_path, "regression")
    found = conformal.from_document(document_of(numbers)["conformal"])
    assert isinstance(found, conformal.PredictionIntervals)
    for answer in answers(numbers):
        assert isinstance(answer.label, float)
        low, high = answer.prediction_set or []
        assert low == pytest.approx(max(answer.label - found.half_width, 0))
        assert high == pytest.approx(min(answer.label + found.half_width, 12))
    topics = larger(tmp_path / "topics", tiny_model_path, "multi_label")
    sets = conformal.from_document(document_of(topics)["conformal"])
    assert isinstance(sets, conformal.PredictionSets)
    for answer in answers(topics):
        yes = answer.probabilities or {}
        assert answer.prediction_set == [name for name, p in yes.items() if 1 - p <= sets.threshold]


def test_a_kind_of_another_package(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from activelora.kinds.registry import KINDS
    from tests.kinds.toy_kind.kind import KIND

    monkeypatch.setitem(KINDS._built_in, "stars", KIND)
    monkeypatch.setitem(conftest.KINDS, "stars", ({"kind": "stars"}, lambda index: "*" * (1 + index % 3)))
    campaign = evaluated(tmp_path, tiny_model_path, "stars")
    rows = campaign.read_table(campaign.require(Unit("evaluate_adapter", 1)), "predictions.parquet").to_pylist()
    fitted = document_of(campaign)["temperature"]["value"]
    said = answers(campaign)
    for answer, row in zip(said, rows, strict=True):
        powers = np.array(row["probs"]) ** (1 / fitted)
        assert list((answer.probabilities or {}).values()) == pytest.approx(list(powers / powers.sum()), abs=1e-5)
        assert answer.label == str(1 + row["predicted"])
    assert json.dumps([answer.row() for answer in said])
