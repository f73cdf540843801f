"""select_batch: the strategy's choice, whatever the sharding, without what is labelled or passed over."""

import numpy as np
import pyarrow as pa
import pytest

from activelora.acquisition.pool import scored_pool
from activelora.acquisition.registry import STRATEGIES
from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA, table_bytes, table_from
from activelora.config import AcquisitionConfig
from activelora.errors import ConfigError, ModelError, StoreError
from activelora.pool.access import shard_items
from activelora.scoring.table import score_table, unscored_table
from activelora.uncertainty.measures import MEASURES
from components.select_batch import step
from tests.acquisition.conftest import drawn_embeddings, drawn_log_probs
from tests.labeling.conftest import make_campaign


def pool_ids(campaign):
    num_shards = campaign.require(Unit("ingest_pool")).details["num_shards"]
    return [[item.item_id for item in shard_items(campaign, shard)] for shard in range(num_shards)]


def score(campaign, round_, log_probs_of, without=()):
    """Write score_pool's shards from given samples: item id → log_probs_KC."""
    for shard, ids in enumerate(pool_ids(campaign)):
        ids = [item_id for item_id in ids if item_id not in without]
        attempt = campaign.attempt(Unit("score_pool", round_, shard))
        log_probs_NKC = np.array([log_probs_of[item_id] for item_id in ids]).reshape(len(ids), 4, 3)
        embeddings_ND = log_probs_NKC.mean(axis=1).astype(np.float32)
        table = score_table(
            ids,
            log_probs_NKC,
            with_samples=True,
            embeddings_ND=embeddings_ND,
            gradient_lengths_N=log_probs_NKC.min(axis=(1, 2)),
        )
        attempt.write_table("scores.parquet", table)
        attempt.commit()


def label(campaign, round_, labels, states):
    """Write await_labels' manifest as it would be."""
    attempt = campaign.attempt(Unit("await_labels", round_))
    vote = {"annotator": "ann", "source": "files", "labeled_at": "2026-01-01T00:00:00+00:00", "round": round_}
    rows = [{"item_id": item_id, "label": index, **vote} for item_id, index in labels.items()]
    attempt.write_table("labels.parquet", pa.Table.from_pylist(rows, schema=LABEL_SCHEMA))
    attempt.write_json("states.json", states)
    attempt.commit({"num_labeled": len(labels)})


def samples(campaign, seed):
    """Samples that belong to the item, not to its place."""
    ids = sorted(item_id for shard in pool_ids(campaign) for item_id in shard)
    return dict(zip(ids, drawn_log_probs(seed, len(ids), 4, 3), strict=True))


def rows_of(campaign, manifest):
    return campaign.read_table(manifest, "selection.parquet").to_pylist()


def scored_campaign(folder, strategy, shard_rows=7, **acquisition):
    campaign = make_campaign(
        folder,
        data={
            "folder": str(folder),
            "pool": {"path": "pool.jsonl"},
            "holdout": {"path": "holdout.jsonl"},
            "shard_rows": shard_rows,
        },
        acquisition={"strategy": strategy, "initial": "strategy", "batch_size": 5, **acquisition},
    )
    score(campaign, 0, samples(campaign, 0))
    return campaign


def test_selection_metrics_and_details(tmp_path):
    campaign = scored_campaign(tmp_path, "star", exploration=0.2)
    manifest = step.run(campaign, 0)
    rows = rows_of(campaign, manifest)
    assert [row["position"] for row in rows] == [0, 1, 2, 3, 4]
    assert sum(row["score"] is None for row in rows) == 1
    assert all(row["reason"] for row in rows)
    assert (manifest.metrics["num_selected"], manifest.metrics["num_candidates"]) == (5, 20)
    version = campaign.require(Unit("score_pool", 0, 0)).code_version
    assert manifest.details == {
        "strategy": "star",
        "lambda": 1.0,
        "num_exploration": 1,
        "scored": {"seconds": 0.0, "code_versions": [version]},
        "shards": [next(n for n, ids in enumerate(pool_ids(campaign)) if row["item_id"] in ids) for row in rows],
    }
    assert set(manifest.inputs) == {"ingest_pool", *(f"score_pool round 0 shard {n}" for n in range(3))}
    predictions = campaign.read_table(manifest, "predictions.parquet").to_pylist()
    assert [row["item_id"] for row in predictions] == [row["item_id"] for row in rows]
    assert [row["explored"] for row in predictions] == [row["score"] is None for row in rows]
    pool = scored_pool(
        [campaign.read_table(campaign.require(Unit("score_pool", 0, shard)), "scores.parquet") for shard in range(3)]
    )
    probs = dict(zip(pool.item_ids, pool.mean_probs_NC.tolist(), strict=True))
    assert all(row["probs"] == probs[row["item_id"]] for row in predictions)
    assert "the model hesitates between " in next(row["reason"] for row in rows if row["score"] is not None)


@pytest.mark.parametrize("initial", ["random", "typiclust", "zero_shot"])
def test_all_strategies_begin_with_the_same_seed_set(tmp_path, initial):
    batches = []
    for strategy in ("star", "entropy", "badge", "random"):
        campaign = scored_campaign(tmp_path / strategy, strategy, initial=initial, per_class_floor=0)
        manifest = step.run(campaign, 0)
        batches.append(rows_of(campaign, manifest))
        assert ("predictions.parquet" in manifest.files) == (initial != "random")
        assert manifest.details["strategy"] == {"zero_shot": "uncertainty"}.get(initial, initial)
        assert "lambda" not in manifest.details or manifest.details["lambda"] is None
    assert len(batches[0]) == 5
    assert all(batch == batches[0] for batch in batches)


def test_a_finished_selection_is_returned_as_it_is(tmp_path):
    campaign = scored_campaign(tmp_path, "entropy")
    assert step.run(campaign, 0) == step.run(campaign, 0)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_any_sharding_selects_the_same_byte_for_byte(tmp_path, strategy):
    files = set()
    for shard_rows in (20, 7, 1):
        campaign = scored_campaign(tmp_path / str(shard_rows), strategy, shard_rows, exploration=0.4)
        files.add(step.run(campaign, 0).files["selection.parquet"].sha256)
    assert len(files) == 1


def test_another_seed_draws_another_batch(tmp_path):
    digests = set()
    for seed in (0, 1):
        campaign = make_campaign(tmp_path / str(seed), seed=seed)
        score(campaign, 0, samples(campaign, 0))
        digests.add(step.run(campaign, 0).files["selection.parquet"].sha256)
    assert len(digests) == 2


def test_later_rounds_leave_out_what_is_labelled_or_passed_over(tmp_path):
    campaign = scored_campaign(tmp_path, "entropy")
    first = [row["item_id"] for row in rows_of(campaign, step.run(campaign, 0))]
    states = dict(zip(first, ["labeled", "labeled", "labeled", "skipped", "waiting"], strict=True))
    label(campaign, 0, dict.fromkeys(first[:3], 1), states)
    score(campaign, 1, samples(campaign, 0), without=first[:3])  # the same scores: the rest of the top comes first
    manifest = step.run(campaign, 1)
    second = [row["item_id"] for row in rows_of(campaign, manifest)]
    assert second[0] == first[4]
    assert not set(second) & set(first[:4])
    assert manifest.metrics["num_candidates"] == 16


def test_star_mixes_the_scores_of_round_zero(tmp_path):
    campaign = scored_campaign(tmp_path, "star")
    step.run(campaign, 0)
    label(campaign, 0, {}, {})
    score(campaign, 1, samples(campaign, 1))
    manifest = step.run(campaign, 1)
    assert manifest.details["lambda"] == pytest.approx(0.8)
    tables = [
        [
            campaign.read_table(campaign.require(Unit("score_pool", round_, shard)), "scores.parquet")
            for shard in range(3)
        ]
        for round_ in (0, 1)
    ]
    base, tuned = (pa.concat_tables(one).to_pandas().set_index("item_id").predictive_entropy for one in tables)
    mixed = 0.8 * (base - base.min()) / (base.max() - base.min())
    mixed += 0.2 * (tuned - tuned.min()) / (tuned.max() - tuned.min())
    best = mixed.sort_values(ascending=False)[:5]
    rows = rows_of(campaign, manifest)
    assert [row["item_id"] for row in rows] == list(best.index)
    np.testing.assert_allclose([row["score"] for row in rows], best.to_numpy())


def test_the_last_batch_is_what_the_budget_leaves(tmp_path):
    campaign = make_campaign(tmp_path, stopping={"label_budget": 7})
    for round_, expected in ((0, 5), (1, 2)):
        score(campaign, round_, samples(campaign, 0))
        assert step.run(campaign, round_).metrics["num_selected"] == expected
        label(campaign, round_, {}, {})


def test_nothing_left_gives_an_empty_selection(tmp_path):
    campaign = make_campaign(tmp_path, num_items=3)
    score(campaign, 0, samples(campaign, 0))
    assert step.run(campaign, 0).metrics["num_selected"] == 3
    ids = [item_id for shard in pool_ids(campaign) for item_id in shard]
    label(campaign, 0, dict.fromkeys(ids, 0), dict.fromkeys(ids, "labeled"))
    score(campaign, 1, samples(campaign, 0), without=ids)
    manifest = step.run(campaign, 1)
    assert manifest.metrics["num_selected"] == 0
    assert rows_of(campaign, manifest) == []


def test_nan_is_refused_and_nothing_is_committed(tmp_path):
    campaign = make_campaign(tmp_path, acquisition={"strategy": "entropy", "initial": "strategy"})
    for shard, ids in enumerate(pool_ids(campaign)):
        attempt = campaign.attempt(Unit("score_pool", 0, shard))
        table = score_table(ids, drawn_log_probs(shard, len(ids), 4, 3))
        values = table["predictive_entropy"].to_numpy().copy()
        values[0] = np.nan
        column = table.column_names.index("predictive_entropy")
        attempt.write_table("scores.parquet", table.set_column(column, "predictive_entropy", pa.array(values)))
        attempt.commit()
    with pytest.raises(ModelError, match="`predictive_entropy` under the current model is nan for 3 of 20"):
        step.run(campaign, 0)
    assert campaign.manifest(Unit("select_batch", 0)) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "entropi"}, "Did you mean `entropy`"),
        ({"measure": "margins"}, "acquisition.measure: .*Did you mean `margin`"),
        ({"strategy": "density_weighted", "measure": "margins"}, "Did you mean `margin`"),
        (
            {"strategy": "hybrid", "hybrid": {"prefilter": "margins"}},
            "acquisition.hybrid.prefilter: .*Did you mean `margin`",
        ),
        ({"strategy": "hybrid", "hybrid": {"then": "badger"}}, "acquisition.hybrid.then: .*Did you mean `badge`"),
        ({"strategy": "hybrid", "hybrid": {"then": "hybrid"}}, "acquisition.hybrid.then: `hybrid` cannot come after"),
        ({"strategy": "hybrid", "hybrid": {"then": "star"}, "measure": "bold"}, "Did you mean `bald`"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_read(tmp_path, settings, message):
    """Where a package is another version than the one that the file was checked with."""
    made = make_campaign(tmp_path)
    config = made.config.model_copy(update={"acquisition": AcquisitionConfig.model_validate(settings)})
    campaign = Campaign(made.store, config)
    with pytest.raises(ConfigError, match=message):
        step.run(campaign, 0)


def test_the_step_before_must_be_done(campaign_without_scores):
    with pytest.raises(StoreError, match="score_pool round 0 shard 0 is not done yet"):
        step.run(campaign_without_scores, 0)


@pytest.fixture
def campaign_without_scores(tmp_path):
    return make_campaign(tmp_path)


class TestScoredPool:
    """From shards to one pool."""

    def tables(self):
        log_probs_NKC = drawn_log_probs(0, 6, 4, 3)
        ids = [f"id{index}" for index in range(6)]
        narrow = drawn_log_probs(1, 2, 4, 2)
        return [score_table(ids[4:], log_probs_NKC[4:]), score_table(ids[:4], log_probs_NKC[:4])], narrow

    def test_shards_of_other_widths_are_padded_with_zeros(self):
        tables, narrow = self.tables()
        pool = scored_pool([score_table(["a", "b"], narrow), *tables])
        assert pool.item_ids == ("a", "b", "id0", "id1", "id2", "id3", "id4", "id5")
        assert pool.mean_probs_NC.shape == (8, 3)
        np.testing.assert_array_equal(pool.mean_probs_NC[:2, 2], 0)
        np.testing.assert_allclose(pool.mean_probs_NC.sum(axis=1), 1)

    def test_each_item_keeps_its_own_numbers(self):
        tables, _ = self.tables()
        pool = scored_pool(tables, tables[::-1], excluded={"id1"})
        joined = pa.concat_tables(tables).to_pandas().set_index("item_id")
        for index, item_id in enumerate(pool.item_ids):
            for name in pool.measures:
                assert pool.measures[name][index] == pool.base_measures[name][index] == joined.loc[item_id, name]
            np.testing.assert_array_equal(pool.mean_probs_NC[index], joined.loc[item_id, "mean_probs"])

    def test_samples_of_shards_of_other_widths_are_padded_with_impossible_answers(self):
        wide, narrow = drawn_log_probs(0, 3, 4, 3), drawn_log_probs(1, 2, 4, 2)
        tables = [
            score_table(["c", "d", "e"], wide, with_samples=True),
            score_table(["b", "a"], narrow, with_samples=True),
        ]
        pool = scored_pool([table_from(table_bytes(table)) for table in tables])
        assert pool.item_ids == ("a", "b", "c", "d", "e")
        assert np.isneginf(pool.log_probs_NKC[:2, :, 2]).all()
        np.testing.assert_array_equal(pool.log_probs_NKC[:2, :, :2], narrow[::-1])
        np.testing.assert_array_equal(pool.log_probs_NKC[2:], wide)
        assert pool.embeddings_ND is None

    def test_embeddings_of_labelled_items_are_kept_apart(self):
        log_probs_NKC, embeddings_ND = drawn_log_probs(0, 5, 4, 3), drawn_embeddings(1, 5)
        ids = ["c", "d", "e", "b", "a"]
        parts = [slice(0, 2), slice(2, 5)]
        tables = [
            score_table(ids[part], log_probs_NKC[part], embeddings_ND=embeddings_ND[part], labeled={"e", "b", "x"})
            for part in parts
        ]
        pool = scored_pool([*(table_from(table_bytes(table)) for table in tables), unscored_table([])], excluded={"d"})
        assert pool.item_ids == ("a", "c")
        assert pool.log_probs_NKC is None
        assert set(pool.measures) == set(MEASURES)
        np.testing.assert_array_equal(pool.embeddings_ND, embeddings_ND[[4, 0]])
        np.testing.assert_array_equal(pool.labeled_embeddings_LD, embeddings_ND[[3, 2]])
        np.testing.assert_array_equal(pool.labeled_probs_LC, np.exp(log_probs_NKC[[3, 2]]).mean(axis=1))
        assert pool.embeddings_ND.dtype == np.float32

    def test_an_item_twice_or_without_base_scores_is_refused(self):
        tables, _ = self.tables()
        with pytest.raises(StoreError, match="2 items were scored twice, first id4"):
            scored_pool([tables[0], *tables])
        with pytest.raises(StoreError, match="4 items have no base model scores from round 0, first id0"):
            scored_pool(tables, tables[:1])

    def test_no_items(self):
        assert scored_pool([]).item_ids == ()
        assert scored_pool([], []).item_ids == ()
