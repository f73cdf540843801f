"""What campaigns of a comparison take over from each other, without a model."""

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.comparison.sharing import share_beginning
from tests.pipelines.conftest import finish_step, make_config

BEGINNING = [Unit("ingest_pool"), Unit("evaluate_adapter", 0)]
SCORES = [Unit("score_pool", 0, shard) for shard in range(2)]


@pytest.fixture
def begun(tmp_path):
    """Return a function that creates a generation campaign, by default with round 0 scored."""

    def create(strategy, measure, finished=True, initial="strategy", **own):
        acquisition = {"strategy": strategy, "measure": measure, "initial": initial, "batch_size": 4}
        config = make_config(task={"kind": "generation", "prompt": "{text}"}, acquisition=acquisition)
        acquisition = config.acquisition.model_copy(update=own)
        campaign = Campaign.create(str(tmp_path / strategy), config.model_copy(update={"acquisition": acquisition}))
        for step in ("ingest_pool", "evaluate_adapter", "score_pool") if finished else ():
            finish_step(campaign, step)
        return campaign

    return create


@pytest.mark.parametrize(
    ("donor", "taker"), [("core_set", "density_weighted"), ("density_weighted", "core_set"), ("core_set", "typiclust")]
)
@pytest.mark.parametrize("measure", ["oracle_nll", "semantic_entropy", "answer_nll"])
def test_scores_of_gold_answers_and_of_drawn_ones_go_to_those_who_read_them_only(begun, donor, taker, measure):
    """All three keep embeddings; `density_weighted` alone reads `acquisition.measure`."""
    reads_alike = "density_weighted" not in (donor, taker) or measure == "answer_nll"
    expected = [*BEGINNING, *SCORES] if reads_alike else BEGINNING
    assert share_beginning(begun(taker, measure, finished=False), begun(donor, measure)) == expected


@pytest.mark.parametrize(
    ("donor", "taker", "is_shared"),
    [
        ({}, {"mine": {"share": 0.5}}, True),
        ({"mine": {"share": 0.5}}, {}, True),
        ({"mine": {"share": 0.5}}, {"mine": {"share": 0.5}, "other": {}}, True),
        ({"mine": {"share": 0.5}}, {"mine": {"share": 0.4}}, False),
    ],
)
def test_a_section_that_only_one_strategy_reads_does_not_keep_campaigns_from_sharing(begun, donor, taker, is_shared):
    """Strategies of other packages have their settings frozen where they are read."""
    from_one, to_other = begun("core_set", "answer_nll", **donor), begun("typiclust", "answer_nll", False, **taker)
    assert bool(share_beginning(to_other, from_one)) == is_shared


@pytest.mark.parametrize(
    ("training", "is_shared"),
    [
        ({"self_training": {}}, True),
        ({"self_training": {"per_label": 3}}, True),
        ({"epochs": 7}, False),
        ({"self_training": {}, "epochs": 7}, False),
    ],
)
@pytest.mark.parametrize("is_donor", [True, False])
def test_self_training_begins_after_what_is_shared(tmp_path, training, is_shared, is_donor):
    """Round 0 is the base model's, and what round 1 trains on is read from round 1's scores at the earliest."""
    acquisition = {"strategy": "random", "initial": "random", "batch_size": 4}
    task = {"kind": "classification", "prompt": "{text}", "labels": ["a", "b"]}
    pair = [
        Campaign.create(str(tmp_path / name), make_config(task=task, acquisition=acquisition, training=own))
        for name, own in (("plain", {}), ("own", training))
    ]
    donor, taker = pair[::-1] if is_donor else pair
    for step in ("ingest_pool", "evaluate_adapter", "score_pool"):
        finish_step(donor, step)
    finish_step(donor, "select_batch")
    assert share_beginning(taker, donor) == ([*BEGINNING, *SCORES] if is_shared else [])


@pytest.mark.parametrize(
    ("donor", "taker", "measure", "is_shared"),
    [
        ("core_set", "uncertainty", "answer_nll", True),
        ("core_set", "star", "answer_nll", False),
        ("star", "core_set", "answer_nll", False),
        ("uncertainty", "random", "answer_nll", True),
    ],
)
def test_a_random_seed_set_is_scored_for_star_only(begun, donor, taker, measure, is_shared):
    expected = [*BEGINNING, *SCORES] if is_shared else BEGINNING
    given = begun(donor, measure, initial="random")
    assert share_beginning(begun(taker, measure, finished=False, initial="random"), given) == expected
