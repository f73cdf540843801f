"""A label's share of the pool from random draws: without bias while a strategy hunts for it, by simulation."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from activelora.campaign.held_out import DRAW_SCHEMA, DRAWS
from activelora.campaign.manifest import Unit
from activelora.campaign.records import LABEL_SCHEMA, SELECTION_SCHEMA
from activelora.evaluation.prevalence import Draws, Prevalence, estimate, prevalence_document, prevalence_of
from activelora.intervals import exact_interval
from activelora.kinds.registry import make_task
from activelora.pool.access import shard_items
from tests.labeling.conftest import make_campaign


@pytest.mark.parametrize(("count", "num"), [(0, 5), (5, 5), (1, 30), (7, 200), (100, 101), (950, 1000)])
def test_the_exact_interval_is_scipys(count, num):
    expected = binomtest(count, num).proportion_ci(0.9, method="exact")
    assert exact_interval(count, num, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_counts_that_cannot_be_are_refused():
    for count, num in [(-1, 3), (4, 3), (0, 0)]:
        with pytest.raises(ValueError, match="is no share"):
            exact_interval(count, num, 0.95)


def hunted(rng, size, positives, num_rounds=6, num_drawn=10, num_picked=30):
    """Rounds of a campaign whose strategy finds positives far too often, and random draws beside."""
    is_positive = rng.permutation(size) < positives
    liking = is_positive + rng.normal(0, 0.7, size)
    is_known, rounds = np.zeros(size, dtype=bool), []
    for round_ in range(num_rounds):
        free = np.flatnonzero(~is_known)
        drawn = rng.choice(free, num_drawn * (3 if round_ == 0 else 1), replace=False)
        known = (int(is_known.sum()), int(is_positive[is_known].sum()))
        rounds.append(Draws(*known, len(free), len(drawn), int(is_positive[drawn].sum())))
        is_known[drawn] = True
        if round_:
            rest = np.setdiff1d(free, drawn)
            is_known[rest[np.argsort(-liking[rest])][:num_picked]] = True
    return rounds, is_known, is_positive


@pytest.mark.parametrize(("size", "positives"), [(600, 12), (600, 60), (400, 200)])
def test_the_estimate_has_no_bias_and_its_interval_covers(size, positives):
    rng, true = np.random.default_rng(positives), positives / size
    found, labelled = [], []
    for _ in range(600):
        rounds, is_known, is_positive = hunted(rng, size, positives)
        found.append(estimate(rounds, 0.95))
        labelled.append(is_positive[is_known].mean())
    shares = np.array([one.share for one in found])
    assert abs(shares.mean() - true) < 3.5 * shares.std() / np.sqrt(len(shares))
    assert np.mean(labelled) > 1.3 * true, "what was labelled does not stand for the pool"
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert covered > 0.945
    if positives == 200:
        assert covered < 0.995, "the interval is no wider than it must be"


def test_it_is_what_horvitz_and_thompson_say_round_by_round():
    rounds, _, _ = hunted(np.random.default_rng(1), 300, 30)
    size, totals, weights = 300, [], []
    for one in rounds:
        probability = one.num / one.num_candidates
        totals.append(one.known_positive / 1.0 + one.num_positive / probability)
        weights.append(probability)
    assert estimate(rounds, 0.95).share == pytest.approx(np.average(totals, weights=weights) / size)


def test_one_draw_of_a_whole_pool_is_the_plain_share_with_its_exact_interval():
    found = estimate([Draws(0, 0, 1000, 50, 3)], 0.95)
    expected = binomtest(3, 50).proportion_ci(0.95, method="exact")
    assert found == Prevalence(0.06, pytest.approx(expected.low), pytest.approx(expected.high), 50, 3)


def test_what_is_known_bounds_the_interval():
    found = estimate([Draws(0, 0, 20, 2, 0), Draws(10, 6, 10, 8, 1)], 0.95)
    assert (found.low, found.high) == (pytest.approx(7 / 20), pytest.approx(9 / 20))


def write_round(campaign, round_, strategy, drawn, picked):
    """Label the next items of the pool, those drawn at random first."""
    items = [item for shard in range(3) for item in shard_items(campaign, shard)]
    first = sum(int(campaign.require(Unit("select_batch", past)).metrics["num_selected"]) for past in range(round_))
    ids = [item.item_id for item in items[first : first + len(drawn) + len(picked)]]
    attempt = campaign.attempt(Unit("select_batch", round_))
    rows = [{"item_id": one, "position": place, "score": None, "reason": "x"} for place, one in enumerate(ids)]
    attempt.write_table("selection.parquet", pa.Table.from_pylist(rows, schema=SELECTION_SCHEMA))
    if strategy != "random":
        own = {"refresh": 0, "inclusion_probability": 0.1, "num_candidates": 1}
        draws = [{"item_id": one, **own} for one in ids[: len(drawn)]]
        attempt.write_table(DRAWS, pa.Table.from_pylist(draws, schema=DRAW_SCHEMA))
    details = {"strategy": strategy}
    attempt.commit({"num_selected": len(ids), "num_candidates": len(items) - first}, details)
    vote = {"annotator": "a", "source": "s", "labeled_at": "2026-01-01T00:00:00+00:00", "round": round_}
    labels = [
        {"item_id": one, "label": label, **vote}
        for one, label in zip(ids, [*drawn, *picked], strict=True)
        if label is not None
    ]
    attempt = campaign.attempt(Unit("await_labels", round_))
    attempt.write_table("labels.parquet", pa.Table.from_pylist(labels, schema=LABEL_SCHEMA))
    attempt.commit({"num_labeled": len(labels)})


def test_a_campaign_counts_its_random_seed_set_and_its_exploration(tmp_path):
    campaign = make_campaign(tmp_path, acquisition={"strategy": "entropy", "batch_size": 5, "exploration": 0.4})
    names = make_task(campaign.config.task).label_names
    assert prevalence_document(campaign, names) == {"labels": {}, "sentences": []}
    size = sum(len(shard_items(campaign, shard)) for shard in range(3))
    write_round(campaign, 0, "random", [0, 0, 1, 0, 0], [])
    write_round(campaign, 1, "entropy", [0, None], [1, 1, 1])
    write_round(campaign, 2, "entropy", [1, 0], [1, 0, 1])
    rounds = [Draws(0, 0, size, 5, 1), Draws(5, 1, size - 5, 1, 0), Draws(9, 4, size - 10, 2, 1)]
    found = prevalence_of(campaign, names)[names[1]]
    assert prevalence_of(campaign, ()) == {}
    assert found == estimate(rounds, 0.95)
    assert (found.num_drawn, found.num_positive) == (8, 2)
    (said,) = prevalence_document(campaign, names)["sentences"]
    assert said.startswith("Labels' shares of the pool, by 8 random draws (95% intervals): ")
    assert f"{names[1]} {100 * found.share:.1f} % ({100 * found.low:.1f} % to {100 * found.high:.1f} %)" in said
