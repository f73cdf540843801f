"""Labels that another campaign or tool gave: brought in item by item, asked of nobody, and trained on next."""

import json

import pytest

from activelora.campaign.campaign import Campaign, stop_campaign
from activelora.campaign.label_history import history
from activelora.campaign.labels import label_snapshot, time_of
from activelora.campaign.manifest import Unit
from activelora.errors import ConfigError, LabelError, ProblemsError
from activelora.labeling.exchange import export_labels
from activelora.labeling.importing import import_from
from activelora.pool.access import find_items
from components.await_labels import step as await_labels
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select, waiting_for


def rows(first, last):
    return [{"text": f"question pool {index}?", "nr": f"n{index}"} for index in range(first, last)]


def labelled_campaign(folder, first=0, last=12, batch=6, **options):
    """A campaign of which one round is labelled by ann: `human` all through."""
    other = make_campaign(folder, rows=rows(first, last), batch=batch, **options)
    ids = select(other)
    put(other, "ann.csv", csv_of(*((one, "human", "ann") for one in ids)))
    assert await_labels.run(other, 0)
    return other, ids


def texts_of(campaign, ids):
    return {item_id: item.fields["text"] for item_id, item in find_items(campaign, list(ids)).items()}


def answer(campaign, round_, ids):
    put(campaign, f"{round_}.csv", csv_of(*((one, "number", "bob") for one in ids)))
    return await_labels.run(campaign, round_)


@pytest.fixture
def here(tmp_path):
    return make_campaign(tmp_path / "here", rows=rows(4, 24), batch=4)


@pytest.fixture
def other(tmp_path):
    return labelled_campaign(tmp_path / "other")


def test_labels_of_another_campaign_are_taken_by_the_next_round_and_cost_no_budget(here, other):
    there, ids = other
    shared = {one for one, text in texts_of(there, ids).items() if int(text.split()[2].strip("?")) >= 4}
    found = import_from(here, there.store.uri)
    assert (found.num_labels, found.num_elsewhere, found.num_labeled) == (len(shared), 6 - len(shared), 0)
    asked = select(here)
    assert len(asked) == 4, "the batch is as large as ever"
    assert not set(asked) & shared, "and asks for none of them"
    assert await_labels.run(here, 0) is None, "people are waited for as ever"
    assert f"imported labels of {len(shared)} items" in waiting_of(here)
    manifest = answer(here, 0, asked)
    assert manifest.metrics["num_labeled"] == 4 + len(shared)
    assert (manifest.metrics["num_imported"], manifest.metrics["num_late"]) == (len(shared), 0)
    assert manifest.metrics["num_votes"] == 4
    assert manifest.details["votes"] == {"bob": 4}
    labels = label_snapshot(here, 1).labels
    assert {one: LABELS[labels[one]] for one in shared} == dict.fromkeys(shared, "human")
    for one in shared:
        (entry,) = history(here)[one]
        record, theirs = entry.record, history(there)[one][0].record
        assert (record["source"], record["annotator"], record["origin"]) == ("imported", "ann", there.store.uri)
        assert time_of(record) == time_of(theirs)


def waiting_of(campaign):
    from activelora.campaign.snapshot import Snapshot
    from activelora.labeling.wait_status import describe_wait, look

    found = look(Snapshot(campaign), 0)
    return describe_wait(found.request, found.collected)


def test_the_same_again_changes_nothing_and_labels_that_are_there_stay(here, other):
    there, _ = other
    first = import_from(here, there.store.uri)
    again = import_from(here, there.store.uri)
    assert (again.num_labels, again.num_labeled) == (0, first.num_labels)
    assert len(list(here.store.list("labeling/imports/"))) == 1
    answer(here, 0, select(here))
    before = label_snapshot(here, 1).labels
    assert import_from(here, there.store.uri).num_labels == 0
    answer(here, 1, select(here, 1))
    assert {one: label for one, label in label_snapshot(here, 2).labels.items() if one in before} == before


def test_an_item_that_is_asked_is_answered_by_an_import_and_corrected_by_people(here, tmp_path):
    asked = select(here)
    text = texts_of(here, asked[:1])[asked[0]]
    (tmp_path / "more.csv").write_text(f"text,label,annotator\n{text},entity,eve\n")
    assert import_from(here, str(tmp_path / "more.csv")).num_labels == 1
    manifest = answer(here, 0, asked[1:])
    assert manifest.details["states"] == {"labeled": 4}
    assert LABELS[label_snapshot(here, 1).labels[asked[0]]] == "entity"
    put(here, "late.csv", csv_of((asked[0], "number", "bob")))
    assert answer(here, 1, select(here, 1)).metrics["num_corrected"] == 1
    assert LABELS[label_snapshot(here, 2).labels[asked[0]]] == "number"


def test_people_s_answers_win_over_an_import_of_the_same_round(here, tmp_path):
    asked = select(here)
    text = texts_of(here, asked[:1])[asked[0]]
    (tmp_path / "more.csv").write_text(f"text,label\n{text},entity\n")
    import_from(here, str(tmp_path / "more.csv"))
    answer(here, 0, asked)
    assert LABELS[label_snapshot(here, 1).labels[asked[0]]] == "number"


@pytest.mark.parametrize("source", ["oracle", "terminal"])
def test_every_label_source_takes_them(tmp_path, other, source):
    gold = [{**row, "label": "number"} for row in rows(4, 24)]
    here = make_campaign(tmp_path / "here", rows=gold, batch=4, labeling={"source": source})
    num = import_from(here, other[0].store.uri).num_labels
    select(here)
    manifest = await_labels.run(here, 0)
    if source == "oracle":
        assert manifest.metrics["num_labeled"] == 4 + num
    else:
        assert manifest is None


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_a_campaign_has_exported_is_brought_in(here, other, tmp_path, kind):
    there, _ = other
    (tmp_path / f"labels.{kind}").write_bytes(export_labels(there, 1, kind))
    by_file = import_from(here, str(tmp_path / f"labels.{kind}"))
    elsewhere = make_campaign(tmp_path / "again", rows=rows(4, 24), batch=4)
    by_campaign = import_from(elsewhere, there.store.uri)
    assert (by_file.num_labels, by_file.num_elsewhere) == (by_campaign.num_labels, by_campaign.num_elsewhere)
    for campaign in (here, elsewhere):
        answer(campaign, 0, select(campaign))
    first, second = ({**label_snapshot(one, 1).labels} for one in (here, elsewhere))
    imported = [line["item_id"] for line in lines_of(here)]
    assert {one: first[one] for one in imported} == {one: second[one] for one in imported}
    assert {line["annotator"] for line in lines_of(here)} == {"ann"}
    assert [line["labeled_at"] for line in lines_of(here)] == [line["labeled_at"] for line in lines_of(elsewhere)]


def lines_of(campaign):
    (key,) = campaign.store.list("labeling/imports/")
    return [json.loads(line) for line in campaign.store.read(key).splitlines()]


def test_what_a_labelling_tool_has_exported_is_brought_in_with_its_annotators(here, tmp_path):
    votes = [("human", "ann"), ("human", "bob"), ("entity", "cat")]
    tasks = [
        {
            "id": 1,
            "data": {"text": "question pool 5?"},
            "annotations": [
                {
                    "completed_by": {"email": f"{name}@x.org"},
                    "updated_at": "2026-01-02T03:04:05Z",
                    "result": [{"type": "choices", "from_name": "label", "value": {"choices": [label]}}],
                }
                for label, name in votes
            ],
        }
    ]
    (tmp_path / "studio.json").write_text(json.dumps(tasks))
    assert import_from(here, str(tmp_path / "studio.json")).num_labels == 1
    (line,) = lines_of(here)
    assert LABELS[line["label"]] == "human"
    assert line["annotator"] == "ann@x.org; bob@x.org"
    assert line["labeled_at"].startswith("2026-01-02T03:04:05")


def test_a_tie_there_is_no_label_here(here, tmp_path):
    said = ["5?,human,ann", "5?,entity,bob", "6?,entity,bob"]
    (tmp_path / "t.csv").write_text("\n".join(["text,label,annotator", *(f"question pool {one}" for one in said)]))
    found = import_from(here, str(tmp_path / "t.csv"))
    assert (found.num_labels, found.num_disputed) == (1, 1)


def test_items_are_matched_by_the_user_s_own_ids_where_the_texts_differ(tmp_path):
    columns = {"columns": {"id": "nr"}}
    data = {"holdout_size": 3, "shard_rows": 7, "pool": {"path": "pool.jsonl"}, "known_labels": "ignore"}
    gold = [{**row, "label": "human"} for row in rows(0, 20)]
    spelled = [{**row, "text": row["text"].upper()} for row in gold]
    made = [
        make_campaign(tmp_path / name, rows=own, batch=6, data={**data, **columns, "folder": str(tmp_path / name)})
        for name, own in (("there", gold), ("here", spelled))
    ]
    there, here = made
    ids = select(there)
    put(there, "ann.csv", csv_of(*((one, "human", "ann") for one in ids)))
    await_labels.run(there, 0)
    found = import_from(here, there.store.uri)
    assert found.num_labels + found.num_elsewhere == 6
    assert found.num_labels >= 3
    theirs = {item.source_id for item in find_items(there, ids).values()}
    ours = {item.source_id for item in find_items(here, [line["item_id"] for line in lines_of(here)]).values()}
    assert ours <= theirs


def with_own_ids(folder, **data):
    data = {"holdout_size": 3, "shard_rows": 7, "pool": {"path": "pool.jsonl"}, "known_labels": "ignore", **data}
    gold = [{**row, "label": "human"} for row in rows(0, 20)]
    return make_campaign(folder, rows=gold, batch=6, data={**data, "columns": {"id": "nr"}, "folder": str(folder)})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("text,label\n{text},human\n", id="texts alone"),
        pytest.param("text,nr,label\n{text},,human\n", id="texts, and ids that are not filled in"),
        pytest.param("nr,label,who\n{nr},human,x\n", id="ids alone"),
        pytest.param("text,nr,label\n{text},n999,human\n", id="the texts are right, the ids are not"),
        pytest.param("text,nr,label\nother words,{nr},human\n", id="the ids are right, the texts are not"),
        pytest.param('{{"text": "{text}", "label": "human"}}\n', id="JSON: texts alone"),
        pytest.param('{{"nr": "{nr}", "label": "human"}}\n', id="JSON: ids alone"),
        pytest.param(
            '[{{"data": {{"text": "{text}"}}, "annotations": [{{"result": [{{"type": "choices", "from_name": "label", '
            '"to_name": "text", "value": {{"choices": ["human"]}}}}]}}]}}]',
            id="Label Studio: texts alone",
        ),
    ],
)
def test_a_table_names_items_by_the_prompt_s_columns_or_by_own_ids_and_need_not_have_both(tmp_path, content):
    here = with_own_ids(tmp_path / "here")
    wanted = next(iter(find_items(here, select(here)).values()))
    sheet = tmp_path / ("t.csv" if content[0] not in "[{" else "t.json" if content[0] == "[" else "t.jsonl")
    sheet.write_text(content.format(text=wanted.fields["text"], nr=wanted.source_id))
    found = import_from(here, str(sheet))
    assert (found.num_labels, found.num_elsewhere) == (1, 0)
    assert [line["item_id"] for line in lines_of(here)] == [wanted.item_id]


def test_a_table_that_names_no_item_is_refused_by_the_columns_it_lacks(tmp_path):
    here = with_own_ids(tmp_path / "here")
    sheet = tmp_path / "t.csv"
    for header, lacking in {"texts,label": "text", "nr,lable": "label", "text,lable": "label"}.items():
        sheet.write_text(f"{header}\nquestion pool 5?,human\n")
        with pytest.raises(ProblemsError, match=f"there is no column `{lacking}`"):
            import_from(here, str(sheet))
    sheet.write_text("nr,label\nn4,humane\nn5,human\nn6,\n")
    with pytest.raises(ProblemsError, match=r"t.csv:2.*humane"):
        import_from(here, str(sheet))
    assert not list(here.store.list("labeling/imports/"))


def test_a_deleted_item_gets_no_label(here, other):
    from activelora.labeling.deletion import delete_item

    there, _ = other
    import_from(here, there.store.uri)
    first, *others = (line["item_id"] for line in lines_of(here))
    delete_item(here, first, "asked to")
    assert [line["item_id"] for line in lines_of(here)] == others
    answer(here, 0, select(here))
    assert first not in label_snapshot(here, 1).labels
    assert import_from(here, there.store.uri).num_labels == 0


def test_killed_before_the_write_nothing_has_changed(here, other, monkeypatch):
    def killed(store, key, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(here.store), "create", killed)
    uri = other[0].store.uri
    with pytest.raises(KeyboardInterrupt):
        import_from(here, uri)
    monkeypatch.undo()
    assert not list(here.store.list("labeling/imports/"))
    assert import_from(here, other[0].store.uri).num_labels > 0


def test_what_cannot_be_is_told_and_nothing_is_written(here, tmp_path):
    sheet = tmp_path / "t.csv"
    sheet.write_text("text,label\nquestion pool 5?,humane\nquestion pool 6?,human\n")
    with pytest.raises(ProblemsError, match=r"t.csv:2.*humane"):
        import_from(here, str(sheet))
    sheet.write_text("text,label\nquestion pool 999?,human\n")
    with pytest.raises(LabelError, match="none of its 1 items is in this campaign's pool"):
        import_from(here, str(sheet))
    sheet.write_text("text,label\nquestion pool 5?,\n")
    with pytest.raises(LabelError, match="there is no label in it"):
        import_from(here, str(sheet))
    with pytest.raises(LabelError, match="there is no such file"):
        import_from(here, str(tmp_path / "nothing.csv"))
    assert not list(here.store.list("labeling/imports/"))
    stop_campaign(here, "enough")
    with pytest.raises(ConfigError, match="the campaign has ended"):
        import_from(here, str(sheet))


def test_a_campaign_without_a_pool_is_told(tmp_path, other):
    begun = Campaign.create(str(tmp_path / "begun"), other[0].config)
    with pytest.raises(ConfigError, match="has not taken in its pool"):
        import_from(begun, other[0].store.uri)
    assert begun.manifest(Unit("ingest_pool")) is None


def test_the_waiting_words_do_not_take_them_for_late_answers(here, other):
    import_from(here, other[0].store.uri)
    select(here)
    assert "late answers" not in waiting_for(here, 0)
