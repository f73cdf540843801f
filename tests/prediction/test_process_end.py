"""A process may end with models open: `mlflow.pyfunc.load_model` has no way to close one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from activelora.prediction.bundle import write_bundle
from tests.prediction.conftest import evaluated

OPEN = """
import sys
from pathlib import Path
from activelora.prediction.bundle import read_bundle
from activelora.prediction.loaded import LoadedModel

class Holder:
    pass

held = []
for number in range(2):
    holder = Holder()
    holder.context = LoadedModel.load(read_bundle(Path(sys.argv[1])))
    holder.model = holder.context.__enter__()
    if sys.argv[2] == "in a cycle":
        holder.itself = holder
    else:
        held.append(holder)
    assert holder.model.predict([{"text": "red fire"}])[0].label
"""


@pytest.mark.parametrize("how", ["in a cycle", "by a module"])
def test_a_process_that_holds_open_models_ends(tmp_path: Path, tiny_model_path: Path, how: str) -> None:
    """It waited without end where they were found last, in a cycle, and told of errors nobody could mend otherwise."""
    write_bundle(evaluated(tmp_path / "campaign", tiny_model_path, "classification"), 1, tmp_path / "bundle")
    command = [sys.executable, "-c", OPEN, str(tmp_path / "bundle"), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
