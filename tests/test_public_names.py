"""What `import activelora` promises: these names, at once, and without anything slow."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import activelora

ROOT = Path(__file__).parents[1]
NAMES = [
    "ActiveLoRAError",
    "Campaign",
    "CampaignConfig",
    "__version__",
    "create_campaign",
    "curve",
    "labels",
    "load_config",
    "open_campaign",
    "scores",
]


def test_exactly_these_names_are_public():
    assert activelora.__all__ == NAMES
    assert dir(activelora) == NAMES
    assert all(hasattr(activelora, name) for name in NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_each_is_documented_and_is_what_its_module_has(name):
    public = getattr(activelora, name)
    assert inspect.getdoc(public)
    assert getattr(importlib.import_module(public.__module__), name) is public


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = activelora.no_such_name


def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_it_brings_nothing_slow():
    slow = {"torch", "transformers", "pandas", "numpy", "pyarrow", "mlflow", "pydantic", "yaml", "boto3"}
    assert modules_after("import activelora") & slow == set()


def test_opening_a_campaign_brings_no_torch():
    assert (
        modules_after("from activelora import create_campaign, load_config, open_campaign") & {"torch", "mlflow"}
        == set()
    )
    assert "torch" not in modules_after("from activelora import curve, labels, scores")
