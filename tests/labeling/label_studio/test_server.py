"""The installer of the server, which CI runs beside other tests."""

import os
import signal
import subprocess
import sys
import time

from tests.labeling.label_studio import server

SERVER = """#!/bin/sh
echo $$ > pid.new
mv pid.new pid
exec sleep 100
"""


def test_an_installer_that_is_ended_leaves_no_server_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = server.home() / "bin" / "label-studio"
    program.parent.mkdir(parents=True)
    program.write_text(SERVER)
    program.chmod(0o755)
    pid_file = server.home() / "making" / "pid"
    with subprocess.Popen([sys.executable, "-m", server.__name__]) as installer:
        try:
            deadline = time.monotonic() + 60
            while not pid_file.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            group = int(pid_file.read_text())
        finally:
            installer.send_signal(signal.SIGTERM)
            installer.wait(60)
    assert installer.returncode == 143
    assert not is_running(group)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    os.kill(pid, signal.SIGKILL)
    return True
