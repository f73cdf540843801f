"""Amendments: write-once records that let a campaign which has ended go on, with more of a few settings.

Each lifts one end: ``amendments/0001.json`` names the digest of the ``stopped.json`` that it lifts, and what grows. The
next end is ``stopped-0002.json``. Who has opened the campaign before an amendment goes on to see the end that was
lifted, and does nothing more; so no step is ever planned by two configurations at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activelora.campaign.store import Store
from activelora.config.file import document_digest
from activelora.errors import StoreError

FOLDER = "amendments/"
_KEY = re.compile(r"amendments/([0-9]{4,9})\.json")


@dataclass(frozen=True)
class Amendment:
    """What lets a campaign go on.

    Attributes:
        number: Its number, from 1.
        settings: Dotted key → value, for the settings that grow.
        lifts: The end that it lifts: its ``key``, ``sha256``, ``reason`` and ``stopped_at``.
        num_collected: Rounds that had their labels by then: what their waits decided ends the campaign no more.
        created_at: When, ISO 8601.
        code_version: Version of the code that wrote it.
    """

    number: int
    settings: Mapping[str, Any]
    lifts: Mapping[str, str]
    num_collected: int
    created_at: str
    code_version: str

    def document(self, schema_version: int, amendment_id: str) -> dict[str, Any]:
        """Return it ready for JSON.

        Args:
            schema_version: The schema in which it is written.
            amendment_id: Something that no other writer writes: see :meth:`Store.create`.
        """
        content = {
            "number": self.number,
            "settings": dict(self.settings),
            "lifts": dict(self.lifts),
            "num_collected": self.num_collected,
            "created_at": self.created_at,
            "code_version": self.code_version,
            "schema_version": schema_version,
            "id": amendment_id,
        }
        return {**content, "digest": document_digest(content)}


def stopped_key(num_amendments: int) -> str:
    """Return the key of the record that a campaign has ended, after this number of amendments."""
    return "stopped.json" if num_amendments == 0 else f"stopped-{num_amendments + 1:04d}.json"


def amendment_key(number: int) -> str:
    """Return the key of an amendment."""
    return f"{FOLDER}{number:04d}.json"


def read_amendments(store: Store) -> tuple[Amendment, ...]:
    """Return a campaign's amendments, in order.

    Raises:
        StoreError: One is missing, or was changed or damaged.
    """
    numbers = sorted(int(found[1]) for key in store.list(FOLDER) if (found := _KEY.fullmatch(key)))
    if numbers != list(range(1, len(numbers) + 1)):
        missing = next(number for number in range(1, len(numbers) + 1) if number not in numbers)
        where = f"{store.uri}/{amendment_key(missing)}"
        raise StoreError("an amendment of the campaign is missing", where=where, remedy="Restore it.")
    return tuple(_read(store, number) for number in numbers)


def with_amendments(settings: Mapping[str, Any], amendments: Sequence[Amendment]) -> dict[str, Any]:
    """Return settings with the amendments', the latest winning. What is given stays as it is."""
    result = dict(settings)
    for amendment in amendments:
        for key, value in amendment.settings.items():
            _set(result, key.split("."), value)
    return result


def amendments_in_words(amendments: Sequence[Amendment]) -> list[str]:
    """Return a sentence an amendment: when, what grew, and which end it lifted."""
    return [
        f"extended on {one.created_at[:10]}: {_settings_in_words(one)}; it had ended: {one.lifts['reason']}"
        for one in amendments
    ]


def _settings_in_words(amendment: Amendment) -> str:
    if not amendment.settings:
        return "resumed as it was"
    return ", ".join(f"{key} {'null' if value is None else value}" for key, value in amendment.settings.items())


def _set(section: dict[str, Any], path: Sequence[str], value: Any) -> None:
    first, *rest = path
    if not rest:
        section[first] = value
        return
    section[first] = dict(section.get(first) or {})
    _set(section[first], rest, value)


def _read(store: Store, number: int) -> Amendment:
    where = f"{store.uri}/{amendment_key(number)}"
    try:
        document = json.loads(store.read(amendment_key(number)))
        content = {name: value for name, value in document.items() if name != "digest"}
        if document["digest"] != document_digest(content) or document["number"] != number:
            raise ValueError
        return Amendment(
            number,
            {str(key): value for key, value in document["settings"].items()},
            {str(key): str(value) for key, value in document["lifts"].items()},
            int(document["num_collected"]),
            str(document["created_at"]),
            str(document["code_version"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise StoreError(
            "the amendment was changed or damaged after it was written", where=where, remedy="Restore it."
        ) from None
