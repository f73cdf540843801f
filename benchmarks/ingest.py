"""Ingest: ten million short rows into a campaign, in constant memory; beside `datasets` on a million of them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import Clock, Measured, NotInstalledError, measure
from benchmarks.result import Row

SUMMARY = (
    "ingest_pool over JSON lines of some 90 bytes, 1 % of them duplicates: parsed, normalised, hashed, deduplicated, "
    "split, and written as shards. Two threads; CPU seconds of all threads and processes, and wall-clock seconds."
)
NOTES = (
    "`datasets` loads the same file and, with map and filter in two processes and in batches, normalises, hashes and "
    "deduplicates; it draws no splits and writes no shards. Row by row is our own path for what is not plain.",
)
PAIRED, LARGE = 1_000_000, 10_000_000
LABELS = ("billing", "delivery", "product", "account")
WORDS = (
    "order",
    "late",
    "where",
    "refund",
    "my",
    "the",
    "broken",
    "please",
    "card",
    "again",
    "café",
    '"quoted"',
    "password",
)


def write_rows(path: Path, num: int, block: int = 100_000) -> None:
    """Write JSON lines, a block at a time; every fiftieth row repeats an earlier one."""
    phrases = [" ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 5, 7, 11)) for number in range(len(WORDS))]
    escaped = [json.dumps(phrase, ensure_ascii=False)[:-1] for phrase in phrases]
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, num, block):
            numbers = (number // 2 if number % 50 == 49 else number for number in range(begin, min(begin + block, num)))
            file.writelines(
                f'{{"text": {escaped[one % len(WORDS)]} {one}", "label": "{LABELS[one % 4]}", "channel": "mail"}}\n'
                for one in numbers
            )


def ours(clock: Clock, folder: str, row_by_row: bool = False) -> dict[str, Any]:
    """Ingest the folder's rows; return counts and a digest of all ids."""
    from activelora.campaign.campaign import Campaign
    from activelora.config.file import parse_config
    from components.ingest_pool.step import run

    task = {"kind": "classification", "labels": LABELS, "prompt": "{text}\nTopic:"}
    data = {"folder": folder, "pool": {"path": "rows.jsonl"}, "holdout_size": 1000, "calibration_size": 500}
    config = parse_config({"name": "ingest", "task": task, "data": data}, where="benchmark")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        campaign = Campaign.create(f"{place}/campaign", config)
        with clock.running():
            manifest = run(campaign, 10**12) if row_by_row else run(campaign)
        names = sorted(name for name in manifest.files if name.startswith("pool/"))
        names += ["holdout.parquet", "calibration.parquet"]
        ids = (id_ for name in names for id_ in campaign.read_table(manifest, name)["item_id"].to_pylist())
        found = _digest(ids) if manifest.metrics["num_rows"] <= PAIRED else ""
    return {"rows": manifest.metrics["num_rows"], "duplicates": manifest.metrics["num_duplicates"], "ids": found}


def datasets(clock: Clock, folder: str) -> dict[str, Any]:
    """Load, map and filter with the `datasets` library; return counts and a digest of all ids."""
    import datasets

    from activelora.pool.content import as_text, item_id

    def identify(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        texts = [as_text(text, "", "") for text in batch["text"]]
        return {"text": texts, "item_id": [item_id({"text": text}, ()) for text in texts]}

    seen: set[str] = set()

    def is_new(ids: list[str]) -> list[bool]:
        return [not (id_ in seen or seen.add(id_)) for id_ in ids]  # type: ignore[func-returns-value]

    datasets.disable_progress_bars()
    with clock.running():
        rows = datasets.load_dataset(
            "json", data_files=f"{folder}/rows.jsonl", split="train", cache_dir=f"{folder}/cache"
        )
        mapped = rows.map(identify, batched=True, num_proc=2)
        items = mapped.filter(is_new, input_columns="item_id", batched=True)
    return {"rows": len(rows), "duplicates": len(rows) - len(items), "ids": _digest(items["item_id"])}


def run(repetitions: int) -> Iterator[Row]:
    """Compare on a million rows, then measure ten million."""
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder) / "rows.jsonl", PAIRED)
        for peer in ("datasets", "row by row"):
            try:
                yield _compared(peer, folder, repetitions)
            except NotInstalledError as error:
                print(f"left out: {peer}: {error}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, LARGE)
        found = measure("benchmarks.ingest:ours", threads=2, folder=folder)
        figures = _figures("our", found) | {
            "rows_per_second": LARGE / found.seconds,
            "file_gb": path.stat().st_size / 1e9,
        }
        agrees = found.value["rows"] == LARGE
        yield Row("10,000,000 rows", "", (), "all rows are there", agrees, figures, limits={"our_peak_gb": 2.0})


def _compared(peer: str, folder: str, repetitions: int) -> Row:
    pairs: list[tuple[Measured, Measured]] = []
    for number in range(repetitions):
        mine = measure("benchmarks.ingest:ours", threads=2, folder=folder)
        if peer == "datasets":
            place = Path(folder) / f"cached-{number}"  # it would find the last repetition's work in its cache
            place.mkdir()
            os.link(Path(folder) / "rows.jsonl", place / "rows.jsonl")
            theirs = measure("benchmarks.ingest:datasets", threads=2, folder=str(place))
        else:
            theirs = measure("benchmarks.ingest:ours", threads=2, folder=folder, row_by_row=True)
        pairs.append((mine, theirs))
    mine, theirs = pairs[-1]
    same = mine.value == theirs.value
    return Row(
        "1,000,000 rows",
        f"{peer} {importlib.metadata.version(peer)}" if peer == "datasets" else peer,
        tuple(other.cpu_seconds / own.cpu_seconds for own, other in pairs),
        "the same items" if same else f"{mine.value} and {theirs.value}",
        same,
        _figures("our", mine) | _figures("their", theirs),
    )


def _figures(whose: str, found: Measured) -> dict[str, float]:
    return {
        f"{whose}_cpu_seconds": found.cpu_seconds,
        f"{whose}_seconds": found.seconds,
        f"{whose}_peak_gb": found.peak_gb,
    }


def _digest(ids: Any) -> str:
    return hashlib.sha256("".join(sorted(ids)).encode()).hexdigest()
