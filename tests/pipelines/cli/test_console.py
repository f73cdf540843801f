"""What a person sees on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SECRET = "hunter2-hunter2"
CODE = """
import logging
from pipelines.cli.console import set_up_logging
set_up_logging(verbose=False)
try:
    raise ValueError("no answer with hunter2-hunter2")
except ValueError:
    logging.getLogger("activelora").exception("asked https://me:pass@host with hunter2-hunter2")
"""


def test_log_lines_on_a_terminal_hold_no_secret():
    main, terminal = pty.openpty()
    environment = {**os.environ, "MLFLOW_TRACKING_TOKEN": SECRET, "TERM": "dumb"}
    environment.pop("ACTIVELORA_LOG", None)
    try:
        done = subprocess.run([sys.executable, "-c", CODE], stderr=terminal, env=environment, check=False)
        shown = os.read(main, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(main)
    assert done.returncode == 0
    assert "asked https://***@host with ***" in shown
    assert "no answer with ***" in shown
    assert SECRET not in shown
    assert "me:pass" not in shown
