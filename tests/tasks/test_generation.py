"""Written answers: what is taken from them and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.errors import ConfigError, LabelError
from activelora.kinds.generation.task import Generation, same_answer
from tests.tasks.checking import checked_task

ITEM = Item("i", {"text": "x"})


def task_of(**changes):
    task = checked_task({"kind": "generation", "prompt": "{text}", **changes})
    assert isinstance(task, Generation)
    return task


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("He sold 48/2 = <<48/2=24>>24 clips.\n#### 72", "72"),
        ("#### 1\nno, wait\n#### -1,234.5 \nThe end 9", "-1,234.5"),
        ("First 3, then 4 apples.", "4"),
        ("It is .5", ".5"),
        ("Paris, of course", "Paris, of course"),
        ("####", ""),
        ("  ", ""),
    ],
)
def test_the_final_answer_by_default(text, final):
    assert task_of().final_answer(text) == final


def test_the_final_answer_by_expression():
    task = task_of(extract=r"answer is (\w+)")
    assert task.final_answer("The answer is no. The answer is yes!") == "yes"
    assert task.final_answer("nothing") is None
    assert not task.is_right("nothing", "nothing")
    assert task.is_right("so the answer is Yes", "yes")
    assert task_of(extract="[A-E]").final_answer("B or C") == "C"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("1,000", "1000.0", True),
        ("$5", "5", True),
        ("50%", "50", True),
        ("72.", "72", True),
        ("0.1", ".10", True),
        ("-3", "3", False),
        ("7", "72", False),
        ("  New   York. ", "new york", True),
        ("New York", "York", False),
        ("12 apples", "12", False),
        ("", "0", False),
    ],
)
def test_comparing_answers(left, right, equal):
    assert same_answer(left, right) is same_answer(right, left) is equal


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{:d}", "{:,d}", "{:d}.0", " {:d} ", "{:d}."]))
def test_a_number_is_itself_however_it_is_written(number, form):
    assert same_answer(form.format(number), str(number))
    assert task_of().is_right(f"so it is\n#### {form.format(number)}", f"1 + 2\n#### {number}")


@pytest.mark.parametrize(("raw", "text"), [("  two\r\nlines ", "two\nlines"), (72, "72"), (1.5, "1.5")])
def test_any_text_is_a_label(raw, text):
    assert task_of().parse_label(raw, ITEM) == text
    assert task_of().label_name(text, ITEM) == text


@pytest.mark.parametrize("raw", ["", " \n", "x" * 20_001, "\x00", "\ud800", ["a"], None])
def test_what_is_no_text(raw):
    with pytest.raises(LabelError, match="the answer"):
        task_of().parse_label(raw, ITEM)


def test_settings_that_cannot_be():
    for changes, message in (
        ({"extract": "("}, "no regular expression"),
        ({"labels": ["a", "b"]}, "belong to classification"),
        ({"kind": "yes_no", "max_answer_tokens": 5}, "belongs to generation only"),
        ({"answer": "letters"}, "answers by `words`"),
        ({"max_answer_tokens": 0}, "greater than or equal to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            task_of(**changes)
    with pytest.raises(ConfigError, match=r"has no \{choices\}"):
        task_of(prompt="{text} {choices}")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("2 + 2\n#### 4", "four times one is 4.0", True),
        ("#### 4", "#### 5", False),
        ("Paris", "  paris. ", True),
    ],
)
def test_which_written_answers_mean_the_same(left, right, same):
    assert task_of().means_the_same(left, right) is task_of().means_the_same(right, left) is same


def test_answers_without_a_final_part_mean_the_same_where_they_are_the_same():
    task = task_of(extract=r"answer is (\w+)")
    assert task.means_the_same("I do not know", "i do not know.")
    assert not task.means_the_same("I do not know", "no idea")
    assert not task.means_the_same("I do not know", "the answer is yes")
    assert task.means_the_same("so the answer is Yes", "the answer is yes")
