"""What the report says about the people who label: how far they agree, round by round and each with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from activelora.campaign.history import RoundRecord
from activelora.campaign.snapshot import View, snapshot_of
from activelora.labeling.agreement import AGREEMENT_FILE


def annotators_of(campaign: View, records: Sequence[RoundRecord]) -> dict[str, Any] | None:
    """Return agreement by round, and each annotator's sums over all rounds; None if nobody's work can be compared."""
    seen, rounds = snapshot_of(campaign), list[dict[str, Any]]()
    totals: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record.labels is None or AGREEMENT_FILE not in record.labels.files:
            continue
        found = seen.json(record.labels, AGREEMENT_FILE)
        rounds.append({"round": record.round, **{name: value for name, value in found.items() if name != "annotators"}})
        for name, report in found["annotators"].items():
            totals.setdefault(name, []).append(report)
    if not rounds:
        return None
    return {"rounds": rounds, "rows": [_row(name, totals[name]) for name in sorted(totals)]}


def _row(name: str, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum an annotator's rounds; shares are means weighted by what they are shares of."""
    return {
        "name": name,
        "num_votes": sum(one["num_votes"] for one in reports),
        "num_skipped": sum(one["num_skipped"] for one in reports),
        "agreement": _mean(reports, "agreement", "num_judged"),
        "kappa": _mean(reports, "kappa", "num_shared"),
        "num_gold": sum(one["num_gold"] for one in reports),
        "gold_accuracy": _mean(reports, "gold_accuracy", "num_gold"),
    }


def _mean(reports: Sequence[dict[str, Any]], value: str, weight: str) -> float | None:
    known = [(one[weight], one[value]) for one in reports if one[value] is not None]
    total = sum(count for count, _ in known)
    return sum(count * share for count, share in known) / total if total else None
