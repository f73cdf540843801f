"""Labels that no table can bring back are refused; all others come back from every door."""

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.errors import ProblemsError
from activelora.kinds.registry import make_task
from activelora.labeling.worksheet import csv_bytes, unsafe_cell
from activelora.rules.file import checked_config
from activelora.tasks.written import read_label

ITEM = Item("i", {"text": "x"})


def config_of(*labels, kind="classification"):
    task = {"kind": kind, "prompt": "{text} {label}" if kind == "multi_label" else "{text}", "labels": list(labels)}
    return checked_config({"name": "test", "task": task, "data": {"pool": {"path": "pool.jsonl"}}}, where="test")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((" ham", "spam"), "label ' ham' has blanks at its ends, which tables and people leave out. Write 'ham'."),
        (("ham\u00a0", "spam"), "has blanks at its ends"),
        (("ham\nand eggs", "spam"), "a cell of a table cannot hold"),
        (("h\x00m", "spam"), "a cell of a table cannot hold"),
        (("''", "spam"), "is nothing but quotes and blanks"),
        (("ham  roll", "Ham roll"), "differs from 'ham  roll' by case, blanks, quotes"),
        (('"ham"', "ham"), "differs from '\"ham\"' by case, blanks, quotes"),
        (("caf\u00e9", "cafe\u0301"), "the composition of letters alone"),
    ],
)
def test_a_label_that_would_not_come_back_is_refused(labels, said):
    with pytest.raises(ProblemsError) as told:
        config_of(*labels)
    assert said in str(told.value)
    assert "task.labels" in str(told.value)


NAMES = st.text(st.sampled_from("aAbß 01-=+@#'\"|;,[]{}.$\u00e9e\u0301\u200b\u3000"), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=5), st.sampled_from(["classification", "multi_label"]))
def test_every_other_label_comes_back_as_itself(names, kind):
    """From a worksheet's cell, from JSON, in capitals and within quotes."""
    try:
        config = config_of(*names, kind=kind)
    except (ProblemsError, ValueError):
        return
    task = make_task(config.task)
    for index, name in enumerate(names):
        label = 1 << index if kind == "multi_label" else index
        [[cell]] = list(csv.reader(io.StringIO(csv_bytes([name], []).decode())))
        ways = [name, f" {name} ", unsafe_cell(cell), unicodedata.normalize("NFC", name), json.loads(json.dumps(name))]
        for written in ways:
            assert read_label(task, written, ITEM, None) == label, (names, written)
        if kind == "multi_label":
            assert read_label(task, [name], ITEM, None) == label
            assert read_label(task, json.dumps([name]), ITEM, "zero_based") == label
