"""Names of metrics in MLflow, by groups: what stands before a slash is a section of charts there."""

from __future__ import annotations

from activelora.config.steps import StepName

_ENDS = ("_low", "_high")
_CALIBRATION = frozenset(
    {"ece", "aece", "classwise_ece", "nll", "brier", "temperature", "interval_coverage", "interval_width", "aurc"}
)
_EXPLORATION = ("explored_", "pool_accuracy", "refreshed_", "num_explored", "exploration_", "strategy_")
"""`pool_accuracy` is what earlier versions called `explored_accuracy`."""
_AUTOMATIC = ("conformal_", "alone_")
_LABELS = frozenset({"num_labels", "num_holdout", "num_positive"})
_STEPS: dict[StepName, str] = {
    "train_adapter": "training",
    "evaluate_adapter": "answers",
    "select_batch": "selection",
    "await_labels": "labels",
}


def grouped(step: StepName, name: str) -> str:
    """Return a metric's name with its group: ``answers/accuracy``, ``intervals/ece_low``, ``seconds/train_adapter``.

    MLflow shows groups by their names: what matters most comes first. The ends of intervals are a group of their own.

    Args:
        step: The step whose manifest it stands in.
        name: Its name there; ``seconds`` is the step's computing time.
    """
    if name == "seconds":
        return f"seconds/{step}"
    plain = name.removesuffix("_scaled")
    if step != "evaluate_adapter":
        group = _STEPS.get(step, step)
    elif name.endswith(_ENDS):
        group = "intervals"
    elif plain in _CALIBRATION:
        group = "calibration"
    elif plain.startswith(_AUTOMATIC):
        group = "automatic"
    elif plain.startswith(_EXPLORATION):
        group = "random draws"
    else:
        group = "labels" if plain in _LABELS else "answers"
    return f"{group}/{name}"
