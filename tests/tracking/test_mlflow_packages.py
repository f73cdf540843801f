"""Registered models whose adapter method and kind of task are other packages': where these are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import activelora
from activelora.tracking.mlflow_packages import pack_own_code
from tests.other_packages import declare_package, said_by
from tests.prediction.conftest import rows_of

TOY_KIND = Path(__file__).parents[1] / "kinds" / "toy_kind"
METHOD = """
from activelora.modeling.posterior import AdapterMethod

MINE = AdapterMethod(name="mine", summary="my own", implementation="acme_fits:Mine", plain=True)
"""
FITS = """
from acme.lora.scale import FACTOR
from activelora.modeling.methods.mc_dropout import McDropout

class Mine(McDropout):
    assert FACTOR == 2
"""
WRITE = """
import json, sys
from pathlib import Path
from mlflow.models import Model
from tests.prediction.conftest import KINDS, evaluated, rows_of
from activelora.errors import ModelError
from activelora.prediction.bundle import read_bundle
from activelora.prediction.loaded import LoadedModel
from activelora.tracking.mlflow_location import prepare_environment
prepare_environment()
from activelora.tracking.mlflow_model import write_model

folder, base = Path(sys.argv[1]), Path(sys.argv[2])
KINDS["stars"] = {"kind": "stars"}, lambda index: "*" * (1 + index % 3)
write_model(evaluated(folder / "plain", base, "classification"), 1, folder / "plain-model", Model())
write_model(evaluated(folder / "own", base, "stars", adapter={"method": "mine"}), 1, folder / "model", Model())
with LoadedModel.load(read_bundle(folder / "model" / "artifacts" / "bundle")) as model:
    answers = model.predict([{"text": row["text"]} for row in rows_of("classification", 5)])
print(json.dumps([[answer.label, answer.probability] for answer in answers]))
"""
READ = """
import importlib.util, json, sys
import mlflow
import pandas as pd
assert not [name for name in ("acme", "acme_fits", "toy_kind") if importlib.util.find_spec(name)]
frame = pd.DataFrame(json.loads(sys.argv[2]))
plain = mlflow.pyfunc.load_model(f"{sys.argv[1]}/plain-model", suppress_warnings=True)
assert plain.predict(frame)["problem"].isna().all()
model = mlflow.pyfunc.load_model(f"{sys.argv[1]}/model", suppress_warnings=True)
found = model.predict(frame)
import acme.lora
assert acme.lora.__file__.startswith(sys.argv[1] + "/model/code"), acme.lora.__file__
print(json.dumps(found[["prediction", "probability"]].values.tolist()))
"""


@pytest.fixture
def site(tmp_path):
    """Two packages: one of a namespace and a module beside it, the other of a folder."""
    site = tmp_path / "site"
    declare_package(site, "Acme.Lora", {"adapters": ["mine = acme.lora.methods:MINE"]}, "1.2")
    info = next(site.glob("*.dist-info"))
    required = (
        "PyYAML>=6",
        "packaging",
        "activelora>=0.1",
        'pytest; extra == "test"',
        "not-here; python_version < '3'",
    )
    text = (info / "METADATA").read_text() + "".join(f"Requires-Dist: {one}\n" for one in required)
    (info / "METADATA").write_text(text)
    points = (info / "entry_points.txt").read_text()
    (info / "entry_points.txt").write_text(points + "[console_scripts]\nacme = acme.other:main\n")
    for name, content in {
        "acme/lora/__init__.py": "",
        "acme/lora/methods.py": METHOD,
        "acme/lora/scale.py": "FACTOR = 2\n",
        "acme/lora/words.txt": "data\n",
        "acme/other/__init__.py": "raise ImportError\n",
        "acme_fits.py": FITS,
        **{f"toy_kind/{path.name}": own(path) for path in TOY_KIND.glob("*.py")},
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content)
    declare_package(site, "toy-kind", {"kinds": ["stars = toy_kind.kind:KIND"]})
    return site


def own(path):
    return path.read_text().replace("tests.kinds.toy_kind", "toy_kind")


def test_a_model_brings_the_packages_of_its_method_and_kind(tmp_path, tiny_model_path, site):
    wanted = said_by(WRITE, site, str(tmp_path), str(tiny_model_path))
    code = tmp_path / "model" / "code"
    names = {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()}
    assert {"acme/lora/methods.py", "acme/lora/words.txt", "acme_fits.py", "toy_kind/judge.py"} <= names
    assert not [name for name in names if name.startswith("acme/other") or name.endswith(".pyc")]
    points = (code / "Acme_Lora-1.2.dist-info" / "entry_points.txt").read_text()
    assert points == "[activelora.adapters]\nmine = acme.lora.methods:MINE\n"
    requirements = (tmp_path / "model" / "requirements.txt").read_text().split()
    assert f"packaging=={version('packaging')}" in requirements
    assert len([line for line in requirements if line.startswith("pyyaml==")]) == 1
    assert not [line for line in requirements if line.startswith(("activelora", "pytest", "not-here", "acme"))]
    assert [path.name for path in (tmp_path / "plain-model" / "code").iterdir()] == ["activelora.zip"]

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    rows = json.dumps([{"text": row["text"]} for row in rows_of("classification", 5)])
    command = [sys.executable, "-c", READ, str(tmp_path), rows]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [label for label, _ in found] == [label for label, _ in wanted]
    assert [value for _, value in found] == pytest.approx([value for _, value in wanted], abs=1e-5)


REFUSED = """
import json, sys
from importlib.metadata import entry_points
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from activelora.errors import ModelError
from activelora.tracking.mlflow_packages import _copy_module
[point] = entry_points(group="activelora.adapters", name="zipped")
try:
    _copy_module("zipped", point, Path(sys.argv[2]))
except ModelError as error:
    print(json.dumps(str(error)))
"""


def test_a_package_that_is_no_files_is_refused_with_its_name(tmp_path):
    """Python imports from archives, too."""
    archive = tmp_path / "zipped.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", "")
    declare_package(tmp_path / "site", "zipped-lora", {"adapters": ["zipped = zipped:CARD"]}, "3.1")
    said = said_by(REFUSED, tmp_path / "site", str(archive), str(tmp_path))
    assert "the module `zipped` of the package zipped-lora 3.1 is not there as files" in said
    assert "Install the package unpacked" in said


def test_our_own_code_is_one_file_with_the_same_bytes_each_time(tmp_path):
    for name in ("one.zip", "two.zip"):
        pack_own_code(tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        names = packed.namelist()
        assert packed.read("activelora/__init__.py") == Path(activelora.__file__).read_bytes()
    assert {"activelora/prediction/pyfunc.py", "activelora/tracking/report.css"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
