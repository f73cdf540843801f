"""Which answers about a labelled item are news: an inbox keeps its old files, and people send them again."""

from datetime import datetime

import pytest

from activelora.labeling.corrections import find_news
from activelora.labeling.inbox import Answer
from activelora.labeling.request import Known
from activelora.labeling.tally import Vote

COMMIT = "2026-01-01T10:00:00+00:00"


def vote(label, annotator="ann", file="a.csv", at=None):
    time = None if at is None else datetime.fromisoformat(f"2026-01-{at:02d}T00:00:00+00:00")
    return Vote(Answer(file, 2, "item", str(label), annotator, time), label)


def record(label, annotator="ann", file="a.csv", at=COMMIT):
    at = at if isinstance(at, str) else f"2026-01-{at:02d}T00:00:00+00:00"
    return {"label": label, "annotator": annotator, "labeled_at": at, "origin": file, "round": 0}


def known(*records):
    return Known(records[-1]["label"], len(records) - 1, records)


FIRST = record(1)
CORRECTED = known(FIRST, record(0, "bob", "b.csv"))
CHANGED = known(FIRST, record(0, "ann", "a.csv"))

CASES = {
    "what was recorded": (known(FIRST), [vote(1)], [], []),
    "the same from a copy": (known(FIRST), [vote(1), vote(1, file="copy.csv")], [], []),
    "a new annotator": (known(FIRST), [vote(1), vote(0, "bob", "b.csv")], [(0, "bob")], []),
    "a new annotator who agrees": (known(FIRST), [vote(1), vote(1, "bob", "b.csv")], [(1, "bob")], []),
    "second thoughts in another file": (known(FIRST), [vote(1), vote(0, file="b.csv")], [(0, "ann")], []),
    "second thoughts in the same file": (known(FIRST), [vote(0)], [(0, "ann")], []),
    "second thoughts below the first": (known(FIRST), [vote(1), vote(0)], [(0, "ann")], []),
    "second thoughts that are recorded": (CHANGED, [vote(1), vote(0)], [], []),
    "edited back": (CHANGED, [vote(1)], [(1, "ann")], []),
    "what was corrected, still there": (CORRECTED, [vote(1), vote(0, "bob", "b.csv")], [], []),
    "what was corrected, sent again": (CORRECTED, [vote(1, file="again.csv")], [], [(1, "ann")]),
    "what was corrected, meant anew": (CORRECTED, [vote(1, file="again.csv", at=2)], [(1, "ann")], []),
    "a date before what is recorded": (CORRECTED, [vote(1, file="again.csv", at=1)], [], [(1, "ann")]),
    "the corrector's new date": (CORRECTED, [vote(0, "bob", "b.csv", at=3)], [(0, "bob")], []),
    "the earlier of two dates": (known(record(1, at=5)), [vote(1, at=5), vote(0, at=4)], [], []),
    "the later of two dates": (known(record(1, at=5)), [vote(1, at=5), vote(0, at=6)], [(0, "ann")], []),
    "an outvoted answer": (known(record(2, "cat", "c.csv"), FIRST), [vote(2, "cat", "c.csv")], [], []),
    "passing over": (known(FIRST), [vote(None, "bob")], [], []),
    "an origin that was not kept": (known(record(1, file=None)), [vote(1)], [], []),
}


@pytest.mark.parametrize("name", CASES)
def test_news(name):
    there, votes, fresh, repeated = CASES[name]
    for order in (votes, votes[::-1]):
        news = find_news(order, there)
        assert [(one.label, one.answer.annotator) for one in news.fresh] == fresh
        assert [(one.label, one.answer.annotator) for one in news.repeated] == repeated


def test_files_that_stay_settle_down():
    """Whatever people wrote, a look after their answers are recorded finds nothing new."""
    votes = [vote(1), vote(0, file="b.csv"), vote(2, "bob", "c.csv", at=2), vote(1, "bob", "c.csv", at=3)]
    there = known(record(2, "eve", "e.csv"))
    fresh = find_news(votes, there).fresh
    assert [(one.label, one.answer.annotator) for one in fresh] == [(1, "ann"), (0, "ann"), (1, "bob")]
    recorded = [
        {**record(one.label, one.answer.annotator, one.answer.file), "labeled_at": time}
        for one in fresh
        if (time := one.answer.labeled_at.isoformat() if one.answer.labeled_at else COMMIT)
    ]
    assert find_news(votes, known(*there.records, *recorded)).fresh == []
