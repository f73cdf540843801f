#!/usr/bin/env bash
# A model whose requirements are given takes in the uv.lock of the folder that the process happens to run in.
#
# mlflow 3.17.2 (https://github.com/mlflow/mlflow), mlflow.pyfunc.save_model. `uv.lock` and `pyproject.toml` of the working
# folder are copied into the model though `pip_requirements` says what it needs, and `mlflow models serve --env-manager uv`
# then restores that lock instead of requirements.txt: mlflow/utils/virtualenv.py, `has_uv_lock_artifact`. Private
# package indices and names that stand in these files are published with the model. MLFLOW_UV_AUTO_DETECT=false ends it.
source "$(dirname "$0")/lib.sh"
environment mlflow-skinny==3.17.2 pandas==3.1.1 numpy==2.4.6
program_prints "what was asked for is in requirements.txt: True
the folder's own lock is in the model: True
MLflow would restore from it: True
with MLFLOW_UV_AUTO_DETECT=false: False" <<'PYTHON'
import logging
import os
from pathlib import Path

logging.disable(logging.WARNING)
import mlflow.pyfunc
from mlflow.utils.uv_utils import has_uv_lock_artifact

Path("elsewhere").mkdir()
os.chdir("elsewhere")
Path("uv.lock").write_text("version = 1\n")
Path("pyproject.toml").write_text('[project]\nname = "another-project"\nversion = "1"\n')
Path("model.py").write_text(
    "from mlflow.models import set_model\n"
    "from mlflow.pyfunc import PythonModel\n"
    "class Echo(PythonModel):\n"
    "    def predict(self, context, model_input, params=None):\n"
    "        return model_input\n"
    "set_model(Echo())\n"
)
mlflow.pyfunc.save_model("first", python_model="model.py", pip_requirements=["pandas==3.1.1"])
print("> what was asked for is in requirements.txt:", "pandas==3.1.1" in Path("first/requirements.txt").read_text())
print("> the folder's own lock is in the model:", Path("first/uv.lock").exists())
print("> MLflow would restore from it:", has_uv_lock_artifact("first"))
os.environ["MLFLOW_UV_AUTO_DETECT"] = "false"
mlflow.pyfunc.save_model("second", python_model="model.py", pip_requirements=["pandas==3.1.1"])
print("> with MLFLOW_UV_AUTO_DETECT=false:", Path("second/uv.lock").exists())
PYTHON
