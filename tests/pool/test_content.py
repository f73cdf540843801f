import datetime
import decimal
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.config import ColumnsConfig, TaskConfig
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.kinds.registry import make_task
from activelora.pool.content import RowParser, as_text, item_id, wanted_columns

TASK = make_task(TaskConfig(prompt="{title}: {text}", labels=("sport", "politics")))
CHOICES = make_task(TaskConfig(kind="multiple_choice", answer="text", prompt="{question}"))


def parse(values, task=TASK, columns=None, labels="required"):
    problems = Problems()
    parsed = RowParser(task, columns or ColumnsConfig(), labels, problems).parse(Row(values, "file", 1))
    problems.refuse()
    return parsed


def test_an_id_is_the_hash_of_the_sorted_content():
    # Campaigns on disk name items by it: another way of hashing would make strangers of them.
    content = '[[["text","Grüße"],["title","a"]],["x","y"]]'
    expected = "i" + hashlib.sha256(content.encode()).hexdigest()[:20]
    assert item_id({"title": "a", "text": "Grüße"}, ("x", "y")) == expected


def test_the_same_content_has_the_same_id():
    one, _ = parse({"title": "a", "text": "café\nnoir", "label": 0})
    two, _ = parse({"text": " cafe\u0301\r\nnoir\t", "label": "sport", "title": "a", "other": 5})
    assert one == two


@given(st.dictionaries(st.sampled_from(["title", "text"]), st.text('ab:,"[]'), min_size=2), st.data())
def test_different_content_has_different_ids(fields, data):
    other = data.draw(st.fixed_dictionaries({name: st.text('ab:,"[]') for name in ("title", "text")}))
    assert (item_id(fields, ()) == item_id(other, ())) == (fields == other)


def test_choices_and_their_order_belong_to_the_id():
    ids = {
        parse({"question": "?", "choices": choices, "label": 0}, CHOICES)[0].item_id
        for choices in (["a", "b"], ["b", "a"], ["a", "b", "c"], ["a,b", "c"])
    }
    assert len(ids) == 4


def test_choices_in_csv_are_a_json_list():
    item, label = parse({"question": "?", "choices": '["ice", "fire", 3]', "label": "B"}, CHOICES)
    assert item.choices == ("ice", "fire", "3")
    assert label == 1


def test_the_users_own_id_is_kept():
    item, _ = parse({"title": "a", "text": "b", "label": 0, "key": 17}, columns=ColumnsConfig(id="key"))
    assert item.source_id == "17"


@pytest.mark.parametrize(("raw", "label"), [("sport", 0), (" Politics ", 1), (1, 1), ("0", 0), (1.0, 1)])
def test_labels_are_read_as_names_or_numbers(raw, label):
    assert parse({"title": "a", "text": "b", "label": raw})[1] == label


@pytest.mark.parametrize("raw", [None, "", "  ", float("nan")])
def test_a_label_may_be_missing_where_it_is_optional(raw):
    assert parse({"title": "a", "text": "b", "label": raw}, labels="optional")[1] is None


def test_ignored_labels_are_not_even_looked_at():
    assert parse({"title": "a", "text": "b", "label": "nonsense"}, labels="ignored")[1] is None
    assert "label" not in wanted_columns(TASK, ColumnsConfig(), "ignored").optional


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        ("\ta\r\nb\rc ", "a\nb\nc"),
    ],
)
def test_cells_become_text(cell, text):
    assert as_text(cell, "it", "here") == text
