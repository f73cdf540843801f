"""Every record of an item, and how two snapshots differ."""

from activelora.campaign.label_history import blame, difference
from activelora.campaign.labels import resolve
from tests.campaign.test_labels import record

ROUNDS = [
    [record("a", 0), record("b", 1), record("b", 1, "bob"), record("b", 2, "cat")],
    [],
    [record("a", 1, "bob", at="2026-02-01T00:00:00Z"), record("c", 0)],
    [record("a", 1, "cat", at="2026-03-01T00:00:00Z")],
]


def told(item):
    return [
        (entry.round, entry.record["annotator"], entry.record["label"], entry.effect, entry.before, entry.replaced_in)
        for entry in blame(ROUNDS)[item]
    ]


def test_an_item_that_was_corrected_and_confirmed():
    assert told("a") == [
        (0, "ann", 0, "labels", None, 2),
        (2, "bob", 1, "corrects", 0, 3),
        (3, "cat", 1, "confirms", 1, None),
    ]


def test_votes_of_one_round():
    assert told("b") == [
        (0, "ann", 1, "labels", None, None),
        (0, "bob", 1, "labels", None, None),
        (0, "cat", 2, "outvoted", None, None),
    ]


def test_every_record_is_told_once_and_items_are_in_order():
    history = blame(ROUNDS)
    assert list(history) == ["a", "b", "c"]
    assert sum(map(len, history.values())) == sum(map(len, ROUNDS))
    assert blame([]) == {}


def test_what_is_in_force_is_what_the_snapshot_counts():
    counted = resolve(ROUNDS)
    in_force = {
        (item, entry.record["annotator"], entry.record["label"])
        for item, entries in blame(ROUNDS).items()
        for entry in entries
        if entry.replaced_in is None
    }
    rows = counted.records.to_pylist()
    assert in_force == {(row["item_id"], row["annotator"], row["label"]) for row in rows}


def test_the_difference_of_two_snapshots():
    first, last = resolve(ROUNDS[:1]), resolve(ROUNDS)
    found = difference(first, last)
    assert (found.added, found.corrected) == ({"c": 0}, {"a": (0, 1)})
    same = difference(last, last)
    assert (same.added, same.corrected) == ({}, {})


def test_what_an_annotator_was_worth_follows_the_rule():
    votes = [record("a", 1), record("a", 1, "bob"), record("a", 2, "cat"), record("a", 4, "dan"), record("a", 5, "eve")]
    effects = {entry.record["annotator"]: entry.effect for entry in blame([votes], (), "median")["a"]}
    assert effects == {"ann": "outvoted", "bob": "outvoted", "cat": "labels", "dan": "outvoted", "eve": "outvoted"}
