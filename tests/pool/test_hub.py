import os
import subprocess
import sys

import pytest

from activelora.formats.problems import Problems
from activelora.formats.row import Wanted
from activelora.pool.hub import select_columns
from tests.pool.conftest import jsonl, rows

SCRIPT = """
import sys
{before}
from activelora.errors import DataError
from activelora.formats.row import Wanted
from activelora.pool.hub import read_hub
from activelora.formats.problems import Problems
try:
    list(read_hub("hf://owner/name?split=train", Wanted(("text",)), Problems()))
except DataError as error:
    print(error)
"""


def say(before, tmp_path, **environment):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": str(tmp_path), **environment},
        timeout=60,
        check=True,
    )
    return process.stdout


def test_without_the_package_the_remedy_is_to_install_it(tmp_path):
    said = say("sys.modules['datasets'] = None", tmp_path)
    assert said.startswith("hf://owner/name?split=train: ")
    assert "pip install 'activelora[hub]'" in said


def test_a_hub_that_cannot_be_reached(tmp_path):
    pytest.importorskip("datasets")
    said = say("", tmp_path, HF_HUB_OFFLINE="1")
    assert said.startswith("hf://owner/name?split=train: the data set cannot be read: ConnectionError")
    assert "HF_ENDPOINT" in said


def test_only_wanted_columns_are_streamed(tmp_path):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "train.jsonl").write_bytes(jsonl([{**row, "image": "large"} for row in rows(3)]))
    dataset = datasets.load_dataset(str(tmp_path), split="train", streaming=True, cache_dir=str(tmp_path / "cache"))
    problems = Problems()
    assert list(select_columns(dataset, Wanted(("text",), ("label", "id")), "hf://x", problems)) == rows(3)
    assert list(select_columns(dataset, Wanted(("body",)), "hf://x", problems)) == []
    with pytest.raises(Exception, match=r"hf://x: there is no column `body`; the columns are: image, label, text"):
        problems.refuse()
