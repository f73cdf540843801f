"""What is in a campaign at one moment: listed once, read once, and handed down to everything that one command asks.

Functions that look at a campaign take a :data:`View`. Given a campaign, they look for themselves; given a snapshot,
they share one look with its other users.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import pyarrow as pa

from activelora.campaign.amendments import Amendment
from activelora.campaign.campaign import Campaign, stop_reason
from activelora.campaign.manifest import REFRESHES, Manifest, Unit
from activelora.campaign.store import Store
from activelora.campaign.tombstones import deleted_items
from activelora.config import CampaignConfig
from activelora.config.steps import STEPS

INGEST, ROUNDS = Unit("ingest_pool"), "rounds/"
NUM_READERS = 8
"""Manifests that are read at a time where there is one a shard."""
Thing = TypeVar("Thing")


class Snapshot:
    """What is done, what is asked and who answered, as of the first question after :meth:`refresh`.

    Each answer is looked up when it is first asked for, and remembered. What never changes, as manifests and tables of
    finished units, is remembered for good.

    Args:
        campaign: The campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._now: dict[Hashable, Any] = {}
        self._fixed: dict[str, Any] = {}

    @property
    def config(self) -> CampaignConfig:
        """The campaign's configuration."""
        return self.campaign.config

    @property
    def store(self) -> Store:
        """Where the campaign lives."""
        return self.campaign.store

    @property
    def amendments(self) -> tuple[Amendment, ...]:
        """The campaign's amendments."""
        return self.campaign.amendments

    def refresh(self) -> None:
        """Forget what may have changed: call it after a unit is done, or after some time has passed."""
        self._now.clear()

    @property
    def keys(self) -> frozenset[str]:
        """The keys of everything that lies in the rounds' folders: the one large listing."""
        return self.once("keys", lambda: frozenset(self.store.list(ROUNDS)))

    @property
    def done(self) -> frozenset[Unit]:
        """The units that have a manifest."""
        return self.once("done", self._done)

    @property
    def refreshes(self) -> frozenset[Unit]:
        """The refreshes of the pool that have a manifest: a small listing of its own."""
        return self.once("refreshes", lambda: frozenset(filter(None, map(unit_of, self.store.list(REFRESHES)))))

    @property
    def stop_reason(self) -> str | None:
        """Why the campaign ended, or None while it goes on."""
        return self.once("stop reason", lambda: stop_reason(self.campaign))

    @property
    def deleted(self) -> frozenset[str]:
        """The ids of all items that were deleted."""
        return self.once("deleted", lambda: deleted_items(self.store))

    def manifest(self, unit: Unit) -> Manifest | None:
        """Return the unit's manifest, or None where it was not done."""
        return self.require(unit) if unit in self.done else None

    def require(self, unit: Unit) -> Manifest:
        """Return the unit's manifest, as :meth:`Campaign.require`."""
        return self.campaign.require(unit)

    def require_all(self, units: Sequence[Unit]) -> tuple[Manifest, ...]:
        """Return the manifests of many units, in their order; several are read at a time."""
        with ThreadPoolExecutor(NUM_READERS) as threads:
            return tuple(threads.map(self.campaign.require, units))

    def table(self, manifest: Manifest, name: str) -> pa.Table:
        """Return a Parquet file of a finished unit. It is remembered: only for tables no larger than a batch."""
        return self._file(manifest, name, self.campaign.read_table)

    def json(self, manifest: Manifest, name: str) -> Any:
        """Return a JSON file of a finished unit, remembered likewise. Do not change it."""
        return self._file(manifest, name, self.campaign.read_json)

    def once(self, question: Hashable, answer: Callable[[], Thing]) -> Thing:
        """Return the answer to a question, looked up once until the next refresh.

        Args:
            question: Its name.
            answer: Looks it up.
        """
        if question not in self._now:
            self._now[question] = answer()
        return cast("Thing", self._now[question])

    def note(self, question: Hashable, answer: object) -> None:
        """Remember a newer answer to a question until the next refresh."""
        self._now[question] = answer

    def _file(self, manifest: Manifest, name: str, read: Callable[[Manifest, str], Thing]) -> Thing:
        key = f"{manifest.unit.prefix}/{manifest.attempt}/{name}"
        if key not in self._fixed:
            self._fixed[key] = read(manifest, name)
        return cast("Thing", self._fixed[key])

    def _done(self) -> frozenset[Unit]:
        found = {unit for key in self.keys if (unit := unit_of(key))}
        if self.store.exists(INGEST.manifest_key):
            found.add(INGEST)
            found |= self.refreshes
        return frozenset(found)


View = Campaign | Snapshot
"""A campaign, or what was seen of it already."""


def snapshot_of(view: View) -> Snapshot:
    """Return the snapshot that was handed down, or a new one of a campaign."""
    return view if isinstance(view, Snapshot) else Snapshot(view)


def unit_of(key: str) -> Unit | None:
    """Return the unit of a round, or the refresh of the pool, whose manifest lies under a key, or None."""
    match key.split("/"):
        case ["rounds", number, step, "manifest.json"] if number.isdecimal() and step in STEPS:
            return Unit(step, int(number))
        case ["rounds", number, "score_pool", shard, "manifest.json"] if number.isdecimal():
            if (index := shard.removeprefix("shard-")).isdecimal():
                return Unit("score_pool", int(number), int(index))
        case ["pool", refresh, "manifest.json"] if (number := refresh.removeprefix("refresh-")).isdecimal():
            return Unit("ingest_pool", int(number))
    return None
