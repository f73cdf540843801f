"""A deleted item is gone: from the pool, worksheets, selection and training; and what stays checks out."""

import json
from dataclasses import replace

import pytest

from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import Plan, next_plan
from activelora.campaign.manifest import Unit
from activelora.campaign.tombstones import deleted_items
from activelora.errors import ConfigError, StoreError
from activelora.labeling.answers import Session
from activelora.labeling.deletion import delete_item
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.pool.access import find_items, items_name, num_shards, shard_items
from components.await_labels import step as await_labels
from tests.labeling.conftest import csv_of, make_campaign, put, select


def everything(campaign):
    """All the campaign holds, with Parquet files as text."""
    from activelora.campaign.records import table_from

    found = {}
    for key in campaign.store.list(""):
        content = campaign.store.read(key)
        found[key] = str(table_from(content).to_pylist()) if key.endswith(".parquet") else content.decode()
    return found


def in_pool(campaign):
    return {item.item_id for shard in range(num_shards(campaign)) for item in shard_items(campaign, shard)}


def test_the_text_is_nowhere_and_the_rest_is_as_it_was(campaign):
    ids = select(campaign)
    source, request = get_source("files"), make_request(campaign, 0)
    source.publish(request)
    text = request.items[ids[1]].fields["text"]
    others = in_pool(campaign) - {ids[1]}
    assert sum(text in content for content in everything(campaign).values()) == 3
    done = delete_item(campaign, ids[1], "asked to")
    assert (done.item_id, done.num_pool_files, done.num_tasks, done.inbox) == (ids[1], 1, None, ())
    assert not [key for key, content in everything(campaign).items() if text in content]
    assert in_pool(campaign) == others
    assert find_items(campaign, [ids[1]])[ids[1]].fields == {"text": ""}
    sheet = campaign.store.read("labeling/round-0000/to_label.csv").decode()
    assert [item_id in sheet for item_id in ids] == [True, False, True, True, True]
    again = delete_item(campaign, ids[1][:8], "again")
    assert (again.num_pool_files, again.sheets) == (0, ())


def test_it_is_neither_asked_for_nor_trained_on_nor_selected(campaign):
    ids = select(campaign)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids)))
    delete_item(campaign, ids[0], "during the round")
    manifest = await_labels.run(campaign, 0)
    assert manifest.metrics["num_labeled"] == 4
    assert set(label_snapshot(campaign, 1).labels) == set(ids[1:])
    delete_item(campaign, ids[1], "after it")
    assert set(label_snapshot(campaign, 1).labels) == set(ids[2:])
    left = in_pool(campaign) - {*ids}
    gone = sorted(left)[0]
    delete_item(campaign, gone, "before it was asked for")
    for round_ in (1, 2, 3):
        batch = select(campaign, round_)
        assert not {gone, *ids} & set(batch)
        put(campaign, f"{round_}.csv", csv_of(*((item_id, "human", "ann") for item_id in batch)))
        await_labels.run(campaign, round_)
    assert in_pool(campaign) == set(label_snapshot(campaign, 4).labels)


def test_a_late_answer_about_it_is_refused(campaign):
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann")))
    done = delete_item(campaign, ids[0], "asked to")
    assert done.inbox == ("a.csv",)
    collected = get_source("files").collect(make_request(campaign, 0))
    assert ids[0] not in collected.states
    assert [one.item_id for one in collected.rejected] == [ids[0]]


def test_your_own_id_and_typed_answers(tmp_path):
    rows = [{"text": f"question {number}", "id": f"P-{number}"} for number in range(8)]
    given = [{"text": f"held out {number}", "label": "human", "id": f"h{number}"} for number in range(3)]
    tmp_path.joinpath("given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    columns = {"columns": {"label": "label", "id": "id"}}
    campaign = make_campaign(tmp_path, rows=rows, data={**data, **columns}, labeling={"source": "terminal"}, batch=8)
    ids = select(campaign)
    request = make_request(campaign, 0)
    session = Session(campaign.store, "ann", request.task)
    for item_id in ids:
        session.answer(request.items[item_id], 1)
    done = delete_item(campaign, "P-3", "asked to")
    assert request.items[done.item_id].fields == {"text": "question 3"}
    assert "P-3" not in "".join(everything(campaign).values())
    assert get_source("terminal").collect(make_request(campaign, 0)).count("labeled") == 7


def test_two_deletions_of_one_shard_and_a_crash_between(campaign):
    first, second = sorted(item.item_id for item in shard_items(campaign, 0))[:2]
    store = campaign.store

    class Dying:
        """Dies when the pool's file is to be replaced, after the mark."""

        def __getattr__(self, name):
            return getattr(store, name)

        def write(self, key, content):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete_item(replace(campaign, store=Dying()), first, "asked to")
    assert deleted_items(store) == {first}
    assert find_items(campaign, [first])[first].fields["text"] != ""
    delete_item(campaign, second, "asked to")  # takes out what the other has left, too
    assert {item.fields["text"] for item in find_items(campaign, [first, second]).values()} == {""}


def test_typed_texts_with_unusual_line_ends_and_diagnoses(campaign):
    ids = select(campaign)
    odd = {"item_id": ids[1], "label": "one\u2028two\x85three", "annotator": "ann"}
    lines = [json.dumps({**odd, "item_id": item_id}, ensure_ascii=False) for item_id in ids[:3]]
    campaign.store.write("labeling/answers/a.jsonl", "".join(f"{line}\n" for line in lines).encode())
    suspects = [{"item_id": item_id, "source_id": f"P-{item_id}"} for item_id in ids]
    document = {"num_labels": 5, "suspects": suspects}
    campaign.store.write("diagnostics/round-0001.json", json.dumps(document).encode())
    delete_item(campaign, ids[0], "asked to")
    left = campaign.store.read("labeling/answers/a.jsonl").decode()
    assert left == "".join(f"{line}\n" for line in lines[1:])
    assert json.loads(campaign.store.read("diagnostics/round-0001.json")) == {**document, "suspects": suspects[1:]}


def test_a_deletion_that_crashed_may_be_repeated_by_your_own_id(tmp_path):
    rows = [{"text": f"question {number}", "id": f"P-{number}"} for number in range(8)]
    given = [{"text": f"held out {number}", "label": "human", "id": f"h{number}"} for number in range(3)]
    tmp_path.joinpath("given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    campaign = make_campaign(tmp_path, rows=rows, data={**data, "columns": {"label": "label", "id": "id"}}, batch=8)
    assert len(select(campaign)) == 8
    get_source("files").publish(make_request(campaign, 0))
    store = campaign.store

    class Dying:
        """Dies when a worksheet is to be replaced."""

        def __getattr__(self, name):
            return getattr(store, name)

        def write(self, key, content):
            if key.endswith(".csv"):
                raise KeyboardInterrupt
            store.write(key, content)

    with pytest.raises(KeyboardInterrupt):
        delete_item(replace(campaign, store=Dying()), "P-3", "asked to")
    delete_item(campaign, "P-3", "asked to")
    assert "question 3" not in "".join(everything(campaign).values())


def test_a_file_that_was_changed_otherwise_is_still_found_out(campaign):
    delete_item(campaign, shard_items(campaign, 0)[0].item_id, "asked to")
    manifest = campaign.require(Unit("ingest_pool"))
    key = manifest.files[items_name(0)].key
    campaign.store.write(key, campaign.store.read(key) + b" ")
    with pytest.raises(StoreError, match="not what its manifest says"):
        campaign.read_table(manifest, items_name(0))


@pytest.mark.parametrize("name", ["nothing", "", "P-1"])
def test_an_item_that_is_not_there(name, campaign):
    with pytest.raises(ConfigError, match=r"no item of the pool is called|items are called"):
        delete_item(campaign, name, "asked to")
    assert deleted_items(campaign.store) == frozenset()


@pytest.mark.parametrize(("people", "num_tasks", "inbox"), [("files", None, ("a.csv",)), ("label_studio", 0, ())])
def test_where_people_label_beside_a_model(people, num_tasks, inbox, tmp_path):
    """What is to be deleted is there, whoever else labels."""
    model = {"url": "http://127.0.0.1:9/v1", "model": "m", "price_in": 0, "price_out": 0, "max_cost": 0}
    labeling = {"source": "llm", "llm": {**model, "people": {"source": people}}}
    if people == "label_studio":
        labeling["label_studio"] = {"url": "https://labels.example.org"}
    campaign = make_campaign(tmp_path, labeling=labeling)
    ids = select(campaign)
    put(campaign, "a.csv", csv_of((ids[0], "human", "ann")))
    done = delete_item(campaign, ids[0], "asked to")
    assert (done.num_tasks, done.inbox) == (num_tasks, inbox)


def test_a_campaign_whose_labelled_items_are_all_deleted_ends_with_the_reason(campaign):
    campaign.attempt(Unit("evaluate_adapter", 0)).commit()
    ids = select(campaign)
    put(campaign, "a.csv", csv_of(*((item_id, "human", "ann") for item_id in ids)))
    await_labels.run(campaign, 0)
    for item_id in ids:
        assert next_plan(campaign).units == (Unit("train_adapter", 1),)
        delete_item(campaign, item_id, "asked to")
    reason = "every item that had a label was deleted, and nothing is left to train on"
    assert next_plan(campaign) == Plan("stop", 1, reason=reason)
