"""Which secrets the pods get: names of variables, of Kubernetes secrets and of their keys, and never a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from activelora.config.section import Section
from activelora.config.steps import StepName
from activelora.notices import WEBHOOK_VARIABLE
from activelora.redacting import is_secret_name

PodName = Literal[StepName, "plan", "tell_the_end"]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""Name of a Kubernetes object."""
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
"""Key of an entry of a Kubernetes secret."""

NEEDED_BY: dict[str, tuple[PodName, ...]] = {
    "HF_TOKEN": ("ingest_pool", "train_adapter", "evaluate_adapter", "score_pool"),
    "MLFLOW_TRACKING_USERNAME": ("plan", "evaluate_adapter", "await_labels"),
    "MLFLOW_TRACKING_PASSWORD": ("plan", "evaluate_adapter", "await_labels"),
    "MLFLOW_TRACKING_TOKEN": ("plan", "evaluate_adapter", "await_labels"),
    "LABEL_STUDIO_API_KEY": ("await_labels",),
    "ACTIVELORA_LLM_TOKEN": ("await_labels",),
}
"""The pods that read a variable, where `steps` does not say: the model and `hf://` data come from the hub; MLflow is
written by the last step of a tick, which may be `plan`, `evaluate_adapter` or `await_labels`; and labels are asked for
and collected by `await_labels`, and by `plan`, which gets whatever that gets."""

WAKE_VARIABLE = "ACTIVELORA_WAKE_SECRET"
"""What webhooks show to `activelora wake`, and no step needs."""
SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Keys of the secrets that `resources.secrets` names."""


class SecretKeyConfig(Section):
    """A key of a Kubernetes secret that becomes an environment variable of some pods."""

    name: ObjectName
    """Name of the Kubernetes secret."""
    key: KeyName | None = None
    """Its key. None is the variable's own name."""
    steps: tuple[PodName, ...] | None = None
    """Pods that get it. None is those that are known to need it: `HF_TOKEN` goes to what loads models or data,
    `MLFLOW_TRACKING_USERNAME`, `_PASSWORD` and `_TOKEN` to `plan`, `evaluate_adapter` and `await_labels`,
    `LABEL_STUDIO_API_KEY` and `ACTIVELORA_LLM_TOKEN` to `await_labels`. What `await_labels` gets, `plan` gets too: it
    collects the labels that a tick begins with."""


def check_secret_env(secret_env: Mapping[str, SecretKeyConfig], has_s3_secrets: bool) -> None:
    """Check variables that come from secrets.

    Args:
        secret_env: The setting.
        has_s3_secrets: `resources.secrets` gives every pod the S3 keys already.

    Raises:
        ValueError: A variable's name is none, or would show its value in logs; nobody knows which pods need it; or
            something else gives it already.
    """
    for variable, source in secret_env.items():
        if variable == WEBHOOK_VARIABLE:
            raise ValueError(f"{variable} is given by resources.notify, to the pods that need it")
        if variable in SECRET_KEYS and has_s3_secrets:
            raise ValueError(f"{variable} is given by resources.secrets too; keep one of the two")
        if variable not in NEEDED_BY and not is_secret_name(variable):
            raise ValueError(
                f"{variable} would be shown in logs, which hide what ends in _TOKEN, _PASSWORD, _SECRET or _API_KEY"
            )
        if not (steps := pods_of(variable, source)):
            raise ValueError(f"nobody said which pods need {variable}: name them in its `steps`")
        if "tell_the_end" in steps:
            raise ValueError(f"{variable} is not for tell_the_end, which needs the webhook of resources.notify alone")


def pods_of(variable: str, source: SecretKeyConfig) -> tuple[PodName, ...]:
    """Return the pods that get a variable; none where nobody said."""
    steps = NEEDED_BY.get(variable, ()) if source.steps is None else source.steps
    return ("plan", *steps) if "await_labels" in steps and "plan" not in steps else steps
