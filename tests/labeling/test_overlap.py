"""labeling.annotators_per_item: several people answer each item."""

import itertools
from collections import Counter, defaultdict

import pytest

from activelora.campaign.records import vote_rows
from activelora.labeling.counting import count_answers
from activelora.labeling.inbox import Answer
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.labeling.tally import Rules, tally
from components.await_labels import step
from tests.components.test_await_labels import after_selection, answer, states_of, with_files
from tests.labeling.conftest import csv_of, labels_of, make_campaign, put, select
from tests.labeling.test_oracle import gold
from tests.labeling.test_tally import name_of, vote


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([vote("ann", "human")], ("in_progress", {"ann"})),
        ([vote("ann", "human"), vote("ann", "human", line=3)], ("in_progress", {"ann"})),
        ([vote("ann", "human"), vote("bob", "human")], ("labeled", {"ann", "bob"})),
        ([vote("ann", "human"), vote("bob", None)], ("labeled", {"ann"})),
        ([vote("ann", None)], ("in_progress", set())),
        ([vote("ann", None), vote("bob", None)], ("skipped", set())),
        ([vote("ann", "human"), vote("bob", "entity")], ("conflicting", set())),
        ([vote("ann", "human"), vote("bob", "entity"), vote("cat", "human")], ("labeled", {"ann", "bob", "cat"})),
        ([vote("ann", "human"), vote("bob", "human"), vote("bob", "entity")], ("in_progress", {"ann"})),
        ([vote("bob", "human"), vote("bob", "entity")], ("conflicting", set())),
        ([], ("waiting", set())),
    ],
)
def test_two_of_each_item(votes, expected):
    for order in itertools.permutations(votes):
        found = tally(order, name_of, Rules(2))
        assert (found.state, set(found.votes)) == expected


def test_with_three_wanted_two_that_disagree_are_in_progress_and_decide_nothing():
    found = tally([vote("ann", "human"), vote("bob", "entity")], name_of, Rules(3))
    assert (found.state, dict(found.votes), list(found.rejected)) == ("in_progress", {}, [])


def test_a_round_waits_for_both_people(tmp_path):
    campaign, ids = with_files(tmp_path, annotators_per_item=2)
    answer(campaign, ids, "human", "a.csv", "ann")
    answer(campaign, ids, "human", "again.csv", "ann")
    assert step.run(campaign, 0) is None
    answer(campaign, ids, "human", "b.csv", "bob")
    manifest = step.run(campaign, 0)
    assert (manifest.metrics["num_labeled"], manifest.metrics["num_votes"]) == (5, 10)


@pytest.mark.parametrize("ending", [{"deadline_hours": 24}, {"min_fraction": 0.4}])
def test_a_round_that_ends_early_takes_the_answers_that_are_there(tmp_path, ending):
    campaign, ids = with_files(tmp_path, annotators_per_item=2, **ending)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids[:3]), (ids[3], "skip", "ann")))
    put(campaign, "b.csv", csv_of(*((item_id, "human", "bob") for item_id in ids[:2])))
    manifest = step.run(campaign, 0, after_selection(campaign, 25))
    assert list(labels_of(campaign, manifest)) == ids[:3]
    expected = ["labeled", "labeled", "labeled", "in_progress", "waiting"]
    assert states_of(campaign, manifest) == dict(zip(ids, expected, strict=True))
    assert manifest.metrics["num_votes"] == 5


def test_a_late_item_in_progress_counts_in_the_round_that_ends_next(tmp_path):
    campaign, first = with_files(tmp_path, annotators_per_item=2, min_fraction=0.4)
    for name in ("ann", "bob"):
        answer(campaign, first[:2], "human", f"{name}.csv", name)
    step.run(campaign, 0)
    second = select(campaign, 1)
    late = next(item_id for item_id in first[2:] if item_id not in second)
    answer(campaign, [late], "entity", "late.csv", "ann")
    for name in ("ann", "bob"):
        answer(campaign, second[:2], "human", f"{name}-1.csv", name)
    manifest = step.run(campaign, 1)
    assert labels_of(campaign, manifest) == {**dict.fromkeys(second[:2], "human"), late: "entity"}
    assert manifest.metrics["num_late"] == 1


def test_the_instructions_ask_for_a_file_from_each(tmp_path):
    campaign, _ = with_files(tmp_path, annotators_per_item=2)
    text = get_source("files").instructions(make_request(campaign, 0))
    assert text.endswith("2 people each a file of their own, with their name in the column annotator")


def oracle_votes(folder, num_annotators, **labeling):
    labeling = {"source": "oracle", "annotators_per_item": num_annotators, **labeling}
    campaign = make_campaign(folder, num_items=300, batch=300, labeling=labeling)
    select(campaign)
    manifest = step.run(campaign, 0)
    votes = defaultdict(dict)
    for record in vote_rows(campaign.read_table(manifest, "labels.parquet")):
        votes[record["item_id"]][record["annotator"]] = record["label"]
    return campaign, votes


def test_simulated_annotators_err_independently(tmp_path):
    campaign, votes = oracle_votes(tmp_path, 3, oracle_error_rate=0.3)
    right = gold(campaign)
    names = ("oracle-1", "oracle-2", "oracle-3")
    assert all(list(own)[:3] == list(names) for own in votes.values())
    wrong = {name: {item_id for item_id in votes if votes[item_id][name] != right[item_id]} for name in names}
    bound = 4 * (0.3 * 0.7 * 300) ** 0.5  # four standard deviations of a binomial count
    assert all(abs(len(items) - 90) <= bound for items in wrong.values())
    for one, other in itertools.combinations(names, 2):
        assert abs(len(wrong[one] & wrong[other]) - 27) <= 4 * (0.09 * 0.91 * 300) ** 0.5


def test_simulated_ties_are_broken_by_one_more_annotator(tmp_path):
    _, votes = oracle_votes(tmp_path, 2, oracle_error_rate=0.3)
    sizes = Counter(len(own) for own in votes.values())
    assert sizes[2] > 100
    assert sum(sizes[size] for size in sizes if size > 2) > 50
    for own in votes.values():
        (_, most), *others = Counter(own.values()).most_common()
        assert all(most > count for _, count in others)


def test_one_simulated_annotator_is_as_ever(tmp_path):
    _, votes = oracle_votes(tmp_path, 1, oracle_error_rate=0.3)
    assert all(list(own) == ["oracle"] for own in votes.values())


def test_nobody_has_to_decide_about_an_item_that_was_deleted_where_people_label(tmp_path):
    rules = {"source": "files", "annotators_per_item": 2, "adjudicators": ["eve"]}
    campaign = make_campaign(tmp_path, labeling=rules)
    ids, request = select(campaign), make_request(campaign, 0)
    pairs = itertools.product(ids[:2], (("ann", "human"), ("bob", "entity")))
    answers = [Answer(f"{name}.csv", 2, item_id, label, name, None) for item_id, (name, label) in pairs]
    found = count_answers(request, answers, [], seen={ids[0]: "deleted"})
    assert [found.states[item_id] for item_id in ids[:3]] == ["deleted", "adjudication", "waiting"]
    assert list(found.disputes) == [ids[1]]
