"""A model in use says what its evaluation measured: for every kind of task, by the same posterior and temperature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ModelError, ProblemsError, StoreError
from activelora.evaluation.regression_metrics import central_interval
from activelora.pool import access
from activelora.prediction.answers import Answer
from activelora.prediction.bundle import read_bundle, write_bundle
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds
from activelora.prediction.sources import open_bundle
from tests.prediction.conftest import KINDS, evaluated


def measured(campaign: Campaign, round_: int = 1) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    manifest = campaign.require(Unit("evaluate_adapter", round_))
    document = campaign.read_json(manifest, "evaluation.json")
    return document, campaign.read_table(manifest, "predictions.parquet").to_pylist()


def holdout_rows(campaign: Campaign) -> list[dict[str, Any]]:
    items = (
        access.holdout_texts(campaign)[0] if campaign.config.task.kind == "generation" else access.holdout(campaign)[0]
    )
    return [{**item.fields, "choices": list(item.choices)} for item in items]


def answers(campaign: Campaign, round_: int = 1, **options: Any) -> list[Answer]:
    with open_bundle(campaign.store.uri, round_) as bundle, LoadedModel.load(bundle) as model:
        return model.predict(holdout_rows(campaign), probabilities=True, **options)


def softened(probs: list[float], fitted: float) -> np.ndarray:
    """Scale a distribution the slow way."""
    powers = np.array(probs) ** (1.0 / fitted)
    return powers / powers.sum()


@pytest.mark.parametrize("kind", ["classification", "yes_no", "multiple_choice"])
@pytest.mark.parametrize("round_", [0, 1])
def test_choices_are_those_of_the_evaluation_softened_by_its_temperature(
    tmp_path: Path, tiny_model_path: Path, kind: str, round_: int
) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, kind, round_)
    document, rows = measured(campaign, round_)
    fitted = document["temperature"]["value"]
    assert abs(fitted - 1) > 0.01
    assert (document["label_prior"] is not None) == (round_ == 0)
    said = answers(campaign, round_)
    for answer, row, item in zip(said, rows, access.holdout(campaign)[0], strict=True):
        probs = softened(row["probs"], fitted)
        assert answer.probabilities is not None
        np.testing.assert_allclose(list(answer.probabilities.values()), probs, atol=1e-5)
        assert answer.probability == pytest.approx(probs[row["predicted"]], abs=1e-5)
        names = campaign.config.task.labels or ("no", "yes")
        assert answer.label == (row["predicted"] if kind == "multiple_choice" else names[row["predicted"]])
        assert list(answer.probabilities) == list(item.choices or names)
        entropy = -sum(p * np.log(p) for p in probs) / np.log(len(probs))
        assert answer.uncertainty == pytest.approx(entropy, abs=1e-4)


def test_preferences_are_those_of_the_evaluation(tmp_path: Path, tiny_model_path: Path) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "preference")
    document, rows = measured(campaign)
    fitted = document["temperature"]["value"]
    assert abs(fitted - 1) > 0.01
    for answer, row in zip(answers(campaign), rows, strict=True):
        probs = softened(row["probs"], fitted)
        assert answer.probabilities is not None
        assert list(answer.probabilities) == ["first", "second"]
        np.testing.assert_allclose(list(answer.probabilities.values()), probs, atol=1e-5)
        assert answer.label == ("first", "second")[row["predicted"]]
        assert abs(probs[0] - 0.5) > 1e-6, "the base model alone prefers neither"


def test_label_sets_are_those_of_the_evaluation(tmp_path: Path, tiny_model_path: Path) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "multi_label")
    document, rows = measured(campaign)
    fitted = document["temperature"]["value"]
    for answer, row in zip(answers(campaign), rows, strict=True):
        yes = [softened([1 - p, p], fitted)[1] for p in row["probs"]]
        assert answer.label == row["predicted"]
        assert answer.probabilities is not None
        np.testing.assert_allclose(list(answer.probabilities.values()), yes, atol=1e-5)
        assert answer.probability == pytest.approx(np.prod([max(p, 1 - p) for p in yes]), abs=1e-5)
        assert answer.uncertainty is not None
        assert 0 <= answer.uncertainty <= 1


def test_numbers_are_those_of_the_evaluation(tmp_path: Path, tiny_model_path: Path) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "regression")
    document, rows = measured(campaign)
    fitted, values = document["temperature"]["value"], np.arange(13.0)
    for answer, row in zip(answers(campaign), rows, strict=True):
        probs = softened(row["probs"], fitted)
        assert answer.label == pytest.approx(probs @ values, abs=1e-4)
        low, high = central_interval(probs[None], values, 0.95)
        assert (answer.low, answer.high) == (low[0], high[0])
        spread = np.sqrt(probs @ (values - probs @ values) ** 2) / 6
        assert answer.uncertainty == pytest.approx(spread, abs=1e-4)
        assert answer.probability is None


def test_texts_are_those_of_the_evaluation(tmp_path: Path, tiny_model_path: Path) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "generation")
    said = answers(campaign)
    rows = measured(campaign)[1]
    assert [answer.label for answer in said] == [row["predicted"] for row in rows]
    np.testing.assert_allclose([a.probability for a in said], [row["confidence"] for row in rows], atol=1e-5)
    assert [a.uncertainty for a in said] == pytest.approx([1 - row["confidence"] for row in rows], abs=1e-5)


def test_samples_may_be_others_than_the_evaluation_s(classified: Campaign) -> None:
    rows = holdout_rows(classified)
    with open_bundle(classified.store.uri, 1) as bundle:
        found = {}
        for samples in (None, 3, 0, 1):
            with LoadedModel.load(bundle, samples) as model:
                found[samples] = [answer.probability for answer in model.predict(rows)]
    assert found[None] == found[3]
    assert not np.allclose(found[3], found[0], atol=1e-4)
    assert not np.allclose(found[1], found[0], atol=1e-4)


def test_a_bundle_is_moved_and_says_the_same(classified: Campaign, tmp_path: Path) -> None:
    written = write_bundle(classified, 1, tmp_path / "model")
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    read = read_bundle(moved)
    assert read.digest == written.digest
    assert read.provenance["base"]["sha256"]
    with open_bundle(str(moved)) as bundle, LoadedModel.load(bundle) as model:
        said = model.predict(holdout_rows(classified), probabilities=True)
    assert [one.row() for one in said] == [one.row() for one in answers(classified)]
    text = (moved / "bundle.json").read_text()
    assert "pool.jsonl" not in text
    assert json.loads(text)["provenance"]["campaign"] == classified.store.uri


def test_a_damaged_bundle_is_refused(classified: Campaign, tmp_path: Path) -> None:
    write_bundle(classified, 1, tmp_path)
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="is not what was written"):
        read_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(ModelError, match=r"bundle.json: cannot be read"):
        read_bundle(tmp_path)
    (tmp_path / "bundle.json").unlink()
    with pytest.raises(ModelError, match="holds no model"):
        read_bundle(tmp_path)


def test_a_campaign_without_a_champion_names_the_gates(tmp_path: Path, tiny_model_path: Path) -> None:
    gates = {"gates": {"min_accuracy": 1.0}}
    campaign = evaluated(tmp_path, tiny_model_path, "classification", evaluation={"bootstrap_samples": 100, **gates})
    with pytest.raises(ModelError, match=r"no champion: .*round 1: accuracy .* below the gate's 1.000.*--round N"):
        open_bundle(campaign.store.uri).__enter__()
    with pytest.raises(StoreError, match=r"round 7 is not evaluated; the rounds that are: 1"):
        open_bundle(campaign.store.uri, 7).__enter__()


def test_the_champion_is_taken(classified: Campaign) -> None:
    with open_bundle(classified.store.uri) as bundle:
        assert bundle.round == 1


def test_rows_that_cannot_be_asked_about(classified: Campaign) -> None:
    rows = [{"text": "red moon"}, {"text": "  "}, {"words": "red"}, {"text": ["red"]}]
    with open_bundle(classified.store.uri) as bundle, LoadedModel.load(bundle) as model:
        assert model.columns == ("text",)
        with pytest.raises(ProblemsError, match=r"row:2: the item is empty"):
            model.predict(rows)
        said = model.predict(rows, strict=False)
        assert model.predict([]) == []
    assert [answer.label is None for answer in said] == [False, True, True, True]
    assert [answer.review for answer in said[1:]] == [True] * 3
    assert "there is no column `text`" in str(said[2].problem)


def test_a_threshold_marks_what_is_below_it(classified: Campaign) -> None:
    said = answers(classified)
    limit = sorted(answer.probability or 0 for answer in said)[7]
    marked = answers(classified, thresholds=Thresholds(min_confidence=limit))
    assert [answer.review for answer in marked] == [(answer.probability or 0) < limit for answer in said]
    assert sum(answer.review for answer in marked) == 7


def test_numbers_have_no_threshold(tmp_path: Path, tiny_model_path: Path) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "regression")
    with pytest.raises(ModelError, match="no probability that a threshold"):
        answers(campaign, thresholds=Thresholds(min_confidence=0.5))


def test_every_kind_is_tested_here() -> None:
    from activelora.kinds.registry import KINDS as ALL

    assert set(ALL) == set(KINDS)
