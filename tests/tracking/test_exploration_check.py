"""Estimates from the random share, against counting by hand."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA, SELECTION_SCHEMA
from activelora.evaluation.exploration_check import PREDICTION_SCHEMA, PREDICTIONS, live_check
from activelora.pool.access import shard_items
from tests.labeling.conftest import make_campaign

RIGHT, WRONG = [0.2, 0.7, 0.1], [0.9, 0.1, 0.0]
"""Predictions of items whose label is 1."""


def write_round(campaign, round_, explored, picked, unlabeled=(), predictions=True):
    """Select and label the next items of the pool; predictions are given, all labels are 1."""
    items = [item for shard in range(3) for item in shard_items(campaign, shard)]
    first = sum(int(campaign.require(Unit("select_batch", past)).metrics["num_selected"]) for past in range(round_))
    rows = [
        {"item_id": item.item_id, "explored": place < len(explored), "probs": probs}
        for place, (item, probs) in enumerate(zip(items[first:], [*explored, *picked], strict=False))
    ]
    attempt = campaign.attempt(Unit("select_batch", round_))
    selection = [
        {"item_id": row["item_id"], "position": place, "score": None, "reason": "x"} for place, row in enumerate(rows)
    ]
    attempt.write_table("selection.parquet", pa.Table.from_pylist(selection, schema=SELECTION_SCHEMA))
    if predictions:
        attempt.write_table(PREDICTIONS, pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA))
    attempt.commit({"num_selected": len(rows)})
    vote = {"label": 1, "annotator": "a", "source": "s", "labeled_at": "2026-01-01T00:00:00+00:00", "round": round_}
    labels = [{"item_id": row["item_id"], **vote} for place, row in enumerate(rows) if place not in unlabeled]
    attempt = campaign.attempt(Unit("await_labels", round_))
    attempt.write_table("labels.parquet", pa.Table.from_pylist(labels, schema=LABEL_SCHEMA))
    attempt.commit({"num_labeled": len(labels)})


@pytest.fixture
def campaign(tmp_path):
    return make_campaign(tmp_path, acquisition={"strategy": "entropy", "batch_size": 5, "exploration": 0.4})


def test_rounds_with_an_adapter_are_added_up(campaign):
    write_round(campaign, 0, [WRONG, WRONG], [RIGHT])
    write_round(campaign, 1, [RIGHT, WRONG], [WRONG, WRONG])
    write_round(campaign, 2, [RIGHT], [WRONG, RIGHT])
    check, sources = live_check(campaign, 3)
    assert check.rounds == (1, 2)
    assert (check.explored.num, check.explored.num_wrong) == (3, 1)
    assert (check.picked.num, check.picked.num_wrong) == (4, 3)
    found = check.metrics()
    assert found["explored_accuracy"] == pytest.approx(2 / 3)
    expected = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert (found["explored_accuracy_low"], found["explored_accuracy_high"]) == pytest.approx(
        (expected.low, expected.high)
    )
    assert found["exploration_nll"] == pytest.approx(-np.log([0.7, 0.1, 0.7]).mean())
    assert found["strategy_nll"] == pytest.approx(-np.log([0.1, 0.1, 0.1, 0.7]).mean())
    assert (found["strategy_error"], found["exploration_error"]) == pytest.approx((3 / 4, 1 / 3))
    assert {str(manifest.unit) for manifest in sources} == {
        *(f"select_batch round {n}" for n in (1, 2)),
        *(f"await_labels round {n}" for n in range(3)),
    }


def test_round_zero_counts_while_there_is_no_other(campaign):
    write_round(campaign, 0, [RIGHT, RIGHT], [WRONG, WRONG, WRONG])
    check, _ = live_check(campaign, 1)
    assert check.rounds == (0,)
    assert check.details()["sentences"][0].startswith(
        "Of 2 items drawn at random from the pool in round 0, the model of that moment answered 2 correctly: 100.0 % "
        "(95% interval 34.2 % to 100.0 %). That estimates how round 0's model did on what was unlabelled then, "
        "not how this round's does."
    )


@pytest.mark.parametrize(
    ("explored", "picked", "verdict", "words"),
    [
        ([RIGHT] * 8, [WRONG] * 8, "better", "the strategy finds what the model does not know better than random"),
        ([RIGHT, WRONG] * 4, [WRONG, RIGHT] * 4, "not distinguishable", "so far the strategy does not beat random"),
        ([WRONG] * 8, [RIGHT] * 8, "worse", "random draws find what the model does not know better than the strategy"),
    ],
)
def test_it_says_whether_the_strategy_beats_random(campaign, explored, picked, verdict, words):
    write_round(campaign, 0, explored, picked)
    check, _ = live_check(campaign, 1)
    assert check.verdict == verdict
    assert words in check.details()["sentences"][1]


def test_draws_without_a_label_are_left_out(campaign):
    write_round(campaign, 0, [RIGHT, WRONG, WRONG], [RIGHT], unlabeled={1, 3})
    check, _ = live_check(campaign, 1)
    assert (check.explored.num, check.explored.num_wrong, check.picked) == (2, 1, None)
    assert check.verdict is None
    assert len(check.details()["sentences"]) == 1
    assert "strategy_error" not in check.metrics()


@pytest.mark.parametrize("given", [{"predictions": False}, {"unlabeled": {0, 1}}])
def test_nothing_is_told_without_predictions_or_labels(campaign, given):
    write_round(campaign, 0, [RIGHT, WRONG], [RIGHT], **given)
    assert live_check(campaign, 1) == (None, [])


def test_nothing_is_told_without_exploration_or_before_any_label(campaign, tmp_path):
    assert live_check(campaign, 0) == (None, [])
    plain = make_campaign(tmp_path / "plain", acquisition={"strategy": "entropy", "batch_size": 5})
    write_round(plain, 0, [RIGHT, WRONG], [RIGHT])
    assert live_check(plain, 1) == (None, [])


def test_a_sure_mistake_has_a_finite_loss(campaign):
    write_round(campaign, 0, [[1.0, 0.0, 0.0]], [RIGHT])
    check, _ = live_check(campaign, 1)
    assert np.isfinite(check.explored.nll)
