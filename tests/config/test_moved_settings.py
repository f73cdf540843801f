"""Settings that have moved: old files and old frozen campaigns say the same as ever."""

import copy
import json
import logging

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.config import AcquisitionConfig
from activelora.config.file import config_digest, document_digest, parse_config, read_file
from activelora.config.moved_settings import MOVED_ACQUISITION, upgrade_acquisition
from activelora.errors import ProblemsError, StoreError

BASE = {
    "name": "mail",
    "task": {"prompt": "Mail: {text}\nTeam:", "labels": ["billing", "support"]},
    "data": {"pool": {"path": "pool.jsonl"}},
}
FLAT = {
    "strategy": "hybrid",
    "batch_size": 25,
    "exploration": 0.0,
    "per_class_floor": 0,
    "memory_gb": 4.0,
    "measure": "predictive_entropy",
    "scaling": "rank",
    "prefilter": "bald",
    "prefilter_factor": 7,
    "then": "badge",
    "beta": 2.0,
    "candidates": 900,
    "configurations": 10_000,
    "gradient": "adapter",
    "neighbors": 3,
    "typical_neighbors": 5,
    "sample": 100,
    "radius": 0.5,
    "purity": 0.9,
    "sub_batch": 2,
}
"""All settings as `campaign.json` of 0.1.0 has them, each moved one with a value that is not the default."""
SECTIONED = {
    "strategy": "hybrid",
    "star": {"scaling": "rank"},
    "hybrid": {"prefilter": "bald", "prefilter_factor": 7, "then": "badge"},
    "cluster_margin": {"prefilter_factor": 7},
    "density_weighted": {"beta": 2.0},
    "batch_bald": {"candidates": 900, "configurations": 10_000},
    "expected_gradient_length": {"gradient": "adapter"},
    "cal": {"neighbors": 3},
    "typiclust": {"neighbors": 5, "sample": 100},
    "probcover": {"radius": 0.5, "purity": 0.9, "sample": 100},
    "discriminative": {"sub_batch": 2},
}


def document(**acquisition):
    return {**BASE, "acquisition": acquisition}


def write(tmp_path, **acquisition):
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(document(**acquisition)))
    return path


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_every_setting_of_then_says_the_same_in_its_section():
    old, new = parse_config(document(**FLAT), where="old"), parse_config(document(**SECTIONED), where="new")
    assert old == new
    assert config_digest(old) == config_digest(new)
    known = AcquisitionConfig.model_fields
    for keys in MOVED_ACQUISITION.values():
        for key in keys:
            section, _, name = key.partition(".")
            assert name in known[section].annotation.model_fields, key
    assert set(FLAT) - set(known) == set(MOVED_ACQUISITION)


def test_upgrading_changes_nothing_twice_and_nothing_in_place():
    old = document(**FLAT)
    before = copy.deepcopy(old)
    new = upgrade_acquisition(old)
    assert old == before
    assert upgrade_acquisition(new) == new
    assert not new["acquisition"].keys() & MOVED_ACQUISITION.keys()
    assert {key: new["acquisition"][key] for key in SECTIONED} == SECTIONED
    assert upgrade_acquisition(BASE) == BASE


@pytest.mark.parametrize("acquisition", [None, 3, ["then"], {"then": "badge", "hybrid": 3}])
def test_what_is_no_section_is_left_to_the_schema(acquisition):
    with pytest.raises(ProblemsError, match="must be a section of settings"):
        parse_config(upgrade_acquisition({**BASE, "acquisition": acquisition}), where="campaign.yaml")


def test_a_file_with_an_old_key_works_and_is_told_the_new_one_once(tmp_path, caplog):
    path = write(tmp_path, strategy="cluster_margin", prefilter_factor=7, beta=2.0)
    assert read_file(path).acquisition == AcquisitionConfig(
        strategy="cluster_margin",
        hybrid={"prefilter_factor": 7},
        cluster_margin={"prefilter_factor": 7},
        density_weighted={"beta": 2.0},
    )
    read_file(path)
    assert warnings_of(caplog) == [
        f"{path}: `acquisition.prefilter_factor` is now `acquisition.hybrid.prefilter_factor` and "
        "`acquisition.cluster_margin.prefilter_factor`. The old key still works, and goes with ActiveLoRA 0.3",
        f"{path}: `acquisition.beta` is now `acquisition.density_weighted.beta`. The old key still works, and goes "
        "with ActiveLoRA 0.3",
    ]


def test_a_file_of_today_is_told_nothing(tmp_path, caplog):
    read_file(write(tmp_path, **SECTIONED))
    assert warnings_of(caplog) == []


def test_both_keys_in_one_file_are_refused(tmp_path):
    path = write(tmp_path, strategy="hybrid", then="badge", hybrid={"then": "core_set"})
    with pytest.raises(ProblemsError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert "`acquisition.then` is now `acquisition.hybrid.then`, and both are given. Leave `acquisition.then`" in str(
        problem
    )


@pytest.mark.parametrize("in_file", [{"then": "core_set"}, {"hybrid": {"then": "core_set"}}])
@pytest.mark.parametrize("key", ["acquisition.then", "acquisition.hybrid.then"])
def test_the_command_line_wins_by_either_key(tmp_path, in_file, key):
    path = write(tmp_path, strategy="hybrid", **in_file)
    assert read_file(path, {key: "badge"}).acquisition.hybrid.then == "badge"


def test_a_wrong_value_under_an_old_key_is_named_where_it_belongs(tmp_path):
    with pytest.raises(ProblemsError, match=r"`acquisition.hybrid.prefilter` must be text"):
        read_file(write(tmp_path, strategy="hybrid", prefilter=3))


def freeze(tmp_path, settings):
    """Write `campaign.json` as 0.1.0 has frozen it."""
    (tmp_path / CAMPAIGN_KEY).write_text(
        json.dumps({"config": settings, "digest": document_digest(settings), "code_version": "0.1.0"})
    )


def test_a_campaign_frozen_with_old_keys_opens_and_is_the_one_that_today_s_file_means(tmp_path):
    today = parse_config(document(**SECTIONED), where="test")
    settings = {**today.model_dump(mode="json"), "acquisition": FLAT}
    freeze(tmp_path, settings)
    acquisition = today.acquisition.model_copy(update={"initial": "strategy"})  # the seed set of that time
    then = today.model_copy(update={"acquisition": acquisition})
    assert Campaign.open(str(tmp_path)).config == then
    assert Campaign.create(str(tmp_path), today).config == then
    settings["acquisition"] = {**FLAT, "beta": 3.0}
    (tmp_path / CAMPAIGN_KEY).write_text(json.dumps({"config": settings, "digest": document_digest(BASE)}))
    with pytest.raises(StoreError, match="was changed or damaged"):
        Campaign.open(str(tmp_path))
