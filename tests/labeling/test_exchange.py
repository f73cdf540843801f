"""Labels out of a campaign, and files of answers into its inbox: whole, or not at all."""

import csv
import io
import json

import pytest

from activelora.campaign.campaign import stop_campaign
from activelora.campaign.labels import label_snapshot
from activelora.errors import ConfigError, LabelError, ProblemsError, StoreError
from activelora.labeling.exchange import export_labels, import_labels
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select


def labelled(folder, **sections):
    """A campaign whose round 0 ann has labelled `human`."""
    campaign = make_campaign(folder, **sections)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids)))
    assert await_labels.run(campaign, 0) is not None
    return campaign, ids


def written(folder, *rows, name="new.csv"):
    path = folder / name
    path.write_text(csv_of(*rows))
    return str(path)


def inbox(campaign):
    return list(campaign.store.list("inbox/"))


def test_export_as_csv(tmp_path):
    campaign, ids = labelled(tmp_path)
    text = export_labels(campaign, 1, "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["item_id"] for row in rows] == sorted(ids)
    names = ["item_id", "source_id", "text", "label", "annotator", "labeled_at", "source", "num_votes"]
    assert list(rows[0]) == names
    assert {(row["label"], row["annotator"], row["source"], row["num_votes"]) for row in rows} == {
        ("human", "ann", "files", "1")
    }
    assert export_labels(campaign, 0, "csv").decode().splitlines() == [",".join(names)]


def test_export_as_jsonl_names_all_who_agree(tmp_path):
    campaign = make_campaign(tmp_path, batch=1)
    [item_id] = select(campaign)
    votes = [(item_id, "human", "ann"), (item_id, "human", "bob"), (item_id, "number", "cat")]
    put(campaign, "a.csv", csv_of(*votes))
    await_labels.run(campaign, 0)
    [row] = [json.loads(line) for line in export_labels(campaign, 1, "jsonl").decode().splitlines()]
    assert (row["label"], row["annotator"], row["num_votes"]) == ("human", "ann; bob", 3)
    assert row["fields"]["text"].startswith("question pool")


def test_cells_that_begin_like_formulas_are_made_safe(tmp_path):
    rows = [{"text": f"=HYPERLINK({number})", "label": "human"} for number in range(20)]
    campaign, _ = labelled(tmp_path, rows=rows)
    rows = list(csv.DictReader(io.StringIO(export_labels(campaign, 1, "csv").decode(), newline="")))
    assert all(row["text"].startswith("'=HYPERLINK(") for row in rows)


def test_a_label_is_written_as_it_is_read(tmp_path):
    task = {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"}
    rows = [{"text": f"which {number}?", "choices": ["wet", "dry"], "label": number % 2} for number in range(20)]
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout_size": 5}
    campaign = make_campaign(tmp_path, rows=rows, task=task, data=data)
    put(campaign, "a.csv", csv_of(*((item_id, "B", "ann") for item_id in select(campaign))))
    await_labels.run(campaign, 0)
    (tmp_path / "out.csv").write_bytes(export_labels(campaign, 1, "csv"))
    found = import_labels(campaign, str(tmp_path / "out.csv"))
    assert (found.num_answers, found.num_labels, found.num_corrected, found.num_confirmed) == (5, 0, 0, 0)


def test_import_brings_labels_and_corrections(tmp_path):
    campaign, first = labelled(tmp_path)
    second = select(campaign, 1)
    rows = [(first[0], "entity", "bob"), (first[1], "human", "bob"), (second[0], "number", "bob")]
    found = import_labels(campaign, written(tmp_path, *rows))
    assert (found.num_answers, found.num_labels, found.num_corrected, found.num_confirmed) == (3, 1, 1, 1)
    assert (found.round, found.ended, found.rejected) == (1, None, ())
    assert inbox(campaign) == ["inbox/a.csv", f"inbox/{found.key}"]
    put(campaign, "c.csv", csv_of(*((item_id, "number", "ann") for item_id in second[1:])))
    manifest = await_labels.run(campaign, 1)
    assert (manifest.metrics["num_labeled"], manifest.metrics["num_corrected"]) == (5, 1)
    assert label_snapshot(campaign, 2).labels[first[0]] == 0


def test_labels_that_a_disagreement_takes_away_do_not_hide_new_ones(tmp_path):
    campaign = make_campaign(tmp_path)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann"), (ids[1], "human", "ann")))
    rows = [(ids[0], "number", "bob"), (ids[1], "number", "bob"), (ids[2], "number", "bob")]
    found = import_labels(campaign, written(tmp_path, *rows))
    assert (found.num_labels, found.num_disputed) == (1, 2)


def test_importing_twice_is_importing_once(tmp_path):
    campaign, first = labelled(tmp_path)
    file = written(tmp_path, (first[0], "entity", "bob"))
    assert import_labels(campaign, file) == import_labels(campaign, file)
    assert len(inbox(campaign)) == 2


def test_between_rounds_a_file_waits_in_the_inbox(tmp_path):
    campaign, first = labelled(tmp_path)
    found = import_labels(campaign, written(tmp_path, (first[0], "entity", "bob")))
    assert (found.round, found.num_corrected) == (1, 1)


def test_one_bad_line_and_nothing_is_put_into_the_inbox(tmp_path):
    campaign, first = labelled(tmp_path)
    file = written(tmp_path, (first[0], "entity", "bob"), ("nope", "human", "bob"), (first[1], "humn", "bob"))
    with pytest.raises(ProblemsError) as caught:
        import_labels(campaign, file)
    said = [str(problem) for problem in caught.value.problems]
    assert said[0].startswith(f"{file}:3 nope: this campaign has asked for no item `nope`")
    assert said[1].startswith(f"{file}:4 {first[1]}: 'humn' is not a label of this task")
    assert len(said) == 2
    assert inbox(campaign) == ["inbox/a.csv"]


def test_many_bad_lines_are_counted_and_some_shown(tmp_path):
    campaign, _ = labelled(tmp_path)
    file = written(tmp_path, *((f"nope{number}", "human", "bob") for number in range(50)))
    with pytest.raises(ProblemsError) as caught:
        import_labels(campaign, file)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].problem == "and 30 more lines that cannot be used"


def test_answers_that_contradict_what_is_there_are_told(tmp_path):
    campaign, first = labelled(tmp_path)
    import_labels(campaign, written(tmp_path, (first[0], "entity", "bob")))
    found = import_labels(campaign, written(tmp_path, (first[0], "number", "cat"), name="other.csv"))
    assert found.num_corrected == 0
    assert ["annotators disagree" in one.reason for one in found.rejected] == [True]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.docx", b"", "is none of .jsonl"),
        ("x.csv", b"", "is empty"),
        ("x.csv", b"item_id,label\n", "holds no answer. Fill in"),
        ("x.csv", b"id,label\n1,human\n", "has no column `item_id`"),
        ("x.jsonl", b'{"item_id": "\xff", "label": "human"}', "is not UTF-8 text"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, said):
    campaign, _ = labelled(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ProblemsError, LabelError), match=said):
        import_labels(campaign, str(tmp_path / name))
    assert inbox(campaign) == ["inbox/a.csv"]


def test_a_file_that_is_not_there(tmp_path):
    campaign, _ = labelled(tmp_path)
    with pytest.raises(LabelError, match="there is no such file"):
        import_labels(campaign, str(tmp_path / "nothing.csv"))
    with pytest.raises(StoreError):
        import_labels(campaign, "ftp://host/nothing.csv")


def test_a_campaign_that_has_ended_says_so(tmp_path):
    campaign, first = labelled(tmp_path)
    stop_campaign(campaign, "a person's word")
    assert import_labels(campaign, written(tmp_path, (first[0], "entity", "bob"))).ended == "a person's word"


def test_an_oracle_reads_no_inbox(tmp_path):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    select(campaign)
    with pytest.raises(ConfigError, match="labels come from `oracle`, which reads no inbox"):
        import_labels(campaign, written(tmp_path, ("a", "human", "bob")))


def test_campaign_and_inbox_in_s3(tmp_path, s3_uri):
    campaign, first = labelled(tmp_path, uri=s3_uri)
    found = import_labels(campaign, written(tmp_path, (first[0], "entity", "bob")))
    assert found.num_corrected == 1
    assert inbox(campaign) == ["inbox/a.csv", f"inbox/{found.key}"]
