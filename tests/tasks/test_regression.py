"""Numbers on a grid: which labels are taken, and what the grid is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.errors import ConfigError, LabelError
from activelora.kinds.regression.task import Regression
from tests.tasks.checking import checked_task

ITEM = Item("i", {"text": "x"})


def task_of(**changes):
    settings = {"kind": "regression", "prompt": "{text}", "minimum": 1, "maximum": 5, **changes}
    task = checked_task(settings)
    assert isinstance(task, Regression)
    return task


def test_the_grid_has_both_ends_and_no_rounding_errors():
    assert task_of(minimum=0, maximum=1, step=0.1).label_names == tuple(f"{n / 10:.1f}" for n in range(11))
    assert task_of().label_names == ("1", "2", "3", "4", "5")
    assert task_of(minimum=-1, maximum=1, step=0.25).values == tuple(n / 4 for n in range(-4, 5))
    assert task_of(minimum=0, maximum=1000, step=10).label_names[:3] == ("0", "10", "20")
    assert len(task_of(minimum=0, maximum=1000).values) == 1001


@given(st.integers(0, 8), st.floats(-0.49, 0.49))
def test_a_label_is_the_nearest_step_and_tells_whether_it_was_rounded(index, off):
    task = task_of(minimum=-1, maximum=3, step=0.5)
    number = round(-1 + index * 0.5 + off * 0.5, 6)
    if not -1 <= number <= 3:
        return
    assert task.parse_label(number, ITEM) == task.parse_label(f" {number} ", ITEM) == index
    assert task.is_rounded(number) == (number != -1 + index * 0.5)
    assert float(task.label_name(index, ITEM)) == -1 + index * 0.5


@pytest.mark.parametrize("raw", [0.99, "6", "1e9", -1])
def test_a_label_outside_the_range_names_value_and_range(raw):
    with pytest.raises(LabelError, match=f"{raw} is outside task.minimum 1 and task.maximum 5"):
        task_of().parse_label(raw, ITEM)


@pytest.mark.parametrize("raw", ["good", "", "nan", "inf", True, "3 stars", "[3]"])
def test_what_is_no_number_is_refused(raw):
    with pytest.raises(LabelError, match="is not a number from 1 to 5"):
        task_of().parse_label(raw, ITEM)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maximum": None}, "needs `minimum` and `maximum`"),
        ({"maximum": 1}, "must be smaller"),
        ({"step": 0.3}, "cannot be reached"),
        ({"maximum": 1e300, "step": 1e-300}, "more than 1001 values"),
        ({"step": 0}, "greater than 0"),
        ({"answer": "letters"}, "answers by `words`"),
        ({"labels": ["a", "b"]}, "`labels` belong to classification"),
        ({"kind": "yes_no"}, "`minimum` belongs to regression only"),
        ({"answer_words": {"yes": "y"}}, "names no label"),
    ],
)
def test_grids_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        task_of(**changes)


def test_a_prompt_without_columns_or_with_places_of_other_kinds():
    with pytest.raises(ConfigError, match=r"has no \{labels\}"):
        task_of(prompt="{text} {labels}")
    with pytest.raises(ConfigError, match="names no column"):
        task_of(prompt="how many?")
