"""The names of what is compared: a strategy, with a seed set before it and self-training after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from activelora.acquisition.registry import STRATEGIES
from activelora.config import AcquisitionConfig
from activelora.errors import ConfigError
from activelora.registry import closest

JOINT = "+"
SELF_TRAINING = "self_training"
"""After a strategy: with `training.self_training` at its defaults."""
SEED_SETS: tuple[str, ...] = get_args(AcquisitionConfig.model_fields["initial"].annotation)
"""What may stand before a strategy: `acquisition.initial`."""
_FORM = (
    f"Write STRATEGY, SEED_SET{JOINT}STRATEGY, STRATEGY{JOINT}{SELF_TRAINING} or "
    f"SEED_SET{JOINT}STRATEGY{JOINT}{SELF_TRAINING}, SEED_SET one of {', '.join(SEED_SETS)}."
)


@dataclass(frozen=True)
class Arm:
    """What the name of a compared method says.

    Attributes:
        strategy: The query strategy; whether there is one of that name, the settings' check tells.
        initial: The seed set's draw; empty leaves it as the campaign file says.
        trains_itself: Whether it trains on what the last round's model was sure of, too.
    """

    strategy: str
    initial: str = ""
    trains_itself: bool = False

    def settings(self) -> list[str]:
        """Return its settings, ``key=value`` each."""
        initial = [f"acquisition.initial={self.initial}"] if self.initial else []
        own = [f"training.{SELF_TRAINING}={{}}"] if self.trains_itself else []
        return [f"acquisition.strategy={self.strategy}", *initial, *own]


def parse_arm(name: str) -> Arm:
    """Return what a name such as `typiclust+entropy+self_training` says.

    Raises:
        ConfigError: It is of another form, or what stands before the strategy draws no seed set.
    """
    parts = name.split(JOINT)
    trains_itself = parts[-1] == SELF_TRAINING
    named = parts[:-1] if trains_itself else parts
    if problem := _problem(named):
        raise ConfigError(problem, where=f"--strategies {name}", remedy=_FORM)
    return Arm(named[-1], "".join(named[:-1]), trains_itself)


def _problem(named: list[str]) -> str:
    """Return what is wrong with the parts before `+self_training`; nothing for a strategy, or a seed set and one."""
    if not named or SELF_TRAINING in named:
        return f"`{SELF_TRAINING}` is no strategy: it comes last, once, after one"
    if not all(named):
        return f"names nothing beside a `{JOINT}`"
    if len(named) > 1 and named[-1] not in STRATEGIES and closest(named[-1], [SELF_TRAINING]):
        return f"there is no `{named[-1]}`; did you mean `{SELF_TRAINING}`?"
    if len(named) > 2:
        return f"names {', '.join(f'`{one}`' for one in named)}, where a seed set and a strategy may stand"
    if len(named) == 2 and named[0] not in SEED_SETS:
        near = closest(named[0], SEED_SETS)
        return f"`{named[0]}` draws no seed set" + (f"; did you mean `{near}`?" if near else "")
    return ""
