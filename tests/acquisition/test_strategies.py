"""What must hold for every registered strategy."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.acquisition.registry import STRATEGIES
from activelora.acquisition.strategy import ScoredPool
from activelora.acquisition.top import measure
from activelora.errors import ConfigError, ModelError
from activelora.seeding import item_draw
from activelora.uncertainty.measures import facts_of
from tests.acquisition.conftest import LABELS, context_of, drawn_embeddings, drawn_log_probs, ids_of, permuted, pool_of

every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))
UNSCORED = {"random", "stratified_random"}
COVERS = {"core_set", "typiclust", "probcover", "discriminative"}
"""These look at embeddings alone."""
BATCHES = {"batch_bald", "badge", "d_optimal", "hybrid", "cluster_margin", *COVERS}
"""These choose each item in view of the others."""
DIVERSE = sorted(BATCHES - {"batch_bald", "d_optimal"})
"""To these a copy of a pick is worth nothing. To the other two a second noisy answer is: see their own tests."""
WHOLE = {"hybrid", "typiclust", "cluster_margin"}
"""What these consider depends on the size of the batch."""
DISAGREEMENT = {
    name
    for name, strategy in STRATEGIES.items()
    if any(facts_of(measure).compares_samples for measure in strategy.measures)
}
"""These tell how far samples disagree."""
UNDRAWN = {"typiclust", "badge"}  # of equal gradients and members of a cluster the first by id
"""These draw at random where all items score the same, as they do while there is one sample."""
every_scored = pytest.mark.parametrize("name", sorted(set(STRATEGIES) - UNSCORED))
every_ranking = pytest.mark.parametrize("name", sorted(set(STRATEGIES) - UNSCORED - BATCHES))
every_measured = pytest.mark.parametrize(
    "name",
    sorted(name for name in set(STRATEGIES) - UNSCORED if not {"embeddings", "features"} & STRATEGIES[name].needs),
)


@pytest.fixture(params=["cold start", "with labels"])
def pool(request, pool, labeled_pool):
    return pool if request.param == "cold start" else labeled_pool


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - WHOLE))
def test_a_batch_of_one_is_the_top_one(name, pool):
    select = STRATEGIES[name].select
    batch = select(pool, 10, context_of(name))
    assert select(pool, 1, context_of(name)) == batch[:1]
    assert select(pool, 4, context_of(name)) == batch[:4]


@pytest.mark.parametrize(
    ("name", "ranking"), [("hybrid", "predictive_entropy"), ("cluster_margin", "margin"), ("batch_bald", "bald")]
)
def test_the_top_one_comes_first_where_nothing_else_is_considered(name, ranking, pool):
    (pick,) = STRATEGIES[name].select(pool, 1, context_of(name, prefilter_factor=1))
    assert pick.index == pool.measures[ranking].argmax()


@pytest.mark.parametrize("name", DIVERSE)
def test_copies_are_not_picked_twice(name):
    """Eight different items, three times each."""
    log_probs_NKC, embeddings_ND = drawn_log_probs(4, 8), drawn_embeddings(4, 8)
    pool = pool_of(np.tile(log_probs_NKC, (3, 1, 1)), embeddings_ND=np.tile(embeddings_ND, (3, 1)))
    for seed in range(3):
        picks = STRATEGIES[name].select(pool, 8, context_of(name, seed=seed))
        assert len({pick.index % 8 for pick in picks}) == 8


@every_strategy
def test_the_pools_order_does_not_matter(name, pool):
    other = permuted(pool, np.random.default_rng(3).permutation(len(pool.item_ids)))
    one = STRATEGIES[name].select(pool, 12, context_of(name))
    two = STRATEGIES[name].select(other, 12, context_of(name))
    assert ids_of(pool, one) == ids_of(other, two)
    assert [(pick.score, pick.reason) for pick in one] == [(pick.score, pick.reason) for pick in two]


@every_strategy
def test_no_item_twice(name, pool):
    picks = STRATEGIES[name].select(pool, 40, context_of(name))
    assert sorted(pick.index for pick in picks) == list(range(40))


@every_strategy
def test_asking_for_more_than_there_is_returns_all(name, pool):
    picks = STRATEGIES[name].select(pool, 1000, context_of(name))
    assert sorted(pick.index for pick in picks) == list(range(40))


@every_strategy
def test_asking_for_none_returns_none(name, pool):
    assert STRATEGIES[name].select(pool, 0, context_of(name)) == []


@every_strategy
def test_same_seed_same_batch(name, pool):
    select = STRATEGIES[name].select
    assert select(pool, 9, context_of(name, seed=1)) == select(pool, 9, context_of(name, seed=1))


@every_strategy
def test_an_empty_pool(name):
    assert STRATEGIES[name].select(pool_of(np.empty((0, 2, 4))), 3, context_of(name)) == []


@every_strategy
def test_one_item(name):
    picks = STRATEGIES[name].select(pool_of(drawn_log_probs(0, num_items=1)), 3, context_of(name))
    assert [pick.index for pick in picks] == [0]


@every_strategy
def test_one_class(name):
    pool = pool_of(np.zeros((5, 3, 1)))
    picks = STRATEGIES[name].select(pool, 2, context_of(name))
    assert len({pick.index for pick in picks}) == 2
    assert not any("hesitates" in pick.reason for pick in picks)


@every_scored
def test_equal_scores_go_by_the_seeded_draw(name):
    same_ND = np.full((6, 7), 0.3, dtype=np.float32)
    pool = pool_of(np.log(np.full((6, 3, 4), 0.25)), embeddings_ND=same_ND, labeled_LD=same_ND[:2] + 1)
    backwards = permuted(pool, np.arange(6)[::-1])
    batch = ids_of(pool, STRATEGIES[name].select(pool, 3, context_of(name)))
    if name not in UNDRAWN:
        others = {tuple(ids_of(pool, STRATEGIES[name].select(pool, 3, context_of(name, seed=one)))) for one in range(9)}
        assert len(others) > 1
    assert ids_of(backwards, STRATEGIES[name].select(backwards, 3, context_of(name))) == batch


@every_measured
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused_with_measure_and_item(name, bad, pool):
    for scores_N in pool.measures.values():
        scores_N[5] = bad
    with pytest.raises(ModelError, match=r"under the current model is (nan|inf) for 1 of 40 items, first item-0005"):
        STRATEGIES[name].select(pool, 3, context_of(name))


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name in sorted(STRATEGIES) for need in STRATEGIES[name].needs]
)
def test_what_a_strategy_needs_is_checked(name, need, pool):
    if need == "gradients":
        without = {key: values for key, values in pool.measures.items() if key != "expected_gradient_length"}
        with pytest.raises(ConfigError, match="no scores of `expected_gradient_length` under the current model"):
            STRATEGIES[name].select(replace(pool, measures=without), 3, context_of(name))
        return
    field = {"samples": "log_probs_NKC", "embeddings": "embeddings_ND", "features": "embeddings_ND"}[need]
    with pytest.raises(ConfigError, match="the pool was scored without keeping"):
        STRATEGIES[name].select(replace(pool, **{field: None}), 3, context_of(name))
    getattr(pool, field)[5] = np.nan
    with pytest.raises(ModelError, match=r"not finite for 1 of 40 items, first item-0005"):
        STRATEGIES[name].select(pool, 3, context_of(name))


@every_scored
def test_inputs_are_left_as_they_are(name, pool):
    before = {field: np.copy(getattr(pool, field)) for field in ("mean_probs_NC", "log_probs_NKC", "embeddings_ND")}
    STRATEGIES[name].select(pool, 5, context_of(name))
    for field, values in before.items():
        np.testing.assert_array_equal(getattr(pool, field), values)


@pytest.mark.parametrize("field", ["labeled_embeddings_LD", "labeled_probs_LC"])
def test_labelled_items_that_are_no_numbers_are_refused(field, labeled_pool):
    getattr(labeled_pool, field)[2] = np.nan
    names = ["cal", "d_optimal", *(COVERS if field == "labeled_embeddings_LD" else [])]
    for name in names:
        with pytest.raises(ModelError, match="of labelled items are not all finite"):
            STRATEGIES[name].select(labeled_pool, 3, context_of(name))


@every_ranking
def test_scores_fall_and_reasons_count_up(name, labeled_pool):
    picks = STRATEGIES[name].select(labeled_pool, 5, context_of(name))
    scores = [pick.score for pick in picks]
    assert scores == sorted(scores, reverse=True)
    for rank, pick in enumerate(picks, 1):
        assert f", rank {rank} of 40; the model hesitates between " in pick.reason


@pytest.mark.parametrize(
    "name", sorted(set(STRATEGIES) - UNSCORED - BATCHES - {"star", "density_weighted", "cal", "epig", "rare_class"})
)
def test_the_top_is_what_a_plain_sort_gives(name, pool):
    scores_N = measure(pool, "predictive_entropy" if name in ("entropy", "uncertainty") else name)
    plain = sorted(range(40), key=lambda index: (-scores_N[index], item_draw(7, pool.item_ids[index])))
    assert [pick.index for pick in STRATEGIES[name].select(pool, 40, context_of(name))] == plain


def test_reasons_are_in_words_with_numbers():
    log_probs_NKC = np.log(np.array([[[0.5, 0.3, 0.15, 0.05]], [[0.97, 0.01, 0.01, 0.01]]]))
    pool = pool_of(log_probs_NKC, embeddings_ND=2 * np.eye(2, dtype=np.float32))
    reasons = {
        name: STRATEGIES[name].select(pool, 1, context_of(name, round_=0))[0].reason.partition(",")[0]
        for name in STRATEGIES
    }
    assert reasons == {
        "variance": "drawn at random: every item scores the same",
        "expected_gradient_length": "expected gradient length of the answer head 1.55",
        "d_optimal": "adds 5.7881 nats to what is known of the last layer",
        "cal": "drawn at random: there is no labelled item to contrast with yet",
        "discriminative": "nearest to the pool's middle",
        "cluster_margin": "its two best answers are 0.200 apart",
        "typiclust": "the most typical of a cluster of 2 items without a label",
        "probcover": "covers 1 more of 2 items within distance 2.83",
        "random": "drawn at random from 2",
        "stratified_random": "drawn at random from 2 items predicted as entity",
        "least_confidence": "its best answer has probability 0.50",
        "margin": "its two best answers are 0.200 apart",
        "entropy": "entropy 1.14 nats",
        "expected_entropy": "expected entropy 1.14 nats",
        "bald": "drawn at random: every item scores the same",
        "variation_ratio": "drawn at random: every item scores the same",
        "vote_entropy": "drawn at random: every item scores the same",
        "consensus_kl": "drawn at random: every item scores the same",
        "batch_bald": "drawn at random: every item scores the same",
        "epig": "drawn at random: every item scores the same",
        "core_set": "at distance 1.414 from the middle of the pool",
        "badge": "the largest gradient",
        "density_weighted": "weighted uncertainty 0.571 (predictive_entropy 1.14 × density 0.50)",
        "hybrid": "at distance 1.414 from the middle of the pool",
        "uncertainty": "predictive entropy 1.14",
        "rare_class": "place has probability 0.05",
        "star": "dynamic uncertainty 1.00 (base 1.00 × 1.00)",
    }
    entropy = STRATEGIES["entropy"].select(pool, 1, context_of("entropy"))[0]
    assert entropy.reason.endswith("rank 1 of 2; the model hesitates between entity (0.50) and human (0.30)")


def test_reasons_of_disagreement_are_in_words_with_numbers():
    log_probs_NKC = np.log(np.array([[[0.5, 0.3, 0.2], [0.3, 0.5, 0.2]], [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1]]]))
    pool = pool_of(log_probs_NKC, label_names=LABELS[:3])
    names = sorted(DISAGREEMENT & set(STRATEGIES))
    reasons = {name: STRATEGIES[name].select(pool, 1, context_of(name))[0].reason.partition(",")[0] for name in names}
    assert reasons == {
        "bald": "mutual information 0.025 nats",
        "batch_bald": "adds 0.025 nats to what the batch tells about the weights",
        "epig": "tells 0.0006 nats about an answer",
        "consensus_kl": "mean divergence from the consensus 0.025 nats",
        "variance": "variance between the samples 0.0200",
        "variation_ratio": "50% of the samples vote against the most voted answer",
        "vote_entropy": "entropy of the committee's votes 0.69 nats",
    }


def test_choices_without_names_are_letters():
    pool = pool_of(np.log(np.array([[[0.2, 0.5, 0.3]]])), label_names=())
    reason = STRATEGIES["entropy"].select(pool, 1, context_of("entropy"))[0].reason
    assert reason.endswith("between B (0.50) and C (0.30)")


def test_random_needs_ids_only():
    pool = ScoredPool(("b", "a", "c"), {}, {}, np.empty((3, 0)))
    assert len(STRATEGIES["random"].select(pool, 2, context_of("random"))) == 2
    assert not STRATEGIES["random"].needs_scores


@pytest.mark.parametrize(
    "name", ["bald", "batch_bald", "consensus_kl", "epig", "variance", "variation_ratio", "vote_entropy"]
)
def test_one_sample_that_disagrees_with_nobody_leads_to_a_draw_of_the_campaign_s_own(name):
    """By item id, the campaigns of all seeds would begin with the same batch."""
    pool = pool_of(drawn_log_probs(4, 40, num_samples=1))
    batches = [STRATEGIES[name].select(pool, 5, context_of(name, seed=seed)) for seed in (1, 1, 2)]
    assert batches[0] == batches[1]
    assert {pick.index for pick in batches[0]} != {pick.index for pick in batches[2]}
    assert {pick.reason for pick in batches[0]} == {"drawn at random: every item scores the same"}
    assert {pick.score for pick in batches[0]} == {None}
