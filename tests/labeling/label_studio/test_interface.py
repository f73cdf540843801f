"""The labelling interface, the data that fills it, and the answers that come back: no server needed."""

import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activelora.campaign.records import Item
from activelora.errors import LabelError, ProblemsError
from activelora.kinds.registry import make_task
from activelora.labeling.label_studio.interface import (
    answer_of,
    field_names,
    instructions,
    interface,
    item_data,
    prediction,
)
from activelora.rules.file import checked_config

NASTY = """<script>alert("x")</script> & 'quotes' "double" ]]> &lt;b&gt;"""
TASKS = {
    "classification": {"prompt": "{text}", "labels": ["good", "<b>bad</b>", NASTY]},
    "dollar": {"prompt": "{text}", "labels": ["$5", "$text"]},
    "yes_no": {"kind": "yes_no", "prompt": "{text}?"},
    "multiple_choice": {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"},
    "multi_label": {"kind": "multi_label", "prompt": "{text} {label}?", "labels": ["fire", "water"]},
    "regression": {"kind": "regression", "prompt": "{text}", "minimum": 1, "maximum": 5, "step": 0.5},
    "generation": {"kind": "generation", "prompt": "{text}"},
}
ITEM = Item("i1", {"text": NASTY, "a b": "2", "a.b": "3"}, choices=("B", "wet", NASTY))


def config_of(task, **label_studio):
    section = {"source": "label_studio", "label_studio": {"url": "https://x.org", **label_studio}}
    document = {"name": "n", "task": task, "data": {"pool": {"path": "p.jsonl"}}, "labeling": section}
    document["acquisition"] = {"strategy": "random"}
    return checked_config(document, where="test")


def parse(text):
    return ElementTree.fromstring(text)  # noqa: S314 - our own


def tree_of(name):
    return parse(interface(config_of(TASKS[name])))


def tag(tree, name):
    [found] = tree.iter(name)
    return found.attrib


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_one_control_that_names_an_object(name):
    tree = tree_of(name)
    [control] = [one for one in tree.iter() if one.get("name") == "label"]
    texts = {one.get("name"): one.get("value") for one in tree.iter("Text")}
    assert control.get("toName") in texts
    assert control.get("required") == "true"
    data = item_data(make_task(config_of(TASKS[name]).task), ITEM)
    values = [value for one in tree.iter() for key, value in one.attrib.items() if key == "value"]
    assert {value[1:] for value in values if value.startswith("$")} == set(data)
    assert data[texts[control.get("toName")][1:]] == NASTY


def test_labels_are_attributes_and_nothing_else():
    tree = tree_of("classification")
    assert [one.get("value") for one in tree.iter("Choice")] == TASKS["classification"]["labels"]
    assert {one.tag for one in tree.iter()} == {"View", "Text", "Choices", "Choice"}
    assert tag(tree, "Choices")["choice"] == "single-radio"


def test_labels_that_look_like_fields_travel_as_data():
    assert tag(tree_of("dollar"), "Choices")["value"] == "$choices"
    assert item_data(make_task(config_of(TASKS["dollar"]).task), ITEM)["choices"] == [
        {"value": "$5"},
        {"value": "$text"},
    ]


def test_the_forms_of_the_others():
    assert [one.get("value") for one in tree_of("yes_no").iter("Choice")] == ["no", "yes"]
    multi = tree_of("multi_label")
    assert [one.get("value") for one in multi.iter("Choice")] == ["fire", "water", "none of these"]
    assert tag(multi, "Choices")["choice"] == "multiple"
    assert (tag(tree_of("regression"), "Number")["min"], tag(tree_of("regression"), "Number")["max"]) == ("1.0", "5.0")
    assert tag(tree_of("generation"), "TextArea")["editable"] == "true"
    many = {"prompt": "{text}", "labels": [f"l{number}" for number in range(40)]}
    assert tag(parse(interface(config_of(many))), "Choices")["layout"] == "select"


@given(st.lists(st.text("ab .-_1$é", min_size=1, max_size=6), unique=True, max_size=8))
def test_fields_have_plain_and_different_names(columns):
    names = field_names(columns)
    assert list(names) == columns
    assert len(set(names.values())) == len(columns)
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in names.values())


def value_of(choices):
    return {"choices": list(choices)}


def parsed(name, value):
    task = make_task(config_of(TASKS[name]).task)
    return task.parse_label(answer_of(task, ITEM, value), ITEM)


def test_answers_come_back_as_labels():
    assert [parsed("classification", value_of([one])) for one in TASKS["classification"]["labels"]] == [0, 1, 2]
    assert parsed("yes_no", value_of(["yes"])) == 1
    shown = [one["value"] for one in item_data(make_task(config_of(TASKS["multiple_choice"]).task), ITEM)["choices"]]
    assert shown[:2] == ["A. B", "B. wet"]
    assert [parsed("multiple_choice", value_of([one])) for one in shown] == [0, 1, 2]
    for mask, both in enumerate([[], ["fire"], ["water"], ["fire", "water"]]):
        assert parsed("multi_label", value_of(both or ["none of these"])) == mask
    assert parsed("regression", {"number": 2.5}) == 3
    assert parsed("regression", {"number": 5}) == 8
    assert parsed("generation", {"text": ["line 1\nline 2"]}) == "line 1\nline 2"
    assert parsed("generation", {"text": "as one text"}) == "as one text"


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    "value", [None, {}, {"choices": []}, {"choices": ["nonsense"]}, {"choices": 7}, {"text": []}, {"number": None}]
)
def test_what_is_empty_or_outside_the_task_is_no_label(name, value):
    with pytest.raises(LabelError):
        parsed(name, value)


def test_two_choices_are_not_one():
    for both in itertools.permutations(TASKS["classification"]["labels"], 2):
        with pytest.raises(LabelError):
            parsed("classification", value_of(both))
    with pytest.raises(LabelError):
        parsed("multi_label", value_of(["fire", "none of these"]))


def test_predictions_say_which_model_and_how_sure():
    task = make_task(config_of(TASKS["multiple_choice"]).task)
    found = prediction(task, ITEM, [0.2, 0.7, 0.1], "v1")
    assert (found["model_version"], found["score"]) == ("v1", 0.7)
    [result] = found["result"]
    assert (result["from_name"], result["to_name"], result["type"]) == ("label", "item_text", "choices")
    assert result["value"] == {"choices": ["B. wet"]}
    number = make_task(config_of(TASKS["regression"]).task)
    [result] = prediction(number, ITEM, [0.0] * 4 + [1.0] + [0.0] * 4, "v1")["result"]
    assert (result["type"], result["value"]) == ("number", {"number": 3.0})


def test_instructions_hold_no_markup_of_the_campaign():
    text = instructions(config_of({"prompt": f"{NASTY} {{text}}", "labels": ["a", "b"]}))
    assert "<script" not in text
    assert "Choose the one answer" in text
    assert instructions(config_of(TASKS["yes_no"], instructions="Say <i>yes</i>\nor no.")) == (
        "Say &lt;i&gt;yes&lt;/i&gt;<br>or no."
    )


@pytest.mark.parametrize("kind", ["multi_label", "generation"])
def test_predictions_are_refused_where_there_are_none(kind):
    with pytest.raises(ProblemsError, match="predictions"):
        config_of(TASKS[kind], predictions="shown")


def test_predictions_that_are_shown_would_tell_gold_questions():
    document = config_of(TASKS["yes_no"], predictions="shown").model_dump(mode="json")
    document["labeling"]["gold_questions"] = 1
    with pytest.raises(ProblemsError, match=r"labeling.gold_questions.*gives those away"):
        checked_config(document, where="test")


@pytest.mark.parametrize("url", ["labels.example.org", "ftp://x", "https://u:p@x", "https://x?token=1", "https://"])
def test_addresses_that_are_none(url):
    with pytest.raises(ProblemsError, match="it must"):
        config_of(TASKS["yes_no"], url=url)


def test_an_address_is_needed_before_anything_begins():
    with pytest.raises(ProblemsError, match=r"`labeling.label_studio.url`: .* there is no address"):
        config_of(TASKS["yes_no"], url=None)


def test_an_address_loses_its_last_slash():
    assert config_of(TASKS["yes_no"], url="https://x.org/ls/").labeling.label_studio.url == "https://x.org/ls"
