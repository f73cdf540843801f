import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from activelora.config import AdapterConfig
from activelora.errors import ConfigError
from activelora.modeling.methods.registry import METHODS, get_method
from tests.other_packages import declare_package

BUILT_IN = sorted(METHODS)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_card_leads_to_an_implementation_and_its_settings(name):
    method = get_method(name)
    assert method.name == name
    assert method.summary
    assert set(method.options) <= set(AdapterConfig.model_fields)
    implementation = method.implement()
    assert callable(implementation.fit)
    assert callable(implementation.load)


def test_an_unknown_method_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"adapter.method: there is no `ensembel`. Did you mean `ensemble`"):
        get_method("ensembel")


def test_another_package_s_method_is_found_by_its_entry_point(tmp_path):
    """In its own process: entry points belong to what is installed there."""
    declare_package(tmp_path, "another", {"adapters": ["mine = another:CARD"]})
    (tmp_path / "another.py").write_text(
        "from activelora.modeling.posterior import AdapterMethod\n"
        "CARD = AdapterMethod(name='mine', summary='my own', implementation='another:Mine')\n"
        "class Mine:\n    pass\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from activelora.modeling.methods.registry import METHODS, get_method\n"
        "mine = get_method('mine')\n"
        "print(mine.summary, mine.implement().__name__, len(METHODS), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["my", "own", "Mine", str(len(BUILT_IN) + 1), "False"]
    assert "mine" not in {point.name for point in importlib.metadata.entry_points(group="activelora.adapters")}


def test_another_package_s_method_has_settings_of_its_own(tmp_path):
    declare_package(tmp_path, "another", {"adapters": ["mine = another:CARD"]})
    (tmp_path / "another.py").write_text(OWN)
    result = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, env=with_path(tmp_path))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["{'depth': 2} 2", "{'depth': 5} 5"]
    assert lines[2].startswith("campaign.yaml: `adapter.mine.dept` is not a setting. Did you mean `depth`?")
    assert lines[3].startswith("campaign.yaml: `adapter.mine.depth`: 9 is too deep. Lower it.")
    assert lines[4] == "True"


OWN = """
from activelora.config import Section
from activelora.config.conflict import Conflict
from activelora.modeling.posterior import AdapterMethod

class Mine(Section):
    depth: int = 2
    "Layers."

def conflicts(config):
    if CARD.own_settings(config.adapter).depth > 8:
        yield Conflict("adapter.mine.depth", "9 is too deep", "Lower it.")

CARD = AdapterMethod("mine", "my own", "another:Fits", conflicts=conflicts, settings=Mine)
"""
ASKED = """
from activelora.config.file import json_schema
from activelora.modeling.methods.registry import get_method
from activelora.rules.file import checked_config
from activelora.rules.own_sections import full_schema

base = {"name": "a", "task": {"prompt": "{text}", "labels": ["x", "y"]}, "data": {"pool": {"path": "p"}}}

def read(**mine):
    adapter = {"method": "mine", **({"mine": mine} if mine else {})}
    return checked_config({**base, "adapter": adapter}, where="campaign.yaml").adapter

for mine in ({}, {"depth": 5}):
    adapter = read(**mine)
    print(adapter.model_dump()["mine"], get_method("mine").own_settings(adapter).depth)
for mine in ({"dept": 1}, {"depth": 9}):
    try:
        read(**mine)
    except Exception as error:
        print(error)
print("mine" in json_schema(full_schema())["$defs"]["AdapterConfig"]["properties"])
"""


def with_path(folder):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[3])])}
