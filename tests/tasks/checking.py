"""Tasks of settings that the rules let pass."""

from activelora.config import TaskConfig
from activelora.kinds.registry import make_task
from activelora.rules.task import refusal


def checked_task(settings):
    config = TaskConfig.model_validate(settings)
    if why := refusal(config):
        raise ValueError(why)
    return make_task(config)
