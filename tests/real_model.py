"""Whole campaigns through the command line with the real pretrained model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def activelora(*arguments):
    command = [str(Path(sys.executable).with_name("activelora")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rounds_of(campaign):
    return json.loads(activelora("status", campaign, "--json"))["rounds"]
