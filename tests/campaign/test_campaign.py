import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from activelora.campaign.campaign import Campaign, stop_campaign, stop_reason
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.manifest import Unit
from activelora.campaign.records import GOLD_SCHEMA
from activelora.errors import ConfigError, StoreError
from tests.campaign.faulty_proxy import running_proxy
from tests.counting_store import counted_calls

TRAIN = Unit("train_adapter", 1)


@pytest.fixture
def campaign(store_uri, make_config):
    return Campaign.create(store_uri, make_config())


@pytest.fixture
def local_campaign(tmp_path, make_config):
    return Campaign.create(str(tmp_path / "campaign"), make_config())


def test_a_campaign_is_opened_as_it_was_created(campaign):
    assert Campaign.open(campaign.store.uri).config == campaign.config
    assert Campaign.create(campaign.store.uri, campaign.config).config == campaign.config


def test_a_campaign_that_is_there_is_read_once(local_campaign):
    uri = local_campaign.store.uri
    with counted_calls() as calls:
        again = Campaign.create(uri, local_campaign.config)
    assert again.config == local_campaign.config
    assert calls.counts("read") == {f"{uri}/{CAMPAIGN_KEY}": 1}
    assert calls.counts("create") == {f"{uri}/{CAMPAIGN_KEY}": 1}
    with counted_calls() as calls:
        Campaign.open(uri)
    assert calls.counts("read") == {f"{uri}/{CAMPAIGN_KEY}": 1}


def test_settings_are_frozen(local_campaign, make_config):
    changed = make_config(seed=1, acquisition={"batch_size": 10, "exploration": 0.1}, model={"base": "other"})
    with pytest.raises(ConfigError) as caught:
        Campaign.create(local_campaign.store.uri, changed)
    text = str(caught.value)
    assert "acquisition.batch_size: 25 there, 10 asked" in text
    assert "and 1 more" in text
    assert "--campaign" in text
    assert Campaign.open(local_campaign.store.uri).config.seed == 0


def test_settings_that_cannot_change_a_result_may_change(local_campaign, make_config):
    store = local_campaign.store
    before = store.read(CAMPAIGN_KEY)
    changed = make_config(
        resources={"train": {"memory": "64Gi"}}, tracking={"enabled": False}, labeling={"wait_minutes": 3}
    )
    assert Campaign.create(store.uri, changed).config == changed
    assert store.read(CAMPAIGN_KEY) == before
    assert Campaign.open(store.uri).config == local_campaign.config


def test_one_of_many_creates_it_and_all_open_it(store_uri, make_config):
    with ThreadPoolExecutor(8) as pool:
        campaigns = list(pool.map(lambda _: Campaign.create(store_uri, make_config()), range(8)))
    assert {campaign.config.seed for campaign in campaigns} == {0}


def test_there_is_no_campaign(tmp_path):
    with pytest.raises(StoreError, match=r"there is no campaign here\. `activelora run FILE` creates one"):
        Campaign.open(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"[]",
        lambda content: b"{}",
        lambda content: b"\xff" + content,
        lambda content: content.replace(b'"batch_size": 25', b'"batch_size": 26'),
    ],
)
def test_a_changed_configuration_is_found(local_campaign, damage):
    store = local_campaign.store
    store.write(CAMPAIGN_KEY, damage(store.read(CAMPAIGN_KEY)))
    with pytest.raises(StoreError, match=r"campaign.json: the frozen configuration was changed or damaged"):
        Campaign.open(store.uri)


def test_a_store_that_overwrites_is_refused(make_config, s3_server, s3_uri, monkeypatch):
    """Some S3 servers ignore If-None-Match, and answer every put with success."""
    with running_proxy(s3_server.endpoint) as proxy:
        proxy.plan = ["200 OK", "200 OK"]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        with pytest.raises(StoreError, match="Use a server that honours If-None-Match"):
            Campaign.create(s3_uri, make_config())
        with pytest.raises(StoreError, match="there is no campaign here"):
            Campaign.open(s3_uri)


def test_an_attempt_counts_once_committed(campaign, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights.bin").write_bytes(b"weights")
    attempt = campaign.attempt(TRAIN)
    attempt.write_json("loss.json", [1.0, 0.5])
    attempt.write_table("gold.parquet", GOLD_SCHEMA.empty_table())
    attempt.upload_folder("adapter", tmp_path / "adapter")
    assert campaign.manifest(TRAIN) is None
    manifest = attempt.commit(metrics={"final_loss": np.float64(0.5)}, details={"device": "cpu"})
    assert campaign.manifest(TRAIN) == manifest
    assert Campaign.open(campaign.store.uri).require(TRAIN) == manifest
    assert sorted(manifest.files) == ["adapter/weights.bin", "gold.parquet", "loss.json"]
    assert manifest.files["adapter/weights.bin"].num_bytes == 7
    assert campaign.read_json(manifest, "loss.json") == [1.0, 0.5]
    assert campaign.read_table(manifest, "gold.parquet").num_rows == 0
    folder = campaign.download_folder(manifest, "adapter", tmp_path / "there")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"weights.bin": b"weights"}


def test_the_loser_gets_the_winners_manifest_and_leaves_nothing(campaign, caplog):
    winner, loser = campaign.attempt(TRAIN), campaign.attempt(TRAIN)
    winner.write("a", b"winner")
    loser.write("a", b"loser")
    loser.write("b", b"loser")
    manifest = winner.commit()
    with caplog.at_level(logging.INFO):
        assert loser.commit(metrics={"x": 1.0}) == manifest
    assert "already done by another attempt" in caplog.text
    assert campaign.read_file(manifest, "a") == b"winner"
    keys = list(campaign.store.list("rounds/"))
    assert keys == sorted([TRAIN.manifest_key, manifest.files["a"].key])


def test_one_of_many_attempts_counts(campaign):
    def attempt(number):
        one = campaign.attempt(TRAIN)
        one.write("a", str(number).encode())
        return one.commit()

    with ThreadPoolExecutor(8) as pool:
        manifests = list(pool.map(attempt, range(8)))
    assert len({manifest.attempt for manifest in manifests}) == 1
    assert len(list(campaign.store.list("rounds/"))) == 2


def test_committing_twice_keeps_the_files(campaign):
    attempt = campaign.attempt(TRAIN)
    attempt.write("a", b"1")
    manifest = attempt.commit()
    assert attempt.commit() == manifest
    assert campaign.read_file(manifest, "a") == b"1"


def test_equal_results_have_equal_digests(tmp_path, make_config):
    digests = set()
    for name in ("one", "other"):
        campaign = Campaign.create(str(tmp_path / name), make_config())
        first = campaign.attempt(Unit("ingest_pool"))
        first.write("pool", b"items")
        second = campaign.attempt(TRAIN)
        second.reads(first.commit(metrics={"seconds": float(len(digests))}))
        second.write("adapter", b"weights")
        digests.add(second.commit().digest)
    assert len(digests) == 1


def test_what_was_read_is_pinned(local_campaign):
    first = local_campaign.attempt(Unit("ingest_pool")).commit()
    second = local_campaign.attempt(TRAIN)
    assert second.reads(first) is first
    assert second.commit().inputs == {"ingest_pool": first.digest}


def test_damaged_files_are_found(campaign):
    attempt = campaign.attempt(TRAIN)
    attempt.write("a", b"right")
    manifest = attempt.commit()
    campaign.store.write(manifest.files["a"].key, b"wrong")
    with pytest.raises(StoreError, match="the file's content is not what its manifest says"):
        campaign.read_file(manifest, "a")
    campaign.store.delete(manifest.files["a"].key)
    with pytest.raises(StoreError, match="a file of a finished step is missing"):
        campaign.read_file(manifest, "a")
    with pytest.raises(StoreError, match="train_adapter round 1 has no file `b`"):
        campaign.read_file(manifest, "b")


def test_damaged_manifests_are_found(local_campaign):
    local_campaign.store.write(TRAIN.manifest_key, b"{}")
    with pytest.raises(StoreError, match=r"train_adapter/manifest.json: is not a manifest"):
        local_campaign.manifest(TRAIN)


def test_what_is_not_done_is_named(local_campaign):
    with pytest.raises(StoreError, match=r"train_adapter round 1 is not done yet\. Run the steps before it"):
        local_campaign.require(TRAIN)


def test_downloads_stay_in_their_folder(local_campaign, tmp_path):
    attempt = local_campaign.attempt(TRAIN)
    attempt.write("adapter/fine", b"1")
    manifest = attempt.commit()
    climbing = manifest.model_copy(update={"files": {"adapter/../../x": manifest.files["adapter/fine"]}})
    with pytest.raises(StoreError, match="is not a key inside"):
        local_campaign.download_folder(climbing, "adapter", tmp_path / "target" / "deep")
    assert not (tmp_path / "target" / "x").exists()


def test_the_first_reason_to_stop_stays(campaign):
    assert stop_reason(campaign) is None
    stop_campaign(campaign, "the budget is spent")
    stop_campaign(campaign, "something else")
    assert stop_reason(campaign) == "the budget is spent"


def test_draws_are_named(local_campaign):
    assert local_campaign.seed("a", 1) == local_campaign.seed("a", 1)
    assert local_campaign.seed("a", 1) != local_campaign.seed("a", 2)


def test_nothing_secret_is_stored(campaign):
    document = json.loads(campaign.store.read(CAMPAIGN_KEY))
    assert sorted(document) == ["code_version", "config", "created_at", "digest", "schema_version"]
