"""The ``oracle`` source: the pool's own gold labels answer at once, with mistakes if asked. Simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, count

from activelora.campaign.labels import NO_TIME
from activelora.campaign.records import Label
from activelora.config.labeling import confusion_matrix
from activelora.labeling.request import Collected, Record, Request
from activelora.labeling.tally import is_decided
from activelora.pool.access import gold_labels
from activelora.seeding import derive_seed, item_draw


@dataclass(frozen=True)
class OracleSource:
    """Labels from the gold column, kept apart at ingest. The only reader of those labels.

    With ``labeling.annotators_per_item`` n > 1 the annotators are oracle-1 to oracle-n, who make their mistakes
    independently. What they do not decide, the first of ``labeling.adjudicators`` answers with the gold label; where
    none is named, as many more annotators answer as it takes.
    """

    name: str = "oracle"
    summary: str = "the pool's own gold labels, with an optional error rate or confusion matrix: simulation"

    def publish(self, request: Request) -> None:
        """Do nothing: nobody has to be asked."""

    def collect(self, request: Request) -> Collected:
        """Return a label for each item of the round, from each annotator."""
        gold = gold_labels(request.seen or request.campaign, request.item_ids)
        num_annotators = request.campaign.config.labeling.annotators_per_item
        if num_annotators == 1:
            answers = _answers(request, gold, request.campaign.seed("oracle"))
            records = [_record(request, item_id, answers[item_id], "oracle") for item_id in request.reasons]
        else:
            records = _overlapping(request, gold, num_annotators)
        return Collected(records, dict.fromkeys(request.reasons, "labeled"), [])

    def instructions(self, request: Request) -> str:
        """Return nothing: no person has to do anything."""
        return ""


def answer(gold: int, num_answers: int, item_id: str, error_rate: float, seed: int) -> int:
    """Return the gold label or, for a share of items, one of the wrong labels, each equally likely.

    The answer depends on item and seed alone: asked again, the oracle says the same.
    """
    if num_answers < 2 or item_draw(seed, item_id) >= error_rate:
        return gold
    step = 1 + derive_seed(seed, "wrong", item_id) % (num_answers - 1)
    return (gold + step) % num_answers


def confused_answer(row_C: Sequence[float], item_id: str, seed: int) -> int:
    """Return an answer drawn from a row of a confusion matrix: class-conditional noise.

    The answer depends on item and seed alone, as in :func:`answer`.

    Args:
        row_C: P(answer | gold label), for each of the C labels; sums to 1 but for rounding.
        item_id: The item.
        seed: Seed of the oracle.
    """
    draw = item_draw(derive_seed(seed, "confusion"), item_id) * sum(row_C)
    for label, reached in enumerate(accumulate(row_C)):
        if draw < reached:
            return label
    return max(label for label, probability in enumerate(row_C) if probability > 0)  # the sum was rounded down


def _overlapping(request: Request, gold: dict[str, Label], num_annotators: int) -> list[Record]:
    """Return each annotator's answers, by item, and who decides where they do not."""
    config = request.campaign.config.labeling
    votes: dict[str, dict[str, Label]] = {item_id: {} for item_id in request.reasons}
    needed = (config.min_agreement, config.aggregation == "majority")
    for number in count(1):
        open_ = [item_id for item_id in votes if not is_decided([*votes[item_id].values()], *needed)]
        if number > num_annotators and (not open_ or config.adjudicators):
            break
        asked = gold if number <= num_annotators else {item_id: gold[item_id] for item_id in open_}
        for item_id, label in _answers(request, asked, request.campaign.seed("oracle", number)).items():
            votes[item_id][f"oracle-{number}"] = label
    for item_id in open_:
        votes[item_id][config.adjudicators[0]] = gold[item_id]
    return [
        _record(request, item_id, label, annotator)
        for item_id, own in votes.items()
        for annotator, label in own.items()
    ]


def _answers(request: Request, gold: dict[str, Label], seed: int) -> dict[str, Label]:
    labels = {item_id: label for item_id, label in gold.items() if isinstance(label, int)}
    if len(labels) < len(gold):
        return gold  # texts; mistakes are refused for them
    return dict(_noisy(request, labels, seed))


def _noisy(request: Request, gold: dict[str, int], seed: int) -> dict[str, int]:
    config = request.campaign.config.labeling
    if config.oracle_confusion is not None:
        rows_CC = confusion_matrix(config.oracle_confusion, request.task.label_names)
        return {item_id: confused_answer(rows_CC[label], item_id, seed) for item_id, label in gold.items()}
    rate = config.oracle_error_rate
    num_answers = {item_id: len(request.task.queries(request.items[item_id])[0].answers) for item_id in gold}
    return {item_id: answer(label, num_answers[item_id], item_id, rate, seed) for item_id, label in gold.items()}


def _record(request: Request, item_id: str, label: Label, annotator: str) -> Record:
    return {
        "item_id": item_id,
        "label": label,
        "annotator": annotator,
        "source": "oracle",
        "labeled_at": NO_TIME,
        "round": request.round,
    }
