import logging
import os
import pty
import subprocess
import sys

import pytest

from activelora.progress import track


def test_elements_pass_through(caplog):
    with caplog.at_level(logging.INFO):
        assert list(track(iter("abc"), "scoring", 3)) == ["a", "b", "c"]
        assert list(track([], "scoring", 0)) == []
    assert caplog.text == ""


def test_elements_are_not_fetched_ahead():
    fetched = []
    loop = track((fetched.append(n) or n for n in range(3)), "scoring", 3)
    assert next(loop) == 0
    assert fetched == [0]


def test_errors_pass_through():
    def broken():
        yield 1
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        list(track(broken(), "scoring", 2))


def test_lines_tell_rate_and_time_left():
    code = (
        "import logging, time; logging.basicConfig(level='INFO', format='%(message)s');"
        "from activelora import progress; progress.LINE_SECONDS = 0.05;"
        "[time.sleep(0.03) for _ in progress.track(range(4), 'scoring', 4)]"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert said.startswith("scoring: 2/4, ")
    assert said.splitlines()[0].endswith(" s left")


def test_a_terminal_shows_a_bar():
    code = (
        "import time; from activelora.progress import track;"
        "[time.sleep(0.1) for _ in track(range(4), 'scoring the pool', 4)]"
    )
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=end, env=environment) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += (chunk := os.read(terminal, 4096))
            except OSError:  # Linux answers EIO once the other end is closed
                break
            if not chunk:
                break
    os.close(terminal)
    assert process.returncode == 0
    assert b"scoring the pool" in shown
    assert b"/4" in shown
