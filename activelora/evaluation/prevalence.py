"""How often each label is in the pool, estimated from what was drawn at random.

What a strategy picks does not stand for the pool: a search for a rare label finds it far too often. Random draws do:
exploration's share of a batch, and whole batches of `random`, the seed set among them, are n_t of the N_t unlabelled
items of round t, each subset alike, so that an item's inclusion probability is n_t / N_t and that of an item with a
label 1 (Horvitz and Thompson 1952). With P_t items that have the label among those labelled before, of M_t in all, and
x_t draws that have it, round t's estimate of the share is (P_t + N_t·x_t / n_t) / M_t, without bias whatever was picked
before. The rounds' mean, weighted by n_t·M_t / N_t, which is known before the draw, is

    share = (Σ n_t·P_t / N_t + Σ x_t) / Σ n_t·M_t / N_t.

It depends on the draws through their count Σ x_t alone, whose exact (Clopper and Pearson 1934) interval out of Σ n_t is
carried over; it is cut where labels that are known leave no room. It covers at least as often as it says, since draws
without replacement and of shares that differ between rounds vary less than it takes for granted. Of a pool that grows
it is the mean over the rounds' pools. Draws without a label are left out: if people skip hard ones, shares are off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from activelora.campaign.held_out import DRAWS
from activelora.campaign.labels import Record, label_records, resolve_for
from activelora.campaign.manifest import Manifest, Unit
from activelora.campaign.records import Label
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.intervals import exact_interval

MAX_SHOWN = 12


@dataclass(frozen=True)
class Draws:
    """A round's random draws that have a label.

    Attributes:
        num_known: M − N, items that had a label before.
        known_positive: P, those of them that have the label that is counted.
        num_candidates: N, unlabelled items that the draws were made from; at least 1.
        num: n, at least 1.
        num_positive: x, draws that have the label.
    """

    num_known: int
    known_positive: int
    num_candidates: int
    num: int
    num_positive: int


@dataclass(frozen=True)
class Prevalence:
    """A label's share of the pool.

    Attributes:
        share: The estimate, in [0, 1].
        low: Lower end of its interval.
        high: Upper end.
        num_drawn: Random draws that it rests on.
        num_positive: Those of them that have the label.
    """

    share: float
    low: float
    high: float
    num_drawn: int
    num_positive: int


def estimate(rounds: Sequence[Draws], level: float) -> Prevalence:
    """Return the share by the module's formula.

    Args:
        rounds: Draws of one or more rounds, in order.
        level: Confidence level, for example 0.95.
    """
    known = sum(one.num * one.known_positive / one.num_candidates for one in rounds)
    scale = sum(one.num * (one.num_known + one.num_candidates) / one.num_candidates for one in rounds)
    num, count = sum(one.num for one in rounds), sum(one.num_positive for one in rounds)
    low, high = exact_interval(count, num, level)
    last = rounds[-1]
    size = last.num_known + last.num_candidates
    least = (last.known_positive + last.num_positive) / size
    most = 1.0 - (last.num_known - last.known_positive + last.num - last.num_positive) / size
    share, low, high = ((known + value) / scale for value in (count, num * low, num * high))
    is_one_pool = len({one.num_known + one.num_candidates for one in rounds}) == 1
    if is_one_pool:
        low, high = min(max(low, least), most), max(min(high, most), least)
    return Prevalence(share, low, high, num, count)


def prevalence_of(campaign: View, label_names: Sequence[str]) -> dict[str, Prevalence]:
    """Return each label's share of the pool, by name; empty without random draws or labels that items share.

    Args:
        campaign: The campaign, as far as it has got.
        label_names: Names of the labels of which each item has one; empty for other tasks.
    """
    seen = snapshot_of(campaign)
    rounds = _rounds(seen) if label_names else []
    if not rounds:
        return {}
    records = label_records(seen, rounds[-1][0] + 1)
    labels = resolve_for(seen.config.labeling, records).labels
    level, found = seen.config.evaluation.confidence_level, dict[str, Prevalence]()
    counted = [_counted(seen, selection, labels, records[:round_]) for round_, selection in rounds]
    for answer, name in enumerate(label_names):
        draws = [
            Draws(sum(known.values()), known[answer], candidates, sum(drawn.values()), drawn[answer])
            for known, candidates, drawn in counted
            if drawn
        ]
        if draws:
            found[name] = estimate(draws, level)
    return found


def _rounds(seen: Snapshot) -> Sequence[tuple[int, Manifest]]:
    """Return the rounds that drew at random and whose labels have come, with their selections."""
    found = []
    round_ = 0
    while (selection := seen.manifest(Unit("select_batch", round_))) and seen.manifest(Unit("await_labels", round_)):
        drew = selection.details.get("strategy") == "random" or DRAWS in selection.files
        if drew and "num_known" not in selection.details and selection.metrics.get("num_candidates"):
            found.append((round_, selection))
        round_ += 1
    return found


def _counted(
    seen: Snapshot, selection: Manifest, labels: Mapping[str, Label], before: Sequence[list[Record]]
) -> tuple[Counter[Label], int, Counter[Label]]:
    """Return labels of items that had one before, the number of candidates, and labels of the draws."""
    is_random = selection.details.get("strategy") == "random"
    drawn = seen.table(selection, "selection.parquet" if is_random else DRAWS)["item_id"].to_pylist()
    known = {record["item_id"] for records in before for record in records}
    return (
        Counter(labels[item_id] for item_id in known if item_id in labels),
        int(selection.metrics["num_candidates"]),
        Counter(labels[item_id] for item_id in drawn if item_id in labels),
    )


def prevalence_document(campaign: View, label_names: Sequence[str]) -> dict[str, Any]:
    """Return the labels' shares, and a sentence that names the rarest first, ready for JSON; both may be empty.

    Args:
        campaign: The campaign, as far as it has got.
        label_names: Names of the labels of which each item has one; empty for other tasks.
    """
    found, level = prevalence_of(campaign, label_names), campaign.config.evaluation.confidence_level
    return {"labels": {name: asdict(one) for name, one in found.items()}, "sentences": _sentences(found, level)}


def _sentences(found: Mapping[str, Prevalence], level: float) -> list[str]:
    if not found:
        return []
    rarest = sorted(found.items(), key=lambda pair: pair[1].share)
    shown = [f"{name} {_percent(one.share)} ({_percent(one.low)} to {_percent(one.high)})" for name, one in rarest]
    more = f", and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    num = rarest[0][1].num_drawn
    drawn = "1 random draw" if num == 1 else f"{num} random draws"
    return [f"Labels' shares of the pool, by {drawn} ({level:.0%} intervals): {', '.join(shown[:MAX_SHOWN])}{more}."]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
