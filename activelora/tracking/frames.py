"""A campaign as pandas tables, for notebooks: its learning curve, its scores, its labels."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from activelora.campaign.campaign import Campaign
from activelora.campaign.history import RoundRecord, read_history
from activelora.campaign.ledger import num_collected
from activelora.errors import StoreError
from activelora.labeling.exchange import export_labels

_LARGE = ("embedding", "log_probs")
"""Columns of score_pool that only strategies read."""


def curve(campaign: Campaign) -> pd.DataFrame:
    """Return the learning curve: a row for every round that was evaluated.

    Columns: ``num_labels``, the labels that the round's adapter was trained on, then every number of the evaluation
    (``accuracy``, ``ece``, ``nll``, their intervals, ...), as the manifest names it. The index is the round.

    Args:
        campaign: Campaign to read.
    """
    evaluated = [record for record in read_history(campaign) if record.evaluation]
    rows = [{"num_labels": record.num_labels, **record.metrics} for record in evaluated]
    index = pd.Index([record.round for record in evaluated], name="round", dtype="int64")
    return pd.DataFrame(rows, index=index, columns=None if rows else ["num_labels"])


def scores(campaign: Campaign, round_: int | None = None) -> pd.DataFrame:
    """Return how uncertain a round's model was about each unlabelled item of the pool.

    Columns: every measure that was computed, ``mean_probs`` where answers exclude each other, and ``selected``, true
    for the items of the round's batch. The index is ``item_id``. A strategy that reads no scores leaves no measures.

    Args:
        campaign: Campaign to read.
        round_: Round to read; None is the last one that was scored.

    Raises:
        StoreError: The pool was not scored in that round.
    """
    record = _scored(campaign, round_)
    tables = [campaign.read_table(manifest, "scores.parquet") for manifest in record.scoring]
    table = pa.concat_tables(
        [one.drop_columns([name for name in _LARGE if name in one.column_names]) for one in tables]
    )
    if "labeled" in table.column_names:
        table = table.filter(pc.invert(table["labeled"])).drop_columns(["labeled"])
    frame: pd.DataFrame = table.to_pandas().set_index("item_id").sort_index()
    picked = (
        campaign.read_table(record.selection, "selection.parquet")["item_id"].to_pylist() if record.selection else []
    )
    return frame.assign(selected=frame.index.isin(picked))


def labels(campaign: Campaign, before_round: int | None = None) -> pd.DataFrame:
    """Return the labels that a round trains on, as ``activelora labels export`` writes them.

    Columns: ``source_id``, a column ``fields.NAME`` for every column that the prompt names, ``choices`` where items
    have their own, ``label`` as people write it, ``annotator``, ``labeled_at``, ``source`` and ``num_votes``. The index
    is ``item_id``.

    Args:
        campaign: Campaign to read.
        before_round: Round whose training labels are wanted; None is the newest that are known.

    Raises:
        StoreError: An earlier round has no labels yet.
    """
    newest = num_collected(campaign) if before_round is None else before_round
    rows = [json.loads(line) for line in export_labels(campaign, newest, "jsonl").splitlines()]
    if not rows:
        return pd.DataFrame({"label": []}, index=pd.Index([], name="item_id"))
    frame = pd.json_normalize(rows).set_index("item_id")
    if not frame["choices"].map(bool).any():
        frame = frame.drop(columns="choices")
    return frame.assign(labeled_at=pd.to_datetime(frame["labeled_at"], utc=True, format="ISO8601"))


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
