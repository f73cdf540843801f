"""Where a result comes from: files with their digests, versions, dates and who answers for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from activelora.campaign.amendments import amendments_in_words
from activelora.campaign.frozen import CAMPAIGN_KEY
from activelora.campaign.history import RoundRecord
from activelora.campaign.snapshot import INGEST, Snapshot
from activelora.config import CampaignConfig
from activelora.config.file import config_digest
from activelora.tracking.report_words import size

MAX_FILES = 40


def provenance_of(
    campaign: Snapshot, records: Sequence[RoundRecord], headline: RoundRecord | None
) -> list[tuple[str, str]]:
    """Return names and values, in the order in which a reader asks.

    Args:
        campaign: The campaign.
        records: Its rounds.
        headline: The round that the report is about.
    """
    config, store = campaign.config, campaign.store
    frozen: dict[str, Any] = json.loads(store.read(CAMPAIGN_KEY))
    versions = sorted({version for record in records for version in record.code_versions})
    revision = f" @ {config.model.revision}" if config.model.revision else ""
    rows = [
        ("Owner", config.reporting.owner or ""),
        ("Campaign folder", store.uri),
        ("Created", f"{_minute(frozen['created_at'])} by version {frozen['code_version']}"),
        ("Rounds", _span(records)),
        ("Configuration digest", config_digest(config)),
        ("Base model", config.model.base + revision),
        ("NLI model", _nli_model(config)),
        *(("Amendment", words) for words in amendments_in_words(campaign.amendments)),
        ("Seed", str(config.seed)),
        ("ActiveLoRA version", ", ".join(versions) or "no step has run yet"),
        *_adapters(store.uri, headline),
    ]
    return [(name, value) for name, value in rows if value]


def _nli_model(config: CampaignConfig) -> str:
    nli = config.scoring.nli
    return "" if nli is None else nli.model + (f" @ {nli.revision}" if nli.revision else "")


def source_files_of(campaign: Snapshot) -> dict[str, Any] | None:
    """Return the data files that were read, with size and sha256; None before, and of older versions' campaigns."""
    ingest = campaign.manifest(INGEST)
    if ingest is None:
        return None
    found = ingest.details.get("sources")
    if found is None:
        return {"rows": [], "num_hidden": 0, "read_at": _minute(ingest.finished_at)}
    rows = [{**one, "size": size(one["num_bytes"])} for one in found[:MAX_FILES]]
    return {"rows": rows, "num_hidden": max(0, len(found) - MAX_FILES), "read_at": _minute(ingest.finished_at)}


def _adapters(uri: str, headline: RoundRecord | None) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if headline is None or headline.training is None:
        return rows
    for name, adapter in sorted(headline.training.files.items()):
        if name.endswith("/adapter_model.safetensors"):
            member = name.removeprefix("adapter").removesuffix("adapter_model.safetensors").strip("/")
            called = f"Adapter of round {headline.round}{f', {member}' if member else ''}"
            rows.append((called, f"{uri}/{adapter.key}"))
            rows.append((f"Adapter sha256{f', {member}' if member else ''}", adapter.sha256))
    return rows


def _span(records: Sequence[RoundRecord]) -> str:
    starts = [manifest.started_at for record in records for manifest in record.steps]
    if not starts:
        return ""
    return f"{_minute(min(starts))} to {_minute(max(record.finished_at for record in records))}"


def _minute(time: str) -> str:
    """Return an ISO 8601 time in UTC to the minute."""
    return f"{time[:16].replace('T', ' ')} UTC"
