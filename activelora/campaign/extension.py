"""Let a campaign that has ended go on: with more rounds, more labels, or whatever else of a few settings may grow."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from activelora.campaign.amendments import Amendment, amendment_key, with_amendments
from activelora.campaign.campaign import Campaign, utc_now
from activelora.campaign.frozen import mark_schema
from activelora.campaign.ledger import next_plan, num_asked, num_collected, num_labels
from activelora.campaign.migrations import SCHEMA_VERSION
from activelora.campaign.snapshot import Snapshot
from activelora.code_version import code_version
from activelora.config import CampaignConfig
from activelora.errors import ConfigError

BY_HAND = "stopped by hand: "
"""How the reason of an end begins that a person wished."""


@dataclass(frozen=True)
class Growth:
    """How a setting may grow.

    Attributes:
        words: What is allowed, in words.
        is_more: Tells whether the second value is more than the first; neither is None.
        may_end: Whether null, which lets the campaign run without that limit, is allowed.
    """

    words: str
    is_more: Callable[[Any, Any], bool]
    may_end: bool


_UP = Growth("raised", lambda old, new: new > old, may_end=False)
_UP_OR_NONE = Growth("raised, or set to null", lambda old, new: new > old, may_end=True)
_DOWN_OR_NONE = Growth("lowered, or set to null", lambda old, new: new < old, may_end=True)
_OTHER_OR_NONE = Growth("another one, or null", lambda old, new: new != old, may_end=True)
GROWS: Mapping[str, Growth] = {
    "stopping.max_rounds": _UP,
    "stopping.label_budget": _UP,
    "stopping.target_accuracy": _UP_OR_NONE,
    "stopping.target_ece": _DOWN_OR_NONE,
    "stopping.target_primary": _OTHER_OR_NONE,  # which way is harder depends on the metric
    "stopping.plateau_rounds": _UP_OR_NONE,
    "labeling.deadline_hours": _UP_OR_NONE,
    "labeling.deadline_extension_hours": _UP,
}
"""The settings that an amendment may change, each in the direction in which the campaign goes on longer."""


def extend(
    campaign: Campaign,
    *,
    rounds: int = 0,
    labels: int = 0,
    settings: Mapping[str, Any] | None = None,
    resume: bool,
    judge: Callable[[CampaignConfig], None] = lambda config: None,
) -> Campaign:
    """Let a campaign go on that has ended, and return it as it is from now on.

    One write, which is exclusive: of two extensions at once one wins. Nothing is written where the campaign would end
    again at once.

    Args:
        campaign: The campaign, opened to be written.
        rounds: Rounds more.
        labels: Labels more than the budget had.
        settings: Dotted key → new value, of :data:`GROWS`.
        resume: Whether an end that a person wished may be lifted.
        judge: A function that raises an error if the campaign must not become what it would be.

    Raises:
        ConfigError: It has not ended, or was stopped by hand; a setting does not grow; it would end again at once; or
            somebody else has extended it at the same time.
    """
    seen = Snapshot(campaign)
    lifted = _end_of(seen, resume=resume)
    changes = _changes(campaign.config, rounds, labels, settings or {})
    amendment = Amendment(
        number=len(campaign.amendments) + 1,
        settings=changes,
        lifts=lifted,
        num_collected=num_collected(seen),
        created_at=utc_now(),
        code_version=code_version(),
    )
    extended = replace(campaign, config=_amended(campaign, amendment), amendments=(*campaign.amendments, amendment))
    _refuse_to_end_at_once(extended)
    judge(extended.config)
    if campaign.schema_version < SCHEMA_VERSION:
        mark_schema(campaign.store)  # first: an older version that does not know amendments goes no further
    document = amendment.document(SCHEMA_VERSION, uuid.uuid4().hex)
    key = amendment_key(amendment.number)
    if not campaign.store.create(key, json.dumps(document, indent=1).encode()):
        raise ConfigError(
            "somebody else has extended the campaign at the same time, and that extension counts",
            where=f"{campaign.store.uri}/{key}",
            remedy="`activelora status` says what it is. Nothing of this one was written.",
        )
    return extended


def _end_of(seen: Snapshot, *, resume: bool) -> dict[str, str]:
    """Return which end is lifted: its key, digest, reason and time.

    Raises:
        ConfigError: There is none, or only a person may lift it.
    """
    key, store = seen.campaign.stopped_key, seen.store
    try:
        content = store.read(key)
    except KeyError:
        raise ConfigError(
            "the campaign has not ended",
            where=store.uri,
            remedy="Let it go on with `activelora run` or `tick`, and extend it once it has ended.",
        ) from None
    document = json.loads(content)
    reason = str(document["reason"])
    if document.get("by_hand", reason.startswith(BY_HAND)) and not resume:
        raise ConfigError(
            f"the campaign was {reason}",
            where=store.uri,
            remedy="Add --resume if it is to go on all the same.",
        )
    return {
        "key": key,
        "sha256": hashlib.sha256(content).hexdigest(),
        "reason": reason,
        "stopped_at": str(document.get("stopped_at", "")),
    }


def _changes(config: CampaignConfig, rounds: int, labels: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes, by dotted key in ascending order.

    Raises:
        ConfigError: A setting is none that grows, or does not.
    """
    wanted = dict(settings)
    for option, key, more, now in (
        ("--rounds", "stopping.max_rounds", rounds, config.stopping.max_rounds),
        ("--labels", "stopping.label_budget", labels, config.label_budget),
    ):
        if more < 0 or (more and key in wanted):
            problem = f"{more} is no number of more" if more < 0 else f"`{key}` is set too, and says the same"
            raise ConfigError(problem, where=f"{option} {more}", remedy="Give one number above 0.")
        if more:
            wanted[key] = now + more
    for key, value in wanted.items():
        _check_growth(config, key, value)
    return dict(sorted(wanted.items()))


def _check_growth(config: CampaignConfig, key: str, value: Any) -> None:
    if key not in GROWS:
        listed = ", ".join(f"`{name}`" for name in GROWS)
        raise ConfigError("is no setting that can grow", where=key, remedy=f"These can: {listed}.")
    growth, old = GROWS[key], value_of(config, key)
    if old is None:
        raise ConfigError("is not set, so it ended nothing", where=key, remedy="Leave it out.")
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise ConfigError(f"{value!r} is not a number", where=key, remedy=f"It can be {growth.words}.")
    if not (growth.may_end if value is None else growth.is_more(old, value)):
        shown = "null" if value is None else f"{value:g}"
        raise ConfigError(f"{shown} is no more than {old:g}", where=key, remedy=f"It can be {growth.words}.")


def value_of(config: CampaignConfig, key: str) -> Any:
    """Return what a setting of :data:`GROWS` is; of the budget, what follows where it is not set."""
    if key == "stopping.label_budget":
        return config.label_budget
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def _amended(campaign: Campaign, amendment: Amendment) -> CampaignConfig:
    settings = with_amendments(campaign.config.model_dump(), [amendment])
    try:
        return CampaignConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(str(first["msg"]), where=".".join(map(str, first["loc"]))) from None


def _refuse_to_end_at_once(extended: Campaign) -> None:
    seen = Snapshot(extended)
    plan = next_plan(seen)
    reason = plan.reason if plan.status != "work" else ""
    if not reason and plan.units[0].step == "train_adapter" and num_labels(seen, plan.round) == 0:
        reason = "nothing is labelled, so there is nothing to train on"
    if reason:
        config = extended.config
        raise ConfigError(
            f"the campaign would end again at once: {reason}",
            where=extended.store.uri,
            remedy=f"It has asked for {num_asked(seen, num_collected(seen))} of at most {config.label_budget} labels "
            f"in {config.stopping.max_rounds} rounds: give it more (--rounds, --labels), or move what ended it: "
            f"--set KEY=VALUE with {', '.join(f'`{key}`' for key in GROWS)}.",
        )
