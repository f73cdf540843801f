"""What a campaign's store says of itself: its frozen configuration, and which version has written in it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activelora.campaign.amendments import Amendment, read_amendments, with_amendments
from activelora.campaign.manifest import Manifest
from activelora.campaign.migrations import (
    MANIFESTS,
    SCHEMA_VERSION,
    SETTINGS,
    as_it_was,
    migrated,
    without_old_defaults,
)
from activelora.campaign.store import Store
from activelora.code_version import code_version
from activelora.config import CampaignConfig
from activelora.config.file import config_digest, document_digest, parse_config, without_unknown
from activelora.errors import ActiveLoRAError, StoreError

CAMPAIGN_KEY = "campaign.json"
_SCHEMA_PREFIX = "schema-"
_MARKER = re.compile(r"schema-([0-9]{4,9})\.json")
_UPGRADE = "Upgrade ActiveLoRA, in a cluster its image, to that version or newer."
logger = logging.getLogger(__name__)
Completed = Callable[[CampaignConfig], CampaignConfig]
"""Returns settings with today's defaults where a part of another package has more settings than they name."""


class NewerCampaignError(ActiveLoRAError):
    """A newer version has written in the campaign, and this one would not understand all of it."""


@dataclass(frozen=True)
class Frozen:
    """The content of ``campaign.json``, and the amendments to it.

    Attributes:
        settings: The configuration as it was written.
        schema_version: Says how it is read; 0 where the file says nothing.
        code_version: Version of the code that created the campaign.
        where: The file's URI.
        amendments: What was amended since, in order.
    """

    settings: dict[str, Any]
    schema_version: int
    code_version: str
    where: str
    amendments: tuple[Amendment, ...] = ()

    def parsed(self) -> CampaignConfig:
        """Return the settings as today's schema has them, amended. Rules between settings are not asked.

        Where a setting was not there yet, this is what the code of its time did.

        Raises:
            ProblemsError: They are not what the schema of their version allows.
        """
        return self._parse(as_it_was(self._migrated(), self.schema_version), self.amendments)

    def original(self) -> CampaignConfig:
        """Return the same without the amendments: what the campaign began with."""
        return self._parse(as_it_was(self._migrated(), self.schema_version), ())

    def _migrated(self) -> dict[str, Any]:
        return migrated(self.settings, self.schema_version, SETTINGS)

    def _parse(self, settings: dict[str, Any], amendments: tuple[Amendment, ...]) -> CampaignConfig:
        return parse_config(with_amendments(settings, amendments), where=self.where, is_frozen=True)

    def is_frozen_as(self, config: CampaignConfig, completed: Completed | None = None) -> bool:
        """Tell whether a file's settings are those of the campaign, but for the changeable ones.

        A file says nothing of a setting that was not there when the campaign began, or that had another default: then
        today's default is no change. It may say what the campaign began with, or what an
        amendment has made of it.

        Args:
            config: Settings of the file.
            completed: Fills in other packages' settings, as was done with the file's; None where there are none.
        """
        settings = self._migrated()
        sides = (
            as_it_was(settings, self.schema_version),
            settings,
            without_old_defaults(settings, self.schema_version),
        )
        times = ((), self.amendments) if self.amendments else ((),)
        frozen = [self._parse(settings, amendments) for settings in sides for amendments in times]
        wanted = config_digest(config)
        return wanted in map(config_digest, frozen) or (
            completed is not None and wanted in (config_digest(completed(one)) for one in frozen)
        )


@dataclass(frozen=True)
class Newer:
    """Who has written in a schema that this code does not know.

    Attributes:
        schema_version: The newest schema that was written.
        code_version: The version and commit of the code.
    """

    schema_version: int
    code_version: str


def read_frozen(store: Store) -> Frozen:
    """Return a campaign's frozen configuration, checked against its digest.

    Raises:
        StoreError: There is none, or it was changed or damaged.
    """
    try:
        content = store.read(CAMPAIGN_KEY)
    except KeyError:
        raise StoreError(
            "there is no campaign here", where=store.uri, remedy="`activelora run FILE` creates one."
        ) from None
    where = f"{store.uri}/{CAMPAIGN_KEY}"
    try:
        document = json.loads(content)
        settings, version = document["config"], document.get("schema_version", 0)
        intact = document["digest"] == document_digest(settings) and isinstance(version, int) and version >= 0
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise StoreError(
            "the frozen configuration was changed or damaged after the campaign began",
            where=where,
            remedy="Restore it, or begin a new campaign with the settings you want.",
        )
    return Frozen(settings, version, str(document.get("code_version", "")), where, read_amendments(store))


def newer_writer(store: Store, frozen: Frozen) -> Newer | None:
    """Return who has written in a schema that this code does not know; None if nobody has."""
    if frozen.schema_version > SCHEMA_VERSION:
        return Newer(frozen.schema_version, frozen.code_version)
    newest = max((int(found[1]) for key in store.list(_SCHEMA_PREFIX) if (found := _MARKER.fullmatch(key))), default=0)
    if newest <= SCHEMA_VERSION:
        return None
    try:
        writer = str(json.loads(store.read(f"{_marker(newest)}.json"))["code_version"])
    except (ValueError, KeyError, TypeError):  # damaged: its name says what matters
        writer = "of an unknown version"
    return Newer(newest, writer)


def mark_schema(store: Store) -> None:
    """Record that this schema was written into a campaign of an older one. Once: the first record stays."""
    record = {"schema_version": SCHEMA_VERSION, "code_version": code_version()}
    store.create(f"{_marker(SCHEMA_VERSION)}.json", json.dumps(record).encode())


def parse_newer(frozen: Frozen, newer: Newer, *, to_read: bool) -> CampaignConfig:
    """Return what this version understands of a campaign in which a newer one has written, and warn of the rest.

    Args:
        frozen: The campaign's configuration.
        newer: Who has written in it.
        to_read: Nothing will be written.

    Raises:
        NewerCampaignError: It was opened to be written, or its settings cannot be understood without the unknown ones.
    """
    version = min(frozen.schema_version, SCHEMA_VERSION)
    settings = as_it_was(migrated(frozen.settings, version, SETTINGS), version)
    known, unknown = without_unknown(with_amendments(settings, frozen.amendments))
    names = f", with settings that it does not know: {', '.join(unknown)}" if unknown else ""
    text = (
        f"ActiveLoRA {newer.code_version} has written in this campaign (schema {newer.schema_version}; this is "
        f"{code_version()}, schema {SCHEMA_VERSION}){names}"
    )
    if not to_read:
        raise NewerCampaignError(f"{text}; nothing was written", where=frozen.where, remedy=_UPGRADE)
    try:
        config = parse_config(known, where=frozen.where, is_frozen=True)
    except ActiveLoRAError as error:
        raise NewerCampaignError(f"{text}; {error}", where=frozen.where, remedy=_UPGRADE) from None
    logger.warning("%s. What is shown may lack what is new. %s", text, _UPGRADE)
    return config


def read_manifest(content: bytes, *, where: str) -> Manifest:
    """Return a manifest of any version.

    Args:
        content: The object's content.
        where: Its URI, for messages.

    Raises:
        NewerCampaignError: A newer version wrote it, and it cannot be understood.
        StoreError: It is no manifest.
    """
    version = 0
    try:
        document = json.loads(content)
        version = int(document.get("schema_version", 0))
        if version <= SCHEMA_VERSION:
            document = migrated(document, version, MANIFESTS)
        return Manifest.model_validate(document)
    except (ValueError, TypeError, AttributeError):  # pydantic's and json's errors are ValueErrors
        if version > SCHEMA_VERSION:
            text = f"is a manifest of schema {version}, and this version reads up to {SCHEMA_VERSION}"
            raise NewerCampaignError(text, where=where, remedy=_UPGRADE) from None
        raise StoreError(
            "is not a manifest",
            where=where,
            remedy="It was changed or damaged after it was written: restore it.",
        ) from None


def _marker(version: int) -> str:
    return f"{_SCHEMA_PREFIX}{version:04d}"
