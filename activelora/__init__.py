"""ActiveLoRA: the most accuracy and the best calibration out of the fewest labels.

The names below are the public ones; each is loaded when it is asked for, so that ``import activelora`` is quick and
brings neither torch nor pandas nor MLflow. To run a campaign from Python, see :mod:`pipelines.engines.inline`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from activelora.moved import install

if TYPE_CHECKING:
    from activelora.campaign.campaign import Campaign
    from activelora.config.campaign import CampaignConfig
    from activelora.errors import ActiveLoRAError
    from activelora.rules.opening import create_campaign, load_config, open_campaign
    from activelora.tracking.frames import curve, labels, scores

try:
    __version__ = version("activelora")
except PackageNotFoundError:  # a checkout on the path that was never installed
    __version__ = "0.0.0+uninstalled"

_HOMES = {
    "ActiveLoRAError": "activelora.errors",
    "Campaign": "activelora.campaign.campaign",
    "CampaignConfig": "activelora.config.campaign",
    "create_campaign": "activelora.rules.opening",
    "curve": "activelora.tracking.frames",
    "labels": "activelora.tracking.frames",
    "load_config": "activelora.rules.opening",
    "open_campaign": "activelora.rules.opening",
    "scores": "activelora.tracking.frames",
}

__all__ = [
    "ActiveLoRAError",
    "Campaign",
    "CampaignConfig",
    "__version__",
    "create_campaign",
    "curve",
    "labels",
    "load_config",
    "open_campaign",
    "scores",
]

install()


def __getattr__(name: str) -> Any:
    """Load a public name from the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, those too that nobody has asked for yet."""
    return sorted(__all__)
