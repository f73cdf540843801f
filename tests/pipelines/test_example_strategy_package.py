"""A strategy of another package, installed as anybody would, is equal to a built-in one: settings, checks, `list`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from tests.other_packages import declare_package
from tests.pipelines.tiny import tiny_config

ROOT = Path(__file__).parents[2]

BAD = """
TEXT = "no strategy"

def __getattr__(name):
    if name != "OPEN":
        raise AttributeError(name)
    from activelora.acquisition.strategy import Strategy
    return Strategy("open", "bad settings", print, settings=dict)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the package is installed in."""
    source = shutil.copytree(ROOT / "tests" / "example_strategy_package", tmp_path_factory.mktemp("source") / "package")
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    return target


def activelora(*arguments, folders=(), code=0):
    """Run the command line where these folders are on the path; return its output and its errors."""
    path = os.pathsep.join(map(str, [*folders, ROOT]))
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def write(tmp_path, tiny_model_path):
    """Return a function that writes a campaign file of the strategy with a section of its own."""
    base = tiny_config(tmp_path, tiny_model_path).model_dump(mode="json", exclude_unset=True)

    def file(**acquisition):
        path = tmp_path / "campaign.yaml"
        document = {
            **base,
            "acquisition": {"strategy": "top_share", "initial": "strategy", "batch_size": 4, **acquisition},
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    return file


def test_it_is_listed_with_its_settings_and_in_the_schema(installed):
    listed = json.loads(activelora("list", "strategies", "--json", folders=[installed])[0])
    (own,) = [entry for entry in listed if entry["name"] == "top_share"]
    assert own["summary"] == "drawn at random from the top share of the pool by H[p̄]"
    assert own["settings"]["acquisition.top_share.share"].startswith("Share of the pool that the batch is drawn from")
    schema = json.loads(activelora("schema", folders=[installed])[0])["$defs"]
    assert schema["AcquisitionConfig"]["properties"]["top_share"]["anyOf"][0] == {"$ref": "#/$defs/TopShareConfig"}
    assert schema["TopShareConfig"]["properties"]["share"]["maximum"] == 1.0
    assert schema["AcquisitionConfig"]["additionalProperties"] is False


def test_its_settings_are_checked_where_the_file_is_read(installed, write):
    _, said = activelora("check", write(top_share={"shar": 0.5}), folders=[installed], code=1)
    assert "`acquisition.top_share.shar` is not a setting. Did you mean `share`?" in said
    _, said = activelora("check", write(top_share={"share": 3}), folders=[installed], code=1)
    assert "`acquisition.top_share.share` must be less than or equal to 1 (given: 3)" in said
    _, said = activelora("check", write(top_share={"share": 1.0}), folders=[installed], code=1)
    assert "`acquisition.top_share.share`: the whole pool is no choice. Lower it" in said
    _, said = activelora("check", write(), "--set", "acquisition.top_shar.share=0.5", folders=[installed], code=1)
    assert "`acquisition.top_shar` is not a setting. Did you mean `top_share`?" in said


def test_a_campaign_freezes_its_settings_and_runs_by_them(installed, write, tmp_path):
    file, uri = write(), tmp_path / "campaign"
    said, _ = activelora("check", file, folders=[installed])
    assert "is fine" in said
    activelora("run", file, "--campaign", uri, "--set", "acquisition.top_share.share=0.4", folders=[installed])
    campaign = Campaign.open(str(uri))
    assert campaign.config.acquisition.model_dump()["top_share"] == {"share": 0.4}
    for round_, left in ((0, 30), (1, 26)):
        rows = campaign.read_table(campaign.require(Unit("select_batch", round_)), "selection.parquet").to_pylist()
        kept = max(4, -(-left * 4 // 10))
        assert {row["reason"] for row in rows} == {f"drawn at random from the {kept} most uncertain"}
    _, said = activelora("run", file, "--campaign", uri, folders=[installed], code=1)
    assert "acquisition.top_share.share: 0.4 there, 0.25 asked" in said
    assert "8 labels" in activelora("status", uri)[0]


def test_without_the_package_its_section_is_no_setting(write):
    _, said = activelora("check", write(top_share={"share": 0.5}), code=1)
    assert "`acquisition.top_share` is not a setting. Known here: badge, bald," in said


def test_a_bad_package_is_a_warning_and_not_the_end_of_the_list(installed, tmp_path):
    strategies = ["broken = broken:X", "text = bad:TEXT", "open = bad:OPEN", "margin = bad:TEXT", "leaves = leaving:X"]
    others = {"adapters": ["gone = bad:GONE"], "label_sources": ["text = bad:TEXT"]}
    declare_package(tmp_path, "bad", {"strategies": strategies, **others})
    (tmp_path / "broken.py").write_text("raise RuntimeError('no licence')\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "bad.py").write_text(BAD)
    out, said = activelora("list", "strategies", folders=[installed, tmp_path])
    names = [line.split()[0] for line in out.splitlines()]
    assert {"star", "top_share", "random"} <= set(names)
    assert not {"broken", "text", "open", "margin", "leaves"} & set(names)
    assert said.count("warning:") == 5
    assert "`broken` cannot be loaded: RuntimeError: no licence" in said
    assert "`leaves` cannot be loaded: SystemExit: 3" in said
    assert "`text` is not what acquisition.strategy needs, but str" in said
    assert "settings of `open` must be a subclass of activelora.config.Section" in said
    assert "`margin` is brought by activelora itself and by bad:TEXT" in said
    out, said = activelora("list", "adapters", folders=[tmp_path])
    assert out.startswith("lora ")
    assert said.count("warning:") == 1
    out, said = activelora("list", "sources", folders=[tmp_path])
    assert out.startswith("oracle")
    assert said.count("warning:") == 1
