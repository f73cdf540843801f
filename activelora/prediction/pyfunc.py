"""A registered model as MLflow loads and serves it: ``mlflow.pyfunc.load_model("models:/NAME@champion")``.

Imported by the script that :mod:`activelora.tracking.mlflow_model` writes beside the model; needs MLflow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from activelora.modeling.base import load_base
from activelora.prediction.bundle import read_bundle
from activelora.prediction.loaded import LoadedModel
from activelora.prediction.review import Thresholds

ARTIFACT = "bundle"
"""The name of the model's folder among its artifacts."""
PROBLEM = "problem"
"""The column that says why a row has no answer."""


class RegisteredModel(PythonModel):  # type: ignore[misc] # MLflow has no types
    """Answers the rows of a table, as ``activelora predict`` does."""

    def __init__(self) -> None:
        self._open = ExitStack()  # the model stays in memory as long as this object
        self._lock = Lock()
        self._model: LoadedModel | None = None

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model and its base model.

        Raises:
            ModelError: The base model cannot be loaded here, or the files are damaged.
        """
        bundle = read_bundle(Path(context.artifacts[ARTIFACT]))
        load_base.cache_clear()  # several versions may be loaded in one process: each has a base model of its own
        self._model = self._open.enter_context(LoadedModel.load(bundle))
        load_base.cache_clear()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a row for each row: see :meth:`activelora.prediction.answers.Answer.row`, and ``problem``.

        Args:
            context: Unused.
            model_input: A table with the columns that the prompt names.
            params: ``min_confidence``, ``max_risk`` and ``num_samples``, each None where the model's own counts.
        """
        if self._model is None:
            raise RuntimeError("load_context comes first")
        given = params or {}
        model = self._model.sampled(given.get("num_samples"))
        thresholds = Thresholds(given.get("min_confidence"), given.get("max_risk"))
        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        rows = [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
        with self._lock:
            answers = model.predict(rows, thresholds=thresholds, strict=False)
        columns = model.answer_columns()
        made = [{name: answer.row()[name] for name in columns} | {PROBLEM: answer.problem} for answer in answers]
        return pd.DataFrame(made, columns=[*columns, PROBLEM], index=frame.index)


def _plain(value: Any) -> Any:
    """Return a cell as Python has it: a list for an array, and None for a gap."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value
