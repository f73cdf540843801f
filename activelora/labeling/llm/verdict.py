"""What a model's answers to one item come to, and whether people shall label it instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from activelora.campaign.records import Item, Label
from activelora.config.llm import LLMConfig
from activelora.errors import LabelError
from activelora.labeling.llm.ledger import Done
from activelora.labeling.llm.prompt import read_reply
from activelora.labeling.request import Rejected
from activelora.seeding import item_draw
from activelora.tasks.task import Task


@dataclass(frozen=True)
class Verdict:
    """What the model says about an item.

    Attributes:
        state: ``labeled``, ``skipped``, ``conflicting`` (a tie of its answers), ``invalid`` (no usable answer), or
            ``waiting`` while it has not been asked often enough.
        label: The label with most votes, if that is one.
        agreement: The part of all votes that it has.
        key: Key of the record of the last answer.
        at: When that was.
        rejected: The answers that cannot be used.
    """

    state: Literal["labeled", "skipped", "conflicting", "invalid", "waiting"]
    label: Label | None = None
    agreement: float = 0.0
    key: str = ""
    at: str = ""
    rejected: tuple[Rejected, ...] = ()


def judge(task: Task, item: Item, done: Sequence[Done], num_votes: int) -> Verdict:
    """Return what the answers to an item come to.

    Args:
        task: The task.
        item: The item.
        done: The requests that ended, in their order.
        num_votes: How often it shall be asked.
    """
    refused = [one for one in done if one.outcome == "refused"]
    answered = [one for one in done if one.outcome == "answered"][:num_votes]
    rejected = [Rejected(one.key, None, item.item_id, f"the endpoint refuses it: {one.text}") for one in refused[:1]]
    if len(answered) < num_votes and not refused:
        return Verdict("waiting")
    votes: Counter[Label | None] = Counter()
    for one in answered:
        try:
            votes[read_reply(task, item, one.text)] += 1
        except LabelError as error:
            rejected.append(Rejected(one.key, None, item.item_id, error.problem))
    if not votes:
        return Verdict("invalid", rejected=tuple(rejected))
    (label, count), *others = votes.most_common(2)
    last = answered[-1]
    if others and others[0][1] == count:
        return Verdict("conflicting", key=last.key, at=last.at, rejected=tuple(rejected))
    state: Literal["labeled", "skipped"] = "skipped" if label is None else "labeled"
    return Verdict(state, label, count / num_votes, last.key, last.at, tuple(rejected))


def why_people(config: LLMConfig, verdict: Verdict, item_id: str, seed: int, *, is_capped: bool) -> str | None:
    """Return why people shall label an item; None if the model's label stands, or it has not been asked yet.

    Args:
        config: Who labels what.
        verdict: What the model says.
        item_id: The item.
        seed: Seed of the random share.
        is_capped: Whether the model will not be asked again.
    """
    people = config.people
    if people.source is None:
        return None
    if verdict.state == "waiting":
        return "the model was not asked: the spending cap was reached" if is_capped else None
    if item_draw(seed, item_id) < people.share:
        return "drawn at random to be labelled by people"
    if verdict.state != "labeled":
        return {"skipped": "the model passed it over", "conflicting": "the model's answers tie"}.get(
            verdict.state, "the model gave no usable answer"
        )
    if verdict.agreement < people.below:
        return f"{verdict.agreement:.0%} of the model's answers agree, fewer than {people.below:.0%}"
    return None
