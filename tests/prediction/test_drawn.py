"""`activelora evaluate --budget` and `--drawn`: from an unlabelled table to estimates, and every refusal."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from activelora.campaign.campaign import Campaign
from activelora.evaluation import weighted_draws
from activelora.pool.access import holdout
from activelora.prediction.draw_table import DrawJob, draw_rows
from activelora.prediction.drawn import Draw
from activelora.prediction.drawn_labels import estimates
from activelora.prediction.inputs import TableSource
from activelora.prediction.targets import target_of
from pipelines.cli.main import main
from pipelines.cli.models import open_model
from tests.prediction.conftest import LABELS, evaluated, rows_of

NUM_ROWS = 150
Rows = list[dict[str, str]]


def table_of(folder: Path, kind: str = "classification", num: int = NUM_ROWS) -> tuple[Path, dict[str, Any]]:
    """Write a table without labels; return it and the labels by text."""
    rows = rows_of(kind, num, seed=9)
    path = folder / "table.jsonl"
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "gold"}) + "\n" for row in rows))
    return path, {row["text"]: row["gold"] for row in rows}


def draw(campaign: Campaign, table: Path, out: Path, budget: int, *options: str) -> int:
    words = ["evaluate", campaign.store.uri, str(table), "--budget", str(budget), "--out", str(out), "--round", "1"]
    return main([*words, *options])


def estimate(campaign: Campaign, drawn: Path, *options: str) -> int:
    return main(["evaluate", campaign.store.uri, "--drawn", str(drawn), "--round", "1", *options])


def read(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def fill(path: Path, gold: dict[str, Any], num: int | None = None) -> Rows:
    """Label the first rows as people do, and return all."""
    rows = read(path)
    for row in rows[:num]:
        row["gold"] = gold[row["text"]]
    write(path, rows)
    return rows


def found(campaign: Campaign, drawn: Path, folder: Path, *options: str) -> dict[str, Any]:
    assert estimate(campaign, drawn, "--out", str(folder / "found.json"), *options) == 0
    return dict(json.loads((folder / "found.json").read_text()))


def measured(campaign: Campaign, folder: Path, gold: dict[str, Any], table: Path) -> dict[str, Any]:
    """What `evaluate` says of the table with all its labels."""
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    labelled = folder / "labelled.jsonl"
    labelled.write_text("".join(json.dumps({**row, "gold": gold[row["text"]]}) + "\n" for row in rows))
    command = ["evaluate", campaign.store.uri, str(labelled), "--round", "1", "--out", str(folder / "measured.json")]
    assert main(command) == 0
    return dict(json.loads((folder / "measured.json").read_text()))


def test_from_a_table_without_labels_to_the_tables_numbers(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, gold = table_of(tmp_path)
    drawn = tmp_path / "drawn.csv"
    assert draw(classified, table, drawn, 60) == 0
    assert "--drawn" in capsys.readouterr().out
    rows = read(drawn)
    assert list(rows[0]) == ["text", "gold", "draw", "item_id"]
    assert [row["draw"] for row in rows] == [str(number) for number in range(1, 61)]
    assert {row["gold"] for row in rows} == {""}
    assert len({row["text"] for row in rows}) == 60
    fill(drawn, gold)
    said, truth = found(classified, drawn, tmp_path), measured(classified, tmp_path, gold, table)
    assert (said["num_rows"], said["num_drawn"], said["num_used"], said["num_unused"]) == (NUM_ROWS, 60, 60, 0)
    accuracy = said["metrics"]["accuracy"]
    assert accuracy["low"] <= truth["metrics"]["accuracy"] <= accuracy["high"]
    assert 0.05 < accuracy["high"] - accuracy["low"] < 0.4
    for name, share in said["shares"].items():
        actual = sum(label == name for label in gold.values()) / NUM_ROWS
        miss = max(share["low"] - actual, actual - share["high"])  # one interval in twenty misses
        assert miss < (share["high"] - share["low"]) / 4
    assert sum(share["value"] for share in said["shares"].values()) == pytest.approx(1.0)
    assert said["metrics"]["nll"]["low"] is None
    out = capsys.readouterr().out
    assert "share of human" in out
    assert f"{accuracy['low']:.4f} to {accuracy['high']:.4f}" in out


def test_rows_that_the_campaign_has_used_are_told_before_the_model_answers(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, _ = table_of(tmp_path)
    used = [item.fields for item in holdout(classified)[0]]
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    table.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *({"text": one["text"]} for one in used)]))

    def stop(ids: frozenset[str]) -> None:
        assert len(ids) == NUM_ROWS + len(used)
        raise InterruptedError

    target = target_of(str(tmp_path / "drawn.csv"), "--out")
    with open_model(classified.store.uri, 1) as bundle, pytest.raises(InterruptedError):
        draw_rows(replace(bundle, folder=tmp_path / "nowhere"), TableSource(str(table)), DrawJob(20, target), stop)
    assert draw(classified, table, tmp_path / "drawn.csv", 20) == 0
    assert f"{len(used)} rows of the table are in the campaign's holdout" in capsys.readouterr().err


def test_all_rows_drawn_are_the_table_measured(classified: Campaign, tmp_path: Path) -> None:
    table, gold = table_of(tmp_path, num=40)
    drawn = tmp_path / "drawn.csv"
    assert draw(classified, table, drawn, 40) == 0
    fill(drawn, gold)
    said, truth = found(classified, drawn, tmp_path), measured(classified, tmp_path, gold, table)
    for name, values in (("accuracy", truth["metrics"]), ("nll", truth["scaled"]), ("brier", truth["scaled"])):
        one = said["metrics"][name]
        assert (one["value"], one["low"], one["high"]) == pytest.approx((values[name],) * 3)
    for name, share in said["shares"].items():
        actual = sum(label == name for label in gold.values()) / 40
        assert (share["value"], share["low"], share["high"]) == pytest.approx((actual,) * 3)


def test_the_intervals_of_a_real_models_table_cover(classified: Campaign, tmp_path: Path) -> None:
    table, gold = table_of(tmp_path)
    assert draw(classified, table, tmp_path / "drawn.csv", NUM_ROWS) == 0
    whole = Draw.read(tmp_path / "drawn.draw.json")
    labels_N = np.array([LABELS.index(gold[row["text"]]) for row in read(tmp_path / "drawn.csv")])
    probs_NC = np.array([one.probs for one in whole.drawn])
    scores_N, wrong_N = weighted_draws.scores(1 - probs_NC.max(axis=1)), probs_NC.argmax(axis=1) != labels_N
    covered = []
    for seed in range(150):
        made = weighted_draws.draw(scores_N, 40, whole.uniform_share, seed)
        rows = [
            replace(whole.drawn[row], probability=probability)
            for row, probability in zip(made.rows_M, made.probability_M, strict=True)
        ]
        said = estimates(replace(whole, drawn=rows), labels_N[made.rows_M], 0, 0.95)
        truths = {"accuracy": 1 - wrong_N.mean(), **{name: (labels_N == c).mean() for c, name in enumerate(LABELS)}}
        intervals = {"accuracy": said.metrics["accuracy"], **said.shares}
        covered.append([intervals[name].low <= truth <= intervals[name].high for name, truth in truths.items()])
    assert min(np.mean(covered, axis=0)) >= 0.91


def test_sorting_the_file_changes_nothing(classified: Campaign, tmp_path: Path) -> None:
    table, gold = table_of(tmp_path)
    drawn = tmp_path / "drawn.csv"
    assert draw(classified, table, drawn, 30) == 0
    rows = fill(drawn, gold, num=20)
    before = found(classified, drawn, tmp_path)
    random.Random(0).shuffle(rows)
    write(drawn, rows)
    assert found(classified, drawn, tmp_path) == before


def test_a_workbook_as_spreadsheets_return_it(classified: Campaign, tmp_path: Path) -> None:
    table, gold = table_of(tmp_path)
    drawn = tmp_path / "drawn.xlsx"
    assert draw(classified, table, drawn, 20) == 0
    book = openpyxl.load_workbook(drawn)
    heads = [cell.value for cell in book.active[1]]
    for row in book.active.iter_rows(min_row=2):
        row[heads.index("gold")].value = gold[row[heads.index("text")].value]
        row[heads.index("draw")].value = float(row[heads.index("draw")].value)
    book.save(drawn)
    assert found(classified, drawn, tmp_path)["num_used"] == 20


def test_the_longest_first_part_without_a_gap_is_used(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, gold = table_of(tmp_path)
    drawn = tmp_path / "drawn.csv"
    assert draw(classified, table, drawn, 30) == 0
    rows = fill(drawn, gold, num=20)
    rows[14]["gold"] = ""
    write(drawn, rows)
    said = found(classified, drawn, tmp_path)
    assert (said["num_used"], said["num_unused"]) == (14, 5)
    out = " ".join(capsys.readouterr().out.split())
    assert "the first 14 of 30" in out
    assert "which are not used: 5" in out
    for row in rows[14:]:
        row["gold"] = ""
    write(drawn, rows)
    assert found(classified, drawn, tmp_path)["metrics"] == said["metrics"]


def test_the_seed_draws_the_same_rows_again(classified: Campaign, tmp_path: Path) -> None:
    table, _ = table_of(tmp_path)
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert draw(classified, table, tmp_path / f"{name}.csv", 20, "--seed", seed) == 0
    a, b, c = (read(tmp_path / f"{name}.csv") for name in "abc")
    assert a == b
    assert [row["item_id"] for row in a] != [row["item_id"] for row in c]


@pytest.mark.parametrize("kind", ["yes_no", "multiple_choice", "preference"])
def test_other_kinds_with_one_answer_out_of_several(tmp_path: Path, tiny_model_path: Path, kind: str) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, kind)
    table, gold = table_of(tmp_path, kind, num=40)
    drawn = tmp_path / "drawn.csv"
    assert draw(campaign, table, drawn, 40) == 0
    fill(drawn, gold)
    said, truth = found(campaign, drawn, tmp_path), measured(campaign, tmp_path, gold, table)
    assert said["metrics"]["accuracy"]["value"] == pytest.approx(truth["metrics"]["accuracy"])
    assert said["metrics"]["nll"]["value"] == pytest.approx(truth["scaled"]["nll"])
    assert bool(said["shares"]) == (kind != "multiple_choice")


def test_a_model_without_a_temperature_is_told(
    tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, "yes_no", data={"calibration_size": 0})
    table, _ = table_of(tmp_path, "yes_no", num=20)
    assert draw(campaign, table, tmp_path / "drawn.csv", 10) == 0
    assert "no temperature was fitted" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("kind", ["generation", "regression", "multi_label"])
def test_other_answers_are_refused(
    tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    campaign = evaluated(tmp_path, tiny_model_path, kind)
    table, _ = table_of(tmp_path, kind, num=20)
    assert draw(campaign, table, tmp_path / "drawn.csv", 10) == 1
    assert "is not one out of several" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "drawn.csv").exists()


def without_first(rows: Rows) -> Rows:
    return rows[1:]


def twice(rows: Rows) -> Rows:
    return [*rows, rows[3]]


def other_ids(rows: Rows) -> Rows:
    return [{**rows[0], "item_id": rows[1]["item_id"]}, *rows[1:]]


def other_number(rows: Rows) -> Rows:
    return [{**rows[0], "draw": "21"}, *rows[1:]]


def other_text(rows: Rows) -> Rows:
    return [{**rows[0], "text": "something else"}, *rows[1:]]


def typo(rows: Rows) -> Rows:
    return [{**rows[0], "gold": "purple"}, *rows[1:]]


def few(rows: Rows) -> Rows:
    return [{**row, "gold": "" if int(row["draw"]) > 9 else row["gold"]} for row in rows]


def no_column(rows: Rows) -> Rows:
    return [{name: value for name, value in row.items() if name != "gold"} for row in rows]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_first, "1 drawn row is not in the file: `draw` 1"),
        (twice, "draw 4 is there twice"),
        (other_ids, "were changed, or the file belongs to another draw"),
        (other_number, "column `draw` holds '21', expected 1 to 20"),
        (other_text, "the text of draw 1 was changed"),
        (typo, "'purple' is not a label of this task"),
        (few, "9 draws from the first on have labels"),
        (no_column, "gold"),
    ],
)
def test_a_file_that_is_not_what_was_drawn_is_refused(
    classified: Campaign,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Rows], Rows],
    words: str,
) -> None:
    table, gold = table_of(tmp_path, num=40)
    drawn = tmp_path / "drawn.csv"
    assert draw(classified, table, drawn, 20) == 0
    write(drawn, change(fill(drawn, gold)))
    assert estimate(classified, drawn) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_another_model_table_or_draw_is_refused(
    classified: Campaign, tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*command: str) -> str:
        assert main(["evaluate", *command]) == 1
        return " ".join(capsys.readouterr().err.split())

    table, gold = table_of(tmp_path, num=40)
    drawn, other = tmp_path / "drawn.csv", tmp_path / "other.csv"
    assert draw(classified, table, drawn, 20) == 0
    assert draw(classified, table, other, 20, "--seed", "5") == 0
    fill(drawn, gold)
    assert found(classified, drawn, tmp_path)["num_used"] == 20
    base = evaluated(tmp_path / "base", tiny_model_path, "classification", round_=0)
    assert "the model of round 1, and this is that of round 0" in refused(
        base.store.uri, "--drawn", str(drawn), "--round", "0"
    )
    third = evaluated(tmp_path / "third", tiny_model_path, "classification", adapter={"alpha": 3.0})
    assert "drawn for another model" in refused(third.store.uri, "--drawn", str(drawn), "--round", "1")
    here = classified.store.uri, "--round", "1", "--drawn"
    changed = tmp_path / "changed.jsonl"
    changed.write_text(table.read_text() + json.dumps({"text": "one more"}) + "\n")
    assert "drawn of another table" in refused(classified.store.uri, str(changed), *here[1:], str(drawn))
    assert main(["evaluate", classified.store.uri, str(table), *here[1:], str(drawn)]) == 0
    (tmp_path / "drawn.draw.json").rename(tmp_path / "hidden.json")
    assert "drawn.draw.json: the draw that belongs to the rows is not there" in refused(*here, str(drawn))
    (tmp_path / "drawn.draw.json").write_text((tmp_path / "other.draw.json").read_text())
    assert "belongs to another draw" in refused(*here, str(drawn))
    whole = json.loads((tmp_path / "hidden.json").read_text())
    whole["drawn"][0]["probability"] *= 2
    (tmp_path / "drawn.draw.json").write_text(json.dumps(whole))
    assert "changed after it was written" in refused(*here, str(drawn))
    (tmp_path / "drawn.draw.json").write_text("[]")
    assert "is no draw" in refused(*here, str(drawn))
    whole["version"] = 99
    (tmp_path / "drawn.draw.json").write_text(json.dumps(whole))
    assert "newer version" in refused(*here, str(drawn))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (
            [{"text": f"a {i}"} for i in range(12)],
            ("--budget", "13", "--out", "d.csv"),
            "13 rows cannot be drawn of 12",
        ),
        ([{"text": "a"}], ("--budget", "9", "--out", "d.csv"), "9 labels are no estimate"),
        ([{"words": "a"}], ("--budget", "10", "--out", "d.csv"), "text"),
        ([{"text": ""}] * 20, ("--budget", "10", "--out", "d.csv"), "the item is empty"),
        ([{"text": "a", "draw": 1}] * 20, ("--budget", "10", "--out", "d.csv"), "column `draw` is written"),
        ([{"text": "a"}] * 20, ("--budget", "10", "--out", "d.csv", "--label", "draw"), "column `draw` is written"),
        ([{"text": "a"}] * 20, ("--budget", "10"), "has nowhere to write the drawn rows"),
        ([{"text": "a"}] * 20, ("--budget", "10", "--out", "-"), "a plain file"),
        ([{"text": "a"}] * 20, ("--budget", "10", "--out", "d.csv.gz"), "a plain file"),
        ([{"text": "a"}] * 20, ("--budget", "10", "--out", "no/d.csv"), "there is no such folder"),
        ([{"text": "a"}] * 20, ("--budget", "10", "--out", "there.csv"), "is there already"),
        ([{"text": "a"}] * 20, ("--seed", "1"), "is for rows that are drawn"),
        ([{"text": "a"}] * 20, ("--drawn", "d.csv", "--budget", "10"), "does not go with --drawn"),
        ([{"text": "a"}] * 20, ("--drawn", "d.csv", "--label", "gold"), "does not go with --drawn"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    classified: Campaign,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    options: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("label\n")
    Path("table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", classified.store.uri, "table.jsonl", "--round", "1", *options]) == 1
    assert words in " ".join(capsys.readouterr().err.split())
    assert not Path("d.csv").exists()
    assert Path("there.csv").read_text() == "label\n"


def test_neither_a_table_nor_drawn_rows_are_refused(classified: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", classified.store.uri]) == 1
    assert "no table is named" in capsys.readouterr().err


def test_a_pipe_is_refused(classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(classified, Path("-"), tmp_path / "drawn.csv", 10) == 1
    assert "which no pipe can be" in capsys.readouterr().err


def test_labels_that_the_table_has_are_left_out_and_told(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.jsonl"
    rows = [{"gold": LABELS[0], "text": f"water {index}", "note": index} for index in range(12)]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert draw(classified, table, tmp_path / "drawn.csv", 12) == 0
    drawn = read(tmp_path / "drawn.csv")
    assert list(drawn[0]) == ["gold", "text", "note", "draw", "item_id"]
    assert {row["gold"] for row in drawn} == {""}
    assert "which was left out: 12" in " ".join(capsys.readouterr().err.split())
