"""What labels and computing have cost so far, at the prices of the campaign file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from activelora.campaign.history import RoundRecord
from activelora.config.campaign import CampaignConfig
from activelora.tracking.report_words import duration

SECONDS_PER_HOUR = 3600.0


def costs_of(config: CampaignConfig, records: Sequence[RoundRecord]) -> dict[str, Any]:
    """Return how many answers and hours there were, and the sums where there are prices.

    Args:
        config: The campaign's settings.
        records: Its rounds.
    """
    prices = config.reporting.prices
    answers = sum(
        int(record.labels.metrics.get("num_votes", record.labels.metrics["num_labeled"]))
        for record in records
        if record.labels
    )
    seconds = sum(record.seconds for record in records)
    is_simulated, hourly, unit = config.labeling.source == "oracle", prices.computing_hour, prices.currency
    each = None if is_simulated else prices.label
    labels = None if each is None else answers * each
    computing = None if hourly is None else seconds / SECONDS_PER_HOUR * hourly
    sums = [cost for cost in (labels, computing) if cost is not None]
    missing = ["label"] * (each is None and not is_simulated) + ["computing_hour"] * (hourly is None)
    counted = f"{answers} answers" + (", simulated: nobody was asked" if is_simulated else "")
    return {
        "rows": [
            (counted, None if each is None else f"at {_money(each, unit)} each", _money(labels, unit)),
            (
                f"{duration(seconds)} of computing",
                None if hourly is None else f"at {_money(hourly, unit)} an hour",
                _money(computing, unit),
            ),
        ],
        "total": _money(sum(sums), unit) if sums else None,
        "missing": missing,
    }


def _money(amount: float | None, currency: str) -> str | None:
    return None if amount is None else f"{amount:,.2f} {currency}"
