"""Whether the model that compares written answers is there, and is one that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activelora.config import CampaignConfig
from activelora.errors import ModelError

if TYPE_CHECKING:
    from pipelines.cli.findings import Findings


def check_nli(config: CampaignConfig, findings: Findings, runs_here: bool) -> None:
    """Check the labels and files of `scoring.nli`, without loading it.

    Args:
        config: The campaign's settings.
        findings: Is told which label means entailment.
        runs_here: A model that is not on this machine is fetched; otherwise it is not checked.

    Raises:
        ModelError: It cannot be fetched, or tells of no two texts whether one entails the other.
    """
    if (setting := config.scoring.nli) is None:
        return
    from activelora.modeling.nli import check_name, check_stored, fetched_folder, folder_here
    from activelora.modeling.published import find

    check_name(setting)
    if setting.model.startswith("s3://") and find(setting.model) is None:
        remedy = "Publish it with: activelora model push FOLDER s3://bucket/prefix."
        raise ModelError("no model is published here", where=f"scoring.nli.model: {setting.model}", remedy=remedy)
    folder = folder_here(setting) or (fetched_folder(setting) if runs_here else None)
    if folder is None:
        words = f"scoring.nli: {setting.model} is not on this machine, so its labels are not checked"
        findings.warnings.append(f"{words}: it is fetched by the first scoring of the pool")
        return
    labels = check_stored(setting, folder)
    fact = f"{setting.model}: label {labels.entailment} of {', '.join(labels.names)} is entailment"
    if labels.max_tokens is not None:
        fact += f"; a question twice with two answers, beyond {labels.max_tokens} tokens, loses its beginning"
    findings.facts.append(("NLI model", fact))
