"""A kind of task from another package: one folder, and one line that names it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora.errors import ConfigError, ProblemsError
from activelora.kinds.registry import KINDS, get_kind
from activelora.rules.file import checked_config
from tests.other_packages import declare_package
from tests.test_task_kinds import write_campaign

ROOT = Path(__file__).parents[2]
CAMPAIGN = """
import json, sys
from pathlib import Path
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ProblemsError
from activelora.rules.file import load_config
from activelora.tracking.report import render_report
from pipelines.cli.checks import check_campaign
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign

file, refused = map(Path, sys.argv[1:])
try:
    load_config(refused)
except ProblemsError as error:
    said = str(error)
config = load_config(file)
holdout = check_campaign(config).data.holdout_labels
campaign = Campaign.create(str(file.parent / "campaign"), config)
run_campaign(campaign)
evaluated = campaign.require(Unit("evaluate_adapter", 2))
selected = campaign.require(Unit("select_batch", 1))
print(json.dumps({
    "holdout": holdout,
    "metrics": evaluated.metrics,
    "gates": [campaign.require(Unit("evaluate_adapter", n)).details["gates"] for n in range(3)],
    "rounds": status_document(campaign)["rounds"],
    "rows": campaign.read_table(evaluated, "predictions.parquet").to_pylist(),
    "selected": campaign.read_table(selected, "selection.parquet").num_rows,
    "report": render_report(campaign, {}),
    "refused": said,
}))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder on the path of Python that says what an installed package says."""
    site = tmp_path / "site"
    declare_package(site, "stars", {"kinds": ["stars = tests.kinds.toy_kind.kind:KIND"]})
    return site


def test_a_kind_of_another_package_runs_from_check_to_report(tmp_path, tiny_model_path, installed):
    stars = {"kind": "stars", "prompt": "Question: {text}\nStars:"}
    rule = {"labeling": {"annotators_per_item": 3, "oracle_error_rate": 0.2, "aggregation": "median"}}
    file = write_campaign(tmp_path, tiny_model_path, stars, lambda index: "*" * (1 + index % 3), **rule)
    refused = tmp_path / "refused.yaml"
    document = yaml.safe_load(file.read_text())
    gates = {"evaluation": {"gates": {"max_rmse": 1}}}
    task = {**document["task"], "prompt": "Up to ten stars for {text}:", "minimum": 1}
    refused.write_text(yaml.safe_dump({**document, **gates, "task": task}))
    path = f"{installed}:{ROOT}"
    result = subprocess.run(
        [sys.executable, "-c", CAMPAIGN, str(file), str(refused)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["holdout"] == {"1": 4, "2": 4, "3": 4}
    off = [abs(row["predicted"] - row["label"]) for row in found["rows"]]
    assert found["metrics"]["stars_off"] == pytest.approx(sum(off) / 12)
    assert found["metrics"]["stars_off_low"] <= found["metrics"]["stars_off"] <= found["metrics"]["stars_off_high"]
    assert found["rounds"][2]["stars_off"] == found["metrics"]["stars_off"]
    assert not found["gates"][0]["passed"]
    assert found["selected"] == 4
    assert "The model gives one to three stars:" in found["report"]
    assert "(Stars off) on 12 unseen items" in found["report"]
    assert "`task`: `minimum` belongs to regression only" in found["refused"]
    assert "`evaluation.gates.max_rmse`: stars is not measured so" in found["refused"]


def test_every_kind_is_a_folder_and_a_line():
    folders = {path.parent.name for path in (ROOT / "activelora" / "kinds").glob("*/kind.py")}
    assert folders == set(KINDS)
    for name in folders:
        kind = get_kind(name)
        assert kind.name == name
        assert kind.summary
        assert kind.headline.columns[0][0] == kind.headline.metric


def test_an_unknown_kind_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"task.kind: there is no `regresion`. Did you mean `regression`"):
        get_kind("regresion")
    document = {"name": "x", "task": {"kind": "yesno", "prompt": "{text}"}, "data": {"pool": {"path": "p.csv"}}}
    with pytest.raises(ProblemsError, match=r"x.yaml: `task.kind`: there is no `yesno`. Did you mean `yes_no`"):
        checked_config(document, where="x.yaml")
