"""What every task has: its log, its campaign, and the words that each line of its log carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from components.task_log import TaskLog, task_log


class Task:
    """A task that runs.

    Args:
        log: Log that takes its lines.
        campaign_uri: The campaign.
        unit: The unit beside whose manifest the log is kept; None for a task that has none.
        keeps_log: Whether that begins as soon as the campaign is open; else :meth:`keep_log` begins it.
    """

    def __init__(self, log: TaskLog, campaign_uri: str, unit: Unit | None, *, keeps_log: bool) -> None:
        self._log = log
        self._campaign_uri = campaign_uri
        self._unit = unit
        self._keeps_log = keeps_log

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign, opened when it is first asked for: some tasks have something to do even where it is gone."""
        campaign = Campaign.open(self._campaign_uri)
        if self._keeps_log and self._unit is not None:
            self._log.keep_in(campaign, self._unit)
        return campaign

    def keep_log(self) -> None:
        """Keep the log beside the unit's manifest from now on: of several processes only one does."""
        if self._unit is not None:
            self._log.keep_in(self.campaign, self._unit)


@contextmanager
def task(step: str, campaign_uri: str, unit: Unit | None = None, *, keeps_log: bool = True) -> Iterator[Task]:
    """Run a task: logged, and with exit code 1 and plain words where it fails (:func:`~components.task_log.task_log`).

    Args:
        step: The step's name.
        campaign_uri: The campaign.
        unit: The unit of work, where there is one.
        keeps_log: Whether the log is kept as soon as the campaign is open, see :class:`Task`.
    """
    with task_log(step, campaign_uri, None if unit is None else unit.round) as log:
        yield Task(log, campaign_uri, unit, keeps_log=keeps_log)
