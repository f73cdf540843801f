"""Training on what share of the annotators gave each label."""

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Unit
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config


def test_soft_labels_train_on_every_label_that_was_given(tmp_path, tiny_model_path):
    found = {}
    for soft in (False, True):
        config = tiny_config(
            tmp_path,
            tiny_model_path,
            acquisition={"batch_size": 8, "strategy": "random"},
            stopping={"max_rounds": 1},
            training={"epochs": 1, "batch_size": 4, "learning_rate": 0.01, "soft_labels": soft, "min_steps": 0},
            labeling={"source": "oracle", "annotators_per_item": 3, "oracle_error_rate": 0.4},
        )
        campaign = Campaign.create(str(tmp_path / f"soft-{soft}"), config)
        run_campaign(campaign)
        found[soft] = campaign.require(Unit("train_adapter", 1))
        snapshot = label_snapshot(campaign, 1)
    given = sum(len(shares) for shares in snapshot.shares.values())
    assert given > len(snapshot.labels) == 8  # annotators disagreed somewhere
    assert found[False].metrics["num_labels"] == found[True].metrics["num_labels"] == 8
    assert (found[False].metrics["num_steps"], found[True].metrics["num_steps"]) == (2, -(-given // 4))
    assert found[False].details["label_digest"] == found[True].details["label_digest"]
    assert found[False].digest != found[True].digest
