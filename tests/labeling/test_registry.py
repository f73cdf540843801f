"""Label sources by name."""

import subprocess
import sys

import pytest

from activelora.errors import ConfigError
from activelora.labeling.registry import SOURCES, get_source


def test_built_in_sources():
    assert set(SOURCES) >= {"oracle", "files"}
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.summary


def test_an_unknown_source_gets_the_nearest_name():
    with pytest.raises(ConfigError, match=r"labeling.source: there is no `file`. Did you mean `files`\?"):
        get_source("file")


def test_sources_load_without_torch():
    code = (
        "import sys, activelora.labeling.waiting; print(sorted({'torch', 'transformers', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
