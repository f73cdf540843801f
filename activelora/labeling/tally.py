"""From several answers about one item to one label, or to the reason why there is none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activelora.campaign.labels import has_majority
from activelora.campaign.records import Label
from activelora.config.labeling import LabelingConfig, SkippedRule
from activelora.labeling.inbox import Answer
from activelora.labeling.request import Rejected, State


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
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.answer.file} line {self.answer.line}"

    def reject(self, reason: str) -> Rejected:
        """Return the answer as one that cannot be used."""
        return Rejected(self.answer.file, self.answer.line, self.answer.item_id, reason)


@dataclass(frozen=True)
class Rules:
    """When the answers about one item are enough, and who decides where they are not: from the campaign file.

    Attributes:
        num_annotators: How many have to answer.
        min_agreement: The share of the labels given that the winning one needs.
        adjudicators: Names whose answers overrule those of others.
        skipped: What becomes of an item that everybody passed over.
        needs_majority: Whether a tie decides nothing: not where annotators are weighed (``labeling.aggregation``).
    """

    num_annotators: int = 1
    min_agreement: float = 0.0
    adjudicators: frozenset[str] = frozenset()
    skipped: SkippedRule = "never"
    needs_majority: bool = True

    @classmethod
    def of(cls, config: LabelingConfig) -> Rules:
        """Return the rules of a campaign."""
        return cls(
            config.annotators_per_item,
            config.min_agreement,
            frozenset(config.adjudicators),
            config.skipped,
            config.aggregation == "majority",
        )


PLAIN = Rules()
"""One answer is enough."""


@dataclass(frozen=True)
class Tally:
    """What the answers about one item come to.

    Attributes:
        state: Labeled, skipped, conflicting; in adjudication where one of the adjudicators is to decide; in progress
            where annotators are still to answer; or waiting if there are no answers.
        votes: Annotator → the answer that counts, labels only, by annotator. Of an item in progress: those that would
            decide now; none if they do not.
        rejected: Answers that contradict each other, each with the reason.
        dispute: What an adjudicator has to know: who answered what. Empty for other states.
    """

    state: State
    votes: Mapping[str, Vote] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()
    dispute: str = ""


NameOf = Callable[[Label | None], str]


def tally(votes: Sequence[Vote], name_of: NameOf, rules: Rules = PLAIN) -> Tally:
    """Apply the rule: each annotator has one vote, the majority wins, once enough of them have answered.

    An annotator's equal answers are one. Of different ones the latest counts, if all of them say when; else none
    does, since files come in no order. A tie between labels decides nothing, nor does a majority below
    ``min_agreement``. Passing over counts only where nobody gives a label, but who passes over has answered.

    The label of an adjudicator decides alone, whatever the others say; of several adjudicators, their majority. An
    adjudicator who passes over what the others could not decide ends it: the item is skipped. The result does not
    depend on the order of the answers.

    Args:
        votes: The answers about one item.
        name_of: The name of a label, for messages.
        rules: The campaign's.
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
    judges = {annotator: vote for annotator, vote in counted.items() if annotator in rules.adjudicators}
    ruling = [vote.label for vote in judges.values() if vote.label is not None]
    if ruling:
        if has_majority(ruling):
            return Tally("labeled", labels, rejected)
        return Tally("adjudication", rejected=rejected, dispute=_answers(counted, name_of))
    found = _by_majority({name: counted[name] for name in counted if name not in judges}, rejected, rules)
    if judges and found.state in ("skipped", "conflicting", "adjudication"):
        return Tally("skipped", rejected=rejected)
    if found.state == "adjudication":
        dispute = _answers(counted, name_of) or "; ".join(sorted({one.reason for one in rejected}))[:500]
        return Tally("adjudication", rejected=rejected, dispute=dispute)
    if found.state == "conflicting" and labels:
        return Tally("conflicting", rejected=[*rejected, *_disagreement(votes, labels, name_of)])
    return found


def _by_majority(counted: Mapping[str, Vote], rejected: Sequence[Rejected], rules: Rules) -> Tally:
    """Return what the answers of annotators come to who are no adjudicators."""
    labels = {annotator: vote for annotator, vote in counted.items() if vote.label is not None}
    decided = is_decided([vote.label for vote in labels.values()], rules.min_agreement, rules.needs_majority)
    if counted and len(counted) < rules.num_annotators:
        return Tally("in_progress", labels if decided else {}, rejected)
    if decided:
        return Tally("labeled", labels, rejected)
    if not labels and counted:
        return Tally("adjudication" if rules.skipped == "adjudicate" else "skipped", rejected=rejected)
    if not counted and not rejected:
        return Tally("waiting")
    return Tally("adjudication" if rules.adjudicators else "conflicting", rejected=rejected)


def is_decided(labels: Sequence[Any], min_agreement: float, needs_majority: bool = True) -> bool:
    """Tell whether one of the labels has more votes than any other, if it needs that, and the share that it needs."""
    if not (has_majority(labels) if needs_majority else labels):
        return False
    return max(Counter(labels).values()) >= min_agreement * len(labels) - 1e-9


def by_annotator(votes: Iterable[Vote]) -> dict[str, list[Vote]]:
    """Return the answers of each annotator, by name, each in the order of their answers."""
    found: dict[str, list[Vote]] = defaultdict(list)
    for vote in sorted(votes, key=lambda vote: (vote.answer.file, vote.answer.line)):
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


def _contradiction(annotator: str, votes: Sequence[Vote], name_of: NameOf) -> list[Rejected]:
    answers = ", ".join(sorted(f"{name_of(vote.label)} ({vote.where})" for vote in votes))
    reason = (
        f"annotator `{annotator}` gives different answers: {answers[:500]}; remove all but one, or add a column "
        "labeled_at: the latest then counts"
    )
    return [vote.reject(reason) for vote in votes]


def _disagreement(votes: Sequence[Vote], counted: Mapping[str, Vote], name_of: NameOf) -> list[Rejected]:
    answers = _answers(counted, name_of)
    reason = f"annotators disagree and no answer has a majority: {answers}; one more answer decides"
    return [vote.reject(reason) for vote in votes if vote.answer.annotator in counted]


def _answers(counted: Mapping[str, Vote], name_of: NameOf) -> str:
    return ", ".join(sorted(f"{name_of(vote.label)} ({annotator})" for annotator, vote in counted.items()))[:500]
