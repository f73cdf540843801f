"""Where a campaign stands, and what a person can do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from activelora.campaign.history import RoundRecord
from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.campaign.manifest import Unit
from activelora.campaign.snapshot import Snapshot

BY_HAND = "stopped by hand"
"""How the reason begins where a person ended the campaign."""


@dataclass(frozen=True)
class State:
    """Where a campaign stands.

    Attributes:
        kind: ``finished``, ``stopped``, ``waiting`` or ``running``: the colour. Only an end that was planned, and left
            a model to use, is the green one.
        name: A word for it.
        text: A sentence, with the reason.
        next: What to do now, in words.
        commands: Commands that do it.
    """

    kind: str
    name: str
    text: str
    next: str
    commands: tuple[str, ...] = ()


def state_of(campaign: Snapshot, records: Sequence[RoundRecord], *, has_champion: bool) -> State:
    """Return the state.

    Args:
        campaign: The campaign.
        records: Its rounds.
        has_champion: Whether a round has passed the gates.
    """
    uri = shlex.quote(campaign.store.uri)
    if reason := campaign.stop_reason:
        return _ended(uri, f"The campaign ended: {reason}.", reason, records, has_champion)
    plan = next_plan(campaign)
    if plan.status == "stop":
        reason = plan.reason or ""
        return _ended(uri, f"The campaign is about to end: {reason}.", reason, records, has_champion)
    if waits_for_people(campaign, plan):
        wanted = int(campaign.require(Unit("select_batch", plan.round)).metrics["num_selected"])
        text = f"It waits for people: {wanted} items of round {plan.round} are to be labelled."
        what = "Label the items. The status says where they are and how many are answered; the tick takes them in."
        return State(
            "waiting", "Waiting for labels", text, what, (f"activelora status {uri}", f"activelora tick {uri}")
        )
    text = f"The next steps: {', '.join(str(unit) for unit in plan.units[:3])}."
    return State("running", "In progress", text, "Let it go on.", (f"activelora tick {uri}",))


def _ended(uri: str, text: str, reason: str, records: Sequence[RoundRecord], has_champion: bool) -> State:
    name, kind = "Finished", "finished" if has_champion else "stopped"
    if reason.startswith(BY_HAND):
        name, kind = "Stopped by hand", "stopped"
    elif any(record.labels is not None and record.labels.details.get("action") == "stop" for record in records):
        name, kind = "Stopped for want of labels", "stopped"
    elif not has_champion:
        name = "Finished without a champion"
    more = f"activelora extend {uri} --rounds 3" + " --resume" * reason.startswith(BY_HAND)
    if has_champion:
        what = "Use the champion on other items; if it is to be better, let the campaign go on with more labels."
        commands = (f"activelora predict {uri} INPUT --out FILE", more)
    else:
        what = (
            "There is no model to use. Look for labels that are probably wrong, let it go on with more labels, "
            "or begin another one with a larger base model or a clearer prompt."
        )
        commands = (f"activelora diagnose {uri}", more)
    return State(kind, name, text, what, commands)
