"""Every block that a reader is meant to run is run as it stands, or the page says why not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activelora.rules.file import checked_config
from tests.docs.blocks import LANGUAGES, PAGES, ROOT, blocks_of, script_of

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
FAST = [page for page in PAGES if script_of(page, slow=False)]
SLOW = [page for page in PAGES if script_of(page, slow=True) != script_of(page, slow=False)]

PREAMBLE = """
set -euo pipefail
activelora() {
    command activelora "$@"
    if [ "$1" = init ]; then python "$SHRINK" "$2/campaign.yaml"; fi
}
pip() {
    command pip "$1" --quiet --no-deps --target "$SITE" "${@:2}"
}
"""
"""What `init` writes trains a model of 93 MB for minutes: here it is made to take seconds. And pip installs beside this
environment, not into it."""
SHRINK = """
import os, re, sys
from pathlib import Path
path = Path(sys.argv[1])
text = path.read_text(encoding="utf-8")
if "kind: classification" in text:  # the tiny tokenizer begins all labels alike
    text = text.replace("answer: words", "answer: text")
small = {"base": os.environ["TINY_MODEL"], "last_layers": 2, "rank": 2}
for key, value in small.items():
    text = re.sub(rf"(?m)^  {key}: .*$", f"  {key}: {value}", text)
text = re.sub(r"(?m)^training:", r"\\g<0>\\n  epochs: 1\\n  min_steps: 1", text)
if "min_steps: 1" not in text:
    text += "training: {epochs: 1, min_steps: 1}\\n"
path.write_text(text, encoding="utf-8")
"""


def test_every_block_says_whether_it_is_run():
    runnable = [block for block in BLOCKS if block.language in LANGUAGES]
    assert len(runnable) > 20
    assert [f"{block.page}:{block.line}" for block in runnable if block.mark is None] == []
    assert [f"{block.page}:{block.line}" for block in BLOCKS if block.language in ("", "sh", "shell", "console")] == []


def test_what_is_not_run_is_at_least_bash():
    for block in BLOCKS:
        if block.language == "bash":
            done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.page}:{block.line}: {done.stderr}"


def test_commands_and_options_that_pages_name_exist():
    import typer

    from pipelines.cli.main import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(
        re.findall(r"(?:`|^|\s)activelora ([a-z][a-z-]+)\b", "\n".join(re.findall(r"`[^`]+`|```.*?```", pages, re.S)))
    )
    assert len(named) > 15
    assert named - set(commands) == set()


def run(page: Path, folder: Path, model: Path, *, slow: bool) -> None:
    """Run a page's blocks in a folder, with this checkout's `activelora`, this Python and the tiny model."""
    (folder / "shrink.py").write_text(SHRINK, encoding="utf-8")
    work, site = folder / "work", folder / "site"
    work.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{site}:{ROOT}",
        "SITE": str(site),
        "PYTEST_ADDOPTS": f"-p no:cacheprovider --rootdir={work}",
        "SHRINK": str(folder / "shrink.py"),
        "TINY_MODEL": str(model),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = ["bash", "-c", PREAMBLE + script_of(page, slow=slow)]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("page", FAST, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_fast_blocks_run(page, tmp_path, tiny_model_path):
    run(page, tmp_path, tiny_model_path, slow=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", SLOW, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_all_blocks_run(page, tmp_path, tiny_model_path):
    run(page, tmp_path, tiny_model_path, slow=True)


YAML = [block for block in BLOCKS if block.language == "yaml"]


@pytest.mark.parametrize("block", YAML, ids=lambda block: f"{block.page}:{block.line}")
def test_settings_that_pages_show_are_settings(block):
    base = {
        "name": "shown",
        "task": {"prompt": "{text}", "labels": ["cat", "dog"]},
        "data": {"pool": {"path": "pool.csv"}},
    }
    shown = yaml.safe_load(block.text)
    checked_config({**base, **shown}, where=block.page)
