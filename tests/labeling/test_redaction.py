"""What annotators do not get, whoever asks them."""

import io
import json
import sys

import pytest

from activelora.errors import ProblemsError
from activelora.labeling.llm.prompt import messages
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from activelora.rules.file import checked_config
from pipelines.cli.main import main
from tests.labeling.conftest import make_campaign, select
from tests.labeling.llm.test_source import llm

TASK = {"prompt": "{name}: {text}", "labels": ["entity", "human", "number"]}
ROWS = [{"name": f"Ms Secret{n}", "text": f"mail a.b{n}@example.org, case {n}", "id": f"P-{n}"} for n in range(8)]
PRIVATE = {"withhold": ["name", "source_id"], "redact": [r"[\w.+-]+@[\w-]+\.[\w.]+"]}


class Endpoint:
    url = "http://127.0.0.1:9/v1"


def begin(tmp_path, labeling):
    given = [{"name": "x", "text": f"held out {n}", "label": "human", "id": f"h{n}"} for n in range(5)]
    tmp_path.joinpath("given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    data = {"folder": str(tmp_path), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    columns = {"columns": {"label": "label", "id": "id"}}
    campaign = make_campaign(tmp_path, rows=ROWS, task=TASK, data={**data, **columns}, labeling=labeling)
    select(campaign)
    return campaign


def check(text):
    assert "case" in text
    assert "[redacted]" in text
    for secret in ("Secret", "example.org", "a.b", "P-"):
        assert secret not in text


def test_worksheets_withhold_and_redact(tmp_path):
    campaign = begin(tmp_path, {"source": "files", **PRIVATE})
    get_source("files").publish(make_request(campaign, 0))
    for kind in ("csv", "jsonl"):
        text = campaign.store.read(f"labeling/round-0000/to_label.{kind}").decode()
        check(text)
        assert "[withheld]" in text


def test_a_model_gets_no_more_than_people(tmp_path):
    campaign = begin(tmp_path, {**llm(Endpoint), **PRIVATE})
    request = make_request(campaign, 0)
    for item_id in request.reasons:
        check(messages(request, request.items[item_id])[1]["content"])


def test_the_terminal_shows_no_more(tmp_path, monkeypatch, capsys):
    campaign = begin(tmp_path, {"source": "terminal", **PRIVATE})
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\n"))
    assert main(["label", campaign.store.uri, "--annotator", "ann"]) == 0
    check(capsys.readouterr().out)


def test_label_studio_gets_no_more(tmp_path):
    from activelora.labeling.label_studio import importing

    labeling = {"source": "label_studio", "label_studio": {"url": "http://127.0.0.1:9"}, **PRIVATE}
    request = make_request(begin(tmp_path, labeling), 0)
    for item_id in request.reasons:
        check(json.dumps(importing._task(request, item_id, "name", 1)))


def test_the_campaign_keeps_the_texts(tmp_path):
    request = make_request(begin(tmp_path, {"source": "files", **PRIVATE}), 0)
    item = request.items[request.item_ids[0]]
    assert "Secret" in item.fields["name"]
    assert "example.org" in item.fields["text"]
    assert item.source_id.startswith("P-")


WRONG = {
    "no regular": {"redact": ["("]},
    "matches the empty text": {"redact": ["a*"]},
    "the prompt names no field `nam`": {"withhold": ["nam"]},
    "nothing of an item is left": {"withhold": ["name", "text"]},
}


@pytest.mark.parametrize("words", WRONG)
def test_settings_that_cannot_be(words):
    document = {"name": "x", "task": TASK, "data": {"pool": {"path": "pool.jsonl"}}, "labeling": WRONG[words]}
    with pytest.raises(ProblemsError, match=words):
        checked_config(document, where="test")
