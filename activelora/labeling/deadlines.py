"""When a round's wait ends, and when people are reminded of it: functions of the selection's time alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit


@dataclass(frozen=True)
class Deadlines:
    """The deadlines of one round's wait.

    Attributes:
        deadline: ``labeling.deadline_hours`` after the selection; None for never.
        end: The same, or later where ``labeling.on_deadline`` is ``extend``: the round ends then at the latest, unless
            it is ``wait``.
        reminders: Times at which the webhook is called, in ascending order.
    """

    deadline: datetime | None
    end: datetime | None
    reminders: tuple[datetime, ...] = ()

    def due(self, now: datetime) -> datetime | None:
        """Return the latest reminder whose moment has come, before the end; None if there is none."""
        past = [moment for moment in self.reminders if moment <= now]
        return past[-1] if past and self.end is not None and now < self.end else None

    def next_reminder(self, now: datetime) -> datetime | None:
        """Return the first reminder that is still to come."""
        return next((moment for moment in self.reminders if moment > now), None)


def deadlines_of(campaign: Campaign, round_: int) -> Deadlines:
    """Return the deadlines of a round that has its selection.

    Reminders come ``labeling.remind_hours`` before the deadline and, where that is extended, before the end; none
    of them twice, and none of the latter before the deadline.
    """
    config = campaign.config.labeling
    selected_at = datetime.fromisoformat(campaign.require(Unit("select_batch", round_)).finished_at)
    deadline = _after(selected_at, config.deadline_hours)
    if deadline is None:
        return Deadlines(None, None)
    end = deadline
    if config.on_deadline == "extend":
        extended = _after(deadline, config.deadline_extension_hours or config.deadline_hours)
        if extended is None:
            return Deadlines(deadline, None)
        end = extended
    reminders = {deadline - timedelta(hours=hours) for hours in config.remind_hours}
    if end > deadline:
        reminders |= {max(end - timedelta(hours=hours), deadline) for hours in config.remind_hours}
    return Deadlines(deadline, end, tuple(sorted(reminders)))


def shown(moment: datetime) -> str:
    """Return a moment for people."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _after(moment: datetime, hours: float | None) -> datetime | None:
    """Return the moment that is some hours later; None where there is none, or it is beyond the calendar."""
    if hours is None:
        return None
    try:
        return moment + timedelta(hours=hours)
    except OverflowError:
        return None
