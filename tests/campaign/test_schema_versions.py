"""Which version wrote what: older campaigns are brought forward, newer ones are told, read, and never written."""

import copy
import json
import shutil
from pathlib import Path

import pytest

import activelora
from activelora.campaign.campaign import Campaign
from activelora.campaign.frozen import NewerCampaignError, read_frozen, read_manifest
from activelora.campaign.manifest import Unit
from activelora.campaign.migrations import MANIFESTS, SCHEMA_VERSION, SETTINGS, migrated
from activelora.code_version import COMMIT_VARIABLE, code_version
from activelora.config import CampaignConfig
from activelora.config.file import config_digest, document_digest
from activelora.errors import ConfigError, StoreError
from pipelines.cli.main import main

NEWER = SCHEMA_VERSION + 1


@pytest.fixture
def campaign(tmp_path, make_config):
    return Campaign.create(str(tmp_path / "campaign"), make_config())


def rewrite(campaign, *, config=None, **changes):
    """Write campaign.json as another version would have, with the digest that goes with it."""
    document = json.loads(campaign.store.read("campaign.json")) | changes
    if config is not None:
        document |= {"config": config, "digest": document_digest(config)}
    campaign.store.write("campaign.json", json.dumps(document).encode())


def contents(campaign):
    return {key: campaign.store.read(key) for key in campaign.store.list("")}


def test_what_is_written_carries_the_schema_and_the_commit(campaign, monkeypatch):
    document = json.loads(campaign.store.read("campaign.json"))
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["code_version"] == code_version()
    manifest = campaign.attempt(Unit("ingest_pool")).commit()
    written = json.loads(campaign.store.read(Unit("ingest_pool").manifest_key))
    assert (written["schema_version"], written["code_version"]) == (SCHEMA_VERSION, code_version())
    assert manifest.schema_version == SCHEMA_VERSION
    assert list(campaign.store.list("schema-")) == []


@pytest.mark.parametrize(("commit", "shown"), [("3f2a9c1d5e6b7788", "+3f2a9c1d5e6b"), ("nonsense", "")])
def test_the_commit_of_an_image_is_named(monkeypatch, commit, shown):
    monkeypatch.setenv(COMMIT_VARIABLE, commit)
    code_version.cache_clear()
    assert code_version().partition("+")[2] == shown.removeprefix("+")
    code_version.cache_clear()


def test_every_version_has_its_migration():
    assert set(SETTINGS) == set(MANIFESTS) == set(range(SCHEMA_VERSION))


def test_a_campaign_without_a_version_is_of_version_0_and_its_first_manifest_says_so(campaign):
    document = json.loads(campaign.store.read("campaign.json"))
    del document["schema_version"]
    campaign.store.write("campaign.json", json.dumps(document).encode())
    opened = Campaign.open(campaign.store.uri)
    assert opened.schema_version == 0
    assert config_digest(opened.config) == config_digest(campaign.config)
    opened.attempt(Unit("ingest_pool")).commit()
    marked = json.loads(opened.store.read(f"schema-{SCHEMA_VERSION:04d}.json"))
    assert marked == {"schema_version": SCHEMA_VERSION, "code_version": code_version()}
    assert Campaign.open(campaign.store.uri).schema_version == 0


@pytest.mark.parametrize(
    "old",
    [
        {"resources": {"label_studio_secret": "studio-key"}},
        {"labeling": {"source": "oracle", "label_studio": {"secret": "studio-key"}}},
    ],
)
def test_label_studio_s_secret_moves_to_where_secrets_are_named(old):
    before = copy.deepcopy(old)
    new = migrated(old, 0, SETTINGS)
    assert old == before, "a migration changes nothing that it is given"
    assert new["resources"]["secret_env"] == {"LABEL_STUDIO_API_KEY": {"name": "studio-key"}}
    assert "secret" not in json.dumps(new.get("labeling", {}))
    assert migrated(new, 0, SETTINGS) == new, "and nothing the second time"


def test_settings_that_nothing_moves_stay_as_they_are(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    assert migrated(settings, 0, SETTINGS) == settings


def test_rules_of_today_do_not_judge_a_frozen_campaign(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    settings["labeling"] |= {"source": "llm", "skipped": "return"}
    rewrite(campaign, config=settings)
    assert Campaign.open(campaign.store.uri).config.labeling.skipped == "return"


def test_what_looks_like_a_secret_in_a_file_does_not_keep_a_frozen_campaign_from_opening(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    settings["acquisition"]["of_another_package"] = {"stop_token": 2}  # frozen with that strategy's defaults
    rewrite(campaign, config=settings)
    opened = Campaign.open(campaign.store.uri)
    assert opened.config.acquisition.model_extra == {"of_another_package": {"stop_token": 2}}
    assert Campaign.create(campaign.store.uri, opened.config).config == opened.config


@pytest.mark.parametrize("version", ["1", -1, None, 1.5])
def test_a_version_that_is_none_is_damage(campaign, version):
    rewrite(campaign, schema_version=version)
    with pytest.raises(StoreError, match="changed or damaged"):
        read_frozen(campaign.store)


def newer_settings(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    settings["acquisition"]["telepathy"] = 0.5
    settings["oracle"] = {"of": "delphi"}
    rewrite(campaign, config=settings, schema_version=NEWER, code_version="0.3.0+abc")


def newer_manifest(campaign):
    marker = {"schema_version": NEWER, "code_version": "0.3.0+abc"}
    campaign.store.create(f"schema-{NEWER:04d}.json", json.dumps(marker).encode())


@pytest.mark.parametrize("write", [newer_settings, newer_manifest])
def test_what_a_newer_version_has_written_is_read_with_a_warning_and_never_written(campaign, write, caplog):
    write(campaign)
    before = contents(campaign)
    with pytest.raises(NewerCampaignError, match=r"ActiveLoRA 0.3.0\+abc has written .* nothing was written") as told:
        Campaign.open(campaign.store.uri)
    assert "Upgrade ActiveLoRA, in a cluster its image" in str(told.value)
    opened = activelora.open_campaign(campaign.store.uri, to_read=True)
    assert opened.config.name == campaign.config.name
    assert "What is shown may lack what is new" in caplog.text
    if write is newer_settings:
        for text in (str(told.value), caplog.text):
            assert "acquisition.telepathy, oracle" in text
    assert contents(campaign) == before


def test_only_records_of_schemas_say_that_a_newer_version_has_written(campaign):
    campaign.store.create("schema-notes.txt", b"mine")
    campaign.store.create("schema-0000.json", b"{}")
    assert Campaign.open(campaign.store.uri).schema_version == SCHEMA_VERSION
    campaign.store.create(f"schema-{NEWER:04d}.json", b"{")
    with pytest.raises(NewerCampaignError, match=f"of an unknown version has written in this .* [(]schema {NEWER};"):
        Campaign.open(campaign.store.uri)


def test_commands_that_read_work_on_a_newer_campaign_and_others_refuse(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(__file__).parent / "older" / "files-1130-2125", "begun")
    campaign = Campaign.open("begun")
    newer_settings(campaign)
    campaign.store.write("report.html", b"the newer version's")
    before = contents(campaign)
    for command, said in (
        (["status", "begun", "--json"], '"status": "waiting"'),
        (["forecast", "begun"], ""),
        (["report", "begun"], "begun/report.html"),
        (["labels", "blame", "begun"], "ann"),
        (["labels", "export", "begun", "--out", str(tmp_path / "labels.csv")], ""),
    ):
        assert main(command) == 0, command
        shown = capsys.readouterr()
        assert said in shown.out
        assert "acquisition.telepathy, oracle" in shown.err
        assert contents(campaign) == before
    for command in (
        ["tick", "begun"],
        ["stop", "begun", "--reason", "enough"],
        ["delete-item", "begun", "x", "--reason", "y"],
    ):
        assert main(command) == 1
        shown = capsys.readouterr()
        assert "nothing was written" in shown.err
        assert contents(campaign) == before


def test_a_manifest_of_a_newer_version_is_read_as_far_as_it_is_known(campaign):
    campaign.attempt(Unit("ingest_pool")).commit({"num_items": 3})
    document = json.loads(campaign.store.read("pool/manifest.json")) | {"schema_version": NEWER, "colour": "red"}
    assert read_manifest(json.dumps(document).encode(), where="x").metrics == {"num_items": 3}
    del document["files"]
    with pytest.raises(NewerCampaignError, match=f"is a manifest of schema {NEWER}"):
        read_manifest(json.dumps(document).encode(), where="x")
    with pytest.raises(StoreError, match="is not a manifest"):
        read_manifest(json.dumps(document | {"schema_version": 1}).encode(), where="x")


def test_the_digest_of_results_does_not_know_the_version(campaign):
    manifest = campaign.attempt(Unit("ingest_pool")).commit()
    assert manifest.digest == manifest.model_copy(update={"schema_version": 0, "code_version": "0.1.0"}).digest


def test_an_older_campaign_goes_on_as_it_was_and_its_file_may_leave_out_what_is_new(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["labeling"]["show_reasons"], settings["acquisition"]["typiclust"]
    del settings["task"]["special_tokens_in_text"]
    rewrite(campaign, config=settings, schema_version=0)
    opened = Campaign.create(campaign.store.uri, campaign.config)
    assert opened.config.labeling.show_reasons
    assert not campaign.config.labeling.show_reasons
    assert opened.config.task.special_tokens_in_text == "special"
    assert campaign.config.task.special_tokens_in_text == "text"
    assert opened.config.acquisition.typiclust.sample > campaign.config.acquisition.typiclust.sample
    assert opened.schema_version == 0
    other = campaign.config.model_copy(update={"seed": 5})
    with pytest.raises(ConfigError, match="with other settings is there already"):
        Campaign.create(campaign.store.uri, other)


def test_an_older_campaign_that_a_newer_version_went_on_with_is_read_as_it_was(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["labeling"]["show_reasons"]
    rewrite(campaign, config=settings, schema_version=0)
    newer_manifest(campaign)
    opened = Campaign.open(campaign.store.uri, to_read=True)
    assert opened.schema_version == NEWER
    assert opened.config == read_frozen(campaign.store).parsed()
    assert opened.config.labeling.show_reasons


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("kind", "read"), [("classification", "zero_based"), ("multi_label", None)])
def test_numbers_go_on_to_mean_what_they_meant_when_a_campaign_began(campaign, version, kind, read):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["data"]["label_numbers"]
    settings["task"]["kind"] = kind
    rewrite(campaign, config=settings, schema_version=version)
    assert Campaign.open(campaign.store.uri).config.data.label_numbers == read
    assert campaign.config.data.label_numbers is None


def test_a_file_that_says_nothing_of_numbers_goes_on_with_an_older_campaign_that_reads_them(campaign):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["data"]["label_numbers"]
    rewrite(campaign, config=settings, schema_version=1)
    assert Campaign.create(campaign.store.uri, campaign.config).config.data.label_numbers == "zero_based"
    data = campaign.config.data.model_copy(update={"label_numbers": "one_based"})
    with pytest.raises(ConfigError, match="with other settings is there already"):
        Campaign.create(campaign.store.uri, campaign.config.model_copy(update={"data": data}))


def keys_of(model, prefix=""):
    """Return the dotted names of all settings of a section."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                yield from keys_of(kind, f"{prefix}{name}.")


def test_settings_change_with_the_schema_version():
    """A setting that comes, goes or is renamed after a release needs a new SCHEMA_VERSION and a migration."""
    pinned = json.loads((Path(__file__).parent / "settings.json").read_text())
    assert pinned == {"schema_version": SCHEMA_VERSION, "settings": sorted(set(keys_of(CampaignConfig)))}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_older_campaign_keeps_its_whole_calibration_split_for_the_temperature(campaign, version):
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["evaluation"]["conformal"], settings["evaluation"]["abstention"]
    del settings["evaluation"]["gates"]["improve_on_base"]
    rewrite(campaign, config=settings, schema_version=version)
    opened = Campaign.create(campaign.store.uri, campaign.config).config.evaluation
    assert (opened.conformal.method, opened.abstention.max_risk) == ("none", None)
    assert not opened.gates.improve_on_base, "its champions are those that it had"
    today = campaign.config.evaluation
    assert today.gates.improve_on_base
    assert (today.conformal.method, today.abstention.max_risk) == ("lac", 0.05)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_older_campaign_keeps_its_embeddings(campaign, version):
    """One round's embeddings are compared with another's, and distances with what was picked by them."""
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    del settings["scoring"]["embedding"]
    rewrite(campaign, config=settings, schema_version=version)
    assert Campaign.create(campaign.store.uri, campaign.config).config.scoring.embedding == "prompt"
    assert campaign.config.scoring.embedding == "after_item"


@pytest.mark.parametrize(("method", "samples"), [("laplace", 32), ("blob", 10), ("c_lora", 10), ("tfb", 10)])
def test_an_older_campaign_is_evaluated_without_samples_as_it_was_and_its_file_need_not_say_so(
    tmp_path, make_config, method, samples
):
    config = make_config(adapter={"method": method, "constraint": {"form": "none"}})
    assert config.evaluation.num_samples == samples
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    settings = json.loads(campaign.store.read("campaign.json"))["config"]
    settings["evaluation"]["num_samples"] = 0
    rewrite(campaign, config=settings, schema_version=2)
    assert Campaign.create(campaign.store.uri, config).config.evaluation.num_samples == 0
    rewrite(campaign, config=settings, schema_version=3)
    with pytest.raises(ConfigError, match="with other settings is there already"):
        Campaign.create(campaign.store.uri, config)
