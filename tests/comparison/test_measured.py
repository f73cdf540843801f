"""Which holdout items count as right, for every form of prediction that a round writes."""

import numpy as np
import pyarrow as pa
import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.comparison.measured import Method, Run, holdout_noise, item_noise, paired_differences
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


def judged_run(folder, primary, probs, name):
    """A run of two rounds whose primary metric is the given one."""
    campaign = Campaign.create(str(folder / name), make_config(evaluation={"primary": primary}))
    finish_step(campaign, "ingest_pool")
    for round_, prob in enumerate(probs):
        attempt = campaign.attempt(Unit("evaluate_adapter", round_))
        rows = [
            {"item_id": f"i{index}", "label": index % 2, "predicted": 0, "probs": [prob, 1 - prob]}
            for index in range(4)
        ]
        attempt.write_table("predictions.parquet", pa.Table.from_pylist(rows))
        attempt.commit({"accuracy": 0.5, "ece": 0.1, "nll": 1 - prob, "mcc": prob, "num_holdout": 4})
        if not round_:
            for step in ("score_pool", "select_batch", "await_labels"):
                finish_step(campaign, step, round_)
    return Run(Method("random", "lora"), 0, campaign)


def test_a_lower_nll_is_better_item_by_item(tmp_path):
    ours, other = (judged_run(tmp_path, "nll", probs, f"nll{probs[1]}") for probs in ((0.5, 0.5), (0.5, 0.9)))
    found = paired_differences([ours], [other], np.array([0.0, 1.0]))
    expected = [np.log(0.5) - np.log(0.9), np.log(0.5) - np.log(0.1)] * 2
    assert found[0] == pytest.approx(expected)
    assert found.mean() > 0, "the even one has the lower NLL"


def test_a_metric_of_all_items_is_compared_by_seeds(tmp_path):
    ours, other = (judged_run(tmp_path, "mcc", probs, f"mcc{probs[1]}") for probs in ((0.2, 0.8), (0.2, 0.3)))
    assert ours.item_scores() is None
    assert paired_differences([ours], [other], np.array([0.0, 1.0])) == pytest.approx(np.array([[0.5]]))


def probs_run(folder, name, probs_N, ids="i"):
    """A run of one round, judged by the NLL, in which the item n gives its label the n-th probability."""
    campaign = Campaign.create(str(folder / name), make_config(evaluation={"primary": "nll"}))
    finish_step(campaign, "ingest_pool")
    attempt = campaign.attempt(Unit("evaluate_adapter", 0))
    rows = [
        {"item_id": f"{ids}{index:03d}", "label": 0, "predicted": 0, "probs": [prob, 1 - prob]}
        for index, prob in enumerate(probs_N.tolist())
    ]
    attempt.write_table("predictions.parquet", pa.Table.from_pylist(rows))
    attempt.commit({"accuracy": 0.5, "ece": 0.1, "nll": 1.0, "num_holdout": len(rows)})
    return Run(Method("random", "lora"), 0, campaign)


def test_the_noise_of_a_common_holdout_is_that_of_the_seeds_mean_by_item(tmp_path):
    probs_KN = np.random.default_rng(0).uniform(0.1, 0.9, size=(4, 60))
    ours = [probs_run(tmp_path, f"ours{seed}", probs_KN[seed]) for seed in range(2)]
    controls = [probs_run(tmp_path, f"control{seed}", probs_KN[2 + seed]) for seed in range(2)]
    differences_N = (np.log(probs_KN[2:]) - np.log(probs_KN[:2])).mean(axis=0)
    found = item_noise(ours, controls, np.ones(1))
    assert found == pytest.approx(differences_N.var() / 60, rel=0.25)  # 400 resamples know a variance to 7 %
    other = probs_run(tmp_path, "others", probs_KN[3], ids="j")
    assert item_noise(ours, [controls[0], other], np.ones(1)) == 0.0
