"""Labels that the pool has already: a whole campaign with a tiny model, and each of its settings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.label_history import history
from activelora.campaign.labels import label_snapshot
from activelora.campaign.ledger import next_plan
from activelora.campaign.manifest import Unit
from activelora.errors import ProblemsError
from components.await_labels import step as await_labels
from components.ingest_pool import step as ingest_pool
from pipelines.cli.status_document import status_document
from pipelines.engines.inline import run_campaign
from tests.labeling.conftest import LABELS, csv_of, make_campaign, put, select
from tests.pipelines.engines.test_inline import fill_in
from tests.pipelines.tiny import tiny_config

NUM_ROWS, NUM_KNOWN = 24, 6
NOTHING = {"num_requested": 0, "num_late": 0, "num_corrected": 0}


def rows(num_rows=NUM_ROWS, num_known=NUM_KNOWN):
    """Rows of which the first ones have a label, and the others none."""
    return [
        {"text": f"question {index}?", "label": LABELS[index % 3] if index < num_known else None}
        for index in range(num_rows)
    ]


def with_known(tmp_path, **options):
    """A campaign whose pool is taken in."""
    data = options.pop("data", {})
    folder = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "shard_rows": 7}
    folder["known_labels"] = None
    where = {"holdout": {"path": "holdout.jsonl"}} if data.get("known_labels") != "holdout" else {}
    options = {"rows": rows(), "batch": 4, **options}
    return make_campaign(tmp_path, data={**folder, **where, **data}, **options)


def texts_of(campaign, ids):
    from activelora.pool.access import find_items

    return {item.fields["text"] for item in find_items(campaign, list(ids)).values()}


def test_a_campaign_begins_with_the_labels_that_are_there(tmp_path, tiny_model_path, capsys):
    config = tiny_config(tmp_path, tiny_model_path, labeling={"source": "files"}, stopping={"max_rounds": 2})
    config = config.model_copy(update={"data": config.data.model_copy(update={"known_labels": None})})
    pool = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    blank = [row if index < 18 else {**row, "label": ""} for index, row in enumerate(pool)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in blank))
    campaign = Campaign.create(str(tmp_path / "campaign"), config)
    begin = datetime.now(UTC) - timedelta(minutes=1)

    result = run_campaign(campaign)
    assert (result.status, result.round) == ("waiting", 1)
    assert campaign.require(Unit("evaluate_adapter", 0)).metrics["num_holdout"] == 10
    assert campaign.require(Unit("select_batch", 0)).metrics["num_selected"] == 0
    assert campaign.require(Unit("train_adapter", 1)).metrics["num_labels"] == 8
    asked = campaign.require(Unit("select_batch", 1))
    assert asked.metrics["num_selected"] == 4
    known = label_snapshot(campaign, 1).labels
    chosen = set(campaign.read_table(asked, "selection.parquet")["item_id"].to_pylist())
    assert len(known) == 8
    assert not chosen & set(known)
    for record in label_snapshot(campaign, 1).records.to_pylist():
        assert (record["source"], record["round"]) == ("known", 0)
        assert record["origin"] == "pool.jsonl"
        assert begin < datetime.fromisoformat(record["labeled_at"]) < datetime.now(UTC)

    document = status_document(campaign)
    assert (document["num_known"], document["num_asked"], document["label_budget"]) == (8, 4, 8)
    assert [one["state"] for one in document["rounds"]] == ["8 labels were known before", "waits for labels"]
    assert [one["num_labels"] for one in document["rounds"]] == [0, 8]
    report = (tmp_path / "campaign" / "report.html").read_text()
    assert "8 more were known before" in report
    assert "0 items selected" not in report
    fill_in(campaign, 1, 4)
    assert run_campaign(campaign).round == 2
    fill_in(campaign, 2, 4)
    assert run_campaign(campaign).status == "finished"
    reason = "all 2 planned rounds are done (16 labels, 8 of them known before)"
    assert stop_reason(campaign) == reason, "two rounds of labels were asked for, and round 0 was none of them"
    assert [one["num_labels"] for one in status_document(campaign)["rounds"]] == [0, 8, 12, 16]


def test_nobody_is_asked_in_the_round_whose_labels_are_known(tmp_path):
    campaign = with_known(tmp_path)
    assert campaign.require(Unit("ingest_pool")).metrics["num_known"] == NUM_KNOWN
    assert campaign.require(Unit("ingest_pool")).details["known_labels"] == dict.fromkeys(LABELS, 2)
    assert select(campaign) == []
    assert "lambda" in campaign.require(Unit("select_batch", 0)).details
    manifest = await_labels.run(campaign, 0)
    assert {name: manifest.metrics[name] for name in NOTHING} == NOTHING
    assert manifest.metrics["num_labeled"] == manifest.metrics["num_known"] == NUM_KNOWN
    assert manifest.details["source"] == "known"
    assert not list(campaign.store.list("labeling/")), "nothing is published"
    assert next_plan(campaign).status == "work"
    assert texts_of(campaign, label_snapshot(campaign, 1).labels) == {f"question {index}?" for index in range(6)}


def test_known_labels_cost_no_budget_and_are_never_asked_for(tmp_path):
    campaign = with_known(tmp_path, stopping={"label_budget": 18, "max_rounds": 9}, batch=8)
    select(campaign)
    await_labels.run(campaign, 0)
    asked = []
    for round_ in (1, 2, 3):
        ids = select(campaign, round_)
        asked += ids
        put(campaign, f"{round_}.csv", csv_of(*((one, "human", "ann") for one in ids)))
        await_labels.run(campaign, round_)
    assert len(asked) == len(set(asked)) == 18
    assert not set(asked) & set(label_snapshot(campaign, 1).labels)


def test_people_correct_a_known_label_and_it_is_no_annotator_s_vote(tmp_path):
    rules = {"source": "files", "annotators_per_item": 2}
    campaign = with_known(tmp_path, labeling=rules)
    select(campaign)
    await_labels.run(campaign, 0)
    item_id, label = next(iter(label_snapshot(campaign, 1).labels.items()))
    other = LABELS[(label + 1) % 3]
    ids = select(campaign, 1)
    answers = [(one, "human", name) for one in ids for name in ("ann", "bob")]
    put(campaign, "answers.csv", csv_of((item_id, other, "ann"), *answers))
    manifest = await_labels.run(campaign, 1)
    assert manifest.metrics["num_corrected"] == 1
    assert LABELS[label_snapshot(campaign, 2).labels[item_id]] == other
    entries = history(campaign)[item_id]
    assert [(one.record["source"], one.effect) for one in entries] == [("known", "labels"), ("files", "corrects")]
    agreement = campaign.read_json(manifest, "agreement.json")
    assert set(agreement["annotators"]) == {"ann", "bob"}


@pytest.mark.parametrize("rule", ["majority", "dawid_skene", "one_coin"])
def test_known_labels_stay_what_they_are_and_weigh_nobody(tmp_path, rule):
    from activelora.campaign.labels import resolve

    def vote(item, label, annotator, source="files"):
        return {
            "item_id": item,
            "label": label,
            "annotator": annotator,
            "source": source,
            "labeled_at": "2026-01-01",
            "round": 0,
        }

    known = [vote(f"k{number}", number % 2, "(known)", "known") for number in range(40)]
    people = [vote(f"p{number}", (number + name) % 3 % 2, f"a{name}") for number in range(12) for name in range(3)]
    alone, both = resolve([[], people], rule=rule), resolve([known, people], rule=rule)
    assert {item: both.shares[item] for item in alone.shares} == alone.shares
    assert {item: both.labels[item] for item in both.labels if item.startswith("k")} == {
        one["item_id"]: one["label"] for one in known
    }
    assert list(both.labels) == sorted(both.labels)


def test_known_labels_are_ignored_where_the_campaign_says_so(tmp_path):
    campaign = with_known(tmp_path, data={"known_labels": "ignore"})
    assert "num_known" not in campaign.require(Unit("ingest_pool")).metrics
    assert len(select(campaign)) == 4
    assert await_labels.run(campaign, 0) is None


def test_an_oracle_asks_for_all_and_knows_nothing(tmp_path):
    labelled = [{"text": f"question {index}?", "label": "human"} for index in range(20)]
    campaign = with_known(tmp_path, labeling={"source": "oracle"}, rows=labelled)
    assert len(select(campaign)) == 4
    assert await_labels.run(campaign, 0).metrics["num_labeled"] == 4


def test_what_the_oracle_s_campaign_knows_stands_in_another_column(tmp_path):
    labelled = [
        {"text": f"question {index}?", "label": "human", "old": "entity" if index % 4 == 0 else " "}
        for index in range(20)
    ]
    known = {"known_labels": "train", "known_labels_column": "old"}
    campaign = with_known(tmp_path, labeling={"source": "oracle"}, rows=labelled, data=known)
    assert select(campaign) == []
    await_labels.run(campaign, 0)
    assert {LABELS[label] for label in label_snapshot(campaign, 1).labels.values()} == {"entity"}
    assert len(label_snapshot(campaign, 1).labels) == 5
    assert len(select(campaign, 1)) == 4
    assert await_labels.run(campaign, 1).metrics["num_labeled"] == 4


def test_known_labels_become_the_holdout(tmp_path):
    campaign = with_known(tmp_path, data={"known_labels": "holdout", "calibration_size": 2})
    metrics = campaign.require(Unit("ingest_pool")).metrics
    counts = (metrics["num_pool"], metrics["num_holdout"], metrics["num_calibration"])
    assert counts == (NUM_ROWS - NUM_KNOWN, NUM_KNOWN - 2, 2)
    from activelora.pool.access import calibration, holdout

    held_out = [*holdout(campaign)[0], *calibration(campaign)[0]]
    assert {item.fields["text"] for item in held_out} == {f"question {index}?" for index in range(NUM_KNOWN)}
    assert len(select(campaign)) == 4


def test_what_is_left_of_the_labelled_rows_after_the_holdout_is_known(tmp_path):
    data = {"holdout": None, "holdout_size": 4}
    campaign = with_known(tmp_path, data=data)
    assert campaign.require(Unit("ingest_pool")).metrics["num_known"] == NUM_KNOWN - 4


def studio(number, *votes):
    """A task as Label Studio exports it, with the votes of annotators at a time."""
    annotations = [
        {
            "completed_by": {"id": 1, "email": who},
            "updated_at": f"2026-01-0{day}T10:00:00.000000Z",
            "result": [{"from_name": "topic", "type": "choices", "value": {"choices": [label]}}],
        }
        for who, day, label in votes
    ]
    return {"id": number, "data": {"text": f"question {number}?"}, "annotations": annotations}


EXPORTS = {  # tool: rows of a pool of which one item is labelled, and what is known of it
    "Label Studio": (
        lambda n: studio(n, *[("ann", 2, "human"), ("bob", 5, "human"), ("cy", 9, "entity")] * (n == 0)),
        ("ann; bob", "2026-01-05T10:00:00+00:00"),
    ),
    "Prodigy": (
        lambda n: {
            "text": f"question {n}?",
            "label": "human",
            "answer": "accept" if n == 0 else "ignore",
            "_annotator_id": "ann",
            "_timestamp": 1767348000,
        },
        ("ann", "2026-01-02T10:00:00+00:00"),
    ),
    "doccano": (
        lambda n: {"id": n, "text": f"question {n}?", "label": ["human"] * (n == 0), "Comments": [], "user": "ann"},
        ("ann", None),
    ),
    "Argilla": (
        lambda n: {
            "id": str(n),
            "fields": {"text": f"question {n}?"},
            "responses": {"label": [{"value": "human", "user_id": "u-1"}] if n == 0 else []},
        },
        ("u-1", None),
    ),
    "a table": (lambda n: {"text": f"question {n}?", "label": "human" if n == 0 else None}, ("(known)", None)),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_who_labelled_and_when_is_kept_of_an_export_that_is_the_pool(tmp_path, tool):
    row, (annotator, time) = EXPORTS[tool]
    campaign = with_known(tmp_path, rows=[row(number) for number in range(12)])
    select(campaign)
    await_labels.run(campaign, 0)
    (record,) = label_snapshot(campaign, 1).records.to_pylist()
    assert (record["annotator"], record["source"], record["label"]) == (annotator, "known", LABELS.index("human"))
    assert record["labeled_at"] == (time or campaign.require(Unit("ingest_pool")).started_at)


@pytest.mark.parametrize("num_bytes", [0, 10**9])
@pytest.mark.parametrize(("limit", "said"), [(None, ""), (9, ""), (6, ""), (4, "4 leaves out 2 of 6 labelled items")])
def test_a_limit_leaves_out_labelled_rows_last_and_says_how_many(tmp_path, limit, said, num_bytes, monkeypatch):
    monkeypatch.setattr(ingest_pool.run, "__defaults__", (num_bytes,))
    campaign = with_known(tmp_path, data={"pool": {"path": "pool.jsonl", "limit": limit}})
    manifest = campaign.require(Unit("ingest_pool"))
    assert manifest.metrics["num_known"] == min(NUM_KNOWN, limit or NUM_KNOWN)
    assert manifest.metrics["num_pool"] == (limit or NUM_ROWS)
    warnings = [text for text in manifest.details["warnings"] if "limit" in text]
    assert len(warnings) == bool(said)
    assert said in "".join(warnings)


@pytest.mark.parametrize("num_bytes", [0, 10**9])
@pytest.mark.parametrize(("limit", "num_known"), [(8, 6), (5, 5)])
def test_a_limit_keeps_labels_of_a_column_of_their_own_first(tmp_path, limit, num_known, num_bytes, monkeypatch):
    monkeypatch.setattr(ingest_pool.run, "__defaults__", (num_bytes,))
    labelled = [
        {"text": f"question {index}?", "label": "human", "old": "entity" if index % 4 == 0 else " "}
        for index in range(24)
    ]
    data = {"known_labels": "train", "known_labels_column": "old", "pool": {"path": "pool.jsonl", "limit": limit}}
    campaign = with_known(tmp_path, labeling={"source": "oracle"}, rows=labelled, data=data)
    manifest = campaign.require(Unit("ingest_pool"))
    assert (manifest.metrics["num_known"], manifest.metrics["num_pool"]) == (num_known, limit)
    said = any("5 leaves out 1 of 6 labelled items" in text for text in manifest.details["warnings"])
    assert said == (num_known < 6)


@pytest.mark.parametrize("num_bytes", [0, 10**9])
def test_large_pools_know_the_same(tmp_path, num_bytes, monkeypatch):
    monkeypatch.setattr(ingest_pool.run, "__defaults__", (num_bytes,))
    campaign = with_known(tmp_path)
    select(campaign)
    await_labels.run(campaign, 0)
    labels = label_snapshot(campaign, 1)
    assert texts_of(campaign, labels.labels) == {f"question {index}?" for index in range(NUM_KNOWN)}
    assert sorted(labels.labels.values()) == [0, 0, 1, 1, 2, 2]


def test_a_deleted_item_s_known_label_is_not_trained_on(tmp_path):
    from activelora.labeling.deletion import delete_item
    from activelora.pool.access import known_labels

    campaign = with_known(tmp_path)
    first = min(known_labels(campaign).labels)
    delete_item(campaign, first, "asked to")
    select(campaign)
    assert await_labels.run(campaign, 0).metrics["num_labeled"] == NUM_KNOWN - 1
    assert first not in label_snapshot(campaign, 1).labels


def test_a_deleted_item_s_text_for_a_label_is_gone(tmp_path):
    from activelora.labeling.deletion import delete_item
    from activelora.pool.access import KNOWN, known_labels

    texts = [{"text": f"question {index}?", "label": f"answer {index}" if index < 3 else None} for index in range(20)]
    campaign = with_known(tmp_path, task={"kind": "generation", "prompt": "{text}"}, rows=texts)
    (found,) = (item_id for item_id, label in known_labels(campaign).labels.items() if label == "answer 1")
    delete_item(campaign, found, "asked to")
    manifest = campaign.require(Unit("ingest_pool"))
    assert "answer 1" not in campaign.read_table(manifest, KNOWN)["text"].to_pylist()


@pytest.mark.parametrize(
    ("settings", "labeling", "said"),
    [
        ({"known_labels": "train"}, "oracle", "what is known must stand in another one"),
        ({"known_labels": "train", "known_labels_column": "label"}, "oracle", "must stand in another one"),
        ({"known_labels": "holdout"}, "oracle", "all would be held out"),
        ({"known_labels_column": "old"}, "oracle", "the use of known labels is `ignore`"),
        ({"known_labels": "ignore", "known_labels_column": "old"}, "files", "the use of known labels is `ignore`"),
        ({"known_labels": "holdout", "holdout": {"path": "h.csv"}}, "files", "data.holdout names another one"),
        ({"known_labels": "train", "known_labels_column": "text"}, "files", "which holds the gold label"),
        ({"known_labels": "maybe"}, "files", "'train', 'holdout' or 'ignore'"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path, settings, labeling, said):
    from activelora.rules.file import checked_config

    document = {
        "name": "test",
        "task": {"prompt": "{text}", "labels": LABELS},
        "data": {"pool": {"path": "pool.csv"}, **settings},
        "labeling": {"source": labeling},
    }
    with pytest.raises(ProblemsError) as told:
        checked_config(document, where="test")
    assert said in str(told.value)


def test_a_column_without_a_label_is_told(tmp_path):
    with pytest.raises(ProblemsError, match="no row of the pool has a label in column `odl`"):
        with_known(tmp_path, data={"known_labels_column": "odl"})


def test_rows_that_contradict_each_other_are_told(tmp_path):
    twice = [*rows(), {"text": "question 0?", "label": "number"}]
    with pytest.raises(ProblemsError, match="the same item is labelled `number` here and `entity` at"):
        with_known(tmp_path, rows=twice)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "8 items of the pool have a label: round 1 trains on them, and they cost no budget"),
        ({"data.known_labels": "holdout", "data.holdout_size": 1}, "18 items of the pool have a label, and are the"),
        ({"data.known_labels": "ignore"}, "no label of the pool is used (data.known_labels: ignore)"),
        ({"stopping.label_budget": 23}, "of a label budget of 23 only 22 are left to ask for"),
    ],
)
def test_check_says_in_one_line_what_becomes_of_them(tmp_path, tiny_model_path, capsys, monkeypatch, settings, said):
    from pipelines.cli.main import main

    monkeypatch.chdir(tmp_path)
    config = tiny_config(tmp_path, tiny_model_path, labeling={"source": "files"}, acquisition={"strategy": "random"})
    document = config.model_dump(mode="json", exclude_unset=True)
    del document["data"]["known_labels"]
    pool = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    blank = [row if index < 18 else {**row, "label": ""} for index, row in enumerate(pool)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in blank))
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(document))
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    code = main(["check", "campaign.yaml", "--set", "acquisition.batch_size=2", *options])
    shown = capsys.readouterr()
    assert said in " ".join((shown.out + shown.err).split())
    assert code == 0


@pytest.mark.parametrize(("settings", "num"), [([], 20), (["data.pool.limit=8"], 8)])
def test_check_says_that_nothing_is_left_to_ask_whatever_the_budget(tmp_path, capsys, monkeypatch, settings, num):
    from pipelines.cli.main import main

    monkeypatch.chdir(tmp_path)
    labelled = [{"text": f"question {n}?", "label": LABELS[n % 3]} for n in range(20)]
    held = [{**row, "text": f"held {row['text']}"} for row in labelled]
    for name, part in {"pool": labelled, "holdout": held}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    document = {
        "name": "full",
        "task": {"prompt": "{text}", "labels": LABELS},
        "data": {"pool": {"path": "pool.jsonl"}, "holdout": {"path": "holdout.jsonl"}, "calibration_size": 0},
        "model": {"base": "nobody/nothing"},
        "labeling": {"source": "files"},
        "acquisition": {"strategy": "random", "batch_size": 8},
        "stopping": {"max_rounds": 9},
    }
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(document))
    options = [part for setting in settings for part in ("--set", setting)]
    assert main(["check", "campaign.yaml", *options]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"nothing left to ask: one round trains on {num} labels, and the campaign ends" in shown


def test_where_every_item_is_labelled_the_campaign_trains_once_and_ends(tmp_path):
    campaign = with_known(tmp_path, rows=rows(12, 12))
    measured = {"accuracy": 0.5, "ece": 0.1, "nll": 1.0, "num_holdout": 9.0}
    campaign.attempt(Unit("evaluate_adapter", 0)).commit(measured)
    assert select(campaign) == []
    await_labels.run(campaign, 0)
    assert next_plan(campaign).units == (Unit("train_adapter", 1),)
    campaign.attempt(Unit("train_adapter", 1)).commit()
    campaign.attempt(Unit("evaluate_adapter", 1)).commit(measured)
    assert next_plan(campaign).reason == "every one of the pool's 12 items is labelled"
