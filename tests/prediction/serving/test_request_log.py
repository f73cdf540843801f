"""Requests become files that a pool takes in; whatever happens to them, no request waits or fails."""

import json
import threading
import time

import pytest

from activelora.campaign.local import LocalStore
from activelora.campaign.store import open_store
from activelora.config import SourceConfig
from activelora.errors import StoreError
from activelora.formats.problems import Problems
from activelora.formats.row import Wanted
from activelora.pool.readers import read_rows
from activelora.prediction.serving.measured import Measured
from activelora.prediction.serving.request_log import Pace, RequestLog
from activelora.prediction.serving.served import ServedModel
from activelora.prediction.sources import open_bundle
from tests.prediction.conftest import evaluated
from tests.prediction.serving.stand_in import make_service

FAST = Pace(part_rows=10, flush_seconds=0.02, buffer_rows=50, stop_seconds=5.0)


def same(column, value):
    return value


def make_log(store, *, columns=("text",), id_column=None, redact=same, share=1.0, pace=FAST):
    measured = Measured()
    return RequestLog(store, columns, id_column, redact, share, measured, pace), measured


def count(measured, name):
    (line,) = [line for line in measured.text().decode().splitlines() if line.startswith(f"activelora_serve_{name} ")]
    return float(line.split()[1])


def read(uri, *columns):
    problems = Problems()
    found = [row.values for row in read_rows(SourceConfig(path=uri), "/", Wanted(columns), problems)]
    problems.refuse()
    return found


def test_the_pool_reads_what_was_asked(tmp_path):
    log, measured = make_log(open_store(str(tmp_path / "log")))
    for number in range(35):
        log.add([{"text": f"grün\nand \u2028 {number}", "other": "not the pool's"}])
    log.close()
    assert [row["text"] for row in read(str(tmp_path / "log"), "text")] == [f"grün\nand \u2028 {n}" for n in range(35)]
    files = [path for path in (tmp_path / "log").rglob("*") if path.is_file()]
    assert len(files) >= 4  # ten rows at most in each
    assert all(set(json.loads(line)) == {"text"} for file in files for line in file.read_text().split("\n")[:-1])
    assert (count(measured, "logged_rows_total"), count(measured, "unlogged_rows_total")) == (35, 0)


def test_in_s3_too(s3_uri):
    log, _ = make_log(open_store(f"{s3_uri}/log"))
    log.add([{"text": "a"}, {"text": "b"}])
    log.close()
    assert [row["text"] for row in read(f"{s3_uri}/log", "text")] == ["a", "b"]


def test_rows_are_written_after_a_while_without_more(tmp_path):
    log, _ = make_log(open_store(str(tmp_path)))
    log.add([{"text": "a"}])
    until = time.monotonic() + 10
    while not list(tmp_path.rglob("*.jsonl")) and time.monotonic() < until:
        time.sleep(0.01)
    assert [row["text"] for row in read(str(tmp_path), "text")] == ["a"]
    log.close()


def test_a_share_of_the_rows_is_kept(tmp_path):
    log, measured = make_log(open_store(str(tmp_path)), share=0.25, pace=Pace(stop_seconds=10))
    log.add([{"text": str(number)} for number in range(4000)])
    log.close()
    assert 850 < count(measured, "logged_rows_total") < 1150
    none, measured = make_log(open_store(str(tmp_path / "none")), share=0.0)
    none.add([{"text": "a"}])
    none.close()
    assert not (tmp_path / "none").exists()


def test_rows_without_an_id_get_one_where_the_pool_wants_it(tmp_path):
    log, _ = make_log(open_store(str(tmp_path)), columns=("text", "number"), id_column="number")
    log.add([{"text": "a", "number": "7"}, {"text": "b"}, {"text": "c", "number": None}])
    log.close()
    first, *others = [row["number"] for row in read(str(tmp_path), "text", "number")]
    assert first == "7"
    assert len(set(others)) == 2
    assert all(one.startswith("request-") for one in others)


class Faulty(LocalStore):
    """A store that fails until it is mended, or hangs until it is let go."""

    def __init__(self, folder, *, hangs=False):
        super().__init__(folder)
        self.works = threading.Event()
        self.hangs = hangs
        self.num_tries = 0

    def create(self, key, content):
        self.num_tries += 1
        if self.hangs:
            self.works.wait(20)
        if not self.works.is_set():
            raise StoreError("S3 cannot be reached")
        return super().create(key, content)


def test_what_cannot_be_written_waits_and_is_written_later(tmp_path, caplog):
    store = Faulty(tmp_path)
    log, measured = make_log(store)
    with caplog.at_level("INFO"):
        log.add([{"text": str(number)} for number in range(12)])
        while store.num_tries < 4:
            time.sleep(0.01)
        assert caplog.text.count("requests cannot be written, and wait: S3 cannot be reached") == 1
        store.works.set()
        log.close()
    assert [row["text"] for row in read(str(tmp_path), "text")] == [str(number) for number in range(12)]
    assert "requests are written again" in caplog.text
    assert count(measured, "unlogged_rows_total") == 0


def test_a_store_that_hangs_costs_rows_and_no_time(tmp_path):
    store = Faulty(tmp_path, hangs=True)
    log, measured = make_log(store, pace=Pace(part_rows=10, flush_seconds=0.01, buffer_rows=50, stop_seconds=0.1))
    began = time.monotonic()
    for number in range(100):
        log.add([{"text": str(number)}])
    assert time.monotonic() - began < 1.0
    assert count(measured, "unlogged_rows_total") == 50
    log.close()
    assert count(measured, "unlogged_rows_total") == 100  # nobody waits for it at the end either
    store.works.set()


def test_rows_that_cannot_be_redacted_are_not_written(tmp_path, caplog):
    def fail(column, value):
        raise RecursionError

    log, measured = make_log(open_store(str(tmp_path)), redact=fail)
    log.add([{"text": "secret"}])
    log.close()
    assert list(tmp_path.iterdir()) == []
    assert count(measured, "unlogged_rows_total") == 1
    assert "secret" not in caplog.text


def test_answered_rows_are_logged_and_refused_ones_are_not(tmp_path, client_of):
    log, _ = make_log(open_store(str(tmp_path)))
    client = client_of(log=log)
    assert client.post("/predict", json={"rows": [{"text": "a"}]}).status_code == 200
    assert client.post("/predict", json={"rows": [{"text": ""}]}).status_code == 400
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["b"]}
    assert client.post("/v2/models/tiny/infer", json={"inputs": [tensor]}).status_code == 200
    log.close()
    assert [row["text"] for row in read(str(tmp_path), "text")] == ["a", "b"]


def test_a_service_without_a_log_has_none():
    assert make_service().log is None


@pytest.fixture
def private(tmp_path, tiny_model_path):
    labeling = {"source": "files", "redact": [r"[\w.]+@[\w.]+"], "withhold": ["title", "source_id"]}
    task = {"prompt": "Question: {text} {title}\nAnswer:", "labels": ["no", "yes"]}
    rows = [{"text": f"red {n}", "title": "t", "gold": "no" if n % 2 else "yes", "number": str(n)} for n in range(60)]
    source = tmp_path / "all.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"pool": {"path": str(source)}, "columns": {"label": "gold", "id": "number"}}
    return evaluated(tmp_path, tiny_model_path, "classification", task=task, data=data, labeling=labeling)


def test_what_annotators_may_not_see_is_not_written(private, tmp_path):
    served = ServedModel(open_bundle(private.store.uri, 1))
    try:
        log, _ = make_log(
            open_store(str(tmp_path / "log")),
            columns=served.logged_columns,
            id_column=served.id_column,
            redact=served.redact,
        )
        log.add([{"text": "write to me@home.org", "title": "Anna", "number": "4711", "gold": "yes"}])
        log.close()
    finally:
        served.close()
    (row,) = read(str(tmp_path / "log"), "text", "title", "number")
    assert (row["text"], row["title"]) == ("write to [redacted]", "[withheld]")
    assert row["number"].startswith("request-")
    assert set(row) == {"text", "title", "number"}
