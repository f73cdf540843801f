"""The ledger, walked through whole campaigns of real manifests."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activelora.campaign import ledger
from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.manifest import Unit

POOL, SHARDS = 40, 2


def do(campaign, unit, *, selected=None, labeled=None, num_pool=POOL, num_shards=SHARDS):
    """Do a unit in the least way that the ledger can tell from the real one."""
    metrics, details = {}, {}
    if unit.step == "ingest_pool":
        metrics, details = {"num_pool": num_pool}, {"num_shards": num_shards}
    elif unit.step == "select_batch":
        metrics["num_selected"] = ledger.batch_size(campaign, unit.round) if selected is None else selected
    elif unit.step == "await_labels":
        asked = campaign.require(Unit("select_batch", unit.round)).metrics["num_selected"]
        metrics["num_labeled"] = asked if labeled is None else labeled
    attempt = campaign.attempt(unit)
    attempt.write("out", b"1")
    attempt.commit(metrics=metrics, details=details)


def walk(campaign, **changes):
    """Do what the ledger says until it says stop; return the plans."""
    plans = []
    while (plan := ledger.next_plan(campaign)).status == "work":
        plans.append(plan)
        assert len(plans) < 100
        for unit in plan.units:
            do(campaign, unit, **changes)
    return [*plans, plan]


@pytest.fixture
def create(tmp_path, make_config):
    def create(**sections):
        return Campaign.create(str(tmp_path / "campaign"), make_config(**sections))

    return create


def small(max_rounds=2, batch_size=10, label_budget=None):
    return {
        "acquisition": {"batch_size": batch_size},
        "stopping": {"max_rounds": max_rounds, "label_budget": label_budget},
    }


def test_a_whole_campaign(create):
    campaign = create(**small())
    said = [[str(unit) for unit in plan.units] for plan in walk(campaign)[:-1]]
    shards = [[f"score_pool round {round_} shard {shard}" for shard in range(SHARDS)] for round_ in range(2)]
    assert said == [
        ["ingest_pool"],
        ["evaluate_adapter round 0"],
        shards[0],
        ["select_batch round 0"],
        ["await_labels round 0"],
        ["train_adapter round 1"],
        ["evaluate_adapter round 1"],
        shards[1],
        ["select_batch round 1"],
        ["await_labels round 1"],
        ["train_adapter round 2"],
        ["evaluate_adapter round 2"],
    ]
    plan = ledger.next_plan(campaign)
    assert (plan.status, plan.round, plan.units) == ("stop", 2, ())
    assert plan.reason == "all 2 planned rounds are done (20 labels)"
    stop_campaign(campaign, plan.reason)
    assert ledger.next_plan(campaign) == ledger.Plan("stopped", 2, reason=plan.reason)


def test_rounds_with_labels_are_counted_up_to_the_first_without(create):
    campaign = create(**small())
    do(campaign, Unit("ingest_pool"))
    assert ledger.num_collected(campaign) == 0
    for round_ in (0, 2):
        do(campaign, Unit("select_batch", round_), selected=1)
        do(campaign, Unit("await_labels", round_))
        assert ledger.num_collected(campaign) == 1


def test_only_the_shards_that_are_missing_are_planned(create):
    campaign = create(**small())
    do(campaign, Unit("ingest_pool"), num_shards=4)
    do(campaign, Unit("evaluate_adapter", 0))
    do(campaign, Unit("score_pool", 0, 2))
    assert ledger.next_plan(campaign).units == tuple(Unit("score_pool", 0, shard) for shard in (0, 1, 3))


def test_files_that_are_no_manifests_do_not_count(create):
    campaign = create(**small())
    do(campaign, Unit("ingest_pool"))
    for key in (
        "rounds/0000/evaluate_adapter/attempt-1/manifest.json",
        "rounds/0000/evaluate_adapter/manifest.json.bak",
        "rounds/0000/mystery/manifest.json",
        "rounds/zero/evaluate_adapter/manifest.json",
        "rounds/0000/score_pool/shard-x/manifest.json",
        "rounds/notes.txt",
    ):
        campaign.store.write(key, b"{}")
    assert ledger.finished_units(campaign) == {Unit("ingest_pool")}
    assert ledger.next_plan(campaign).units == (Unit("evaluate_adapter", 0),)


def test_the_last_batch_keeps_within_the_budget(create):
    campaign = create(**small(max_rounds=5, batch_size=10, label_budget=25))
    assert ledger.planned_rounds(campaign) == 3
    plans = walk(campaign)
    asked = [campaign.require(Unit("select_batch", round_)).metrics["num_selected"] for round_ in range(3)]
    assert asked == [10, 10, 5]
    assert ledger.batch_size(campaign, 3) == 0
    assert (plans[-1].round, plans[-1].reason) == (3, "the label budget of 25 is spent (25 labels)")


def test_labels_that_never_came_are_spent_all_the_same(create):
    campaign = create(**small(max_rounds=5, label_budget=20))
    plan = walk(campaign, labeled=7)[-1]
    assert plan.reason == "the label budget of 20 is spent (14 labels)"
    assert (ledger.num_asked(campaign, 2), ledger.num_labels(campaign, 2), ledger.num_labels(campaign, 1)) == (
        20,
        14,
        7,
    )


def test_an_exhausted_pool_ends_the_campaign(create):
    campaign = create(**small(max_rounds=5, batch_size=20))
    assert walk(campaign)[-1].reason == f"every one of the pool's {POOL} items is labelled"


def test_a_round_that_found_nothing_to_ask_ends_the_campaign(create):
    campaign = create(**small(max_rounds=5))
    assert walk(campaign, selected=0)[-1].reason == "nothing was left to ask for in the last round (0 labels)"


def test_a_campaign_stopped_by_hand_stays_stopped(create):
    campaign = create(**small())
    stop_campaign(campaign, "the deadline passed")
    assert ledger.next_plan(campaign) == ledger.Plan("stopped", 0, reason="the deadline passed")
    do(campaign, Unit("ingest_pool"))
    do(campaign, Unit("evaluate_adapter", 0))
    assert ledger.rounds_begun(campaign) == [0]
    assert ledger.next_plan(campaign).status == "stopped"


def test_round_steps():
    assert ledger.round_steps(0)[0] == "evaluate_adapter"
    assert ledger.round_steps(1) == ("train_adapter", *ledger.round_steps(0))
    assert ledger.step_units("score_pool", 3, 2) == (Unit("score_pool", 3, 0), Unit("score_pool", 3, 1))
    assert ledger.step_units("select_batch", 3, 2) == (Unit("select_batch", 3),)


@pytest.mark.parametrize(
    ("max_rounds", "batch_size", "budget", "planned"),
    [(5, 10, None, 5), (5, 10, 41, 5), (5, 10, 40, 4), (5, 10, 11, 2)],
)
def test_planned_rounds(create, max_rounds, batch_size, budget, planned):
    assert ledger.planned_rounds(create(**small(max_rounds, batch_size, budget))) == planned


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), batch=st.integers(1, 12), budget=st.integers(12, 40), shards=st.integers(1, 3))
def test_any_prefix_is_continued_alike(tmp_path_factory, make_config, data, batch, budget, shards):
    """However far one process came, in whatever order of independent units, a new one goes on the same."""
    config = make_config(**small(3, batch, budget))
    undisturbed = Campaign.create(str(tmp_path_factory.mktemp("undisturbed")), config)
    plans = walk(undisturbed, num_shards=shards)
    uri = str(tmp_path_factory.mktemp("killed"))
    Campaign.create(uri, config)
    seen = []
    while (plan := ledger.next_plan(campaign := Campaign.open(uri))).status == "work":
        assert plan == ledger.next_plan(campaign)
        if not seen or seen[-1][0] != (plan.round, plan.units[0].step):
            seen.append(((plan.round, plan.units[0].step), plan.units))
        some = data.draw(st.lists(st.sampled_from(plan.units), min_size=1, unique=True))
        for unit in some:
            do(campaign, unit, num_shards=shards)
    assert [units for _, units in seen] == [plan.units for plan in plans[:-1]]
    assert plan == plans[-1]
    done = [ledger.finished_units(one) for one in (undisturbed, campaign)]
    assert done[0] == done[1]
    assert [undisturbed.require(unit).metrics for unit in sorted(done[0], key=str)] == [
        campaign.require(unit).metrics for unit in sorted(done[1], key=str)
    ]


def test_each_manifest_is_read_once(create):
    """Ten rounds must not cost a hundred reads: a store that counts stands before the real one."""
    campaign = create(**small(max_rounds=10, batch_size=2))
    reads = []

    class Counting:
        def __getattr__(self, name):
            return getattr(campaign.store, name)

        def read(self, key):
            reads.append(key)
            return campaign.store.read(key)

    walk(Campaign(Counting(), campaign.config))
    manifests = [key for key in reads if key.endswith("manifest.json")]
    assert len(manifests) == len(set(manifests))
