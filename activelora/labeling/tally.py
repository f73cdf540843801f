"""From several answers about one item to one label, or to the reason why there is none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from activelora.campaign.labels import has_majority
from activelora.campaign.records import Label
from activelora.labeling.inbox import Answer
from activelora.labeling.source import Rejected, State


@dataclass(frozen=True)
class Vote:
    """An answer that the task understands.

    Attributes:
        answer: The line.
        label: Its label; None where the annotator passes the item over.
    """

    answer: Answer
    label: Label | None

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.answer.file} line {self.answer.line}"

    def reject(self, reason: str) -> Rejected:
        """Return the answer as one that cannot be used."""
        return Rejected(self.answer.file, self.answer.line, self.answer.item_id, reason)


@dataclass(frozen=True)
class Tally:
    """What the answers about one item come to.

    Attributes:
        state: Labeled, skipped, conflicting, in progress where annotators are still to answer, or waiting if there are
            no answers.
        votes: Annotator → the answer that counts, labels only, by annotator. Of an item in progress: those that would
            decide now; none if they do not.
        rejected: Answers that contradict each other, each with the reason.
    """

    state: State
    votes: Mapping[str, Vote] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()


def tally(votes: Sequence[Vote], name_of: Callable[[Label | None], str], num_annotators: int = 1) -> Tally:
    """Apply the rule: each annotator has one vote, the majority wins, once enough of them have answered.

    An annotator's equal answers are one. Of different ones the latest counts, if all of them say when; else none
    does, since files come in no order. A tie between labels decides nothing. Passing over counts only where nobody
    gives a label, but who passes over has answered. The result does not depend on the order of the answers.

    Args:
        votes: The answers about one item.
        name_of: The name of a label, for messages.
        num_annotators: How many have to answer.
    """
    counted: dict[str, Vote] = {}
    rejected: list[Rejected] = []
    for annotator, own in by_annotator(votes).items():
        one = latest(own)
        if one is None:
            rejected += _contradiction(annotator, own, name_of)
        else:
            counted[annotator] = one
    labels = {annotator: vote for annotator, vote in counted.items() if vote.label is not None}
    decided = has_majority(vote.label for vote in labels.values())
    if counted and len(counted) < num_annotators:
        return Tally("in_progress", labels if decided else {}, rejected)
    if not labels:
        state: State = "skipped" if counted else "conflicting" if rejected else "waiting"
        return Tally(state, rejected=rejected)
    if not decided:
        return Tally("conflicting", rejected=[*rejected, *_disagreement(votes, labels, name_of)])
    return Tally("labeled", labels, rejected)


def by_annotator(votes: Sequence[Vote]) -> dict[str, list[Vote]]:
    """Return the answers of each annotator, by name."""
    found: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        found[vote.answer.annotator].append(vote)
    return dict(sorted(found.items()))


def latest(votes: Sequence[Vote]) -> Vote | None:
    """Return an annotator's vote, or None where different answers cannot be told apart in time."""
    timed = [(vote.answer.labeled_at, vote) for vote in votes if vote.answer.labeled_at is not None]
    if len({vote.label for vote in votes}) > 1 and len(timed) < len(votes):
        return None
    if not timed:
        return votes[0]
    last = max(time for time, _ in timed)
    newest = [vote for time, vote in timed if time == last]
    return newest[0] if len({vote.label for vote in newest}) == 1 else None


def _contradiction(annotator: str, votes: Sequence[Vote], name_of: Callable[[Label | None], str]) -> list[Rejected]:
    places = ", ".join(sorted(f"{name_of(vote.label)} ({vote.place})" for vote in votes))
    reason = (
        f"annotator `{annotator}` gives different answers: {places[:500]}; remove all but one, or add a column "
        "labeled_at: the latest then counts"
    )
    return [vote.reject(reason) for vote in votes]


def _disagreement(
    votes: Sequence[Vote], counted: Mapping[str, Vote], name_of: Callable[[Label | None], str]
) -> list[Rejected]:
    answers = ", ".join(sorted(f"{name_of(vote.label)} ({annotator})" for annotator, vote in counted.items()))
    reason = f"annotators disagree and no answer has a majority: {answers[:500]}; one more answer decides"
    return [vote.reject(reason) for vote in votes if vote.answer.annotator in counted]
