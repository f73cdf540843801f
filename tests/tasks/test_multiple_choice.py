"""What a written label means, where choices look like letters and numbers."""

import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import LabelError
from activelora.kinds.registry import make_task

TASK = make_task(TaskConfig(kind="multiple_choice", prompt="{text}\n{choices}", answer="letters"))
NUMBERS = Item("1", {"text": "How many?"}, ("1", "27", "180", "365"))
LETTERS = Item("2", {"text": "Which grade?"}, ("A", "C", "D", "E"))
WORDS = Item("3", {"text": "Which?"}, ("red", "green", "blue"))


@pytest.mark.parametrize(("raw", "label"), [("red", 0), ("GREEN", 1), ("c", 2), ("2", 2), (2, 2), (0, 0)])
def test_text_letter_and_number(raw, label):
    assert TASK.parse_label(raw, WORDS) == label


@pytest.mark.parametrize(
    ("raw", "item", "label"), [(1, NUMBERS, 1), ("180", NUMBERS, 2), ("b", NUMBERS, 1), ("A", LETTERS, 0)]
)
def test_an_integer_is_the_choice_s_number_whatever_the_choices_say(raw, item, label):
    assert TASK.parse_label(raw, item) == label


@pytest.mark.parametrize(("raw", "item"), [("1", NUMBERS), ("D", LETTERS), ("c", LETTERS)])
def test_what_means_two_choices_is_refused(raw, item):
    with pytest.raises(LabelError, match="may mean") as caught:
        TASK.parse_label(raw, item)
    assert "whichever of letter, number from 0 and text means one choice only" in caught.value.remedy


@pytest.mark.parametrize("raw", ["yellow", "D", "3", 3, -1, ""])
def test_what_means_none_is_refused(raw):
    with pytest.raises(LabelError, match="is none of the item's 3 choices"):
        TASK.parse_label(raw, WORDS)
