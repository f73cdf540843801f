"""Which of two answers is better: labels, prompts and settings."""

import pytest

from activelora.campaign.records import Item
from activelora.config import TaskConfig
from activelora.errors import ConfigError, LabelError
from activelora.kinds.registry import make_task
from activelora.rules.task import refusal
from activelora.tasks.written import read_label

SETTINGS = {
    "kind": "preference",
    "prompt": "Question: {text}\nAnswer:",
    "first_answer": "left",
    "second_answer": "right",
}
TASK = make_task(TaskConfig(**SETTINGS))
ITEM = Item("1", {"text": "How far?", "left": "Not far.", "right": "Very far."})


@pytest.mark.parametrize(("raw", "label"), [("first", 0), (" Second ", 1), ("A", 0), ("b", 1)])
def test_labels_by_name_and_letter(raw, label):
    assert TASK.parse_label(raw, ITEM) == label


def test_numbers_mean_what_label_numbers_says():
    assert [read_label(TASK, raw, ITEM, "zero_based") for raw in (0, 1)] == [0, 1]
    assert [read_label(TASK, raw, ITEM, "one_based") for raw in ("1", "2")] == [0, 1]
    with pytest.raises(LabelError, match=r"from 0 it is `second`, from 1 `first`"):
        read_label(TASK, "1", ITEM, None)


def test_the_answers_continue_the_prompt_and_are_no_part_of_it():
    (query,) = TASK.queries(ITEM)
    assert query.prompt == "Question: How far?\nAnswer:"
    assert query.answers == ("Not far.", "Very far.")
    assert TASK.columns == ("text", "left", "right")


@pytest.mark.parametrize("name", ["left", "labels", "choices"])
def test_a_prompt_that_shows_an_answer_or_a_list_is_refused(name):
    with pytest.raises(ConfigError, match=rf"task.prompt: .*\{{{name}\}}"):
        make_task(TaskConfig(**{**SETTINGS, "prompt": f"{{text}} {{{name}}}"}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"second_answer": "left"}, "both `left`"),
        ({"kind": "yes_no"}, "`first_answer` belongs to preference only"),
        ({"kind": "yes_no", "first_answer": "first", "second_answer": "second", "beta": 0.2}, "`beta` belongs to pref"),
        ({"labels": ("x", "y")}, "a preference task brings its own"),
        ({"answer": "letters"}, "a preference task answers by `words`"),
        ({"answer_words": {"first": "A"}}, "preference has"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, why):
    assert why in refusal(TaskConfig(**{**SETTINGS, **changes}))
