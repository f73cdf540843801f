"""`activelora predict`: every format in and out, what is refused before the model loads, and runs that were killed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from activelora.campaign.campaign import Campaign
from activelora.prediction import inputs, table
from activelora.prediction.inputs import LostRows, TableSource
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.sources import open_bundle
from pipelines.cli.main import main
from tests.prediction.conftest import evaluated, rows_of

ROWS = [{"text": row["text"], "own": index, "odd": None} for index, row in enumerate(rows_of("classification", 30))]
NAMES = ["prediction", "probability", "uncertainty", "review"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several chunks a run, and nothing of one test in another's folder."""
    monkeypatch.setattr(inputs, "CHUNK_ROWS", 8)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def said(classified: Campaign) -> list[dict[str, Any]]:
    """What the model answers, by the library."""
    with open_bundle(classified.store.uri) as bundle, LoadedModel.load(bundle) as model:
        return [answer.row() for answer in model.predict(ROWS)]


def write(path: Path) -> Path:
    """Write the rows in the format of a name."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for line in (["text", "own", "odd"], *([row["text"], row["own"], None] for row in ROWS)):
            book.worksheets[0].append(line)
        book.save(path)
    elif "jsonl" in path.name:
        content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    else:
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t" if path.suffix == ".tsv" else ";")
        writer.writerows([["text", "own", "odd"], *([row["text"], row["own"], ""] for row in ROWS)])
        path.write_text(text.getvalue())
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Read what was written, by other means than the package's."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".xlsx":
        header, *lines = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
        return [dict(zip(map(str, header), line, strict=True)) for line in lines]
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if "jsonl" in path.name:
        return [json.loads(line) for line in content.decode().splitlines()]
    return list(csv.DictReader(io.StringIO(content.decode()), delimiter="\t" if path.suffix == ".tsv" else ","))


def check(found: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    """Compare with the library's answers; formats differ in types, not in what they say."""
    assert [list(row) for row in found] == [["text", "own", "odd", *NAMES]] * 30
    assert [row["text"] for row in found] == [row["text"] for row in ROWS]
    assert [int(row["own"]) for row in found] == list(range(30))
    assert {row["odd"] or None for row in found} == {None}
    assert [row["prediction"] for row in found] == [row["prediction"] for row in said]
    for name in ("probability", "uncertainty"):
        assert [float(row[name]) for row in found] == pytest.approx([row[name] for row in said], abs=1e-5)
    assert {row["review"] for row in found} <= {False, "no"}


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl", "in.parquet", "in.xlsx", "in.jsonl.gz"])
def test_every_format_is_read(classified: Campaign, said: list[dict[str, Any]], tmp_path: Path, name: str) -> None:
    assert main(["predict", classified.store.uri, str(write(tmp_path / name)), "--out", "out.jsonl"]) == 0
    check(read(tmp_path / "out.jsonl"), said)


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.parquet", "out.xlsx", "out.csv.gz"])
def test_every_format_is_written(classified: Campaign, said: list[dict[str, Any]], tmp_path: Path, name: str) -> None:
    assert main(["predict", classified.store.uri, str(write(tmp_path / "in.jsonl")), "--out", name]) == 0
    check(read(tmp_path / name), said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", name]


def test_a_folder_of_parts_is_a_folder_of_parquet(classified: Campaign, tmp_path: Path) -> None:
    main(["predict", classified.store.uri, str(write(tmp_path / "in.parquet")), "--out", "out.parquet"])
    assert sorted(path.name for path in (tmp_path / "out.parquet").iterdir()) == [
        f"part-0000{number}.parquet" for number in range(4)
    ]
    assert pq.read_table(tmp_path / "out.parquet").schema.field("own").type == pa.int64()
    assert main(["predict", classified.store.uri, "out.parquet", "--out", "again.csv", "--prefix", "new_"]) == 0
    again = read(tmp_path / "again.csv")
    assert [row["prediction"] for row in again] == [row["new_prediction"] for row in again]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.jsonl.gz"])
def test_pipes(
    classified: Campaign,
    said: list[dict[str, Any]],
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    end, begin = os.pipe()
    with os.fdopen(begin, "wb") as sender:
        sender.write(write(tmp_path / name).read_bytes())
    with os.fdopen(end, encoding="utf-8") as receiver:
        monkeypatch.setattr(sys, "stdin", receiver)
        assert main(["predict", classified.store.uri, "-", "--out", "-", "--format", "jsonl"]) == 0
    told = capsysbinary.readouterr()
    check([json.loads(line) for line in told.out.decode().splitlines()], said)
    assert "30 rows, 0 of them for review: standard output" in told.err.decode()


@pytest.mark.parametrize(("out", "look"), [("a.csv", "a.csv"), ("a.csv", "./a.csv"), ("-", "-")])
def test_answers_and_rows_for_review_in_one_file_are_refused(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, look: str
) -> None:
    source = str(write(tmp_path / "in.csv"))
    assert main(["predict", classified.store.uri, source, "--out", out, "--review-out", look]) != 0
    assert "--out and --review-out name the same" in capsys.readouterr().err


def test_what_is_to_be_reviewed_goes_into_a_file_of_its_own(
    classified: Campaign, said: list[dict[str, Any]], tmp_path: Path
) -> None:
    source = str(write(tmp_path / "in.csv"))
    limit = sum(sorted(row["probability"] for row in said)[10:12]) / 2
    options = ["--min-confidence", str(limit), "--review-out", "look.csv", "--probabilities"]
    assert main(["predict", classified.store.uri, source, "--out", "out.csv", *options]) == 0
    found, look = read(tmp_path / "out.csv"), read(tmp_path / "look.csv")
    assert [row["review"] for row in found] == [("no", "yes")[row["probability"] < limit] for row in said]
    assert look == [row for row in found if row["review"] == "yes"]
    assert len(look) == 11
    probabilities = json.loads(found[0]["probabilities"])
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert max(probabilities, key=probabilities.__getitem__) == found[0]["prediction"]


@pytest.mark.parametrize(
    ("content", "out", "message"),
    [
        ("words\nred\n", "out.csv", "there is no column `text`"),
        ("text,prediction,review\nred,a,b\n", "out.csv", "prediction, review"),
        ("text\nred\n", "out.doc", "ending does not say"),
        ("text\nred\n", "no/out.csv", "there is no such folder"),
        ("text\nred\n", "there.csv", "is there already"),
        ("text\n", "out.csv", "there are no rows"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_loads(
    classified: Campaign,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    out: str,
    message: str,
) -> None:
    monkeypatch.setattr(LoadedModel, "load", None)
    (tmp_path / "in.csv").write_text(content)
    (tmp_path / "there.csv").write_text("mine")
    assert main(["predict", classified.store.uri, "in.csv", "--out", out]) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_workbook_s_rows_are_counted_first(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from activelora.prediction import writers

    monkeypatch.setattr(LoadedModel, "load", None)
    monkeypatch.setattr(writers, "MAX_ROWS", 30)
    monkeypatch.setattr(table, "MAX_ROWS", 30)
    assert main(["predict", classified.store.uri, str(write(tmp_path / "in.csv")), "--out", "out.xlsx"]) == 1
    assert "at most 29 rows" in capsys.readouterr().err


def test_rows_that_cannot_be_answered_or_read(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text('text,own\nred moon,1\n,2\n"blue" sky,3\ngreen,4\n')
    assert main(["predict", classified.store.uri, "in.csv", "--out", "out.csv"]) == 0
    told = capsys.readouterr()
    assert [(row["own"], row["prediction"] == "", row["review"]) for row in read(tmp_path / "out.csv")] == [
        ("1", False, "no"),
        ("2", True, "yes"),
        ("4", False, "no"),
    ]
    assert "3 rows, 1 of them for review: out.csv; without an answer: 1" in told.out
    assert "in.csv:4" in told.err
    assert "could not be read, and are not in the output: 1" in told.err


class KilledError(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(
    classified: Campaign, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = ({**row, "tags": ["a", "b"], "about": {"by": ["x"], "of": [[1]]}} for row in ROWS)
    source = str(tmp_path / "in.jsonl")
    Path(source).write_text("".join(json.dumps(row) + "\n" for row in nested))
    options = ["--min-confidence", "0.4", "--review-out", f"look-{name}"]
    command = ["predict", classified.store.uri, source, "--out", name, *options]
    assert main(command) == 0
    wanted = {path: content_of(tmp_path / path) for path in (name, f"look-{name}")}
    for path in wanted:
        (tmp_path / path).rename(tmp_path / f"whole-{path}")
    answer = LoadedModel.predict
    asked = []

    def predict(self: LoadedModel, rows: Any, **options: Any) -> Any:
        asked.append(len(rows))
        if len(asked) == 3:
            raise KilledError
        return answer(self, rows, **options)

    monkeypatch.setattr(LoadedModel, "predict", predict)
    with pytest.raises(KilledError):
        main(command)
    assert not (tmp_path / name).exists()
    with Path(f".{name}.partial" if name != "out.parquet" else f".{name}.partial/part-00002.parquet").open(
        "ab"
    ) as file:
        file.write(b"what was written after the last mark")
    assert main([*command, "--samples", "1"]) == 1
    assert "had other settings (--samples was None, now 1)" in capsys.readouterr().err
    asked.append(0)
    assert main(command) == 0
    assert asked == [8, 8, 8, 0, 8, 6]
    assert {path: content_of(tmp_path / path) for path in wanted} == wanted
    assert not list(tmp_path.glob(".*"))


def test_begun_with_other_settings_is_begun_anew_if_that_is_said(
    classified: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.csv")
    command = ["predict", classified.store.uri, str(source), "--out", "out.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(table, "publish", kill)
        with pytest.raises(KilledError):
            main(command)
    source.write_text(source.read_text() + "one more;99;\n")
    assert main(command) == 1
    assert main([*command, "--overwrite"]) == 0
    assert len(read(tmp_path / "out.csv")) == 31
    assert main([*command, "--overwrite"]) == 0


def kill(*arguments: Any) -> None:
    raise KilledError


def content_of(path: Path) -> Any:
    return {part.name: part.read_bytes() for part in path.iterdir()} if path.is_dir() else path.read_bytes()


def test_a_killed_process_is_gone_on_with(
    classified: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = "".join(json.dumps({"text": f"{row['text']} {number}"}) + "\n" for number in range(8) for row in ROWS)
    (tmp_path / "in.jsonl").write_text(texts)
    command = ["predict", classified.store.uri, "in.jsonl", "--out"]
    program = "from activelora.prediction import inputs; inputs.CHUNK_ROWS = 20; from pipelines.cli.main import main"
    program = f"{program}; raise SystemExit(main({[*command, 'out.csv']}))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / ".out.csv.progress.json").exists():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out.csv").exists()
    done = json.loads((tmp_path / ".out.csv.progress.json").read_text())["rows"]
    assert 0 < done < 240
    monkeypatch.setattr(inputs, "CHUNK_ROWS", 20)
    assert main([*command, "out.csv"]) == 0
    assert main([*command, "whole.csv"]) == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_reader_who_has_seen_enough_is_no_traceback(
    classified: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end, begin = os.pipe()
    os.close(end)
    with os.fdopen(begin, "w") as sender:
        monkeypatch.setattr(sys, "stdout", sender)
        assert main(["predict", classified.store.uri, str(write(tmp_path / "in.csv")), "--out", "-"]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.parquet", "out.xlsx"])
def test_texts_with_every_kind_of_line_end_come_back(classified: Campaign, tmp_path: Path, name: str) -> None:
    texts = ["red\nmoon", 'red, "moon"', "red\tmoon", "=1+1 red"]
    if name != "out.xlsx":  # whose cells have line feeds alone
        texts += ["red\rmoon", "red\r\nmoon"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert main(["predict", classified.store.uri, "in.jsonl", "--out", name]) == 0
    if name.endswith("sv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file, delimiter="\t" if name.endswith("tsv") else ","))
    else:
        found = read(tmp_path / name)
    assert [row["text"] for row in found] == texts


def test_a_campaign_is_named_by_its_file(classified: Campaign, tmp_path: Path) -> None:
    shutil.copytree(classified.store.uri, tmp_path / "campaigns" / classified.config.name)
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(classified.config.model_dump(mode="json")))
    assert main(["predict", "campaign.yaml", str(write(tmp_path / "in.csv")), "--out", "out.csv"]) == 0
    assert len(read(tmp_path / "out.csv")) == 30


def test_two_runs_never_write_the_same(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from activelora.prediction.resuming import locked
    from activelora.prediction.targets import target_of

    source = str(write(tmp_path / "in.csv"))
    with locked(target_of("out.csv", "--out")):
        assert main(["predict", classified.store.uri, source, "--out", "out.csv"]) == 1
    assert "another run is writing this" in capsys.readouterr().err


def test_rows_of_jsonl_may_differ_and_those_of_a_table_may_not(
    classified: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": "red"} for _ in range(9)] + [{"text": "blue", "late": [1, None]}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["predict", classified.store.uri, "in.jsonl", "--out", "out.jsonl"]) == 0
    assert read(tmp_path / "out.jsonl")[-1]["late"] == [1, None]
    assert main(["predict", classified.store.uri, "in.jsonl", "--out", "out.csv"]) == 1
    assert "a column that the rows before it lack: `late`" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """A hundred thousand rows are read in chunks of eight, of which none but the last is held."""
    (tmp_path / "in.csv").write_text("text\n" + "red moon\n" * 100_000)
    from activelora.formats.row import Wanted

    chunks = inputs.chunks_of(TableSource("in.csv").rows(Wanted(("text",)), LostRows()))
    longest = max(len(chunk) for chunk in chunks)
    assert longest == 8


def test_label_sets_and_numbers_in_tables(tmp_path: Path, tiny_model_path: Path) -> None:
    topics = evaluated(tmp_path / "topics", tiny_model_path, "multi_label")
    write(tmp_path / "in.csv")
    assert main(["predict", topics.store.uri, "in.csv", "--out", "sets.csv"]) == 0
    assert main(["predict", topics.store.uri, "in.csv", "--out", "sets.parquet"]) == 0
    sets = [json.loads(row["prediction"]) for row in read(tmp_path / "sets.csv")]
    assert sets == [row["prediction"] for row in read(tmp_path / "sets.parquet")]
    assert {name for one in sets for name in one} <= {"water", "fire", "red"}
    numbers = evaluated(tmp_path / "numbers", tiny_model_path, "regression")
    assert main(["predict", numbers.store.uri, "in.csv", "--out", "numbers.csv"]) == 0
    found = read(tmp_path / "numbers.csv")
    assert all(float(row["low"]) <= float(row["prediction"]) <= float(row["high"]) for row in found)
    assert "probability" not in found[0]
