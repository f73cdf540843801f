"""Exports of labelling tools: what is a label, whose it is, and why the rest is none.

The files of Argilla were made with argilla 2.8.0 (``pip install argilla requests``)::

    record = rg.Record(id=..., fields={"text": ...}, metadata={"item_id": ...}, suggestions=[rg.Suggestion(...)],
                       responses=[rg.Response("team", "billing", user_id=..., status="submitted"), ...])
    json.dumps(record.to_dict(), default=str)        # ARGILLA_NESTED; also what JsonIO.to_json writes
    GenericIO.to_list([record, ...], flatten=True)   # ARGILLA_FLAT, from argilla.records._io

Those of spaCy were made with spacy 3.8.18 (``pip install spacy``)::

    doc = spacy.blank("en")("a bill")                # with the sentencizer for docs_to_json
    doc.cats = {"billing": 1.0, "technical": 0.0}
    doc.to_json()                                    # SPACY_DOC
    Example(nlp.make_doc(doc.text), doc).to_dict()   # SPACY_EXAMPLE
    docs_to_json([doc])                              # SPACY_PARAGRAPHS, from spacy.training.gold_io
"""

import csv
import datetime
import json
from random import Random

import pytest

from activelora.errors import DataError
from activelora.formats.exports import argilla, doccano, label_studio, prodigy, spacy
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


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("pairwise", {"selected": "left"}),
        ("ranker", {"ranker": {"_": ["a"]}}),
        ("datetime", {"datetime": "2024-01-01"}),
    ],
)
def test_controls_of_label_studio_that_are_no_labels_are_refused_by_name(kind, value):
    row = task(annotation({"type": kind, "from_name": "c", "to_name": "text", "value": value}))
    with pytest.raises(DataError, match=f"holds `{kind}` of Label Studio, which is not read as a label"):
        read_export(row, ONE)


FLAT = {"annotation_id": 500, "annotator": 1, "created_at": "2024-05-01T09:00:00.1Z", "id": 100, "lead_time": 3.2}


@pytest.mark.parametrize("cell", ["billing", '{"choices": ["billing"]}', {"choices": ["billing"]}])
@pytest.mark.parametrize("column", ["team", "label"])
def test_json_min_and_csv_name_the_control_as_a_column(column, cell):
    export = read_export({**FLAT, "text": "t", column: cell}, ONE)
    assert export.annotations == [Annotation("billing", "1", "2024-05-01T09:00:00.1Z")]
    assert export.values["text"] == "t"


@pytest.mark.parametrize(
    ("cell", "label"),
    [({"rating": 4}, 4), ({"text": ["so"]}, "so"), ([["a", "billing"]], "billing"), ({"taxonomy": [["a", "b"]]}, "b")],
)
def test_json_min_holds_all_kinds_of_answers(cell, label):
    assert said({**FLAT, "text": "t", "answer": cell}) == ([(label, "1")], [])


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


def test_older_documents_of_doccano_have_annotations_of_users():
    annotations = [{"label": "billing", "user": 1}, {"label": "technical", "user": 2}]
    row = {"id": 1, "text": "t", "annotations": annotations}
    assert said(row) == ([("billing", "1"), ("technical", "2")], [])
    assert said(row, MANY) == ([(["billing"], "1"), (["technical"], "2")], [])
    annotations.append({"label": "billing", "user": 2})
    assert said(row) == ([("billing", "1")], ["several labels where the task takes one"])
    with pytest.raises(DataError, match="label parts of a text"):
        read_export({**row, "annotations": [{"label": 2, "start_offset": 0, "end_offset": 3, "user": 1}]}, ONE)


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


def test_what_is_typed_into_prodigy_is_a_label():
    assert said({"text": "t", "user_input": "an answer", "answer": "accept", "_view_id": "text_input"}) == (
        [("an answer", None)],
        [],
    )


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


ARGILLA_CSV = {name: str(cell) for name, cell in ARGILLA_FLAT.items()}  # as pandas writes it


@pytest.mark.parametrize("row", [ARGILLA_FLAT, ARGILLA_CSV, ARGILLA_1], ids=["flat", "flat CSV", "version 1"])
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


CATS = {"billing": 1.0, "technical": 0.0}
SPACY_DOC = {
    "text": "a bill",
    "cats": CATS,
    "tokens": [{"id": 0, "start": 0, "end": 1}, {"id": 1, "start": 2, "end": 6}],
}
SPACY_EXAMPLE = {
    "doc_annotation": {"cats": CATS, "entities": ["O", "O"], "spans": {}, "links": {}},
    "token_annotation": {"ORTH": ["a", "bill"], "SPACY": [True, False], "TAG": ["", ""], "SENT_START": [1, 0]},
}
SPACY_PARAGRAPHS = {
    "id": 0,
    "paragraphs": [
        {
            "raw": "a bill",
            "sentences": [{"tokens": [{"id": 0, "orth": "a", "space": " "}], "brackets": []}],
            "cats": [{"label": "billing", "value": 1.0}, {"label": "technical", "value": 0.0}],
        }
    ],
}


@pytest.mark.parametrize("row", [SPACY_DOC, SPACY_EXAMPLE, SPACY_PARAGRAPHS], ids=["doc", "example", "paragraphs"])
def test_what_spacy_writes(row):
    assert is_marked(list(row), ONE)
    assert read_export(row, ONE).values["text"] == "a bill"
    assert said(row) == ([("billing", None)], [])


def test_several_paragraphs_of_spacy_are_refused_in_words():
    with pytest.raises(DataError, match="holds 2 paragraphs of spaCy, expected one text a row"):
        read_export({"id": 0, "paragraphs": SPACY_PARAGRAPHS["paragraphs"] * 2}, ONE)


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


TOOLS = (label_studio.read, argilla.read, prodigy.read, spacy.read, doccano.read)
PARTS = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        10**400,
        "",
        "billing",
        "billing#technical",
        "#",
        "[1, 2",
        "[[]]",
    ),
    *([], {}, [None], [[]], [{}], {"": None}, ["billing", "technical"], {"choices": None}, {"choices": [{}]}, b"x"),
    *('{"choices": 3}', '{"choices', {"value": {}}, {"id": [1]}, {"label": []}, datetime.datetime(2024, 5, 1)),
)
TEMPLATES = (
    task(annotation(choices("billing"), user={"id": 1}), annotation(choices("technical"))),
    {**FLAT, "text": "t", "team": '{"choices": ["billing"]}'},
    {"id": 1, "text": "t", "label": ["billing"], "Comments": [], "meta": {"a": 1}},
    {"id": 1, "data": "t", "label": "billing#technical"},
    {"id": 1, "text": "t", "annotations": [{"label": "billing", "user": 1}]},
    {"text": "t", "accept": ["b"], "options": [{"id": "b", "text": "billing"}], "answer": "accept", "_timestamp": 1},
    {"text": "t", "label": "billing", "answer": "accept", "_annotator_id": "a"},
    *(ARGILLA_NESTED, ARGILLA_FLAT, ARGILLA_1, SPACY_DOC, SPACY_EXAMPLE, SPACY_PARAGRAPHS),
)


def spoiled(value, random):
    """The value with one of its parts, wherever it lies, replaced or left out."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.2:
        return random.choice(PARTS)
    key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
    changed = value.copy()
    if random.random() < 0.1:
        del changed[key]
    else:
        changed[key] = spoiled(value[key], random)
    return changed


@pytest.mark.parametrize("asked", [ONE, MANY, UNREAD], ids=["one", "many", "unread"])
def test_whatever_a_row_holds_it_is_read_or_refused_in_words(asked):
    random = Random(0)
    for number in range(4000):
        row = {**TEMPLATES[number % len(TEMPLATES)]}
        for _ in range(random.randint(1, 3)):
            name = random.choice(list(row))
            row[name] = spoiled(row[name], random)
        is_marked(list(row), asked)
        try:
            export = read_export(row, asked)
        except DataError:
            continue
        if export is None:
            assert not any(read(row, asked) for read in TOOLS), row  # none was missed at the first glance
            continue
        assert asked.labels or not (export.annotations or export.passed), row
        for one in export.annotations:
            assert isinstance(one.label, list) or not asked.takes_several, row
            assert one.annotator is None or one.annotator.strip(), row
            assert one.labeled_at is None or isinstance(one.labeled_at, str), row
        assert all(isinstance(reason, str) and reason for reason in export.passed), row


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
