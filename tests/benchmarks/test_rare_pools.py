"""The pools with a rare label: shares as said, no text twice, the same files from rows in any order."""

import json
import random

import pytest

from activelora.rules.file import load_config
from benchmarks.rare_pools import RarePool, make, read_rows, split

POOL = RarePool("small", "set", "kind", ("b", "d"), "Text: {text}\nIs it so?\nAnswer:", 200, 0.05, 400)


def write(folder, rows):
    (folder / "set").mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        lines = [json.dumps(row) for row in rows if row["id"].startswith(part)]
        (folder / "set" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")


def rows_of(num_positive):
    rows = [
        {"id": f"{'test' if i % 5 == 0 else 'train'}-{i}", "text": f"text {i}", "kind": "bd"[i % 2]}
        for i in range(num_positive)
    ]
    return [*rows, *({"id": f"train-x{i}", "text": f"other {i}", "kind": "ac"[i % 2]} for i in range(600))]


def test_shares_are_as_said_and_no_text_stands_twice(tmp_path):
    rows = rows_of(120)
    write(tmp_path, [*rows, {"id": "train-twice", "text": "Text  0", "kind": "b"}])
    (said,) = make(tmp_path, tmp_path / "out", [POOL])
    assert said == ("small: 10 of 200 items of the pool are positive (5%), and 100 of 400 of the holdout (25%).")
    made = {
        name: [json.loads(line) for line in (tmp_path / "out" / "small" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("pool", "holdout")
    }
    assert [sum(row["label"] == "yes" for row in made[name]) for name in ("pool", "holdout")] == [10, 100]
    assert all((row["was"] in "bd") == (row["label"] == "yes") for part in made.values() for row in part)
    texts = [row["text"].lower().split()[-1] + row["text"][:1].lower() for part in made.values() for row in part]
    assert len(set(texts)) == len(texts) == 600


def test_the_same_files_come_of_rows_in_any_order(tmp_path):
    rows, files = rows_of(150), []
    for turn in range(2):
        folder = tmp_path / str(turn)
        write(folder, rows)
        make(folder, folder / "out", [POOL])
        files.append({path.name: path.read_bytes() for path in (folder / "out" / "small").iterdir()})
        random.Random(3).shuffle(rows)
    assert files[0] == files[1]
    assert set(files[0]) == {"pool.jsonl", "holdout.jsonl", "campaign.yaml"}


def test_the_campaign_file_is_one_that_check_accepts(tmp_path):
    write(tmp_path, rows_of(120))
    make(tmp_path, tmp_path, [POOL])
    config = load_config(tmp_path / "small" / "campaign.yaml")
    assert config.acquisition.strategy == "rare_class"
    assert config.acquisition.rare_class.label in config.task.labels
    assert config.label_budget <= 0.2 * 2000


@pytest.mark.parametrize(("num", "why"), [(60, "50 positive items are left"), (5, "0 positive items are left")])
def test_a_holdout_with_too_few_positives_is_not_made(tmp_path, num, why):
    write(tmp_path, rows_of(num))
    (said,) = make(tmp_path, tmp_path / "out", [POOL])
    assert said.startswith(f"small is not made: {why}")
    assert not (tmp_path / "out").exists()


def test_too_few_others_are_told(tmp_path):
    write(tmp_path, rows_of(120)[:300])
    assert "there are 180 other items, and 490 are needed" in str(split(POOL, read_rows(tmp_path / "set")))
