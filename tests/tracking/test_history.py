from __future__ import annotations

import pytest

from activelora.campaign.history import area_under_learning_curve, read_history
from tests.tracking.conftest import BATCH, Builder, write_training


def test_rounds_and_their_labels(build_campaign: Builder) -> None:
    campaign = build_campaign(2, finished=False)
    write_training(campaign, 2)
    records = read_history(campaign)
    assert [(record.round, record.num_labels) for record in records] == [(0, 0), (1, BATCH), (2, 2 * BATCH)]
    assert records[0].training is None
    assert [manifest.step for manifest in records[1].manifests] == [
        "train_adapter",
        "evaluate_adapter",
        "score_pool",
        "select_batch",
        "await_labels",
    ]
    assert records[2].evaluation is None
    assert records[2].metrics == {}


def test_area_under_the_learning_curve(build_campaign: Builder) -> None:
    records = read_history(build_campaign(2))
    a, b, c = (record.metrics["accuracy"] for record in records)
    assert area_under_learning_curve(records) == pytest.approx((a + b) / 4 + (b + c) / 4)
    assert area_under_learning_curve(records[:1]) is None
    assert area_under_learning_curve([]) is None


def test_a_campaign_that_has_not_begun(build_campaign: Builder) -> None:
    assert read_history(build_campaign(0, finished=False)) == []
