"""Labels through the command line: asked, diagnosed, corrected, trained on, told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_snapshot
from activelora.campaign.manifest import Unit
from components.await_labels import step as await_labels
from pipelines.cli.commands.diagnose import _print_suspects
from pipelines.cli.main import main
from tests.labeling.conftest import csv_of, make_campaign, put, select
from tests.pipelines.engines.test_inline import fill_in
from tests.pipelines.tiny import tiny_config

ODD_NAME = "\x1b[2Jbob"
"""Would clear a terminal that it is written to as it is."""


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model_path):
    """A folder with a campaign in round 1, whose four labels of round 0 are all `water`."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("labels")
        patch.chdir(folder)
        config = tiny_config(folder, tiny_model_path, labeling={"source": "files"}, acquisition={"batch_size": 4})
        document = config.model_dump(mode="json", exclude_unset=True)
        document["data"]["folder"] = "."
        (folder / "tiny.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        assert main(["run", "tiny.yaml"]) == 0
        fill_in(Campaign.open("campaigns/tiny"), 0, 4)
        assert main(["tick", "tiny.yaml"]) == 0
        yield folder


@pytest.fixture
def campaign(place, monkeypatch):
    monkeypatch.chdir(place)
    return Campaign.open("campaigns/tiny")


def test_diagnose_writes_a_ranking_and_a_worksheet(campaign, run):
    code, out, _ = run("diagnose", "tiny.yaml", "--folds", 2)
    assert code == 0
    assert "0 of 4 labels are suspect; estimated share of wrong labels" in out
    assert campaign.store.exists("diagnostics/round-0001.json")
    assert "worksheet:" not in out, "four labels train no model that may accuse any of them"


def test_suspects_are_shown_with_their_texts(capsys):
    suspect = {"item_id": "i1", "label": "fire", "model_label": "water", "self_confidence": 0.01, "times_labeled": 1}
    _print_suspects({"suspects": [{**suspect, "model_confidence": 0.9, "text": "Who \x1b[2J wrote\nthe play?"}]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  i1  labelled fire (once), P 0.010; the model says water, P 0.900"
    assert lines[2].strip() == "Who \\x1b[2J wrote\\nthe play?"


def test_an_item_is_corrected_and_the_next_adapter_is_trained_on_it(campaign, run):
    with Path(campaign.store.uri, "labeling/round-0000/to_label.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    item_id = row["item_id"]
    sheet = Path("fix.csv")
    with sheet.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys())
        writer.writeheader()
        writer.writerow({**row, "label": "fire", "annotator": ODD_NAME})
    code, out, _ = run("labels", "import", "tiny.yaml", sheet)
    assert code == 0
    assert "0 items get a label, 1 label changes, 0 are confirmed" in out
    assert "round 1 collects them" in out

    digest = label_snapshot(campaign, 1).digest
    fill_in(campaign, 1, 4)
    code, out, _ = run("tick", "tiny.yaml")
    assert code == 0
    assert "4 labels collected, 1 corrected" in out
    again = Campaign.open("campaigns/tiny")
    trained = [again.require(Unit("train_adapter", round_)) for round_ in (1, 2)]
    assert [manifest.metrics["num_labels"] for manifest in trained] == [4, 8]
    assert trained[0].details["label_digest"] == digest == label_snapshot(again, 1).digest
    assert trained[1].details["label_digest"] == label_snapshot(again, 2).digest
    assert [label_snapshot(again, round_).labels[item_id] for round_ in (1, 2)] == [0, 1]

    _, out, _ = run("labels", "blame", "tiny.yaml", item_id, "--json")
    names = ("label", "annotator", "origin", "asked_in", "collected_in", "effect", "before", "replaced_in")
    first, second = ([row[name] for name in names] for row in json.loads(out))
    assert first == ["water", "unknown", "answers-0-4.csv", 0, 0, "labels", None, 1]
    assert second[:2] + second[3:] == ["fire", ODD_NAME, 0, 1, "corrects", "water", None]
    assert second[2].endswith("-fix.csv")
    _, out, _ = run("labels", "blame", "tiny.yaml", item_id[:8])
    lines = out.splitlines()
    assert (lines[0], len(lines)) == (item_id, 3)
    assert lines[1].startswith("  round 0  water  unknown  ")
    assert lines[1].endswith("  files: answers-0-4.csv  labels, until round 1")
    assert lines[2].endswith("  corrects water, in force")
    assert "  fire   \N{REPLACEMENT CHARACTER}[2Jbob  " in lines[2]
    _, out, _ = run("labels", "diff", "tiny.yaml", 1, 2)
    assert f"~ {item_id}  water -> fire" in out
    assert out.splitlines()[-1] == "round 1 to round 2: 4 added, 1 corrected"

    for round_, label in ((1, "water"), (2, "fire")):
        assert run("labels", "export", "tiny.yaml", "--round", round_, "--out", "out/labels.jsonl")[0] == 0
        rows = [json.loads(line) for line in Path("out/labels.jsonl").read_text(encoding="utf-8").splitlines()]
        assert {row["item_id"]: row["label"] for row in rows}[item_id] == label


@pytest.mark.parametrize("options", [["labels"], ["labels.CSV"], ["labels.txt", "--format", "csv"]])
def test_export_as_csv_by_default(campaign, run, options):
    code, out, _ = run("labels", "export", "tiny.yaml", "--out", *options)
    assert code == 0
    assert out.endswith(f": {options[0]}\n")
    assert Path(options[0]).read_text(encoding="utf-8").startswith("item_id,source_id,text,label,")


@pytest.mark.parametrize("annotator", [[], ["--annotator", "bob"]])
@pytest.mark.parametrize("name", ["x.ods", "labels.json", "labels.csv.gz", "s3://bucket/labels.parquet"])
def test_an_ending_that_is_not_written_is_refused(campaign, run, name, annotator):
    code, out, err = run("labels", "export", "tiny.yaml", "--out", name, *annotator)
    assert (code, out) == (1, "")
    ending = name.rpartition(".")[2]
    said = f"--out {name}: labels are written as .csv, .jsonl, .xlsx; not as .{ending}. End it in one of these"
    assert said in " ".join(err.split())
    assert not Path(name).exists()


@pytest.mark.parametrize(
    ("name", "kind"), [("l.xlsx", "csv"), ("l.csv", "xlsx"), ("l.csv.gz", "csv"), ("l.jsonl", "csv")]
)
def test_a_format_that_the_ending_contradicts_is_refused(campaign, run, name, kind):
    code, _, err = run("labels", "export", "tiny.yaml", "--out", name, "--format", kind)
    assert code == 1
    assert f"{kind} is not what a file ending in .{name.rpartition('.')[2]} holds" in " ".join(err.split())
    assert not Path(name).exists()


@pytest.mark.parametrize("annotator", [[], ["--annotator", "unknown"]])
def test_a_workbook_is_one(campaign, run, annotator):
    import openpyxl

    assert run("labels", "export", "tiny.yaml", "--out", "labels.xlsx", *annotator)[0] == 0
    assert run("labels", "export", "tiny.yaml", "--out", "labels.csv", *annotator)[0] == 0
    rows = [[cell or "" for cell in row] for row in openpyxl.load_workbook("labels.xlsx").active.values]
    with Path("labels.csv").open(encoding="utf-8", newline="") as file:
        assert rows == [[cell.replace("\x1b", "") for cell in row] for row in csv.reader(file)]


def test_what_cannot_be(campaign, run):
    code, _, err = run("labels", "export", "tiny.yaml", "--out", "x", "--round", 9)
    assert code == 1
    assert "the labels that round 9 trains on are not known. Name a round from 0 to" in err
    assert not Path("x").exists()
    assert "no labelled item is called `zzz`" in run("labels", "blame", "tiny.yaml", "zzz")[2]
    Path("bad.csv").write_text("item_id,label\nnope,water\n", encoding="utf-8")
    code, _, err = run("labels", "import", "tiny.yaml", "bad.csv")
    assert code == 1
    assert "bad.csv:2 nope: this campaign has asked for no item `nope`" in err
    assert not any("bad.csv" in key for key in campaign.store.list("inbox/"))


def test_a_deleted_item_has_no_label_any_more_and_is_in_no_report(campaign, run):
    from activelora.campaign.ledger import num_collected
    from activelora.pool.access import find_items

    round_ = num_collected(campaign)
    before = label_snapshot(campaign, round_).labels
    item_id = min(before)
    text = find_items(campaign, [item_id])[item_id].fields["text"]
    code, out, err = run("delete-item", "tiny.yaml", item_id[:10], "--reason", "asked to")
    assert code == 0, err
    assert f"{item_id} is deleted: 1 pool files" in out
    assert text.encode() not in campaign.store.read("report.html")
    assert set(label_snapshot(campaign, round_).labels) == {*before} - {item_id}


def test_a_campaign_without_labels_says_so(tmp_path, run):
    campaign = make_campaign(tmp_path)
    assert run("labels", "blame", campaign.store.uri)[:2] == (
        0,
        "there are no labels: no round has collected any yet, or their items were deleted\n",
    )
    assert run("labels", "blame", campaign.store.uri, "--json")[1] == "[]\n"


def test_labels_of_another_campaign_are_brought_in(tmp_path, run):
    gold = [{"text": f"question {index}?", "label": "human"} for index in range(20)]
    there, here = (make_campaign(tmp_path / name, rows=gold, batch=5) for name in ("there", "here"))
    ids = select(there)
    put(there, "ann.csv", csv_of(*((one, "human", "ann") for one in ids)))
    await_labels.run(there, 0)
    code, out, err = run("labels", "import", here.store.uri, "--from", there.store.uri)
    assert code == 0, err
    assert "labels of 5 items are brought in; 0 items have one here already, 0 are not in this pool" in out
    assert "round 0 takes them with its own" in out
    assert "nothing is named to import" in run("labels", "import", here.store.uri)[2]
    assert "both FILE and --from" in run("labels", "import", here.store.uri, "x.csv", "--from", "y.csv")[2]
