"""Rows of a Hugging Face data set, streamed: ``hf://owner/name?split=train``."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from activelora.errors import ActiveLoRAError, DataError
from activelora.formats.problems import Problems, missing_column
from activelora.formats.row import Row, Wanted

_URI = re.compile(r"hf://(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:\?(?P<query>.*))?")
_OPTIONS = ("split", "config", "revision")
_TIMEOUT_SECONDS = "20"
_OFFLINE_REMEDY = (
    "Check the name, the network, HF_ENDPOINT and (for a private set) HF_TOKEN; "
    "or download it elsewhere and give the path of its files."
)


def read_hub(path: str, wanted: Wanted, problems: Problems) -> Iterator[Row]:
    """Yield the rows of a data set; nothing is kept on disk.

    Args:
        path: ``hf://owner/name``, and after a ``?`` any of ``split`` (train), ``config`` and ``revision``.
        wanted: The columns to read.
        problems: Collector of what is wrong, such as missing columns.

    Raises:
        DataError: The path cannot be read, ``datasets`` is not installed, or the hub does not answer.
    """
    name, options = _parse(path)
    load_dataset = _load_function(path)
    row = 0
    try:
        dataset = load_dataset(
            name,
            options.get("config"),
            split=options.get("split", "train"),
            revision=options.get("revision"),
            streaming=True,
        )
        for values in select_columns(dataset, wanted, path, problems):
            row += 1
            yield Row(values, path, row)
    except ActiveLoRAError:
        raise
    # The library raises many kinds: its own, the hub client's, the HTTP client's, and ValueError for a wrong split.
    except Exception as error:
        after = f" after {row} rows" if row else ""
        reason = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"the data set cannot be read{after}: {type(error).__name__}: {reason}",
            where=path,
            remedy=_OFFLINE_REMEDY,
        ) from error


def _parse(path: str) -> tuple[str, dict[str, str]]:
    match = _URI.fullmatch(path)
    options = dict(parse_qsl(match["query"] or "")) if match else {}
    unknown = sorted(set(options).difference(_OPTIONS))
    if match is None or unknown:
        what = f"does not know `{unknown[0]}`" if unknown else "is not the name of a data set"
        raise DataError(
            f"{what}; expected hf://owner/name?split=train, with {', '.join(_OPTIONS)} as options", where=path
        )
    return match["name"], options


def _load_function(path: str) -> Any:
    # Read by the client when it is imported; without them a silent hub holds a step up for minutes.
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", _TIMEOUT_SECONDS)
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", _TIMEOUT_SECONDS)
    try:
        import datasets
    except ImportError:
        raise DataError(
            "reading from the Hugging Face hub needs the package `datasets`",
            where=path,
            remedy="Install it: pip install 'activelora[hub]'.",
        ) from None
    datasets.config.STREAMING_READ_MAX_RETRIES = 3
    logging.getLogger("datasets").setLevel(logging.ERROR)
    return datasets.load_dataset


def select_columns(dataset: Any, wanted: Wanted, path: str, problems: Problems) -> Any:
    """Leave out columns that nobody asked for: images and audio would be decoded."""
    present = dataset.column_names
    if present is None:
        return dataset
    missing = wanted.missing(present)
    for column in missing:
        problems.add(missing_column(column, present, path))
    if missing:
        return ()
    return dataset.select_columns(wanted.found(present))
