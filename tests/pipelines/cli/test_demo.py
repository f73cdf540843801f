from __future__ import annotations

from activelora.campaign.campaign import Campaign
from activelora.config import CampaignConfig
from pipelines.cli.checks import check_campaign
from pipelines.cli.demo import DemoResult, demo_config, print_curves
from pipelines.engines.inline import run_campaign
from tests.pipelines.tiny import tiny_config


def test_the_demo_passes_its_own_check(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_CACHE", str(tmp_path))
    findings = check_campaign(demo_config(None))
    assert findings.data.num_holdout == 200
    assert findings.data.num_pool > demo_config(None).label_budget
    assert len(findings.data.holdout_labels) == 8


def test_random_acquisition_differs_in_nothing_else():
    own, random = demo_config(4), demo_config(4, "random")
    assert own.stopping.max_rounds == random.stopping.max_rounds == 4
    assert random.acquisition.strategy == "random"

    def rest(config: CampaignConfig) -> dict:
        return config.model_dump(exclude={"name": True, "acquisition": {"strategy"}})

    assert rest(own) == rest(random)


def test_the_demo_has_three_rounds_after_zero_shot():
    assert demo_config(None).stopping.max_rounds >= 3


def test_the_table_shows_both_curves(tmp_path, tiny_model_path, capsys):
    first = Campaign.create(str(tmp_path / "a"), tiny_config(tmp_path, tiny_model_path, stopping={"max_rounds": 1}))
    run_campaign(first)
    print_curves(DemoResult(first, first, ""))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert len(lines) == 2
    cells = [cell.strip() for cell in lines[1].strip("│").split("│")]
    assert cells[:2] == ["1", "4"]
    assert cells[2:5] == cells[5:8]
