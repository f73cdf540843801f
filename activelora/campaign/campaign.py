"""A campaign: its configuration, frozen where it matters, and the finished and running units under its URI."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from activelora.campaign.amendments import Amendment, stopped_key
from activelora.campaign.frozen import (
    CAMPAIGN_KEY,
    Completed,
    Frozen,
    mark_schema,
    newer_writer,
    parse_newer,
    read_frozen,
    read_manifest,
)
from activelora.campaign.keys import check_key
from activelora.campaign.manifest import FileEntry, Manifest, Unit
from activelora.campaign.migrations import SCHEMA_VERSION
from activelora.campaign.records import table_bytes, table_from
from activelora.campaign.store import Store, open_store
from activelora.campaign.tombstones import is_allowed
from activelora.code_version import code_version
from activelora.config import CampaignConfig
from activelora.config.file import config_difference, document_digest, with_changeable
from activelora.errors import ConfigError, StoreError
from activelora.seeding import derive_seed

logger = logging.getLogger(__name__)


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Campaign:
    """One task, one pool, one base model, one label budget, many rounds.

    Attributes:
        store: The store that holds it.
        config: Its configuration. What can change a result is frozen when it is created, and grows by amendments only;
            the rest (:data:`~activelora.config.file.CHANGEABLE`) is the caller's of :meth:`create`, or as stored by it
            the first time.
        schema_version: Schema of its ``campaign.json``; where a newer version has written in it, that one's.
        amendments: The amendments in ``config``, in order.
    """

    store: Store
    config: CampaignConfig
    schema_version: int = SCHEMA_VERSION
    amendments: tuple[Amendment, ...] = ()
    _seen: dict[Unit, Manifest] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def create(cls, uri: str, config: CampaignConfig, completed: Completed | None = None) -> Campaign:
        """Create the campaign, or open it if it is there with the same settings.

        ``campaign.json`` is written once. Settings that cannot change a result (resources, tracking, waiting times)
        may differ from it: this object then has the given ones, and what opens the campaign by its URI alone, as
        pods do, goes on with the stored ones. What a pod must know of its own resources its pipeline tells it.

        Args:
            uri: Its folder or S3 prefix.
            config: Its settings.
            completed: Fills in other packages' settings: they may have more than when the campaign began.

        Raises:
            ConfigError: A campaign is there that differs in a setting that can change a result.
            StoreError: The store cannot be used, or does not create objects exclusively.
        """
        store = open_store(uri)
        settings = config.model_dump(mode="json")
        document = {
            "schema_version": SCHEMA_VERSION,
            "config": settings,
            "digest": document_digest(settings),
            "created_at": utc_now(),
            "code_version": code_version(),
        }
        if store.create(CAMPAIGN_KEY, json.dumps(document, indent=1).encode()):
            _check_exclusive(store)
            return cls(store, config)
        frozen = read_frozen(store)
        there = cls._of(store, frozen)
        if not frozen.is_frozen_as(config, completed):
            raise ConfigError(
                f"a campaign with other settings is there already ({config_difference(there.config, config)})",
                where=store.uri,
                remedy="Its settings are frozen: give the new one another place with --campaign, or restore the file.",
            )
        return replace(there, config=with_changeable(there.config, config))

    @classmethod
    def open(cls, uri: str, *, to_read: bool = False) -> Campaign:
        """Open a campaign that is there, whichever version wrote it. No rule of today judges settings that are frozen.

        Args:
            uri: Its folder or S3 prefix.
            to_read: Nothing will be written: then also a campaign that a newer version has written opens, as far as
                this version knows its settings, and a warning names the others.

        Raises:
            StoreError: There is none, or its configuration was changed.
            NewerCampaignError: A newer version has written in it, and it was not opened to read.
        """
        store = open_store(uri)
        return cls._of(store, read_frozen(store), to_read=to_read)

    @classmethod
    def _of(cls, store: Store, frozen: Frozen, *, to_read: bool = False) -> Campaign:
        """Return the campaign with this configuration."""
        if newer := newer_writer(store, frozen):
            return cls(store, parse_newer(frozen, newer, to_read=to_read), newer.schema_version, frozen.amendments)
        return cls(store, frozen.parsed(), frozen.schema_version, frozen.amendments)

    @property
    def stopped_key(self) -> str:
        """The key of the record that the campaign has ended, as this object knows it."""
        return stopped_key(len(self.amendments))

    def seed(self, *parts: str | int) -> int:
        """Return the seed of one named draw of this campaign."""
        return derive_seed(self.config.seed, *parts)

    def manifest(self, unit: Unit) -> Manifest | None:
        """Return the unit's manifest, or None while it is not done; from memory if it was read before: none changes."""
        if known := self._seen.get(unit):
            return known
        try:
            content = self.store.read(unit.manifest_key)
        except KeyError:
            return None
        manifest = read_manifest(content, where=f"{self.store.uri}/{unit.manifest_key}")
        self._seen[unit] = manifest
        return manifest

    def require(self, unit: Unit) -> Manifest:
        """Return the unit's manifest.

        Raises:
            StoreError: The unit is not done.
        """
        if manifest := self.manifest(unit):
            return manifest
        raise StoreError(f"{unit} is not done yet", where=self.store.uri, remedy="Run the steps before it first.")

    def read_file(self, manifest: Manifest, name: str) -> bytes:
        """Return a file of a finished unit, checked against its digest.

        Raises:
            StoreError: The file is missing or not what the manifest says.
        """
        if name not in manifest.files:
            raise StoreError(f"{manifest.unit} has no file `{name}`", where=self.store.uri)
        entry = manifest.files[name]
        where = f"{self.store.uri}/{entry.key}"
        try:
            content = self.store.read(entry.key)
        except KeyError:
            raise StoreError("a file of a finished step is missing", where=where, remedy="Restore it.") from None
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry.sha256 and not is_allowed(self.store, entry.key, digest):
            raise StoreError(
                "the file's content is not what its manifest says",
                where=where,
                remedy="It was changed or damaged after it was written: restore it.",
            )
        return content

    def read_table(self, manifest: Manifest, name: str) -> pa.Table:
        """Return a Parquet file of a finished unit."""
        return table_from(self.read_file(manifest, name))

    def read_json(self, manifest: Manifest, name: str) -> Any:
        """Return a JSON file of a finished unit."""
        return json.loads(self.read_file(manifest, name))

    def download_folder(self, manifest: Manifest, prefix: str, target: Path) -> Path:
        """Write the unit's files whose names start with ``prefix/`` into a local folder, and return it."""
        for name in manifest.files:
            if name.startswith(f"{prefix}/"):
                path = target / check_key(name.removeprefix(f"{prefix}/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.read_file(manifest, name))
        return target

    def attempt(self, unit: Unit) -> Attempt:
        """Start an attempt at a unit."""
        return Attempt(self, unit)


@dataclass
class Attempt:
    """Files under a fresh folder, and the manifest that makes them count.

    Attributes:
        campaign: The campaign.
        unit: What is attempted.
        inputs: Manifests that were read; fill with :meth:`reads`.
    """

    campaign: Campaign
    unit: Unit
    attempt_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started_at: str = field(default_factory=utc_now)
    inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)

    def reads(self, manifest: Manifest) -> Manifest:
        """Record that the attempt depends on a finished unit, and return its manifest."""
        self.inputs[str(manifest.unit)] = manifest.digest
        return manifest

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        self.campaign.store.write(self._key(name), content)
        self._add(name, hashlib.sha256(content).hexdigest(), len(content))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file."""
        self.write(name, table_bytes(table))

    def write_json(self, name: str, document: Any) -> None:
        """Write a JSON file."""
        self.write(name, json.dumps(document, indent=1, sort_keys=True).encode())

    def upload(self, name: str, path: Path) -> None:
        """Write a file of any size from disk."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.campaign.store.upload(self._key(name), path)
        self._add(name, sha256, path.stat().st_size)

    def upload_folder(self, prefix: str, folder: Path) -> None:
        """Write all files of a local folder, named ``prefix/...``."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.upload(f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def commit(self, metrics: dict[str, float] | None = None, details: dict[str, Any] | None = None) -> Manifest:
        """Create the manifest, and return the one that counts: this attempt's, or that of a faster one.

        The files of an attempt that lost are removed. After an error they stay: the manifest may be there all the same.
        """
        manifest = Manifest(
            step=self.unit.step,
            round=self.unit.round,
            shard=self.unit.shard,
            attempt=self.attempt_id,
            files=self.files,
            inputs=self.inputs,
            seed=self.campaign.config.seed,
            schema_version=SCHEMA_VERSION,
            code_version=code_version(),
            started_at=self.started_at,
            finished_at=utc_now(),
            metrics=metrics or {},
            details=details or {},
        )
        content = manifest.model_dump_json(indent=1).encode()
        if self.campaign.schema_version < SCHEMA_VERSION:
            mark_schema(self.campaign.store)
        if self.campaign.store.create(self.unit.manifest_key, content):
            logger.info("%s done", self.unit)
            self.campaign._seen[self.unit] = manifest
            return manifest
        winner = self.campaign.manifest(self.unit)
        if winner is None:
            raise StoreError("the manifest vanished", where=f"{self.campaign.store.uri}/{self.unit.manifest_key}")
        if winner.attempt != self.attempt_id:
            logger.info("%s was already done by another attempt; using that", self.unit)
            for entry in self.files.values():
                self.campaign.store.delete(entry.key)
        return winner

    def _key(self, name: str) -> str:
        return f"{self.unit.prefix}/attempt-{self.attempt_id}/{name}"

    def _add(self, name: str, sha256: str, num_bytes: int) -> None:
        self.files[name] = FileEntry(key=self._key(name), sha256=sha256, num_bytes=num_bytes)


def stop_campaign(campaign: Campaign, reason: str, *, by_hand: bool = False) -> None:
    """Record why the campaign ended. The first reason stays, until an amendment lifts it.

    Args:
        campaign: The campaign.
        reason: Why, in words.
        by_hand: A person said so, not a rule of the campaign's.
    """
    document = {"reason": reason, "stopped_at": utc_now(), "by_hand": by_hand, "id": uuid.uuid4().hex}
    if campaign.store.create(campaign.stopped_key, json.dumps(document).encode()):
        logger.info("campaign ended: %s", reason)


def stop_reason(campaign: Campaign) -> str | None:
    """Return why the campaign ended, or None while it goes on."""
    try:
        return str(json.loads(campaign.store.read(campaign.stopped_key))["reason"])
    except KeyError:
        return None


def _check_exclusive(store: Store) -> None:
    """Refuse a store that overwrites where it should create: some S3 servers ignore ``If-None-Match``.

    Raises:
        StoreError: The store does so.
    """
    if store.create(CAMPAIGN_KEY, b""):
        store.delete(CAMPAIGN_KEY)
        raise StoreError(
            "the store replaced an object that it should only have created, so two runs could corrupt each other",
            where=store.uri,
            remedy="Use a server that honours If-None-Match: AWS S3, SeaweedFS, or a recent MinIO or Ceph.",
        )
