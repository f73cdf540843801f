"""What ``activelora label`` puts before a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ConfigError
from activelora.labeling import asking
from activelora.labeling.answers import Answers
from activelora.labeling.llm.source import LLMSource
from activelora.labeling.registry import get_source
from activelora.labeling.request import Request, open_request

SOURCES = ("terminal", "files")
"""The sources that count what is labelled in a terminal."""


def asked_now(campaign: Campaign) -> Request:
    """Return what people are asked now; no items while no round waits for labels.

    Raises:
        ConfigError: The campaign's labels come from elsewhere.
    """
    name = campaign.config.labeling.source
    source = get_source(name)
    if isinstance(source, LLMSource):
        name = campaign.config.labeling.llm.people.source or name
    if name not in SOURCES:
        raise ConfigError(
            f"labels come from `{name}`, which does not count what is labelled in a terminal",
            where=campaign.store.uri,
            remedy=f"labeling.source can be: {', '.join(SOURCES)}.",
        )
    request = open_request(campaign)
    return source.for_people(request) if isinstance(source, LLMSource) else request


def asked_of(request: Request, annotator: str) -> Request:
    """Return what one of the annotators is asked: adjudicators what the others could not decide, the others the rest.

    An adjudicator's answer overrules all others, so nobody should give one by the way.
    """
    labeling = request.campaign.config.labeling
    if not labeling.adjudicators:
        return request
    collected = asking.collected(get_source(labeling.source), request)
    if annotator not in labeling.adjudicators:
        reasons = {one: why for one, why in request.reasons.items() if collected.states[one] != "adjudication"}
        return replace(request, reasons=reasons)
    return replace(
        request, gold={}, reasons={one: f"answers so far: {said}" for one, said in collected.disputes.items()}
    )


def answered_by(request: Request, annotator: str) -> dict[str, str]:
    """Return item id → ``labeled`` or ``skipped``, as one annotator answered in earlier sessions of this round.

    What was answered before the round asked is not among it: the item is asked again, since that did not decide.
    """
    asked_at = request.campaign.require(Unit("select_batch", request.round)).finished_at
    since = datetime.fromisoformat(asked_at)
    answers, _ = Answers(request.campaign).read()
    own = [one for one in answers if one.annotator == annotator and one.labeled_at and one.labeled_at >= since]
    return {one.item_id: "skipped" if one.skipped else "labeled" for one in own}
