"""Every kind of task through a real server: it takes the interface, people answer, the labels come back."""

import time

import pytest

from activelora.labeling.label_studio.project import known_project
from activelora.labeling.label_studio.reading import load_view, look
from activelora.labeling.request import make_request
from activelora.scoring.table import score_table
from components.await_labels import step as await_labels
from tests.labeling.conftest import select

pytestmark = [pytest.mark.slow, pytest.mark.label_studio]
NASTY = "<script>document.title = 'run'</script> <b>&amp; $x 'q' \"q\" ]]>"
PROMPT = {"prompt": "{text}"}
KINDS = {
    "classification": ({**PROMPT, "labels": ["good", NASTY]}, "choices", [NASTY], 1),
    "dollar": ({**PROMPT, "labels": ["$5", "$text"]}, "choices", ["$text"], 1),
    "yes_no": ({**PROMPT, "kind": "yes_no"}, "choices", ["yes"], 1),
    "multiple_choice": (
        {"kind": "multiple_choice", "prompt": "{text} {choices}", "answer": "letters"},
        "choices",
        ["B. <i>dry</i>"],
        1,
    ),
    "multi_label": ({"kind": "multi_label", "prompt": "{text} {label}?", "labels": ["a", "b"]}, "choices", ["b"], 2),
    "no_label": (
        {"kind": "multi_label", "prompt": "{text} {label}?", "labels": ["a", "b"]},
        "choices",
        ["none of these"],
        0,
    ),
    "regression": ({**PROMPT, "kind": "regression", "minimum": 1, "maximum": 5, "step": 0.5}, "number", 2.5, 3),
    "generation": ({**PROMPT, "kind": "generation"}, "text", ["An answer\nof <b>two</b> lines"], None),
}


def rows_of(name):
    gold = {"regression": 3, "generation": "x", "multi_label": "a", "no_label": "a", "dollar": "$5", "yes_no": "no"}
    label = gold.get(name, 0 if name == "multiple_choice" else "good")
    extra = {"choices": ["wet", "<i>dry</i>"]} if name == "multiple_choice" else {}
    return [{"text": f"{number} {NASTY}", "label": label, **extra} for number in range(8)]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind(make, source, name, people, tmp_path):
    task, kind, value, label = KINDS[name]
    data = {"folder": str(tmp_path / "campaign"), "pool": {"path": "pool.jsonl"}, "holdout_size": 3}
    campaign = make(task=task, rows=rows_of(name), batch=2, data=data)
    ids = select(campaign)
    assert await_labels.run(campaign, 0) is None
    project = known_project(campaign)
    ann = people[0]
    first = ann.next_task(project)
    assert first["data"]["item_text"].endswith(NASTY)
    ann.answer(first, kind, value)
    ann.submit_nothing(ann.next_task(project))
    collected = source.collect(make_request(campaign, 0))
    assert collected.states == {ids[0]: "labeled", ids[1]: "invalid"}
    [record] = collected.records
    assert record["label"] == ("An answer\nof <b>two</b> lines" if label is None else label)
    assert record["annotator"] == f"user-{ann.user_id}"


def test_annotators_by_email_and_predictions(make, source, people, admin, tasks_of):
    """Predictions are on the server, and shown only where the campaign file says so."""
    for shown in ("hidden", "shown"):
        section = {"predictions": shown, "annotators": "email", "title": f"Title {shown}", "instructions": "<b>Be</b>"}
        acquisition = {"strategy": "entropy", "initial": "zero_shot", "batch_size": 2}
        campaign = make(shown, section=section, acquisition=acquisition)
        ids = select_scored(campaign)
        request = make_request(campaign, 0)
        source.publish(request)
        project = known_project(campaign)
        settings = admin.get(f"/api/projects/{project}/")
        assert settings["title"] == f"Title {shown}"
        assert settings["expert_instruction"] == "&lt;b&gt;Be&lt;/b&gt;"
        offered = people[1].next_task(project)
        predictions = [tasks_of(campaign)[item][0]["predictions"] for item in ids]
        assert [(one["model_version"], round(one["score"], 2)) for [one] in predictions] == [("test round 0", 0.4)] * 2
        assert bool(offered["predictions"]) == (shown == "shown")
        people[1].label(offered, "number")
        assert [one["annotator"] for one in source.collect(request).records] == ["bob@example.com"]


def select_scored(campaign):
    """Select by made-up scores: every item is `human` with 0.4."""
    import numpy as np

    from activelora.campaign.manifest import Unit
    from activelora.pool.access import shard_items
    from components.select_batch import step as select_batch

    for shard in range(campaign.require(Unit("ingest_pool")).details["num_shards"]):
        ids = [item.item_id for item in shard_items(campaign, shard)]
        log_probs_NKC = np.log(np.tile([0.35, 0.4, 0.25], (len(ids), 2, 1)))
        attempt = campaign.attempt(Unit("score_pool", 0, shard))
        attempt.write_table("scores.parquet", score_table(ids, log_probs_NKC))
        attempt.commit()
    return campaign.read_table(select_batch.run(campaign, 0), "selection.parquet")["item_id"].to_pylist()


def test_a_look_reads_what_changed_and_no_more(make, source, people, admin, tasks_of):
    campaign = make(num_items=20, batch=6)
    ids = select(campaign)
    source.publish(make_request(campaign, 0))
    project = known_project(campaign)
    ann = people[0]
    done = []
    for _ in range(3):
        task = ann.next_task(project)
        done.append((task, ann.label(task, "human")))
    assert look(admin, campaign, project).num_listed == 6

    def look_closely():
        time.sleep(1.1)  # the server tells its time in whole seconds
        return look(admin, campaign, project, overlap_seconds=0)

    look_closely()
    assert look_closely().num_listed == 0
    ann.change(done[0][1], done[0][0], "number")
    view = look_closely()
    assert view.num_listed == 1
    assert view.tasks[done[0][0]["id"]].annotations[0].value == {"choices": ["number"]}
    ann.remove(done[1][1])
    view = look_closely()
    assert (view.num_listed, view.num_annotations) == (1, 2)
    admin.delete(f"/api/tasks/{done[2][0]['id']}/")
    view = look_closely()
    assert (view.num_listed, sorted(view.tasks)) == (0, sorted(t[0]["id"] for t in tasks_of(campaign).values()))
    assert load_view(campaign.store, project).tasks == view.tasks == look(admin, campaign, project, full=True).tasks
    assert source.collect(make_request(campaign, 0)).states == {
        item: {0: "labeled", 2: "deleted"}.get(number, "waiting") for number, item in enumerate(ids)
    }
