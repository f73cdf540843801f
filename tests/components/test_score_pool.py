"""score_pool with a real, tiny model: what the strategy needs is kept, and nothing else."""

import numpy as np
import pyarrow as pa
import pytest

from activelora.acquisition.pool import scored_pool
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA
from activelora.modeling.base import load_base
from activelora.modeling.encoding import Encoder
from activelora.pool.access import shard_items
from activelora.scoring.gradient_length import Gradients, round_adapter
from activelora.scoring.predict import Predictor
from activelora.uncertainty.gradient_length import head_lengths
from activelora.uncertainty.measures import MEASURES
from components.evaluate_adapter import step as evaluate_adapter
from components.score_pool import step
from components.select_batch import step as select_batch
from tests.components.test_evaluate_adapter import make_campaign, write_adapter, write_rows

ALWAYS = {"item_id", "mean_probs", *MEASURES}
LABELED = 4


@pytest.fixture
def campaign_of(tmp_path, tiny_model_path):
    """Return a maker of campaigns in round 1: four items have a label, and the adapter is trained."""

    def make(scoring=None, **acquisition):
        write_rows(tmp_path, 60, "classification")
        campaign = make_campaign(
            tmp_path,
            tiny_model_path,
            acquisition={"initial": "strategy", "batch_size": 5, **acquisition},
            scoring=scoring or {"num_samples": 3},
        )
        for round_ in (0, 1):
            if round_ == 1:
                label(campaign)
                write_adapter(campaign, 1, 3, tmp_path)
            evaluate_adapter.run(campaign, round_)
            step.run(campaign, round_, 0)
            select_batch.run(campaign, round_)
        return campaign

    return make


def label(campaign):
    vote = {"annotator": "ann", "source": "files", "labeled_at": "2026-01-01T00:00:00+00:00", "round": 0, "label": 0}
    rows = [{"item_id": item.item_id, **vote} for item in shard_items(campaign, 0)[:LABELED]]
    attempt = campaign.attempt(Unit("await_labels", 0))
    attempt.write_table("labels.parquet", pa.Table.from_pylist(rows, schema=LABEL_SCHEMA))
    attempt.write_json("states.json", {row["item_id"]: "labeled" for row in rows})
    attempt.commit({"num_labeled": len(rows)})


def scores_of(campaign, round_):
    manifest = campaign.require(Unit("score_pool", round_, 0))
    return campaign.read_table(manifest, "scores.parquet"), manifest.metrics


@pytest.mark.parametrize(
    ("acquisition", "more"),
    [
        ({"strategy": "entropy"}, set()),
        ({"strategy": "hybrid", "hybrid": {"then": "batch_bald"}}, {"log_probs"}),
        ({"strategy": "badge"}, {"embedding", "labeled"}),
        ({"strategy": "d_optimal"}, {"embedding", "labeled"}),
        ({"strategy": "expected_gradient_length"}, {"expected_gradient_length"}),
    ],
)
def test_only_what_is_needed_is_kept(campaign_of, acquisition, more):
    campaign = campaign_of(**acquisition)
    for round_ in (0, 1):
        table, metrics = scores_of(campaign, round_)
        assert set(table.column_names) == ALWAYS | more
        num_pool = len(shard_items(campaign, 0))
        assert metrics["num_scored"] == num_pool - LABELED * round_
        assert table.num_rows == num_pool - LABELED * round_ * ("embedding" not in more)
    assert select_batch.run(campaign, 1).metrics["num_selected"] == 5
    assert select_batch.run(campaign, 1).metrics["num_candidates"] == num_pool - LABELED


def test_samples_are_those_of_the_predictor(campaign_of):
    campaign = campaign_of(strategy="batch_bald")
    pool = scored_pool([scores_of(campaign, 1)[0]])
    items = sorted(shard_items(campaign, 0)[LABELED:], key=lambda item: item.item_id)
    with Predictor.load(campaign, 1) as predictor:
        expected_NKC = predictor.log_probs(items, 3)
    assert pool.item_ids == tuple(item.item_id for item in items)
    np.testing.assert_allclose(pool.log_probs_NKC, expected_NKC, atol=1e-5)
    np.testing.assert_allclose(MEASURES["bald"](pool.log_probs_NKC), pool.measures["bald"], atol=1e-12)


def test_labelled_items_have_embeddings_and_are_never_selected(campaign_of):
    campaign = campaign_of(strategy="core_set")
    items = shard_items(campaign, 0)
    pool = scored_pool([scores_of(campaign, 1)[0]])
    labeled = sorted(items[:LABELED], key=lambda item: item.item_id)
    free = sorted(items[LABELED:], key=lambda item: item.item_id)
    with Predictor.load(campaign, 1) as predictor:
        _, embeddings_ND = predictor.log_probs_and_embeddings([*free, *labeled], 3)
    np.testing.assert_allclose(pool.embeddings_ND, embeddings_ND[: len(free)], atol=1e-4)
    np.testing.assert_allclose(pool.labeled_embeddings_LD, embeddings_ND[len(free) :], atol=1e-4)
    selection = campaign.read_table(select_batch.run(campaign, 1), "selection.parquet").to_pylist()
    assert not {row["item_id"] for row in selection} & {item.item_id for item in labeled}
    assert "from the nearest labelled or picked item, pick 1" in selection[0]["reason"]


def test_labelled_items_have_distributions_too(campaign_of):
    campaign = campaign_of(strategy="cal")
    pool = scored_pool([scores_of(campaign, 1)[0]])
    labeled = sorted(shard_items(campaign, 0)[:LABELED], key=lambda item: item.item_id)
    with Predictor.load(campaign, 1) as predictor:
        expected_NC = np.exp(predictor.log_probs(labeled, 3)).mean(axis=1)
    np.testing.assert_allclose(pool.labeled_probs_LC, expected_NC, atol=1e-5)
    selection = campaign.read_table(select_batch.run(campaign, 1), "selection.parquet").to_pylist()
    assert "nats from the 4 nearest labelled items, rank 1 of" in selection[0]["reason"]


@pytest.mark.parametrize("gradient", ["head", "adapter"])
def test_gradient_lengths_are_those_of_the_rounds_adapter(campaign_of, gradient):
    """In round 0 of a fresh one, after that of the trained one; expected under the distribution that is kept."""
    campaign = campaign_of(
        strategy="hybrid",
        hybrid={"then": "expected_gradient_length"},
        expected_gradient_length={"gradient": gradient},
    )
    base = load_base(campaign.config.model)
    items = {item.item_id: item for item in shard_items(campaign, 0)}
    for round_ in (0, 1):
        table = scores_of(campaign, round_)[0].to_pylist()[:5]
        encoded = Encoder(base.tokenizer, campaign.config.task).encode([items[row["item_id"]] for row in table])
        with round_adapter(campaign, base, round_) as adapted:
            gradients = Gradients(base, adapted, 4096)
            probs_NC = np.array([row["mean_probs"] for row in table])
            if gradient == "head":
                lengths_NC = head_lengths(probs_NC, gradients.hidden_norms(encoded))
            else:
                lengths_NC = gradients.adapter_lengths(encoded)
        expected_N = (probs_NC * lengths_NC).sum(axis=1)
        np.testing.assert_allclose([row["expected_gradient_length"] for row in table], expected_N, rtol=1e-4)


def test_two_stages_sample_what_can_be_selected_and_tell_their_recall(campaign_of):
    campaign = campaign_of(strategy="entropy", scoring={"num_samples": 3, "two_stage": 0.2})
    _, base_metrics = scores_of(campaign, 0)
    assert "two_stage_recall" not in base_metrics, "the base model has one sample anyway"
    table, metrics = scores_of(campaign, 1)
    num_candidates = len(shard_items(campaign, 0)) - LABELED
    assert table.num_rows == num_candidates
    assert metrics["two_stage_sampled"] == np.ceil(0.2 * num_candidates)
    assert 0.0 <= metrics["two_stage_recall"] <= 1.0
    sampled = sum(value > 1e-12 for value in table["bald"].to_pylist())
    assert sampled <= metrics["two_stage_sampled"] + metrics["two_stage_audited"]
    assert select_batch.run(campaign, 1).metrics["num_selected"] == 5
