"""Seeded draws over item ids. They depend on the seed and the items, never on the order of rows."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterable, Mapping

from activelora.config import CampaignConfig
from activelora.errors import DataError
from activelora.seeding import item_draw


def draw(ids: Iterable[str], size: int, seed: int) -> list[str]:
    """Return a uniform random subset of ``size`` ids (all, if there are fewer), ordered by their draw."""
    return heapq.nsmallest(size, ids, key=lambda item_id: (item_draw(seed, item_id), item_id))


def draw_first(ids: Iterable[str], size: int, seed: int, *first: Container[str]) -> list[str]:
    """Return a random subset as :func:`draw` does, of some items before all others.

    Args:
        ids: The items.
        size: How many to draw.
        seed: The draw's seed.
        first: Items that are drawn first, then those that are drawn next, and so on.
    """
    left, chosen = list(ids), list[str]()
    for group in first:
        chosen += draw((one for one in left if one in group), size - len(chosen), seed)
        left = [one for one in left if one not in group]
    return chosen + draw(left, size - len(chosen), seed)


def stratified(labels: Mapping[str, int], size: int, seed: int) -> frozenset[str]:
    """Return a random subset of ``size`` ids whose label shares are those of the whole, as nearly as can be.

    Every label gets the whole part of its exact share; the places left go to the largest remainders (equal ones:
    to the label with the smaller number). Within a label, the draw decides.

    Args:
        labels: Id to label, at least ``size`` of them.
        size: How many to draw.
        seed: The draw's seed.
    """
    quotas = largest_remainder(Counter(labels.values()), size)
    ids_of: dict[int, list[str]] = {label: [] for label in quotas}
    for item_id, label in labels.items():
        ids_of[label].append(item_id)
    return frozenset(item_id for label, quota in quotas.items() for item_id in draw(ids_of[label], quota, seed))


def largest_remainder(counts: Mapping[int, int], size: int) -> dict[int, int]:
    """Split ``size`` places over labels in proportion to their counts; no label gets more than it has."""
    total = sum(counts.values()) or 1
    quotas = {label: size * count // total for label, count in sorted(counts.items())}
    by_remainder = sorted(quotas, key=lambda label: (-(size * counts[label] % total), label))
    for label in by_remainder[: size - sum(quotas.values())]:
        quotas[label] += 1
    return quotas


def too_few(config: CampaignConfig, num_items: int, num_labels: int) -> DataError:
    """Return the problem of a pool that is too small to split off holdout and calibration."""
    data = config.data
    return DataError(
        f"{num_items} different items, {num_labels} of them with a label, are too few to split off a holdout of "
        f"{data.holdout_size} and a calibration split of {data.calibration_size} and leave a pool",
        where=data.pool.path,
        remedy="Give labelled rows as `data.holdout`, or lower `data.holdout_size` or `data.calibration_size`.",
    )


def nothing_left(config: CampaignConfig, num_items: int) -> DataError:
    """Return the problem of a pool all of whose items are in the holdout."""
    return DataError(
        f"nothing is left in the pool: all of its {num_items} different items are in the holdout too",
        where=config.data.pool.path,
        remedy="Give `data.pool` other rows than `data.holdout`, or leave `data.holdout` out.",
    )
