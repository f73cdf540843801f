"""Random draws that join the holdout of a pool that grows: which items those are, and with which probability.

With ``data.holdout_refresh: exploration``, an item that came to the pool after the first reading and that exploration
drew belongs to the holdout from then on, and no round trains on it: not when its label comes late, and not when it is
asked for again. What exploration draws of the first reading's items is trained on: the first holdout stands for those.

The record is :data:`DRAWS`, beside each selection. Exploration draws n of the round's N candidates before the strategy
picks any, each subset alike, so that every candidate's inclusion probability is n/N, whatever the strategy prefers. It
is that of a candidate of the round: what had a label before was none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from activelora.campaign.labels import LabelSnapshot, label_snapshot
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.snapshot import View, snapshot_of
from activelora.errors import DataError

DRAWS = "draws.parquet"
"""A selection's random draws; only where ``acquisition.exploration`` is above 0."""
DRAW_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("refresh", pa.int64(), nullable=False),  # the refresh that brought the item; 0 is the first reading
        pa.field("inclusion_probability", pa.float64(), nullable=False),  # of every candidate of the round
        pa.field("num_candidates", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Draw:
    """A random draw that belongs to the holdout.

    Attributes:
        round: The round that drew it first.
        refresh: The refresh of the pool that brought it, from 1.
        probability: Its inclusion probability among that round's candidates, in (0, 1].
    """

    round: int
    refresh: int
    probability: float


def held_out_draws(campaign: View, before_round: int) -> tuple[dict[str, Draw], list[Manifest]]:
    """Return the draws of earlier rounds that belong to the holdout, labelled or not, and the selections that say so.

    Args:
        campaign: The campaign.
        before_round: Look only at rounds before this one.

    Raises:
        DataError: A selection was made by a version that did not record its draws.
    """
    if campaign.config.data.holdout_refresh == "never":
        return {}, []
    seen = snapshot_of(campaign)
    selections = [seen.require(Unit("select_batch", round_)) for round_ in range(before_round)]
    draws: dict[str, Draw] = {}
    for selection in selections:
        if DRAWS not in selection.files:
            raise DataError(
                f"the selection of round {selection.round} does not say with which probability its random draws were "
                "made, so that they cannot be weighted in the holdout",
                where=seen.store.uri,
                remedy="It was made by an earlier version. Begin a new campaign, or leave data.holdout_refresh out.",
            )
        for row in seen.table(selection, DRAWS).to_pylist():
            if row["refresh"] > 0:
                draw = Draw(selection.round, int(row["refresh"]), float(row["inclusion_probability"]))
                draws.setdefault(row["item_id"], draw)
    return draws, selections


def trained_snapshot(campaign: View, before_round: int) -> tuple[LabelSnapshot, list[Manifest]]:
    """Return the labels that a round trains on, all but the holdout's, and the selections that say which those are.

    Raises:
        DataError: See :func:`held_out_draws`.
        StoreError: One of the rounds has no labels yet, or its file is damaged.
    """
    snapshot = label_snapshot(campaign, before_round)
    draws, selections = held_out_draws(campaign, before_round)
    return without(snapshot, draws), selections


def without(snapshot: LabelSnapshot, held_out: Mapping[str, Draw]) -> LabelSnapshot:
    """Return a snapshot without the held-out items; the same one where it has none of them."""
    left_out = sorted(snapshot.labels.keys() & held_out.keys())
    if not left_out:
        return snapshot
    is_trained = pc.invert(pc.is_in(snapshot.records["item_id"], value_set=pa.array(left_out, type=pa.string())))
    identity = json.dumps([snapshot.digest, left_out])
    return replace(
        snapshot,
        records=snapshot.records.filter(is_trained),
        labels={item: label for item, label in snapshot.labels.items() if item not in held_out},
        shares={item: share for item, share in snapshot.shares.items() if item not in held_out},
        digest=hashlib.sha256(identity.encode()).hexdigest(),
    )
