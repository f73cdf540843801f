import logging
import os
import pty
import re
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
    # Which of them is told depends on how busy the machine is.
    assert re.fullmatch(r"scoring: [1-3]/4, .* s left", said.splitlines()[0])
    said = subprocess.run(
        [sys.executable, "-c", code.replace("'scoring', 4", "'scoring', 4, 'batches'")],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert re.fullmatch(r"scoring: [1-3]/4 batches, .* s left", said.splitlines()[0])


def shown_on_a_terminal(code: str) -> str:
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
    return shown.decode()


def test_a_terminal_shows_a_bar():
    shown = shown_on_a_terminal(
        "import time; from activelora.progress import track;"
        "[time.sleep(0.1) for _ in track(range(4), 'scoring the pool', 4)]"
    )
    assert "scoring the pool" in shown
    assert "/4" in shown


def test_a_log_line_does_not_land_on_the_bar():
    shown = shown_on_a_terminal(
        "import logging; from activelora.progress import track; from pipelines.cli.console import set_up_logging;"
        "set_up_logging(verbose=False); log = logging.getLogger('activelora.test');"
        "[log.warning('said in between') for _ in track(range(2), 'scoring the pool', 2)]"
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    lines = [line for line in re.split(r"\r|\n|\x1b\[2K", plain) if "said in between" in line]
    assert len(lines) == 2
    assert not [line for line in lines if "scoring the pool" in line]
