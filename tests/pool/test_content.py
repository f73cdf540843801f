import datetime
import decimal
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.config import ColumnsConfig, TaskConfig
from activelora.errors import ProblemsError
from activelora.formats.problems import Problems
from activelora.formats.row import Row
from activelora.kinds.registry import make_task
from activelora.pool.content import RowParser, as_text, item_id, wanted_columns
from activelora.pool.label_readings import LabelReadings

TASK = make_task(TaskConfig(prompt="{title}: {text}", labels=("sport", "politics")))
CHOICES = make_task(TaskConfig(kind="multiple_choice", answer="text", prompt="{question}"))


def parse(values, task=TASK, columns=None, labels="required", numbers=None):
    problems, readings = Problems(), LabelReadings(task, numbers)
    parsed = RowParser(task, columns or ColumnsConfig(), labels, problems, readings).parse(Row(values, "file", 1))
    problems.refuse()
    return parsed


def test_an_id_is_the_hash_of_the_sorted_content():
    # Campaigns on disk name items by it: another way of hashing would make strangers of them.
    content = '[[["text","Grüße"],["title","a"]],["x","y"]]'
    expected = "i" + hashlib.sha256(content.encode()).hexdigest()[:20]
    assert item_id({"title": "a", "text": "Grüße"}, ("x", "y")) == expected


def test_the_same_content_has_the_same_id():
    one, _ = parse({"title": "a", "text": "café\nnoir", "label": "sport"})
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
    item, _ = parse({"title": "a", "text": "b", "label": "sport", "key": 17}, columns=ColumnsConfig(id="key"))
    assert item.source_id == "17"


@pytest.mark.parametrize(
    ("raw", "numbers", "label"),
    [
        ("sport", None, 0),
        (" Politics ", "one_based", 1),
        ('"politics"', None, 1),
        (1, "zero_based", 1),
        ("0", "zero_based", 0),
        (1.0, "zero_based", 1),
        ("1.0", "zero_based", 1),
        (decimal.Decimal("1.0"), "zero_based", 1),
        (1, "one_based", 0),
        ("2", "one_based", 1),
        (2.0, "one_based", 1),
    ],
)
def test_labels_are_read_as_names_or_as_numbers_where_that_is_said(raw, numbers, label):
    assert parse({"title": "a", "text": "b", "label": raw}, numbers=numbers)[1] == label


@pytest.mark.parametrize(
    ("raw", "from_0", "from_1"),
    [(1, "`politics`", "`sport`"), ("0.0", "`sport`", "no label"), (2, "no label", "`politics`")],
)
def test_a_number_of_which_nothing_is_said_is_refused_with_both_readings(raw, from_0, from_1):
    with pytest.raises(ProblemsError) as told:
        parse({"title": "a", "text": "b", "label": raw})
    assert f"from 0 it is {from_0}, from 1 {from_1}" in str(told.value)
    assert "set data.label_numbers to zero_based or one_based" in str(told.value)


@pytest.mark.parametrize("raw", [True, 1.5, float("inf"), "1e0", "+1", "²", "1,0", "9" * 5000, [1], {"a": 1}])
def test_what_is_no_whole_number_is_no_label_s_place(raw):
    with pytest.raises(ProblemsError, match="is not a label of this task; it has: sport, politics"):
        parse({"title": "a", "text": "b", "label": raw}, numbers="zero_based")


@pytest.mark.parametrize(
    ("names", "raw", "label"),
    [
        (("0", "1"), 1, 1),
        (("1", "0"), 1, 0),
        (("1", "0"), "1.0", 0),
        (("1", "2"), 1.0, 0),
        (("-1", "1"), -1, 0),
        (("01", "02"), 2, 1),
        (("1.0", "2.0"), 2, 1),
        (("01", "1"), "1.0", 1),
        (("1 star", "2 stars", "3"), 3, 2),
    ],
)
@pytest.mark.parametrize("numbers", [None, "zero_based", "one_based"])
def test_a_label_that_is_a_number_is_meant_by_it(names, raw, label, numbers):
    task = make_task(TaskConfig(prompt="{text}", labels=names))
    assert parse({"text": "b", "label": raw}, task, numbers=numbers)[1] == label


@pytest.mark.parametrize(("names", "raw"), [(("1", "2"), 0), (("0", "1"), 2), (("3", "x"), 1)])
@pytest.mark.parametrize("numbers", [None, "zero_based"])
def test_beside_labels_that_are_numbers_no_other_number_is_a_place(names, raw, numbers):
    task = make_task(TaskConfig(prompt="{text}", labels=names))
    with pytest.raises(ProblemsError, match="is not a label of this task"):
        parse({"text": "b", "label": raw}, task, numbers=numbers)


@pytest.mark.parametrize(
    ("raw", "numbers", "mask"),
    [
        ("0;2", "zero_based", 0b101),
        ("[1, 3]", "one_based", 0b101),
        ([1.0, 2], "one_based", 0b011),
        (2, "zero_based", 0b100),
        ("a|2", "one_based", 0b011),
        ("", "zero_based", 0),
        ("none", "zero_based", 0),
    ],
)
def test_each_label_of_a_set_is_read_so(raw, numbers, mask):
    task = make_task(TaskConfig(kind="multi_label", prompt="{text} {label}", labels=("a", "b", "c")))
    assert parse({"text": "b", "label": raw}, task, numbers=numbers)[1] == mask


def test_a_number_in_a_set_is_refused_with_both_readings():
    task = make_task(TaskConfig(kind="multi_label", prompt="{text} {label}", labels=("a", "b", "c")))
    with pytest.raises(ProblemsError, match="`1` is a number: from 0 it is `b`, from 1 `a`"):
        parse({"text": "b", "label": "a; 1"}, task)


@pytest.mark.parametrize(
    ("changes", "raw", "label"),
    [
        ({"kind": "yes_no"}, 1, 1),
        ({"kind": "yes_no"}, "0.0", 0),
        ({"kind": "yes_no"}, True, 1),
        ({"kind": "regression", "minimum": 1, "maximum": 5}, 1, 0),
        ({"kind": "regression", "minimum": 1, "maximum": 5}, "2.0", 1),
        ({"kind": "generation"}, 1.0, "1"),
    ],
)
def test_other_kinds_read_numbers_by_their_own_rules(changes, raw, label):
    assert parse({"text": "b", "label": raw}, make_task(TaskConfig(prompt="{text}", **changes)))[1] == label


@pytest.mark.parametrize(("raw", "label"), [(1, 1), (1.0, 1), ("1.0", 1), ("b", 1), ("x", 0)])
def test_choices_are_numbered_from_0(raw, label):
    assert parse({"question": "?", "choices": ["x", "y"], "label": raw}, CHOICES)[1] == label


@pytest.mark.parametrize("raw", [-1, "-1", -1.0, "-1.0"])
@pytest.mark.parametrize("numbers", [None, "zero_based", "one_based"])
@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"labels": ("a", "b")}, {}),
        ({"kind": "yes_no"}, {}),
        ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ("a", "b")}, {}),
        ({"kind": "multiple_choice", "answer": "text"}, {"choices": ["-2", "-3"]}),
    ],
)
def test_minus_one_is_no_label(raw, numbers, changes, columns):
    task = make_task(TaskConfig(**{"prompt": "{text}", **changes}))
    values = {"text": "b", "label": raw, **columns}
    assert parse(values, task, labels="optional", numbers=numbers)[1] is None
    assert parse(values, task, labels="or_left_out", numbers=numbers) is None
    with pytest.raises(ProblemsError, match="has no label"):
        parse(values, task, numbers=numbers)


def test_minus_one_may_be_a_choice_or_a_value():
    item, label = parse({"question": "?", "choices": ["1", "-1"], "label": "-1"}, CHOICES)
    assert item.choices[label] == "-1"
    values = make_task(TaskConfig(kind="regression", prompt="{text}", minimum=-1, maximum=1))
    assert parse({"text": "b", "label": -1}, values)[1] == 0


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
