"""Tasks in processes of their own, as a pod starts them: what is on stderr, and what is in the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from components import task_log as module
from components.task_log import TaskLog, task_log
from tests.pipelines.tiny import tiny_config

SECRET = "very-secret-indeed"
KEY = "pool/log.jsonl"


@pytest.fixture
def campaign(tmp_path):
    return Campaign.create(str(tmp_path / "campaign"), tiny_config(tmp_path, tmp_path / "no-model"))


def ingest(campaign, log_format="json"):
    code = f"from components.entry import run_at\nrun_at('ingest_pool', {campaign.store.uri!r})"
    environment = {**os.environ, "ACTIVELORA_LOG": log_format, "AWS_SECRET_ACCESS_KEY": SECRET}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def parsed(text):
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_on_stderr_is_json_and_the_store_has_a_copy(campaign):
    done = ingest(campaign)
    assert done.returncode == 0, done.stderr
    lines = parsed(done.stderr)
    assert lines == parsed(campaign.store.read(KEY).decode())
    assert {line["step"] for line in lines} == {"ingest_pool"}
    assert {line["round"] for line in lines} == {0}
    assert {line["campaign"] for line in lines} == {campaign.store.uri}
    assert "ingest_pool done" in [line["message"] for line in lines]


def test_plain_lines_leave_the_same_log_in_the_store(campaign):
    done = ingest(campaign, log_format="")
    assert done.returncode == 0
    assert not done.stderr.startswith("{")
    assert "ingest_pool done" in [line["message"] for line in parsed(campaign.store.read(KEY).decode())]


@pytest.mark.parametrize("log_format", ["", "json"])
def test_no_line_on_stderr_holds_a_secret(campaign, log_format):
    code = (
        "import logging\nfrom components.task_log import task_log\n"
        f"with task_log('ingest_pool', {campaign.store.uri!r}):\n"
        f"    logging.getLogger('activelora').info('key {SECRET} at http://me:word@host/x')\n"
    )
    environment = {**os.environ, "ACTIVELORA_LOG": log_format, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "key *** at http://***@host/x" in done.stderr
    assert SECRET not in done.stderr


def fail(campaign):
    with task_log("ingest_pool", campaign.store.uri, 0) as log:
        log.keep_in(campaign, Unit("ingest_pool"))
        raise ZeroDivisionError("by zero")


def test_a_known_problem_is_a_line_in_plain_words_and_is_kept(campaign, tmp_path):
    (tmp_path / "pool.jsonl").write_text('{"text": "a", "label": "nonsense"}\n')
    done = ingest(campaign)
    assert done.returncode == 1
    (line,) = [line for line in parsed(done.stderr) if line["level"] == "ERROR"]
    assert "nonsense" in line["message"]
    assert "exception" not in line
    assert line in parsed(campaign.store.read(KEY).decode())


def test_the_log_of_a_second_attempt_comes_after_that_of_the_first(campaign, tmp_path):
    good = (tmp_path / "pool.jsonl").read_text()
    (tmp_path / "pool.jsonl").write_text(f'{{"text": "{SECRET}", "label": "{SECRET}"}}\n')
    assert ingest(campaign).returncode == 1
    (tmp_path / "pool.jsonl").write_text(good)
    assert ingest(campaign).returncode == 0
    kept = campaign.store.read(KEY).decode()
    levels = [line["level"] for line in parsed(kept)]
    assert levels.index("ERROR") < len(levels) - 1
    assert parsed(kept)[-1]["message"] == "ingest_pool done"
    assert SECRET not in kept


def test_an_unknown_problem_is_one_line_with_its_traceback(campaign, monkeypatch):
    monkeypatch.setenv("ACTIVELORA_LOG", "json")
    with pytest.raises(SystemExit) as end:
        fail(campaign)
    assert end.value.code == 1
    (line,) = parsed(campaign.store.read(KEY).decode())
    assert line["message"] == "ingest_pool failed: by zero"
    assert "Traceback" in line["exception"]


def test_without_json_an_unknown_problem_keeps_its_own_traceback(campaign, monkeypatch):
    monkeypatch.delenv("ACTIVELORA_LOG", raising=False)
    with pytest.raises(ZeroDivisionError):
        fail(campaign)
    assert "Traceback" in parsed(campaign.store.read(KEY).decode())[-1]["exception"]


def test_a_task_that_says_nothing_leaves_no_log(campaign):
    with task_log("plan", campaign.store.uri) as log:
        log.keep_in(campaign, Unit("ingest_pool"))
    assert not campaign.store.exists(KEY)


def test_a_store_that_is_down_does_not_fail_the_task(tmp_path, campaign):
    with task_log("ingest_pool", campaign.store.uri, 0) as log:
        log.keep_in(campaign, Unit("ingest_pool"))
        module.logger.info("something")
        (tmp_path / "campaign" / "pool").write_text("a file where the folder would be")
    assert (tmp_path / "campaign" / "pool").is_file()


def test_a_task_that_is_killed_leaves_its_log(campaign):
    """SIGKILL, as when a pod runs out of memory: nothing in the process can be done then."""
    code = (
        "import logging, time\n"
        "import components.task_log as module\n"
        "from activelora.campaign.campaign import Campaign\n"
        "from activelora.campaign.manifest import Unit\n"
        f"campaign = Campaign.open({campaign.store.uri!r})\n"
        f"with module.task_log('ingest_pool', {campaign.store.uri!r}) as log:\n"
        "    log.keep_in(campaign, Unit('ingest_pool'))\n"
        "    for number in range(module.FLUSH_LINES):\n"
        "        logging.getLogger('activelora').info('line %s', number)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not campaign.store.exists(KEY) and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.wait()
    kept = parsed(campaign.store.read(KEY).decode())
    assert [line["message"] for line in kept] == [f"line {number}" for number in range(module.FLUSH_LINES)]
    with task_log("ingest_pool", campaign.store.uri) as log:
        log.keep_in(campaign, Unit("ingest_pool"))
        module.logger.warning("the next attempt")
    assert [line["message"] for line in parsed(campaign.store.read(KEY).decode())][-2:] == [
        f"line {module.FLUSH_LINES - 1}",
        "the next attempt",
    ]


def test_lines_are_kept_while_the_task_runs(campaign):
    log = TaskLog(flush_seconds=0.02)
    log.keep_in(campaign, Unit("ingest_pool"))
    for word in ("one", "two"):
        log.emit(module.logger.makeRecord("x", 20, "f", 1, word, (), None))
        until = time.monotonic() + 10
        while not (campaign.store.exists(KEY) and word.encode() in campaign.store.read(KEY)):
            assert time.monotonic() < until
            time.sleep(0.01)
    log.end()
    assert [line["message"] for line in parsed(campaign.store.read(KEY).decode())] == ["one", "two"]


def test_a_long_log_keeps_its_last_whole_lines(campaign):
    unit = Unit("ingest_pool")
    campaign.store.write(KEY, b'{"message": "old"}\n' * (module.STORED_BYTES // 19))
    log = TaskLog()
    log.keep_in(campaign, unit)
    log.emit(module.logger.makeRecord("x", 20, "f", 1, "new", (), None))
    log.store()
    kept = campaign.store.read(KEY)
    assert module.STORED_BYTES - 100 < len(kept) <= module.STORED_BYTES
    lines = parsed(kept.decode())
    assert lines[0] == {"message": "old"}
    assert lines[-1]["message"] == "new"
