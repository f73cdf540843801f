"""Which holdout items count as right, for every form of prediction that a round writes."""

import numpy as np
import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.comparison.measured import Method, Run, holdout_noise
from activelora.evaluation.judges import CHOICE_SCHEMA
from activelora.kinds.generation.judge import TEXT_SCHEMA
from activelora.kinds.multi_label.judge import SET_SCHEMA
from tests.pipelines.conftest import finish_step, make_config

WRITING = {"kind": "generation", "prompt": "{text}"}
TOPICS = {"kind": "multi_label", "prompt": "{text} {label}", "labels": ["red", "fire"]}


def written(item_id, predicted, correct):
    label = "1 + 1 = 2\n#### 2"
    answer = predicted.split()[-1]
    row = {"item_id": item_id, "label": label, "predicted": predicted, "final_answer": answer, "correct": correct}
    return {**row, "confidence": 0.5}


def chosen(item_id, label, predicted):
    return {"item_id": item_id, "label": label, "predicted": predicted, "probs": [0.5, 0.5]}


@pytest.fixture
def run_of(tmp_path):
    """Return a function that makes a run of one round with these predictions."""

    def build(task, rows, schema, name="campaign"):
        campaign = Campaign.create(str(tmp_path / name), make_config(task=task) if task else make_config())
        finish_step(campaign, "ingest_pool")
        attempt = campaign.attempt(Unit("evaluate_adapter", 0))
        attempt.write_table("predictions.parquet", pa.Table.from_pylist(rows, schema=schema))
        attempt.commit({"accuracy": 0.5, "ece": 0.1, "nll": 1.0})
        return Run(Method("random", "lora"), 0, campaign)

    return build


def test_a_written_answer_is_right_if_its_final_answer_is(run_of):
    rows = [written("b", "so it is\n#### 2", True), written("a", "#### 3", False), written("c", "2", True)]
    ids, scores_RN = run_of(WRITING, rows, TEXT_SCHEMA).item_scores()
    assert ids == ("a", "b", "c")
    assert scores_RN.tolist() == [[0.0, 1.0, 1.0]]
    assert scores_RN.dtype == np.float64


def test_a_set_of_labels_is_right_as_a_whole(run_of):
    rows = [
        chosen("a", ["red", "fire"], ["red", "fire"]),
        chosen("b", ["red", "fire"], ["red"]),
        chosen("c", [], []),
        chosen("d", ["fire"], ["red"]),
    ]
    ids, scores_RN = run_of(TOPICS, rows, SET_SCHEMA).item_scores()
    assert ids == ("a", "b", "c", "d")
    assert scores_RN.tolist() == [[1.0, 0.0, 1.0, 0.0]]


def test_the_noise_of_holdouts_of_their_own_is_the_variance_of_each_seeds_mean(run_of):
    right = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 0]], dtype=np.float64)
    rows = [
        [{**chosen(f"item-{n}", 0, 0 if one else 1), "confidence": 0.5} for n, one in enumerate(row)] for row in right
    ]
    runs = [run_of(None, own, CHOICE_SCHEMA, name) for own, name in zip(rows, ("ours", "control"), strict=True)]
    found = holdout_noise([runs[0]], [runs[1]], np.ones(1))
    assert found == pytest.approx((right[0] - right[1]).var(ddof=1) / 5)
