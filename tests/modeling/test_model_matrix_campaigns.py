"""Families of models: two whole rounds each, after which plain peft says what the product predicted."""

import json

import numpy as np
import pytest
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM

from activelora.campaign.campaign import Campaign
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import snapshot_of
from activelora.modeling.encoding import Encoder
from activelora.pool import access
from activelora.rules.file import load_config
from components.entry import run_unit
from tests.modeling.matrix import FAMILIES, tiny
from tests.modeling.matrix_runs import transformers_s

pytestmark = pytest.mark.slow
RUN = [family for family in FAMILIES if not family.refused]
KINDS = {"number": "How far is the moon", "human": "Who wrote the play"}


def write_campaign(folder, model_folder):
    """Write a campaign of two rounds of two labels each."""
    rows = [{"text": f"{text} {index} ?", "label": label} for index in range(8) for label, text in KINDS.items()]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "matrix",
        "task": {"prompt": "{text} Answer type:", "labels": sorted(KINDS), "chat_template": "never"},
        "data": {"pool": {"path": "pool.jsonl"}, "holdout_size": 4, "calibration_size": 0},
        "model": {"base": str(model_folder)},
        "adapter": {"rank": 2, "last_layers": 3},
        "training": {"min_steps": 0, "warmup_fraction": 0.0, "epochs": 1, "learning_rate": 2.0e-2, "batch_size": 2},
        "scoring": {"num_samples": 2},
        "acquisition": {"strategy": "bald", "batch_size": 2},
        "stopping": {"max_rounds": 2},
        "evaluation": {"bootstrap_samples": 100},
        "tracking": {"enabled": False},
    }
    (folder / "campaign.yaml").write_text(yaml.safe_dump(document))
    return folder / "campaign.yaml"


def do_all(campaign):
    """Do every unit, without the reports in between, which take three times as long."""
    while (plan := next_plan(campaign)).status == "work":
        for unit in plan.units:
            assert run_unit(campaign, unit) is not None
            campaign.refresh()
    assert (plan.status, plan.round) == ("stop", 2)


@pytest.mark.parametrize("family", RUN, ids=lambda family: family.name)
def test_two_rounds_end_in_an_adapter_that_plain_peft_reads_alike(family, tiny_tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path / "cache"))
    tiny(family).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    config = load_config(write_campaign(tmp_path, tmp_path / "model"))
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    do_all(snapshot_of(campaign))

    folder = campaign.download_folder(campaign.require(Unit("train_adapter", 2)), "adapter", tmp_path / "adapter")
    items, _ = access.holdout(campaign)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    before_NC = transformers_s(plain, Encoder(tiny_tokenizer, config.task), items)
    adapted = PeftModel.from_pretrained(plain, folder).eval()
    expected_NC = transformers_s(adapted, Encoder(tiny_tokenizer, config.task), items)
    found = campaign.read_table(campaign.require(Unit("evaluate_adapter", 2)), "predictions.parquet").to_pylist()
    assert [row["item_id"] for row in found] == [item.item_id for item in items]
    np.testing.assert_allclose(np.log([row["probs"] for row in found]), expected_NC, atol=1e-3)
    assert np.abs(expected_NC - before_NC).max() > 1e-3
