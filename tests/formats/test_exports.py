"""Exports of labelling tools: what is a label, whose it is, and why the rest is none.

The files of Argilla were made with argilla 2.8.0 (``pip install argilla requests``)::

    record = rg.Record(id=..., fields={"text": ...}, metadata={"item_id": ...}, suggestions=[rg.Suggestion(...)],
                       responses=[rg.Response("team", "billing", user_id=..., status="submitted"), ...])
    json.dumps(record.to_dict(), default=str)        # ARGILLA_NESTED; also what JsonIO.to_json writes
    GenericIO.to_list([record, ...], flatten=True)   # ARGILLA_FLAT, from argilla.records._io

spaCy's ``cats`` are as `spacy.training.Example.to_dict` and the projects' JSONL corpora write them
(``{"text": ..., "cats": {"POSITIVE": 1.0, "NEGATIVE": 0.0}}``).
"""

import csv
import datetime
import json

import pytest

from activelora.errors import DataError
from activelora.formats.exports.export import Annotation, Asked
from activelora.formats.exports.tools import is_marked, read_export

NAMES = frozenset({"billing", "technical"})
ONE = Asked(frozenset({"text"}), ("label",), NAMES)
MANY = Asked(frozenset({"text"}), ("label",), NAMES, takes_several=True)
UNREAD = Asked(frozenset({"text"}))
USER = "00000000-0000-0000-0000-00000000000"


def choices(*names, control="team"):
    return {"type": "choices", "from_name": control, "to_name": "text", "value": {"choices": [*names]}}


def annotation(*results, user=1, **more):
    return {"completed_by": user, "result": [*results], "created_at": "2024-05-01T09:00:00Z", **more}


def task(*annotations, **data):
    return {"id": 100, "data": {"text": "t", **data}, "meta": {}, "annotations": [*annotations], "predictions": []}


def said(row, asked=ONE):
    export = read_export(row, asked)
    return [(one.label, one.annotator) for one in export.annotations], export.passed


def test_tasks_of_label_studio_are_flat_and_each_annotation_is_a_vote():
    row = task(
        annotation(choices("billing"), user=1, updated_at="2024-05-02T09:00:00Z"),
        annotation(choices("technical"), user={"id": 7, "email": "ann@example.org"}),
        annotation(choices("billing"), user=3, was_cancelled=True),
        annotation(user=4),
        item_id="i1",
    )
    export = read_export(row, ONE)
    assert export.values == {"id": 100, "text": "t", "item_id": "i1"}
    assert export.annotations == [
        Annotation("billing", "1", "2024-05-02T09:00:00Z"),
        Annotation("technical", "ann@example.org", "2024-05-01T09:00:00Z"),
    ]
    assert export.passed == ["cancelled", "empty"]


def test_predictions_of_label_studio_are_no_labels():
    row = {"id": 1, "data": {"text": "t"}, "predictions": [{"result": [choices("billing")]}]}
    assert said(row) == ([], [])


@pytest.mark.parametrize(
    ("value", "label"),
    [({"rating": 4}, 4), ({"number": 2.5}, 2.5), ({"text": ["an answer"]}, "an answer"), ({"text": "so"}, "so")],
)
def test_ratings_numbers_and_texts_of_label_studio_are_labels(value, label):
    result = {"type": "any", "from_name": "c", "value": value}
    assert said(task(annotation(result))) == ([(label, "1")], [])


def test_several_controls_need_a_name():
    row = task(annotation(choices("billing"), choices("high", control="urgency")))
    with pytest.raises(DataError, match="several controls of Label Studio, and none is called `label`: team, urgency"):
        read_export(row, ONE)
    assert said(row, Asked(frozenset({"text"}), ("team",))) == ([("billing", "1")], [])


@pytest.mark.parametrize(
    "row",
    [
        task(annotation({"type": "labels", "from_name": "l", "value": {"start": 0, "end": 3, "labels": ["PER"]}})),
        {"id": 1, "text": "Ann came", "label": [[0, 3, "PER"]], "Comments": []},
        {"id": 1, "text": "Ann came", "entities": [{"start_offset": 0, "end_offset": 3, "label": "PER"}]},
        {"text": "Ann came", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept", "_view_id": "ner"},
        {
            "id": 1,
            "fields": {"text": "Ann"},
            "responses": {"s": [{"value": [{"start": 0, "end": 3, "label": "PER"}]}]},
        },
    ],
    ids=["label studio", "doccano", "doccano entities", "prodigy", "argilla"],
)
def test_labels_of_parts_of_a_text_are_refused_in_words(row):
    with pytest.raises(DataError, match="label parts of a text; a label of this task is about the whole of it"):
        read_export(row, ONE)


FLAT = {"annotation_id": 500, "annotator": 1, "created_at": "2024-05-01T09:00:00.1Z", "id": 100, "lead_time": 3.2}


@pytest.mark.parametrize("cell", ["billing", '{"choices": ["billing"]}', {"choices": ["billing"]}])
@pytest.mark.parametrize("column", ["team", "label"])
def test_json_min_and_csv_name_the_control_as_a_column(column, cell):
    export = read_export({**FLAT, "text": "t", column: cell}, ONE)
    assert export.annotations == [Annotation("billing", "1", "2024-05-01T09:00:00.1Z")]
    assert export.values["text"] == "t"


def test_a_worksheet_that_went_through_label_studio_keeps_its_item_ids():
    sheet = {"item_id": "i1", "text": "t", "allowed_labels": "billing | technical | skip", "label": "", "reason": "r"}
    export = read_export({**FLAT, **sheet, "answer": "technical"}, ONE)
    assert (export.values["item_id"], export.annotations[0].label) == ("i1", "technical")


def test_a_column_that_might_be_the_label_is_not_guessed_among_several():
    with pytest.raises(DataError, match="each of these may be the label: team, source"):
        read_export({**FLAT, "text": "t", "team": "billing", "source": "mail"}, ONE)
    assert said({**FLAT, "text": "t", "team": "billing", "source": "mail"}, Asked(frozenset(), ("team",)))[0]


def test_several_choices_are_one_label_only_where_the_task_takes_several():
    row = {"id": 1, "team": '{"choices": ["billing", "technical"]}', "text": "t"}
    assert said(row) == ([], ["several labels where the task takes one"])
    assert said(row, MANY) == ([(["billing", "technical"], None)], [])


def test_lists_of_doccano():
    row = {"id": 0, "text": "t", "label": ["billing"], "Comments": []}
    assert said(row) == ([("billing", None)], [])
    assert read_export(row, MANY) is None  # a list is how such a task's labels are written anyway
    assert said({**row, "label": []}) == ([], ["empty"])
    assert said({"id": 0, "data": "t", "labels": ["billing"]}) == ([("billing", None)], [])


def test_cells_of_doccano_are_split_only_where_they_are_no_label():
    row = {"id": 0, "data": "t", "label": "billing#technical"}
    assert read_export(row, MANY).values["text"] == "t"
    assert said(row, MANY) == ([(["billing", "technical"], None)], [])
    assert said(row) == ([], ["several labels where the task takes one"])
    assert read_export({"text": "t", "label": "c#"}, Asked(frozenset({"text"}), ("label",), frozenset({"c#"}))) is None
    assert read_export({"text": "t", "label": "other#thing"}, MANY) is None


@pytest.mark.parametrize("answer", ["accept", "reject", "ignore"])
@pytest.mark.parametrize(
    "chosen",
    [{"label": "billing"}, {"accept": ["billing"]}, {"accept": [3], "options": [{"id": 3, "text": "billing"}]}],
)
def test_only_accepted_answers_of_prodigy_are_labels(chosen, answer):
    row = {"text": "t", **chosen, "answer": answer, "_annotator_id": "set-ann", "_timestamp": 1714557600}
    export = read_export(row, ONE)
    if answer == "accept":
        assert export.annotations == [Annotation("billing", "set-ann", "2024-05-01T10:00:00+00:00")]
        assert export.passed == []
    else:
        assert (export.annotations, export.passed) == ([], [{"reject": "rejected", "ignore": "ignored"}[answer]])


def test_a_column_called_answer_is_not_prodigys_where_the_campaign_names_it():
    row = {"text": "t", "label": "x", "answer": "accept"}
    assert read_export(row, Asked(frozenset({"text", "answer"}), ("label",))) is None
    assert read_export(row, Asked(frozenset({"text"}), ("answer",))) is None


ARGILLA_NESTED = {
    "id": "r1",
    "fields": {"text": "message 0"},
    "metadata": {"item_id": "i1"},
    "suggestions": {"team": {"value": "billing", "score": 0.9, "agent": "m"}},
    "responses": {"team": [{"value": "technical", "user_id": f"{USER}1"}, {"value": "billing", "user_id": f"{USER}2"}]},
    "vectors": {},
    "status": "pending",
    "_server_id": None,
}
ARGILLA_FLAT = {
    "id": "r1",
    "status": "pending",
    "_server_id": None,
    "text": "message 0",
    "item_id": "i1",
    "team.responses": ["technical", "billing", "billing"],
    "team.responses.users": [f"{USER}1", f"{USER}2", f"{USER}3"],
    "team.responses.status": ["submitted", "draft", "discarded"],
    "team.suggestion": "billing",
    "team.suggestion.score": 0.9,
    "team.suggestion.agent": "m",
}
ARGILLA_1 = {
    "fields": {"text": "message 0"},
    "metadata": {"item_id": "i1"},
    "responses": [
        {"user_id": f"{USER}1", "status": "submitted", "values": {"team": {"value": "technical"}}},
        {"user_id": f"{USER}2", "status": "draft", "values": {"team": {"value": "billing"}}},
        {"user_id": f"{USER}3", "status": "discarded", "values": {"team": {"value": "billing"}}},
    ],
    "suggestions": [{"question_name": "team", "value": "billing"}],
}


@pytest.mark.parametrize("row", [ARGILLA_FLAT, ARGILLA_1], ids=["flat", "version 1"])
def test_only_submitted_responses_of_argilla_are_labels(row):
    export = read_export(row, ONE)
    assert (export.values["text"], export.values["item_id"]) == ("message 0", "i1")
    assert export.annotations == [Annotation("technical", f"{USER}1")]
    assert (export.passed, export.remarks) == (["drafts", "discarded"], [])


def test_responses_of_argilla_without_a_state_count_and_that_is_said():
    export = read_export(ARGILLA_NESTED, ONE)
    assert export.annotations == [Annotation("technical", f"{USER}1"), Annotation("billing", f"{USER}2")]
    assert "does not tell drafts" in export.remarks[0]
    assert said({**ARGILLA_NESTED, "responses": {}}) == ([], [])


def test_a_field_of_a_record_can_be_named_with_its_place():
    row = {"id": "u0", "fields": {"text": "t"}, "responses": {"team": [{"value": "billing"}]}}
    export = read_export(row, Asked(frozenset({"fields.text"}), ("responses.team",)))
    assert (export.values["fields.text"], export.annotations[0].label) == ("t", "billing")


def test_cats_of_spacy():
    def cats(**scores):
        return {"text": "t", "cats": scores}

    assert said(cats(billing=1.0, technical=0.0)) == ([("billing", None)], [])
    assert said(cats(billing=True, technical=False)) == ([("billing", None)], [])
    assert said(cats(billing=0.7, technical=0.6)) == ([("billing", None)], [])
    assert said(cats(billing=1, technical=1)) == ([], ["several labels where the task takes one"])
    assert said(cats(billing=0.3, technical=0.2)) == ([], ["of scores below 0.5"])
    assert said(cats(billing=None, technical=None)) == ([], ["empty"])
    assert said(cats(billing=1, technical=1), MANY) == ([(["billing", "technical"], None)], [])
    assert said(cats(billing=0, technical=0), MANY) == ([([], None)], [])
    with pytest.raises(DataError, match="`cats` gives `billing` the score 'high', expected a number"):
        read_export(cats(billing="high"), ONE)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "t", "label": "billing"},
        {"text": "t", "label": None, "id": 3, "data": "x"},
        {"text": "t", "label": 1, "answer": "yes", "accept": "no"},
        {"item_id": "i1", "fields": {"text": "t"}, "label": None, "annotator": None, "choices": [], "reason": "r"},
        {"text": "t", "cats": 2, "annotations": "many", "label": "a#b"},
    ],
)
def test_rows_that_are_plain_stay_as_they_are(row):
    assert read_export(row, ONE) is None


@pytest.mark.parametrize(
    "row",
    [
        task(annotation(choices("x"))),
        {**FLAT, "text": "t", "a": 1, "b": 2},
        ARGILLA_NESTED,
        ARGILLA_FLAT,
        {"text": "t", "label": "x", "answer": "accept"},
        {"text": "t", "cats": {"a": "?"}},
    ],
)
def test_where_labels_are_not_read_only_content_is(row):
    export = read_export(row, UNREAD)
    assert export.values["text"] in ("t", "message 0")
    assert (export.annotations, export.passed, export.remarks) == ([], [], [])


def test_times_of_all_kinds_are_iso():
    row = {"text": "t", "label": "billing", "answer": "accept"}
    moment = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
    for raw, shown in ((moment, "2024-05-01T00:00:00+00:00"), (0, "1970-01-01T00:00:00+00:00"), (10**30, str(10**30))):
        assert read_export({**row, "_timestamp": raw}, ONE).annotations[0].labeled_at == shown


def rows_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    if text.startswith("["):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("name", "num_labels"),
    [
        ("ls_json/export.json", 16),
        ("ls_jsonmin/export.json", 16),
        ("ls_jsonmin_pretty/pool.jsonl", 16),
        ("ls_csv/pool.csv", 16),
        ("doccano/pool.jsonl", 16),
        ("nested/pool.jsonl", 16),
        ("prodigy_bin/pool.jsonl", 8),
    ],
)
def test_cases_that_were_given(name, num_labels, shared_cases):
    rows = rows_of(shared_cases / "pool" / name)
    assert is_marked(rows[0], ONE)
    exports = [read_export(row, ONE) for row in rows]
    assert {one.values["text"][:8] for one in exports} == {"message "}
    labels = [answer.label for one in exports for answer in one.annotations]
    assert len(labels) == num_labels
    assert set(labels) <= NAMES
