"""From answers to a label: one vote an annotator, the majority wins, contradictions are told."""

import itertools
from datetime import UTC, datetime

import pytest

from activelora.labeling.inbox import Answer
from activelora.labeling.tally import Vote, tally
from tests.labeling.conftest import LABELS


def vote(annotator, label, hour=None, line=2, file="a.csv"):
    time = None if hour is None else datetime(2026, 1, 1, hour, tzinfo=UTC)
    answer = Answer(file, line, "id", "as written", annotator, time)
    return Vote(answer, None if label is None else LABELS.index(label))


def name_of(label):
    return "skip" if label is None else LABELS[label]


def outcome(*votes):
    result = tally(votes, name_of)
    labels = {annotator: LABELS[one.label] for annotator, one in result.votes.items()}
    return result.state, labels, len(result.rejected)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([], ("waiting", {}, 0)),
        ([vote("ann", "human")], ("labeled", {"ann": "human"}, 0)),
        ([vote("ann", "human"), vote("ann", "human", line=3)], ("labeled", {"ann": "human"}, 0)),
        ([vote("ann", "human"), vote("bob", "human")], ("labeled", {"ann": "human", "bob": "human"}, 0)),
        ([vote("ann", "human"), vote("bob", "entity")], ("conflicting", {}, 2)),
        (
            [vote("ann", "human"), vote("bob", "entity"), vote("cat", "human")],
            ("labeled", {"ann": "human", "bob": "entity", "cat": "human"}, 0),
        ),
        ([vote("ann", "human"), vote("ann", "entity", line=3)], ("conflicting", {}, 2)),
        ([vote("ann", "human", 9), vote("ann", "entity", 8)], ("labeled", {"ann": "human"}, 0)),
        ([vote("ann", "human", 9), vote("ann", "entity", 9)], ("conflicting", {}, 2)),
        ([vote("ann", "human", 9), vote("ann", "entity")], ("conflicting", {}, 2)),
        ([vote("ann", "human"), vote("ann", "entity"), vote("bob", "entity")], ("labeled", {"bob": "entity"}, 2)),
        ([vote("ann", None)], ("skipped", {}, 0)),
        ([vote("ann", None), vote("bob", "human")], ("labeled", {"bob": "human"}, 0)),
        ([vote("ann", None, 9), vote("ann", "human", 8)], ("skipped", {}, 0)),
        ([vote("ann", None), vote("ann", "human")], ("conflicting", {}, 2)),
    ],
)
def test_the_rule_in_every_order(votes, expected):
    for order in itertools.permutations(votes):
        assert outcome(*order) == expected


def test_of_an_annotators_equal_answers_the_latest_time_is_kept():
    result = tally([vote("ann", "human", 8), vote("ann", "human"), vote("ann", "human", 9)], name_of)
    assert result.votes["ann"].answer.labeled_at.hour == 9


def test_reasons_name_the_annotators_and_places():
    own = tally([vote("ann", "human"), vote("ann", "entity", line=7, file="b.csv")], name_of).rejected[0].reason
    assert "annotator `ann` gives different answers: entity (b.csv line 7), human (a.csv line 2)" in own
    assert "labeled_at" in own
    others = tally([vote("ann", "human"), vote("bob", "entity")], name_of).rejected[0].reason
    assert "no answer has a majority: entity (bob), human (ann); one more answer decides" in others
