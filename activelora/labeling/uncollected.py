"""Answers that have come and that no round has taken: what would be lost if the campaign ended now."""

from __future__ import annotations

from activelora.campaign.ledger import next_plan, waits_for_people
from activelora.campaign.snapshot import View, snapshot_of
from activelora.labeling import asking
from activelora.labeling.counting import count_answers
from activelora.labeling.files import FilesSource
from activelora.labeling.imports import with_imported
from activelora.labeling.registry import get_source
from activelora.labeling.request import Collected, Request, make_request, open_request

_SIMULATED = "oracle"
_IN_THE_CAMPAIGN = ("files", "terminal")
"""Sources whose answers can be looked at while no round waits for them."""


def num_uncollected(campaign: View) -> int:
    """Return about how many items have a new label that no round has collected, imported ones too.

    Looks into the label source. While no round waits, answers that lie elsewhere than in the inbox or the campaign are
    not looked for.

    Raises:
        ActiveLoRAError: The label source cannot be asked.
    """
    seen = snapshot_of(campaign)
    source, plan = seen.config.labeling.source, next_plan(seen)
    if source == _SIMULATED or plan.status != "work":
        return 0
    if waits_for_people(seen, plan):
        request = make_request(seen, plan.round)
        return _num_new(request, asking.collected(get_source(source), request))
    if plan.units[0].step == "ingest_pool":
        return 0
    request, answers = open_request(seen), Collected([], {}, [])
    if source in _IN_THE_CAMPAIGN:
        answers = count_answers(request, *FilesSource().read(seen.campaign))
    return _num_new(request, with_imported(request, answers))


def _num_new(request: Request, collected: Collected) -> int:
    corrected = collected.corrected(request.known, request.campaign.config.labeling)
    return collected.closed().num_labeled + len(corrected)
