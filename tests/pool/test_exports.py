"""Pools that labelling tools have exported: votes, majorities, and what is no label counted and said."""

import pytest
import yaml

from activelora.errors import ProblemsError
from activelora.rules.file import checked_config
from tests.pool.conftest import TASK, jsonl
from tests.pool.surveying import inspect_data, stream_items, survey_data

LABELS = TASK["labels"]


def task_of(number, *labels, cancelled=0):
    annotations = [
        {"completed_by": user, "result": [{"from_name": "topic", "type": "choices", "value": {"choices": [label]}}]}
        for user, label in enumerate(labels)
    ]
    annotations += [{"completed_by": 9, "was_cancelled": True, "result": []}] * cancelled
    return {"id": number, "data": {"text": f"text {number}"}, "annotations": annotations}


def plain_tasks(number, start=0):
    return [task_of(n, LABELS[n % 3]) for n in range(start, start + number)]


def surveyed(make_config, folder, rows, **options):
    (folder / "pool.jsonl").write_bytes(jsonl(rows))
    config = make_config(**options)
    return survey_data(config), inspect_data(config)


@pytest.mark.parametrize("source", ["oracle", "files"])
def test_the_majority_of_a_tasks_annotations_is_its_gold_label(source, make_config, tmp_path):
    rows = [
        task_of(100, "sport", "politics", "sport"),  # sport
        task_of(101, "sport", "politics"),  # nobody knows
        task_of(102, "science", cancelled=2),  # science
        task_of(103, cancelled=1),
        task_of(104),
        *plain_tasks(20),
    ]
    survey, summary = surveyed(make_config, tmp_path, rows, source=source)
    found = [survey.pool.label(item_id) for item_id in survey.pool]
    if source == "oracle":
        assert found[:2] == [0, 2]
        assert len(survey.pool) == 22
    else:
        assert found[:5] == [0, None, 2, None, None]
    assert "data.pool: 3 annotations of Label Studio are no labels: 3 cancelled" in summary.warnings
    assert "data.pool: items without a label because their annotators disagree: 1" in summary.warnings
    left_out = "data.pool: rows left out because the oracle has no label to give for them: 2"
    assert (left_out in summary.warnings) == (source == "oracle")


def test_votes_on_the_same_text_in_several_rows_count_together(make_config, tmp_path):
    def answer(number, label, who, answer="accept"):
        return {"text": f"text {number}", "label": label, "answer": answer, "_annotator_id": who}

    rows = [
        answer(100, "sport", "a"),
        answer(100, "politics", "b"),
        answer(100, "politics", "c"),
        answer(101, "sport", "a"),
        answer(101, "science", "b"),
        answer(101, "sport", "c", "reject"),
        {"text": "text 102", "label": "science"},  # a plain row is a vote beside others
        answer(102, "sport", "a"),
        answer(102, "science", "b"),
        *(answer(n, LABELS[n % 3], "a") for n in range(20)),
    ]
    survey, summary = surveyed(make_config, tmp_path, rows)
    found = [survey.pool.label(item_id) for item_id in survey.pool]
    assert (found[0], found[1], len(found)) == (1, 2, 22)
    assert "data.pool: items without a label because their annotators disagree: 1" in summary.warnings
    assert "data.pool: 1 annotation of Prodigy is no label: 1 rejected" in summary.warnings
    texts = {item.fields["text"] for item in stream_items(make_config(), "pool", survey.pool_ids, len(rows))}
    assert len(texts) == len(survey.pool_ids)


def test_a_large_export_is_not_read_by_columns(make_config, tmp_path):
    rows = [{"text": f"text {n}", "label": LABELS[n % 3], "answer": "reject" if n % 2 else "accept"} for n in range(40)]
    (tmp_path / "pool.jsonl").write_bytes(jsonl(rows))
    config = make_config()
    by_columns, by_rows = survey_data(config, 0), survey_data(config)
    assert by_columns.pool_ids == by_rows.pool_ids
    assert len(by_columns.pool) == 20


def test_an_answer_that_is_no_label_of_the_task_is_told_with_its_place(make_config, tmp_path):
    with pytest.raises(ProblemsError, match=r"pool.jsonl:1: column `label`: 'weather' is not a label"):
        surveyed(make_config, tmp_path, [task_of(100, "weather"), *plain_tasks(20)])


def test_labels_of_parts_of_a_text_are_refused_with_their_place(make_config, tmp_path):
    rows = [{"id": 1, "text": "Ann came", "label": [[0, 3, "PER"]]}] * 5
    with pytest.raises(ProblemsError, match=r"pool.jsonl:1: .* of doccano, which label parts of a text"):
        surveyed(make_config, tmp_path, rows)


def test_a_holdout_of_an_export_leaves_out_what_has_no_label(make_config, tmp_path):
    rows = [{"text": f"held {n}", "cats": {name: float(name == LABELS[n % 3]) for name in LABELS}} for n in range(9)]
    rows += [{"text": "held unknown", "cats": dict.fromkeys(LABELS, 0.0)}]
    (tmp_path / "holdout.jsonl").write_bytes(jsonl(rows))
    survey, summary = surveyed(make_config, tmp_path, plain_tasks(12), holdout={"path": "holdout.jsonl"})
    assert len(survey.holdout_ids) == 9
    assert "data.holdout: rows left out because they have no label: 1" in summary.warnings
    assert "data.holdout: 1 annotation of spaCy is no label: 1 of scores below 0.5" in summary.warnings


CASES = {  # file: pool and holdout items, settings, words of a warning
    "ls_json/export.json": (16, {}, ""),
    "ls_jsonmin/export.json": (16, {}, ""),
    "ls_jsonmin_pretty/pool.jsonl": (16, {}, ""),
    "ls_csv/pool.csv": (16, {}, ""),
    "ls_csv_multi/pool.csv": (16, {"kind": "multi_label", "prompt": "Message: {text}\nIs it {label}?"}, ""),
    "doccano/pool.jsonl": (16, {}, ""),
    "doccano_csv/pool.csv": (16, {"kind": "multi_label", "prompt": "Message: {text}\nIs it {label}?"}, ""),
    "prodigy/pool.jsonl": (None, {}, "annotations of Prodigy are no labels: "),
    "prodigy_bin/pool.jsonl": (8, {}, "data.pool: 8 annotations of Prodigy are no labels: 8 rejected"),
    "neg1_label/pool.jsonl": (12, {}, "rows whose label is -1, which stands for no label: 4"),
    "nested/pool.jsonl": (16, {}, ""),
    "pq_list/pool.parquet": (16, {}, ""),
}


def case_of(shared_cases, path, **task):
    document = yaml.safe_load((shared_cases / "pool" / "campaign.yaml").read_text())
    folder, _, name = path.rpartition("/")
    document["data"] |= {"folder": str(shared_cases / "pool" / folder), "pool": {"path": name}}
    document["task"] |= task
    return document


@pytest.mark.parametrize("path", CASES)
def test_cases_that_were_given(path, shared_cases):
    num_items, task, words = CASES[path]
    document = case_of(shared_cases, path, **task)
    if "neg1" in path:
        document["data"]["label_numbers"] = "zero_based"
    if task:
        document["task"].pop("answer")
        document["acquisition"] = {"batch_size": 3}
    summary = inspect_data(checked_config(document, where=path))
    if num_items is not None:
        assert summary.num_pool + summary.num_holdout == num_items
    assert any(words in warning for warning in summary.warnings) or not words


def test_a_pool_that_is_too_small_for_want_of_labels_says_so(make_config, tmp_path):
    rows = [{"text": f"text {n}", "label": "sport", "answer": "reject" if n % 4 else "accept"} for n in range(12)]
    with pytest.raises(ProblemsError, match=r"data\.pool: 9 annotations of Prodigy are no labels: 9 rejected"):
        surveyed(make_config, tmp_path, rows)
    with pytest.raises(ProblemsError, match=r"no row of the pool has a label. .*are no labels: 8 rejected"):
        surveyed(make_config, tmp_path, [{**row, "answer": "reject"} for row in rows[:8]])
