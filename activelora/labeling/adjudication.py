"""What adjudicators have to decide, as a worksheet."""

from __future__ import annotations

from dataclasses import replace

from activelora.labeling.request import Collected, Request
from activelora.labeling.worksheet import folder_of, to_label_csv


def adjudication_key(round_: int) -> str:
    """Return the key of a round's worksheet for adjudicators."""
    return f"{folder_of(round_)}/to_adjudicate.csv"


def adjudication_uri(request: Request) -> str:
    """Return where the adjudicators find what they have to decide."""
    return f"{request.campaign.store.uri}/{adjudication_key(request.round)}"


def write_adjudication(request: Request, collected: Collected) -> None:
    """List what adjudicators have to decide now, with the answers so far as the reason; empty it when all is decided.

    Read by people only. Several ticks may write it at once: each writes the whole of what it saw.
    """
    store, key = request.campaign.store, adjudication_key(request.round)
    if collected.disputes or store.exists(key):
        order = sorted(collected.disputes, key=lambda item_id: (item_id not in request.reasons, item_id))
        reasons = {item_id: f"answers so far: {collected.disputes[item_id]}" for item_id in order}
        store.write(key, to_label_csv(replace(request, reasons=reasons, gold={})))
