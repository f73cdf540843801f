"""The ``llm`` source: a model labels, within a spending cap, and people label what the rule gives them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from activelora.labeling.cache import CampaignCache
from activelora.labeling.counting import count_answers
from activelora.labeling.inbox import Answer
from activelora.labeling.llm.asking import Asking, reserve_of
from activelora.labeling.llm.ledger import FOLDER, Ledger
from activelora.labeling.llm.verdict import Verdict, judge, why_people
from activelora.labeling.request import Collected, Rejected, Request, State
from activelora.labeling.source import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LLMSource:
    """Labels from a model behind an OpenAI-compatible endpoint, and from people where the model cannot be trusted.

    Attributes:
        find: Returns a label source by its name, for the people's part.
    """

    find: Callable[[str], Source]
    name: str = "llm"
    summary: str = "a model behind an OpenAI-compatible endpoint, with a spending cap, mixed with people by rule"
    _ledgers: CampaignCache[Ledger] = field(default_factory=lambda: CampaignCache(Ledger), repr=False, compare=False)

    def publish(self, request: Request) -> None:
        """Ask the model about every item that it has not answered; then people, about those that are theirs.

        What people label is settled once, when the model is through, and never changes after.
        """
        config = request.campaign.config.labeling.llm
        ledger = self._ledger(request)
        theirs = _routed(request)
        ended = ""
        if theirs is None:
            verdicts = self._verdicts(request, ledger)
            left = [request.items[one] for one, verdict in verdicts.items() if verdict.state == "waiting"]
            if left:
                asking = Asking(request, ledger)
                asking.run(left)
                ended = asking.ended
                verdicts = self._verdicts(request, ledger)
                logger.info("%s", self._summary(request, ledger, verdicts))
            is_open = any(verdict.state == "waiting" for verdict in verdicts.values())
            if config.people.source is None or (is_open and ended != "capped"):
                return
            theirs = _route(request, _people(request, verdicts, is_capped=ended == "capped"))
        if config.people.source is not None and theirs:
            self.find(config.people.source).publish(_for_people(request, theirs))

    def collect(self, request: Request) -> Collected:
        """Return the model's labels, and the people's for the items that are theirs."""
        config = request.campaign.config.labeling.llm
        verdicts = self._verdicts(request, self._ledger(request))
        routed = _routed(request)
        theirs = _people(request, verdicts, is_capped=False) if routed is None else routed
        own = _count(request, {one: verdict for one, verdict in verdicts.items() if one not in theirs})
        if config.people.source is None:
            return own
        if routed is None:  # they are asked when the model is through
            asked: dict[str, State] = dict.fromkeys(theirs, "in_progress")
            return replace(own, states=_in_order(request, {**own.states, **asked}))
        return _merge(request, own, self.find(config.people.source).collect(_for_people(request, theirs)))

    def instructions(self, request: Request) -> str:
        """Return how far the model is, what it cost, whether a cap stops it, and what people have to do."""
        config = request.campaign.config.labeling.llm
        ledger = self._ledger(request)
        verdicts = self._verdicts(request, ledger)
        text = self._summary(request, ledger, verdicts)
        if (theirs := _routed(request)) and config.people.source is not None:
            people = _for_people(request, theirs)
            text += f"; {len(theirs)} items for people: {self.find(config.people.source).instructions(people)}"
        return text

    def for_people(self, request: Request) -> Request:
        """Return what people are asked of a request; nothing until the model is through."""
        return _for_people(request, _routed(request) or {})

    def _summary(self, request: Request, ledger: Ledger, verdicts: dict[str, Verdict]) -> str:
        config = request.campaign.config.labeling.llm
        num_left = sum(verdict.state == "waiting" for verdict in verdicts.values())
        text = (
            f"llm:{config.model} has answered {len(verdicts) - num_left} of {len(verdicts)} items, "
            f"{ledger.spent:.4g} of {config.max_cost or 0:.4g} spent in {ledger.num_requests} requests"
        )
        if num_left and _is_capped(request, ledger):
            return f"{text}; the spending cap stops it (labeling.llm.max_cost, max_requests): raise it to go on"
        return f"{text}; the next tick asks the rest" if num_left else text

    def _ledger(self, request: Request) -> Ledger:
        ledger = self._ledgers.of(request.campaign)
        ledger.refresh()
        return ledger

    def _verdicts(self, request: Request, ledger: Ledger) -> dict[str, Verdict]:
        num_votes = request.campaign.config.labeling.llm.votes
        return {
            item_id: judge(request.task, request.items[item_id], ledger.done(item_id), num_votes)
            for item_id in request.reasons
        }


def _is_capped(request: Request, ledger: Ledger) -> bool:
    """Tell whether the shortest possible request would exceed the caps."""
    least = min((reserve_of(request, request.items[item_id]) for item_id in request.reasons), default=0.0)
    return not ledger.has_room(least, 1)


def _people(request: Request, verdicts: dict[str, Verdict], *, is_capped: bool) -> dict[str, str]:
    """Return item id → why people label it, by the rule."""
    config, seed = request.campaign.config.labeling.llm, request.campaign.seed("llm", "people")
    found = {
        item_id: why_people(config, verdict, item_id, seed, is_capped=is_capped)
        for item_id, verdict in verdicts.items()
    }
    return {item_id: reason for item_id, reason in found.items() if reason is not None}


def _people_key(request: Request) -> str:
    return f"{FOLDER}/round-{request.round:04d}/people.json"


def _routed(request: Request) -> dict[str, str] | None:
    """Return what people were given of a round; None while that is not settled."""
    try:
        found: dict[str, str] = json.loads(request.campaign.store.read(_people_key(request)))["items"]
    except KeyError:
        return None
    return found


def _route(request: Request, theirs: dict[str, str]) -> dict[str, str]:
    """Settle what people label, once: of two processes the first one's word counts."""
    content = json.dumps({"items": theirs}, indent=1, ensure_ascii=False).encode()
    if not request.campaign.store.create(_people_key(request), content):
        return _routed(request) or {}
    return theirs


def _for_people(request: Request, theirs: dict[str, str]) -> Request:
    return replace(request, reasons={item_id: theirs[item_id] for item_id in request.reasons if item_id in theirs})


def _count(request: Request, verdicts: dict[str, Verdict]) -> Collected:
    """Return the model's own labels. It is one annotator, however many people label an item."""
    config = request.campaign.config
    labeling = config.labeling.model_copy(update={"annotators_per_item": 1})
    alone = replace(
        request,
        campaign=replace(request.campaign, config=config.model_copy(update={"labeling": labeling})),
        reasons={item_id: reason for item_id, reason in request.reasons.items() if item_id in verdicts},
        earlier={},
        known={},
    )
    rejected: list[Rejected] = [one for verdict in verdicts.values() for one in verdict.rejected]
    seen: dict[str, State] = {one: verdict.state for one, verdict in verdicts.items() if verdict.state != "labeled"}
    answers = [_answer(request, item_id, verdict) for item_id, verdict in verdicts.items() if verdict.label is not None]
    return count_answers(alone, answers, rejected, source="llm", seen=seen)


def _answer(request: Request, item_id: str, verdict: Verdict) -> Answer:
    if verdict.label is None:
        raise AssertionError("only labels are counted")
    return Answer(
        file=verdict.key,
        line=1,
        item_id=item_id,
        label=request.task.written_label(verdict.label, request.items[item_id]),
        annotator=f"llm:{request.campaign.config.labeling.llm.model}",
        labeled_at=datetime.fromisoformat(verdict.at),
    )


def _merge(request: Request, own: Collected, people: Collected) -> Collected:
    order = {item_id: number for number, item_id in enumerate(request.reasons)}
    records = sorted([*own.records, *people.records], key=lambda one: order.get(one["item_id"], len(order)))
    return replace(
        people,
        records=records,
        states=_in_order(request, {**own.states, **people.states}),
        rejected=[*own.rejected, *people.rejected],
        num_rounded=own.num_rounded + people.num_rounded,
        answered={**own.answered, **people.answered},
    )


def _in_order(request: Request, states: dict[str, State]) -> dict[str, State]:
    return {item_id: states[item_id] for item_id in request.reasons}
