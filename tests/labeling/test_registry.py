"""Label sources by name."""

import subprocess
import sys

import pytest

from activelora.errors import ConfigError
from activelora.labeling import request
from activelora.labeling import source as old_home
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


@pytest.mark.parametrize("name", ["Rejected", "Ballot", "State", "CLOSED", "Record", "Known", "make_request"])
def test_sources_of_other_packages_find_the_names_of_version_0_1(name):
    with pytest.warns(DeprecationWarning, match=f"source.{name} is now activelora.labeling.request.{name}"):
        old = getattr(old_home, name)
    assert old is getattr(request, name)


def test_a_name_that_was_never_there_is_none():
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        old_home.Nothing  # type: ignore[attr-defined]  # noqa: B018 - the access is what is tested
