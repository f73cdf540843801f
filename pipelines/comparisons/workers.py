"""A comparison's campaigns in processes of their own (``pipelines.cli.compare_worker``), each on its device."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.ledger import finished_units
from activelora.comparison.sharing import share_beginning
from activelora.errors import ActiveLoRAError

LOG_NAME = "compare.log"
_POLL_SECONDS, _LEAVE_SECONDS = 0.3, 10.0


class ComparisonError(ActiveLoRAError):
    """A campaign of a comparison did not end."""


@dataclass
class Workers:
    """Runs campaigns in processes of their own.

    Attributes:
        left: The campaigns to run.
        donors: Campaigns whose beginning may be taken over.
        jobs: Number of campaigns at a time.
        devices: GPUs, as ``CUDA_VISIBLE_DEVICES`` names them; none leaves that to the processes.
    """

    left: Sequence[Campaign]
    donors: Sequence[Campaign]
    jobs: int
    devices: Sequence[str] = ()
    _running: dict[int, tuple[Campaign, subprocess.Popen[bytes]]] = field(default_factory=dict, init=False)
    _failed: list[Campaign] = field(default_factory=list, init=False)

    def rounds(self) -> Iterator[None]:
        """Run them all, yielding once a round that is measured. Closing the generator ends the processes.

        Raises:
            ComparisonError: A campaign failed. No other was begun after that; those that ran were finished.
        """
        waiting = deque(self.left)
        measured = {campaign.store.uri: rounds_measured(campaign) for campaign in self.left}
        try:
            while self._running or (waiting and not self._failed):
                for slot in range(self.jobs):
                    if slot not in self._running and waiting and not self._failed:
                        self._start(slot, waiting.popleft())
                time.sleep(_POLL_SECONDS)
                ended = [slot for slot, (_, process) in self._running.items() if process.poll() is not None]
                for campaign, _ in self._running.values():
                    now = rounds_measured(campaign)
                    yield from [None] * (now - measured[campaign.store.uri])
                    measured[campaign.store.uri] = now
                for slot in ended:
                    self._end(slot)
        finally:
            self._leave()
        if self._failed:
            logs = ", ".join(f"{campaign.store.uri}/{LOG_NAME}" for campaign in self._failed)
            raise ComparisonError(
                f"{len(self._failed)} of {len(self.left)} campaigns failed",
                where=logs,
                remedy="Fix the cause and run the same command again: what is done stays done.",
            )

    def _start(self, slot: int, campaign: Campaign) -> None:
        take_over(campaign, self.donors)
        environment = dict(os.environ)
        if self.devices:
            environment["CUDA_VISIBLE_DEVICES"] = self.devices[slot % len(self.devices)]
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.jobs)))
        command = [sys.executable, "-m", "pipelines.cli.compare_worker", campaign.store.uri, str(os.getpid())]
        with (Path(campaign.store.uri) / LOG_NAME).open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._running[slot] = (campaign, process)

    def _end(self, slot: int) -> None:
        campaign, process = self._running.pop(slot)
        if process.returncode != 0 or stop_reason(campaign) is None:
            self._failed.append(campaign)

    def _leave(self) -> None:
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            try:
                process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def rounds_measured(campaign: Campaign) -> int:
    """Return how many rounds have been evaluated."""
    return sum(unit.step == "evaluate_adapter" for unit in finished_units(campaign))


def take_over(campaign: Campaign, donors: Sequence[Campaign]) -> None:
    """Take over what others have done alike: a strategy that needs no scores has none to give, another may have."""
    for donor in donors:
        if donor is not campaign:
            share_beginning(campaign, donor)
