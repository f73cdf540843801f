"""Containers of an engine that keeps requests open, against a fake of its HTTP interface."""

import pytest
from requests.exceptions import RequestException

from pipelines.engines import container_log
from pipelines.engines.containers import _run_container, engine_answers
from pipelines.engines.errors import EngineError
from tests.pipelines.engines.fake_container_engine import fake_engine


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(container_log, "_LOG_SECONDS", 0.3)
    monkeypatch.setattr(container_log, "_AGAIN_SECONDS", 0.05)


@pytest.mark.parametrize("num_followed", [None, 0, 1, 2])
def test_a_log_that_never_ends_is_shown_once_and_ends(num_followed, capsys):
    """podman may go on following the log of a container that has ended, with or without an answer so far."""
    lines = ("first, with an ä\n", "second\n")
    with fake_engine(lines=lines, num_followed=num_followed) as (client, engine):
        assert _run_container(client, "image", ["true"]) == 7
        assert engine.removed.is_set()
    assert capsys.readouterr().out == "".join(lines) + "the container ended with exit code 7\n"


def test_a_container_may_run_longer_than_the_clients_time_out(capsys, monkeypatch):
    monkeypatch.setattr(container_log, "_LOOK_SECONDS", 0.4)
    with fake_engine(lines=("done\n",), num_looks=5) as (client, engine):  # and the client waits 0.5 s for an answer
        assert _run_container(client, "image", ["true"]) == 7
        assert engine.num_looks < 0
    assert capsys.readouterr().out == "done\nthe container ended with exit code 7\n"


def test_an_engine_that_answers_no_more_is_an_error():
    with fake_engine(is_gone=True) as (client, engine):
        with pytest.raises(RequestException):
            _run_container(client, "image", ["true"])
        assert engine.removed.is_set()


def test_it_is_told_in_plain_words():
    with (
        fake_engine(is_gone=True) as (client, _),
        pytest.raises(EngineError, match="the container engine failed") as caught,
        engine_answers(),
    ):
        _run_container(client, "image", ["true"])
    assert "run the same command again" in str(caught.value)
