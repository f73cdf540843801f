import importlib.metadata
import subprocess
import sys

import pytest

from activelora.config import AdapterConfig
from activelora.errors import ConfigError
from activelora.modeling.methods.registry import METHODS, get_method

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
    info = tmp_path / "another-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[activelora.adapters]\nmine = another:CARD\n")
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
