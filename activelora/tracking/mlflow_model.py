"""A round's model as a folder of MLflow's, which ``mlflow.pyfunc`` loads and serves.

It holds a script that is run instead of a pickle, this package's own code in one file, that of packages whose adapter
method or kind of task it needs, the model (:mod:`activelora.prediction`), signature, input example and pinned
requirements. The base model is named by its id or URI, and not copied.
"""

from __future__ import annotations

import logging
import re
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activelora.campaign.campaign import Campaign
from activelora.kinds.registry import make_task
from activelora.prediction.answers import answer_columns
from activelora.prediction.bundle import write_bundle
from activelora.prediction.facts import write_facts
from activelora.tracking.mlflow_packages import copy_packages, pack_own_code

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model, ModelSignature

    from activelora.config import CampaignConfig

REQUIREMENTS = (
    "accelerate",
    "boto3",
    "jinja2",
    "mlflow",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "rich",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "urllib3",
)
"""Packages that loading and asking a model needs; the versions are those that are installed here."""
ARTIFACT = "bundle"
"""The name that :mod:`activelora.prediction.pyfunc` goes by; importing that takes MLflow."""
_CODE = "activelora.zip"
_SCRIPT = f'''"""Loads the model: MLflow runs this instead of reading a pickle."""

import sys
from pathlib import Path

own = Path(__file__).parent / "code" / "{_CODE}"
if own.exists():  # MLflow runs this also while it writes the model
    sys.path.insert(0, str(own))

from mlflow.models import set_model

from activelora.prediction.pyfunc import RegisteredModel

set_model(RegisteredModel())
'''
_OUTPUTS = {"probability": "double", "uncertainty": "double", "low": "double", "high": "double", "review": "boolean"}


def write_model(campaign: Campaign, round_: int, folder: Path, spec: Model) -> None:
    """Write a round's model into a folder that does not exist yet.

    Args:
        campaign: The campaign.
        round_: The round; it must be evaluated.
        folder: The folder.
        spec: What MLflow knows of the model already.
    """
    import mlflow.pyfunc

    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # it tells of every check that it makes
    with tempfile.TemporaryDirectory() as scratch:
        bundle = write_bundle(campaign, round_, Path(scratch) / ARTIFACT)
        write_facts(campaign, round_, bundle.folder)
        (others := Path(scratch) / "packages").mkdir()
        packages = copy_packages(campaign.config, others)
        pack_own_code(own := Path(scratch) / _CODE)
        script = Path(scratch) / "model.py"
        script.write_text(_SCRIPT, encoding="utf-8")
        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(script),
            artifacts={ARTIFACT: str(bundle.folder)},
            code_paths=[str(own), *map(str, packages.code)],
            signature=signature(campaign.config, has_sets=bundle.readings.conformal is not None),
            input_example=example(campaign.config),
            pip_requirements=pinned(tuple(dict.fromkeys((*REQUIREMENTS, *packages.requirements)))),
            mlflow_model=spec,
        )


def signature(config: CampaignConfig, *, has_sets: bool) -> ModelSignature:
    """Return the columns that go in and come out, and the parameters, all of them optional.

    Columns take any value, as files do: numbers are written out.

    Args:
        config: The settings.
        has_sets: Whether there are thresholds for prediction sets.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    made = answer_columns(make_task(config.task), prediction_sets=has_sets, probabilities=False)
    outputs = [ColSpec(DataType[_OUTPUTS[name]] if name in _OUTPUTS else AnyType(), name) for name in made]
    params = [
        ParamSpec("min_confidence", DataType.double, None),
        ParamSpec("max_risk", DataType.double, None),
        ParamSpec("num_samples", DataType.long, None),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name) for name in _cells(config)]),
        outputs=Schema([*outputs, ColSpec(DataType.string, "problem", required=False)]),
        params=ParamSchema(params),
    )


def example(config: CampaignConfig) -> pd.DataFrame:
    """Return a row to try the model with: made up, since the data's own rows may be private or be deleted."""
    import pandas as pd

    return pd.DataFrame([_cells(config)])


def pinned(names: tuple[str, ...]) -> list[str]:
    """Return the packages that are installed here, each with its version."""
    found = []
    for name in names:
        try:
            number = version(name)
        except PackageNotFoundError:
            if name != "mlflow":
                continue
            number = version("mlflow-skinny")  # the images have the client alone, of the same version
        found.append(f"{name}=={re.sub(r'[+].*', '', number)}")  # as of torch's, local versions are in no index
    return found


def _cells(config: CampaignConfig) -> dict[str, Any]:
    """Return a made-up row."""
    task = make_task(config.task)
    cells: dict[str, Any] = {column: f"An example of {column}" for column in task.columns}
    if task.kind.needs_choices:
        cells[config.data.columns.choices] = ["The first choice", "The second choice"]
    return cells
