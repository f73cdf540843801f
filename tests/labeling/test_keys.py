"""Which key means what, and text that cannot control a terminal."""

import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import LabelError
from activelora.kinds.registry import make_task
from activelora.labeling.keys import COMMANDS, Menu, visible, visible_line
from activelora.tasks.written import read_label

ITEM = Item("id", {"text": "t"}, ("red", "green", "blue"))


def menu(**task):
    return Menu.of(make_task(TaskConfig.model_validate({"prompt": "{text}", **task})), ITEM)


KEYS = {
    "numbered": ({"labels": ["entity", "human", "number"]}, "123"),
    "their own": ({"labels": ["b", "a"]}, "ba"),
    "digits are their own": ({"labels": ["0", "1", "2"]}, "012"),
    "yes and no": ({"kind": "yes_no"}, "ny"),
    "choices by letter": ({"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}, "abc"),
    "a label that is another one's key": ({"labels": ["2", "ten"]}, ""),
    "a command as label": ({"labels": ["s", "t"]}, "12"),
    "too many": ({"labels": [f"label {n}" for n in range(33)]}, ""),
    "as many as there are": ({"labels": [f"label {n}" for n in range(32)]}, "123456789abcdefghijklmnoprtvwxyz"),
    "a number": ({"kind": "regression", "minimum": 0, "maximum": 5}, ""),
    "a text": ({"kind": "generation"}, ""),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys(case):
    task, keys = KEYS[case]
    found = menu(**task)
    assert "".join(found.keys) == keys
    assert not set(found.keys) & set(COMMANDS)
    for index, key in enumerate(found.keys):
        assert found.read(key) == index


LINES = [
    ({"labels": ["entity", "human"]}, " 2 ", 1),
    ({"labels": ["entity", "human"]}, "HUMAN", 1),
    ({"labels": ["2", "ten"]}, "2", 0),
    ({"labels": [f"label {n}x" for n in range(40)]}, "label 33", 33),
    ({"kind": "regression", "minimum": 0, "maximum": 5, "step": 0.5}, "1.5", 3),
    ({"kind": "generation"}, " forty two ", "forty two"),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c", "d"]}, "1 3", 0b101),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c", "d"]}, "c; A B", 0b011),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c", "d"]}, "2,2", 0b010),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c", "d"]}, "none", 0),
]


@pytest.mark.parametrize(("task", "line", "label"), LINES)
def test_lines(task, line, label):
    found = menu(**task)
    assert found.read(line) == label
    written = found.task.written_label(label, ITEM)
    assert found.task.parse_label(written, ITEM) == label


BAD = [
    ({"labels": ["entity", "human"]}, "3"),
    ({"labels": ["entity", "human"]}, "hum"),
    ({"labels": [f"label {n}x" for n in range(40)]}, "label 3"),
    ({"kind": "regression", "minimum": 0, "maximum": 5}, "6"),
    ({"kind": "generation"}, "  "),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c"]}, ""),
    ({"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c"]}, "1 4"),
]


@pytest.mark.parametrize(("task", "line"), BAD)
def test_lines_that_mean_nothing(task, line):
    with pytest.raises(LabelError):
        menu(**task).read(line)


NUMBERED = {
    "few": {"labels": ["entity", "human", "number", "place", "time", "money"]},
    "many": {"labels": [f"label {letter}" for letter in "abcdefghijklmnopqrstuvwxyzäöüßéèàçñ"]},
    "numbers": {"labels": ["1", "2", "10"]},
    "a set": {"kind": "multi_label", "prompt": "{text} {label}", "labels": ["a b", "c", "d"]},
    "yes and no": {"kind": "yes_no"},
    "many choices": {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"},
}


@pytest.mark.parametrize("numbers", [None, "zero_based", "one_based"])
@pytest.mark.parametrize("case", NUMBERED)
def test_a_number_on_the_keyboard_is_never_another_label_than_in_a_worksheet(case, numbers):
    task = make_task(TaskConfig.model_validate({"prompt": "{text}", **NUMBERED[case]}))
    item = Item("id", {"text": "t"}, tuple(f"choice {number}" for number in range(20)))
    both = 0
    found = Menu.of(task, item, numbers)
    for text in (*map(str, range(40)), *"abcdefghijklmnoprtvwxyz"):
        try:
            typed, written = found.read(text), read_label(task, text, item, numbers)
        except LabelError:
            continue
        assert typed == written, text
        both += 1
    assert both or (numbers is None and case in ("few", "many", "a set"))


def test_keys_are_numbered_as_the_files_of_the_campaign():
    task = make_task(TaskConfig.model_validate({"prompt": "{text}", "labels": ["entity", "human", "number"]}))
    assert Menu.of(task, ITEM, "zero_based").keys == ("0", "1", "2")
    assert Menu.of(task, ITEM, "one_based").keys == Menu.of(task, ITEM).keys == ("1", "2", "3")


def test_nothing_can_steer_a_terminal():
    nasty = "".join(map(chr, [*range(0x100), 0x200E, 0x202E, 0x2066, 0x2028, 0xFEFF, 0xD800, 0xE000, 0xE0001, 0x9B]))
    shown = visible(nasty)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "\\x1b" in shown
    assert "\\u202e" in shown
    shown.encode()
    assert visible("naïve 日本 👩\u200d👧 a\u00a0b") == "naïve 日本 👩\u200d👧 a b"
    assert visible_line("a\r\nb\tc") == "a\\nb    c"
