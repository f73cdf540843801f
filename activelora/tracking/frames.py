"""A campaign as pandas tables, for notebooks: its learning curve, its scores, its labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import RoundRecord, read_history
from activelora.campaign.ledger import collected_round
from activelora.errors import StoreError
from activelora.evaluation.headline import Headline
from activelora.kinds.registry import headline_of, make_task
from activelora.labeling.exchange import LABEL_COLUMNS, export_labels

_LARGE = ("embedding", "difference", "log_probs")
"""Columns of score_pool that only strategies read."""


def curve(campaign: Campaign | str | Path) -> pd.DataFrame:
    """Return the learning curve: a row for every round that was evaluated.

    Columns: ``num_labels``, the labels that the round's adapter was trained on, then every number of the evaluation
    (``accuracy``, ``ece``, ``nll``, their intervals, ...), as the manifest names it. The index is the round. Before
    the first evaluation: no rows, and those columns that the report shows for this kind of task.

    Args:
        campaign: Campaign to read, or its URI.
    """
    campaign = _opened(campaign)
    evaluated = [record for record in read_history(campaign) if record.evaluation]
    rows = [{"num_labels": record.num_labels, **record.metrics} for record in evaluated]
    index = pd.Index([record.round for record in evaluated], name="round", dtype="int64")
    if not rows:
        names = _shown_metrics(headline_of(campaign.config))
        types = {"num_labels": "int64", **dict.fromkeys(names, "float64")}
        return pd.DataFrame(index=index, columns=list(types)).astype(types)
    return pd.DataFrame(rows, index=index)


def scores(campaign: Campaign | str | Path, round_: int | None = None) -> pd.DataFrame:
    """Return how uncertain a round's model was about each unlabelled item of the pool.

    Columns: every measure that was computed, ``mean_probs`` where answers exclude each other, and ``selected``, true
    for the items of the round's batch. The index is ``item_id``. A strategy that reads no scores leaves no measures.

    Args:
        campaign: Campaign to read, or its URI.
        round_: Round to read; None is the last one that was scored.

    Raises:
        StoreError: The pool was not scored in that round.
    """
    campaign = _opened(campaign)
    record = _scored(campaign, round_)
    tables = [campaign.read_table(manifest, "scores.parquet") for manifest in record.scoring]
    table = pa.concat_tables(
        [one.drop_columns([name for name in _LARGE if name in one.column_names]) for one in tables]
    )
    if "labeled" in table.column_names:
        table = table.filter(pc.invert(table["labeled"])).drop_columns(["labeled"])
    frame: pd.DataFrame = table.to_pandas(use_threads=False).set_index("item_id").sort_index()
    picked = (
        campaign.read_table(record.selection, "selection.parquet")["item_id"].to_pylist() if record.selection else []
    )
    return frame.assign(selected=frame.index.isin(picked))


def labels(campaign: Campaign | str | Path, before_round: int | None = None) -> pd.DataFrame:
    """Return the labels that a round trains on: what ``activelora labels export`` writes, a row an item.

    Columns: ``source_id``, a column ``fields.NAME`` for every column that the prompt names, ``choices`` where items
    have their own, ``label`` as people write it, ``annotator``, ``labeled_at``, ``source`` and ``num_votes``. The index
    is ``item_id``. In the file written as CSV, ``fields.NAME`` is called ``NAME``.

    Args:
        campaign: Campaign to read, or its URI.
        before_round: Round whose training labels are wanted; None is the newest that are known.

    Raises:
        StoreError: There is no such round, or an earlier one has no labels yet.
    """
    campaign = _opened(campaign)
    newest = collected_round(campaign, before_round)
    task = make_task(campaign.config.task)
    rows = [json.loads(line) for line in export_labels(campaign, newest, "jsonl").splitlines()]
    fields = [f"fields.{name}" for name in task.columns]
    columns = ["source_id", *fields, *["choices"] * task.kind.needs_choices, *LABEL_COLUMNS]
    nobody: dict[str, Any] = dict.fromkeys(["item_id", *fields, *LABEL_COLUMNS], "")
    nobody |= {"source_id": None, "choices": [], "labeled_at": "1970-01-01T00:00:00.000Z", "num_votes": 0}
    frame = pd.json_normalize(rows or [nobody]).set_index("item_id")[columns]  # pandas takes types from rows alone
    frame = frame.assign(labeled_at=pd.to_datetime(frame["labeled_at"], utc=True, format="ISO8601"))
    return frame if rows else frame.iloc[:0]


def _opened(campaign: Campaign | str | Path) -> Campaign:
    return Campaign.open(str(campaign), to_read=True) if isinstance(campaign, str | Path) else campaign


def _shown_metrics(headline: Headline) -> list[str]:
    names = list(dict.fromkeys([*(name for name, _ in headline.columns), headline.second[0]]))
    return [*names, *(f"{name}_{end}" for name in names for end in ("low", "high"))]


def _scored(campaign: Campaign, round_: int | None) -> RoundRecord:
    records = [record for record in read_history(campaign) if record.scoring]
    if round_ is None and records:
        return records[-1]
    for record in records:
        if record.round == round_:
            return record
    there = ", ".join(str(record.round) for record in records) or "none"
    raise StoreError(
        f"the pool was not scored in round {round_}" if round_ is not None else "the pool was not scored yet",
        where=campaign.store.uri,
        remedy=f"Name a round that was (there is: {there}), or move the campaign on.",
    )
