"""Sets of labels: how they are written, and that reading and writing agree."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.errors import ConfigError, LabelError
from activelora.kinds.multi_label.task import MultiLabel
from tests.tasks.checking import checked_task

ITEM = Item("i", {"text": "x"})
LABELS = ("red", "Green light", "blue")


def task_of(**changes):
    settings = {"kind": "multi_label", "prompt": "{text}: {label}?", "labels": LABELS, **changes}
    task = checked_task(settings)
    assert isinstance(task, MultiLabel)
    return task


@pytest.mark.parametrize(
    ("raw", "mask"),
    [
        ("red", 0b001),
        ("blue; red", 0b101),
        ("green light|BLUE", 0b110),
        ('["blue", "red"]', 0b101),
        (["red", "Green light", "blue"], 0b111),
        (["red", "red"], 0b001),
        ("", 0),
        ("[]", 0),
        ([], 0),
        ("none", 0),
    ],
)
def test_ways_to_write_a_set(raw, mask):
    assert task_of().parse_label(raw, ITEM) == mask


@given(st.integers(0, 2**62 - 1))
def test_what_is_written_is_read_back(mask):
    task = task_of(labels=[f"label {index}" for index in range(62)])
    assert task.parse_label(task.label_name(mask, ITEM), ITEM) == mask
    names = task.label_name(mask, ITEM).split("; ") if mask else []
    assert task.parse_label(json.dumps(names), ITEM) == mask


@pytest.mark.parametrize("raw", ["purple", "red; purple", "red;", ["red", 3], '["red"', "[1]", True, 1])
def test_what_is_no_set_of_labels(raw):
    with pytest.raises(LabelError, match=r"is not a label of this task; it has: red, Green light|is not a JSON list"):
        task_of().parse_label(raw, ITEM)


def test_a_question_for_every_label():
    first, *_, last = task_of(answer_words={"yes": "true", "no": "false"}).queries(Item("i", {"text": "sky"}))
    assert (first.prompt, last.prompt) == ("sky: red?", "sky: blue?")
    assert first.answers == ("false", "true")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "1 to 62"),
        ({"labels": [str(index) for index in range(63)]}, "1 to 62"),
        ({"labels": ["a;b"]}, "stand for lists"),
        ({"labels": ["a", "A"]}, "must be different"),
        ({"answer": "letters"}, "answers by `words`"),
        ({"answer_words": {"red": "r"}}, "names no label"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        task_of(**changes)


@pytest.mark.parametrize(
    ("prompt", "message"), [("{text}?", "does not name it"), ("{label}?", "names no column of the data")]
)
def test_prompts_that_cannot_be(prompt, message):
    with pytest.raises(ConfigError, match=message):
        task_of(prompt=prompt)
