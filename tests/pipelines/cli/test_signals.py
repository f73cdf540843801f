"""A command that is interrupted or terminated ends, and says so, wherever the signal finds it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_COMMAND = """
import os, signal, sys, time, weakref
from pipelines.cli import main as cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests may ignore it

def send():
    os.kill(os.getpid(), signal.{number})
    for _ in range(1000):  # the handler runs within one of these
        pass

class Held:
    def __del__(self):
        if {place!r} == "destructor":
            send()

@cli.app.command("hold")
def hold():
    held = Held()
    seen = weakref.ref(held, lambda _: send() if {place!r} == "callback" else None)
    try:
        del held
        if {place!r} == "code":
            send()
        time.sleep(60)
    finally:
        print("undone")

sys.exit(cli.main(["hold"]))
"""


@pytest.mark.parametrize("place", ["code", "destructor", "callback"])
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_a_command_also_where_python_would_drop_its_exception(number, code, place):
    script = _COMMAND.format(number=number, place=place)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert done.stdout == "undone\n"
    assert "Nothing is lost: run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_exceptions_that_python_drops_are_still_told():
    script = """
import sys
from pipelines.cli import main as cli

class Held:
    def __del__(self):
        raise ValueError("of somebody else")

@cli.app.command("hold")
def hold():
    Held()

sys.exit(cli.main(["hold"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "ValueError: of somebody else" in done.stderr
