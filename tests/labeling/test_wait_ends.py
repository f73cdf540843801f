"""The wait ends: any answers, any rules, any time. Nothing labelled is lost, and a decision is a pure function."""

import itertools
import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import resolve
from activelora.labeling.counting import count_answers
from activelora.labeling.deadlines import deadlines_of
from activelora.labeling.inbox import Answer
from activelora.labeling.request import CLOSED, make_request
from activelora.labeling.wait_status import STATES, describe_wait
from activelora.labeling.waiting import Clock, decide
from activelora.rules.file import checked_config
from components.await_labels import step
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select

NAMES = ("ann", "bob", "cat", "eve")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A campaign in round 1: of round 0, two items are labelled and three were not answered in time."""
    folder = tmp_path_factory.mktemp("wait") / "campaign"
    campaign = make_campaign(folder, labeling={"source": "files", "min_fraction": 0.4, "deadline_hours": 24})
    first = select(campaign)
    put(campaign, "first.csv", csv_of(*((item_id, "human", "ann") for item_id in first[:2])))
    assert step.run(campaign, 0) is not None
    select(campaign, 1)
    return campaign


def with_rules(campaign, rules):
    document = campaign.config.model_dump(mode="json")
    document["labeling"] |= rules
    return Campaign(campaign.store, checked_config(document, where="test"))


@st.composite
def rules(draw):
    adjudicators = draw(st.sampled_from(([], ["eve"])))
    num = draw(st.integers(1, 3))
    return {
        "annotators_per_item": num,
        "adjudicators": adjudicators,
        "min_agreement": draw(st.sampled_from((0.0, 0.8))) if adjudicators and num > 1 else 0.0,
        "skipped": draw(st.sampled_from(("never", "return", *["adjudicate"] * len(adjudicators)))),
        "min_fraction": draw(st.sampled_from((0.4, 1.0))),
        "on_deadline": draw(st.sampled_from(("proceed", "extend", "stop"))),
        "deadline_hours": 24,
    }


answers = st.lists(
    st.tuples(
        st.integers(0, 9),  # the item: of this round, an earlier one, or labelled
        st.sampled_from(NAMES),
        st.sampled_from((*LABELS, "skip", "junk")),
        st.none() | st.integers(0, 3),  # the hour
    ),
    max_size=25,
)
away = st.dictionaries(st.integers(0, 9), st.sampled_from(("deleted", "in_progress")), max_size=3)


def items_of(request):
    return [*request.reasons, *sorted(request.earlier), *sorted(request.known)]


def answers_to(request, drawn):
    ids = items_of(request)
    times = [None if hour is None else datetime(2030, 1, 1, hour, tzinfo=UTC) for *_, hour in drawn]
    return [
        Answer(f"{line % 3}.csv", line, ids[item % len(ids)], label, name, time)
        for line, ((item, name, label, _), time) in enumerate(zip(drawn, times, strict=True), 1)
    ]


def look(request, given, seen):
    ids = items_of(request)
    return count_answers(request, given, [], seen={ids[item % len(ids)]: state for item, state in seen.items()})


def outcome(collected):
    """What a commit would hold, but for the time of answers without one."""
    closed = collected.closed()
    votes = [
        [(one["item_id"], one["annotator"], one["label"], one["origin"]) for one in records]
        for records in (closed.records, closed.corrections)
    ]
    return votes, closed.states, closed.rejected, closed.answered, closed.disputes


@settings(max_examples=100, deadline=None)
@given(rules=rules(), drawn=answers, seen=away, order=st.randoms(use_true_random=False))
def test_a_round_with_a_deadline_ends_and_loses_nothing(template, rules, drawn, seen, order):
    campaign = with_rules(template, rules)
    request = make_request(campaign, 1)
    given = answers_to(request, drawn)
    collected = look(request, given, seen)
    shuffled = look(request, order.sample(given, len(given)), seen)
    assert outcome(shuffled) == outcome(collected)

    end = deadlines_of(campaign, 1).end
    actions = [decide(request, collected, end + offset * HOUR) for offset in (-30, -0.1, 0, 1000)]
    assert actions == [decide(request, shuffled, end + offset * HOUR) for offset in (-30, -0.1, 0, 1000)]
    assert "wait" not in [one.action for one in actions[2:]]
    if actions[0].action != "wait":
        assert [one.action for one in actions] == [actions[0].action] * 4  # once done, always done
    assert set(collected.states) == set(request.reasons)
    assert set(collected.states.values()) <= set(STATES)
    assert describe_wait(request, collected, end - HOUR)
    check_labels(request, given, collected.closed())


def check_labels(request, given, closed):
    """What all who labelled an item agree on is kept; a clear ruling is the label; no label is made up."""
    adjudicators = request.campaign.config.labeling.adjudicators
    records = [*closed.records, *closed.corrections]
    said = {(one.item_id, one.annotator, one.label) for one in given}
    standing = {(one["item_id"], one["annotator"], LABELS[one["label"]]) for one in known_records(request)}
    assert {(one["item_id"], one["annotator"], LABELS[one["label"]]) for one in records} <= said | standing
    votes = {item_id: [one for one in records if one["item_id"] == item_id] for item_id in items_of(request)}
    for item_id in (*request.reasons, *request.earlier):
        labels = {one.label for one in given if one.item_id == item_id and one.label in LABELS}
        skips = [one for one in given if one.item_id == item_id and one.label == "skip"]
        rulings = {one.label for one in given if one.item_id == item_id and one.annotator in adjudicators}
        if len(labels) == 1 and not skips:
            assert votes[item_id], "all who answered agree, and nothing is kept"
        if len(rulings) == 1 and rulings <= set(LABELS):
            assert LABELS[resolve([votes[item_id]], adjudicators).labels[item_id]] in rulings
        if item_id in request.reasons:
            assert (closed.states[item_id] == "labeled") == bool(votes[item_id])


def known_records(request):
    return itertools.chain.from_iterable(one.current for one in request.known.values())


@settings(max_examples=40, deadline=None)
@given(rules=rules(), drawn=answers, seen=away)
def test_from_every_state_people_can_end_the_round_without_a_deadline(template, rules, drawn, seen):
    rules = {**rules, "deadline_hours": None, "on_deadline": "proceed"}
    request = make_request(with_rules(template, rules), 1)
    given = answers_to(request, [one for one in drawn if one[1] != "eve"])
    now = datetime(2100, 1, 1, tzinfo=UTC)
    open_ = [item_id for item_id, state in look(request, given, seen).states.items() if state not in CLOSED]
    fresh = [
        Answer("more.csv", line, item_id, "human", f"helper {number}", None)
        for line, (item_id, number) in enumerate(itertools.product(open_, range(20)), 1)
    ]
    assert decide(request, look(request, [*given, *fresh], seen), now).action != "wait"
    if rules["adjudicators"]:
        ruled = [Answer("eve.csv", line, item_id, "human", "eve", None) for line, item_id in enumerate(open_, 1)]
        assert decide(request, look(request, [*given, *ruled], seen), now).action != "wait"


@pytest.mark.parametrize("seed", range(4))
def test_ticks_at_random_moments_end_with_one_manifest(template, tmp_path, seed):
    """Files come and go, and two ticks look at each moment; at the end, one manifest stands."""
    rng = random.Random(seed)
    folder = tmp_path / "campaign"
    shutil.copytree(template.store.uri, folder)
    rule = {"annotators_per_item": rng.randint(1, 3), "adjudicators": ["eve"], "skipped": "adjudicate"}
    rule |= {"on_deadline": rng.choice(("proceed", "extend", "stop")), "min_fraction": 1.0, "deadline_hours": 24}
    campaign = with_rules(Campaign.open(str(folder)), rule)
    ids = items_of(make_request(campaign, 1))
    moment, end = deadlines_of(campaign, 1).deadline - 24 * HOUR, deadlines_of(campaign, 1).end
    done = None
    for number in range(40):
        if done or moment > end + 24 * HOUR:
            break
        rows = [
            (rng.choice(ids), rng.choice((*LABELS, "skip", "?")), rng.choice(NAMES)) for _ in range(rng.randint(0, 3))
        ]
        put(campaign, f"{number}.csv", csv_of(*rows))
        if rng.random() < 0.2:
            campaign.store.delete(f"inbox/{rng.randrange(number + 1)}.csv")
        clock = Clock(lambda at=moment: at, lambda _: None)
        looks = [step.run(with_rules(Campaign.open(str(folder)), rule), 1, clock) for _ in range(2)]
        assert looks[0] == looks[1]
        done = looks[0]
        moment += rng.choice((0.5, 3, 9)) * HOUR
    assert done is not None
    states = campaign.read_json(done, "states.json")
    labeled = set(campaign.read_table(done, "labels.parquet")["item_id"].to_pylist())
    assert {item_id for item_id, state in states.items() if state in ("labeled", "late")} <= labeled
