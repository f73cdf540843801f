"""How an Argo workflow ended, in the words that a notice has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from components.tell_the_end.step import tell_at

_STATES = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Error": "FAILED"}
"""Argo's words in those of Kubeflow Pipelines."""
_FOLLOWS = re.compile(r"^child '.*' failed$|^No more retries left$")
"""What Argo says of a node that failed because another one did."""
_MOST_CHARACTERS = 500


def tell_workflow_at(campaign_uri: str, status: str, failures: str) -> None:
    """Record a workflow's end in the campaign at a URI, then send it. Called by the exit handler, in its pod.

    Args:
        campaign_uri: The campaign.
        status: ``workflow.status``: ``Succeeded``, ``Failed`` or ``Error``.
        failures: ``workflow.failures``: a list of the nodes that failed, as JSON, which Argo quotes once more.
    """
    tell_at(campaign_uri, _STATES.get(status, status.upper()), first_failure(failures))


def first_failure(failures: str) -> str | None:
    """Return which step failed first and Argo's message about it; None if nothing failed.

    Args:
        failures: Argo's list. What is no list is returned as it is, but for what is too long.
    """
    try:
        found = json.loads(failures or "[]")
        if isinstance(found, str):
            found = json.loads(found or "[]")
        nodes = [(_order(node), f"{node['templateName']}: {node['message']}") for node in found or () if _says(node)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return failures[:_MOST_CHARACTERS]
    return min(nodes)[1][:_MOST_CHARACTERS] if nodes else None


def _says(node: Mapping[str, Any]) -> bool:
    return bool(node.get("message"))


def _order(node: Mapping[str, Any]) -> tuple[bool, str]:
    return bool(_FOLLOWS.match(node["message"])), node.get("finishedAt") or "~"
