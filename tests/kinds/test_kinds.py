"""What holds for every kind of task that is registered."""

from dataclasses import replace

import numpy as np
import pytest

from activelora.campaign.records import Item
from activelora.config import GatesConfig, LabelingConfig, StoppingConfig, TaskConfig
from activelora.evaluation.evaluation import EvaluationSettings, flat_metrics
from activelora.evaluation.primary import Wanted
from activelora.kinds.registry import KINDS, get_kind, make_task
from activelora.rules.task import refusal
from activelora.uncertainty.measures import check_measure

FIELDS = {"text": "water", "left": "one", "right": "two"}
ITEM = Item("i0", FIELDS, ("first", "second"))
SETTINGS = {
    "classification": {"labels": ["red", "green", "blue"]},
    "yes_no": {},
    "multiple_choice": {"prompt": "{text} {choices}", "answer": "letters"},
    "multi_label": {"prompt": "{text} {label}", "labels": ["red", "green"]},
    "regression": {"minimum": 1, "maximum": 3, "step": 0.5},
    "generation": {},
    "preference": {"first_answer": "left", "second_answer": "right"},
}
COLUMNS = {"preference": ("text", "left", "right")}
LABELS = {
    "classification": range(3),
    "yes_no": range(2),
    "multiple_choice": range(2),
    "multi_label": range(4),
    "regression": range(5),
    "generation": ["two\nlines", "7"],
    "preference": range(2),
}


def config_of(name, **changes):
    return TaskConfig.model_validate({"kind": name, "prompt": "{text}", **SETTINGS[name], **changes})


def test_every_kind_is_tried_here():
    assert set(SETTINGS) == set(KINDS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_task_is_of_its_kind(name):
    task = make_task(config_of(name))
    assert refusal(config_of(name)) is None
    assert task.kind is get_kind(name)
    assert task.columns == COLUMNS.get(name, ("text",))
    assert task.description.startswith(("The model ", "For each of ", "Every item "))
    assert task.kind.writes == (task.reading == "written") == isinstance(LABELS[name][0], str)
    assert bool(task.label_hint) == (task.kind.form != "choice")
    assert (task.values is None) == (task.kind.form != "number")
    assert bool(task.label_names) == (
        (task.kind.lists_labels and not task.kind.needs_choices) or task.values is not None
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_are_read_as_they_are_written(name):
    task = make_task(config_of(name))
    for label in LABELS[name]:
        written = task.written_label(label, ITEM)
        assert task.parse_label(written, ITEM) == label
        assert not task.is_rounded(written)
        assert task.label_name(label, ITEM)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_label_teaches_an_answer_of_each_question(name):
    task = make_task(config_of(name))
    questions = task.queries(ITEM)
    assert len(questions) == (len(task.label_names) if task.kind.asks_each_label else 1)
    assert all("water" in one.prompt for one in questions)
    taught = {tuple(task.targets(label)) for label in LABELS[name]}
    if task.kind.writes:
        assert taught == {(0,)}
        return
    assert len(taught) == len(LABELS[name])
    for targets in taught:
        assert len(targets) == len(questions)
        assert all(0 <= index < len(one.answers) for index, one in zip(targets, questions, strict=True))


@pytest.mark.parametrize("name", SETTINGS)
def test_counts_and_missing_labels_are_told_by_name(name):
    task = make_task(config_of(name))
    first, *_ = LABELS[name][1:]
    found = task.label_counts({first: 4})
    assert found == ({} if task.kind.writes else {task.label_name(first, ITEM) if task.label_names else str(first): 4})
    shared = task.kind.fixed_labels(config_of(name))
    if shared is not None:
        assert shared == task.label_names
        assert set(task.missing_labels({first: 4})) == set(shared) - set(found)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_kind_declares_exists(name):
    kind = get_kind(name)
    for measure in kind.measures:
        check_measure(measure)
    assert kind.single_sample_measures <= set(kind.measures)
    assert set(kind.gates) <= set(GatesConfig.model_fields)
    assert set(kind.targets) <= set(StoppingConfig.model_fields)
    assert set(kind.fields) <= set(TaskConfig.model_fields)
    rules = LabelingConfig.model_fields["aggregation"].annotation.__args__
    assert set(kind.aggregations) <= set(rules) - {"majority"}
    assert kind.headline.metric == kind.headline.columns[0][0]


@pytest.mark.parametrize("name", [name for name in SETTINGS if not KINDS[name].writes])
def test_a_judge_measures_the_headline_and_every_item(name):
    task = make_task(config_of(name))
    items = [Item(f"i{number}", FIELDS, ("first", "second")) for number in range(6)]
    labels_N = np.array([LABELS[name][number % len(LABELS[name])] for number in range(6)])
    questions = task.queries(ITEM)
    shape = (len(items), len(questions), len(questions[0].answers))
    log_probs_NQC = np.log(np.random.default_rng(0).dirichlet(np.ones(shape[2]), size=shape[:2]))
    log_probs_NC = log_probs_NQC if task.kind.asks_each_label else log_probs_NQC[:, 0]
    judge = task.kind.judge_of(task)
    labels = len(task.label_names) > 0 and task.kind.fixed_labels(config_of(name)) is not None
    settings = EvaluationSettings(5, 20, 0.9, 0, task.label_names, Wanted("mcc", 1) if labels else Wanted())
    metrics = flat_metrics(judge.evaluate(log_probs_NC, labels_N, settings))
    shown = {metric for metric, _ in task.kind.headline.columns} | {task.kind.headline.second[0]}
    assert shown <= set(metrics)
    assert {f"{task.kind.headline.metric}_low", f"{task.kind.headline.metric}_high"} <= set(metrics)
    for one in task.kind.primary:
        wanted = Wanted(one.metric, 1 if labels else None)
        found = flat_metrics(judge.evaluate(log_probs_NC, labels_N, replace(settings, wanted=wanted)))
        assert {one.metric, f"{one.metric}_low", f"{one.metric}_high"} <= set(found)
    assert {gate.partition("_")[2] for gate in task.kind.gates} <= set(metrics)
    assert judge.fit_temperature(log_probs_NC, labels_N) > 0
    rows = judge.predictions(items, labels_N, log_probs_NC, settings).to_pylist()
    assert [row["item_id"] for row in rows] == [item.item_id for item in items]
    assert all("label" in row and "predicted" in row for row in rows)
