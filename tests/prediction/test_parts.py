"""A table answered by several workers, through one folder: the same answers as by one, however often it is begun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.store import open_store
from activelora.errors import DataError, ProblemsError
from activelora.prediction import inputs
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.parts import PartsRequest
from activelora.prediction.sources import open_bundle
from components.predict_table.component import predict_table
from components.predict_table.step import run
from tests.prediction.conftest import rows_of

ROWS = [{"text": row["text"], "own": index} for index, row in enumerate(rows_of("classification", 30))]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks a table."""
    monkeypatch.setattr(inputs, "CHUNK_ROWS", 8)


@pytest.fixture
def request_(tmp_path: Path) -> PartsRequest:
    """What two workers are told."""
    table = tmp_path / "in.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return PartsRequest(str(table), str(tmp_path / "out"), round=1, num_parts=2, min_confidence=0.4)


def answered(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(Path(folder).glob("part-*")) for line in path.read_text().splitlines()]


def test_workers_share_a_table(classified: Campaign, request_: PartsRequest) -> None:
    assert run(classified.store.uri, request_, 1) == 14
    assert sorted(path.name for path in Path(request_.out).glob("part-*")) == ["part-00001.jsonl", "part-00003.jsonl"]
    predict_table.python_func(campaign_uri=classified.store.uri, request=request_.text(), worker=0.0)
    with open_bundle(classified.store.uri) as bundle, LoadedModel.load(bundle, None, request_.thresholds) as model:
        said = model.predict(ROWS)
    found = answered(request_.out)
    assert [{"text": row["text"], "own": row["own"]} for row in found] == ROWS
    assert [row["prediction"] for row in found] == [answer.label for answer in said]
    assert [row["probability"] for row in found] == pytest.approx([answer.probability for answer in said], abs=1e-5)
    assert [row["review"] for row in found] == [answer.review for answer in said]


def test_what_is_there_is_not_done_again_by_any_number_of_workers(classified: Campaign, request_: PartsRequest) -> None:
    assert run(classified.store.uri, request_, 0) == 16
    before = {path.name: path.read_bytes() for path in Path(request_.out).iterdir()}
    Path(request_.out, "part-00002.jsonl").unlink()
    one = PartsRequest.of(request_.text().replace('"num_parts": 2', '"num_parts": 1'))
    assert run(classified.store.uri, one, 0) == 22
    assert {name: Path(request_.out, name).read_bytes() for name in before} == before
    assert run(classified.store.uri, one, 0) == 0
    assert len(answered(request_.out)) == 30


def test_a_folder_of_other_answers_is_refused(classified: Campaign, request_: PartsRequest) -> None:
    run(classified.store.uri, request_, 0)
    other = PartsRequest.of(request_.text().replace("0.4", "0.5"))
    with pytest.raises(DataError, match=r"other settings, which differ in: --min-confidence"):
        run(classified.store.uri, other, 0)
    with Path(request_.table).open("a") as file:
        file.write('{"text": "one more"}\n')
    with pytest.raises(DataError, match=r"which differ in: the input"):
        run(classified.store.uri, request_, 0)


def test_a_table_without_the_columns_is_refused(classified: Campaign, request_: PartsRequest) -> None:
    Path(request_.table).write_text('{"words": "red"}\n')
    with pytest.raises(ProblemsError, match="there is no column `text`"):
        run(classified.store.uri, request_, 0)
    assert not list(open_store(request_.out).list("part-"))


@pytest.mark.slow
def test_the_compiled_pipeline_runs_its_workers(classified: Campaign, request_: PartsRequest) -> None:
    """In KFP's own local runner, each worker a process."""
    from components.image import images
    from pipelines.engines.kfp_local import run_pipeline
    from pipelines.graphs.placement import Placement
    from pipelines.graphs.predict import predict_pipeline

    pipeline = predict_pipeline(Placement(classified.config.resources, images(), in_pods=False))
    values = {"campaign_uri": classified.store.uri, "request": request_.text(), "workers": [0, 1]}
    run_pipeline(pipeline, values, classified.store.uri)
    assert [row["own"] for row in answered(request_.out)] == list(range(30))
