"""Who decides where annotators do not: agreement, adjudicators, and what becomes of skipped items."""

import itertools

import pytest

from activelora.campaign.labels import resolve
from activelora.labeling.tally import Rules, tally
from tests.campaign.test_labels import record
from tests.labeling.test_tally import name_of, vote

EVE = frozenset({"eve", "eva"})
TWO = Rules(2, adjudicators=EVE)


def outcome(votes, rules):
    found = [tally(order, name_of, rules) for order in itertools.permutations(votes)]
    assert all(one == found[0] for one in found)
    return found[0]


@pytest.mark.parametrize(
    ("votes", "state", "names"),
    [
        ([vote("ann", "human"), vote("bob", "entity")], "adjudication", ""),
        ([vote("ann", "human"), vote("bob", "entity"), vote("cat", "human")], "labeled", "ann bob cat"),
        ([vote("ann", "human"), vote("bob", "entity"), vote("eve", "number")], "labeled", "ann bob eve"),
        ([vote("eve", "number")], "labeled", "eve"),  # whether asked or not
        ([vote("eve", "number"), vote("eva", "human")], "adjudication", ""),
        ([vote("eve", "number"), vote("eva", "human", 9), vote("eva", "number", 10)], "labeled", "eva eve"),
        ([vote("ann", "human"), vote("bob", "entity"), vote("eve", None)], "skipped", ""),
        ([vote("ann", "human"), vote("bob", "human"), vote("eve", None)], "labeled", "ann bob"),
        ([vote("ann", "human"), vote("eve", None)], "in_progress", "ann"),  # eve is not one of the two
        ([vote("ann", "human"), vote("ann", "entity")], "adjudication", ""),
        ([vote("ann", None), vote("bob", None)], "skipped", ""),
        ([vote("ann", "human")], "in_progress", "ann"),
    ],
)
def test_an_adjudicator_overrules(votes, state, names):
    found = outcome(votes, TWO)
    assert (found.state, " ".join(found.votes)) == (state, names)


def test_the_ruling_is_the_label_even_against_a_majority():
    votes = [vote("ann", "human"), vote("bob", "human"), vote("cat", "human"), vote("eve", "entity")]
    records = [record("id", one.label, name) for name, one in outcome(votes, TWO).votes.items()]
    assert resolve([records], EVE).labels == {"id": 0}
    assert resolve([records]).labels == {"id": 1}
    assert resolve([records[:3]], EVE).labels == {"id": 1}


@pytest.mark.parametrize(
    ("min_agreement", "state"), [(0.0, "labeled"), (2 / 3, "labeled"), (0.7, "adjudication"), (1.0, "adjudication")]
)
def test_too_little_agreement_goes_to_an_adjudicator(min_agreement, state):
    votes = [vote("ann", "human"), vote("bob", "entity"), vote("cat", "human")]
    found = outcome(votes, Rules(3, min_agreement, EVE))
    assert found.state == state
    assert found.dispute == ("" if state == "labeled" else "entity (bob), human (ann), human (cat)")
    assert list(found.rejected) == []


@pytest.mark.parametrize(
    ("skipped", "state"), [("never", "skipped"), ("return", "skipped"), ("adjudicate", "adjudication")]
)
def test_what_everybody_passes_over(skipped, state):
    rules = Rules(2, adjudicators=EVE, skipped=skipped)
    passed = [vote("ann", None), vote("bob", None)]
    found = outcome(passed, rules)
    assert (found.state, found.dispute) == (state, "skip (ann), skip (bob)" if state == "adjudication" else "")
    assert outcome([*passed, vote("eve", None)], rules).state == "skipped"
    assert outcome([*passed, vote("eve", "human")], rules).state == "labeled"
    assert outcome([passed[0], vote("bob", "human")], rules).state == "labeled"


def test_a_dispute_about_one_annotators_contradiction_says_so():
    found = outcome([vote("ann", "human"), vote("ann", "entity", line=3)], Rules(1, adjudicators=EVE))
    assert found.dispute.startswith("annotator `ann` gives different answers: entity")
    assert len(found.rejected) == 2
