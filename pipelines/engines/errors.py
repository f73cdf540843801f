"""What engines share: how their tasks run, and what goes wrong."""

from __future__ import annotations

from enum import StrEnum

from activelora.errors import ActiveLoRAError


class Runner(StrEnum):
    """What a task of the kfp-local engine is."""

    subprocess = "subprocess"
    docker = "docker"


class EngineError(ActiveLoRAError):
    """A task failed, an engine cannot run the campaign, or it did not do what the graph says."""
