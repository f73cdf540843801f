from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime

import pytest

from activelora.log_lines import JsonFormatter, log_context, wants_json

SECRET = "hunter2-hunter2"


@pytest.fixture
def lines():
    """A logger, and a function that returns its lines, parsed."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("activelora.test")
    logger.addHandler(handler)
    return logger, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_where_and_what(lines):
    logger, parsed = lines
    before = datetime.now(UTC)
    with log_context(campaign="s3://bucket/one", step="score_pool", round=3):
        logger.warning("%d of %d\nscored", 1, 2)
    logger.info("outside")
    inside, outside = parsed()
    moment = datetime.fromisoformat(inside.pop("time"))
    assert moment.utcoffset().total_seconds() == 0
    assert abs((moment - before).total_seconds()) < 5
    assert inside == {
        "level": "WARNING",
        "campaign": "s3://bucket/one",
        "step": "score_pool",
        "round": 3,
        "logger": "activelora.test",
        "message": "1 of 2\nscored",
    }
    assert "step" not in outside


def test_inner_names_add_to_outer_ones_and_go_again(lines):
    logger, parsed = lines
    with log_context(step="plan"):
        with log_context(step="train_adapter", round=1):
            logger.info("inner")
        logger.info("outer")
    inner, outer = parsed()
    assert (inner["step"], inner["round"]) == ("train_adapter", 1)
    assert outer["step"] == "plan"
    assert "round" not in outer


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "HF_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "ACTIVELORA_WEBHOOK_URL",
    ],
)
def test_values_of_secret_variables_are_hidden_also_in_exceptions(lines, monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    logger, parsed = lines
    try:
        raise ValueError(f"the server said {SECRET}")
    except ValueError:
        logger.exception("sent %s", SECRET)
    (line,) = parsed()
    assert SECRET not in json.dumps(line)
    assert line["message"] == "sent ***"
    assert "ValueError: the server said ***" in line["exception"]


@pytest.mark.parametrize(("value", "wanted"), [("json", True), (" JSON ", True), ("text", False), ("", False)])
def test_the_environment_switches_it_on(monkeypatch, value, wanted):
    monkeypatch.setenv("ACTIVELORA_LOG", value)
    assert wants_json() is wanted
