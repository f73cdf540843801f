"""What a round asks of a label source, and what comes back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from activelora.campaign.campaign import Campaign
from activelora.campaign.labels import label_records, resolve_for
from activelora.campaign.ledger import label_manifests, num_collected
from activelora.campaign.manifest import Unit
from activelora.campaign.records import Item, Label, vote_rows
from activelora.campaign.snapshot import Snapshot, View, snapshot_of
from activelora.config.labeling import LabelingConfig
from activelora.kinds.registry import make_task
from activelora.labeling.gold import GoldQuestion, gold_questions, mixed
from activelora.labeling.redaction import shown_fields
from activelora.pool.access import PoolItems
from activelora.tasks.task import Task

State = Literal[
    "labeled", "waiting", "in_progress", "skipped", "invalid", "conflicting", "adjudication", "deleted", "late"
]
"""What is known about a selected item. ``labeled``: it has a label. ``waiting``: nobody has answered.
``in_progress``: somebody has begun, or some of the annotators have answered. ``skipped``: nobody could answer;
``labeling.skipped`` says what becomes of it. ``invalid``: there are answers, and none can be used. ``conflicting``:
answers contradict each other and no majority decides. ``adjudication``: one of ``labeling.adjudicators`` is to decide.
``deleted``: it was taken away where people label; nobody can answer; it goes back to the pool. ``late``: an earlier
round asked for it, and its label came now; a source does not say so, the round that takes the label does."""

CLOSED: tuple[State, ...] = ("labeled", "skipped", "deleted")
"""Items in these states wait for nobody. All others are open."""

Record = dict[str, Any]
"""A vote in :data:`~activelora.campaign.records.LABEL_SCHEMA`: one an item and annotator."""


@dataclass(frozen=True)
class Known:
    """What earlier rounds brought about an item.

    Attributes:
        label: The label that counts.
        round: The round that brought it.
        records: All records about the item, in the order of the rounds that brought them.
        current: Those that count now: one an annotator, of the round that brought the label.
    """

    label: Label
    round: int
    records: Sequence[Record]
    current: Sequence[Record] = ()


@dataclass(frozen=True)
class Request:
    """What a round asks of a label source.

    Attributes:
        campaign: The campaign.
        round: The round that asks.
        task: Knows the labels.
        reasons: Item id → what people are told of why it is asked for, for this round's items, most wanted first.
        earlier: Item id → round that asked last, for items that earlier rounds asked for in vain. A late answer
            to one of these still counts.
        known: Items that earlier rounds brought labels for.
        items: The content of all of these, which is read when it is asked for.
        passed: Answers that passed an item over in an earlier round and sent it back to the pool, as
            :attr:`Collected.passed`: they do not answer for it again.
        gold: Gold questions of this round and earlier ones: see :mod:`activelora.labeling.gold`.
        told: What earlier rounds rejected and listed when they ended, as :meth:`Rejected.identity`.
        seen: What was seen of the campaign when the request was made; None where it was made otherwise.
    """

    campaign: Campaign
    round: int
    task: Task
    reasons: Mapping[str, str]
    earlier: Mapping[str, int]
    known: Mapping[str, Known]
    items: Mapping[str, Item]
    passed: Set[tuple[str, ...]] = frozenset()
    gold: Mapping[str, GoldQuestion] = field(default_factory=dict)
    told: Set[tuple[str, ...]] = frozenset()
    seen: Snapshot | None = field(default=None, repr=False, compare=False)

    @property
    def asked(self) -> dict[str, str]:
        """What people are shown, in order, item id → why: :attr:`reasons`, and this round's gold questions among them.

        A source that asks people asks for these. It need not know which of them are gold questions.
        """
        gold = [item_id for item_id, one in self.gold.items() if one.round == self.round]
        if not gold:
            return dict(self.reasons)
        ids = mixed(list(self.reasons), gold, self.campaign.seed("gold", self.round))
        return {item_id: self.reasons.get(item_id, _no_reason(self.round)) for item_id in ids}

    @property
    def item_ids(self) -> list[str]:
        """The items that this round asks for, most wanted first."""
        return list(self.reasons)

    def judged_item(self, item_id: str) -> Item:
        """Return an item as far as answers to it are read and named: its choices; no text, which would read the pool.

        Raises:
            KeyError: The campaign has not asked for it.
        """
        if self.task.kind.needs_choices or item_id not in self.items:
            return self.items[item_id]
        return Item(item_id, {})

    def shown(self, item: Item) -> dict[str, str]:
        """Return what an annotator sees of an item: column → text."""
        shown = shown_fields(self.campaign.config.labeling, item)
        return {name: shown[name] for name in self.task.columns}

    def round_of(self, item_id: str) -> int:
        """Return the round that asked for an item."""
        if item_id in self.known:
            return int(self.known[item_id].records[0]["round"])
        return self.round if item_id in self.reasons else self.earlier[item_id]


@dataclass(frozen=True)
class Rejected:
    """An answer that cannot be used.

    Attributes:
        file: The file's name in the inbox.
        line: Its line, from 1; None for the whole file.
        item_id: The item it speaks of, as far as known.
        reason: The reason, in words.
    """

    file: str
    line: int | None
    item_id: str
    reason: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from others, as text."""
        return (self.file, "" if self.line is None else str(self.line), self.item_id, self.reason)


class Remark(Rejected):
    """What is to be said of a file of answers, and keeps none of its labels out."""


class Ballot(NamedTuple):
    """What one annotator says of one item; None passes it over."""

    item_id: str
    annotator: str
    label: Label | None


@dataclass(frozen=True)
class Collected:
    """What a label source knows at one moment.

    Attributes:
        records: The votes on items with a label: this round's, in the order of the selection, then late ones.
        states: A state for each of this round's items, in the order of the selection.
        rejected: Answers that cannot be used.
        corrections: New votes on items that had a label before: they replace what earlier rounds brought about
            the item, from the next training on. A vote for the label that is there confirms it.
        num_rounded: Answers that count and were rounded to a step of a regression's grid.
        unfinished: The votes on items in progress, where those that are there decide: they count if the round ends
            before ``labeling.annotators_per_item`` people have answered.
        answered: Annotator → how many of this round's items they have answered or passed over.
        disputes: Item id → who answered what, for items that wait for an adjudicator: this round's, earlier ones, and
            labelled ones whose correction is disputed.
        passed: The answers that pass over this round's items in state ``skipped``, each by what tells it from
            others: item, annotator, place and time.
        ballots: Each annotator's answer to this round's items and gold questions, whether it counts or not.
    """

    records: list[Record]
    states: Mapping[str, State]
    rejected: list[Rejected]
    corrections: list[Record] = field(default_factory=list)
    num_rounded: int = 0
    unfinished: list[Record] = field(default_factory=list)
    answered: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, str] = field(default_factory=dict)
    passed: list[tuple[str, ...]] = field(default_factory=list)
    ballots: Sequence[Ballot] = ()

    @property
    def num_labeled(self) -> int:
        """Items that got their first label now, late ones included."""
        return len({record["item_id"] for record in self.records})

    def closed(self) -> Collected:
        """Return what counts if the round ends now: an item in progress has the label of those who have answered."""
        order = {item_id: number for number, item_id in enumerate(self.states)}
        records = sorted(
            [*self.records, *self.unfinished],
            key=lambda record: (order.get(record["item_id"], len(order)), record["item_id"]),
        )
        labeled: dict[str, State] = {one["item_id"]: "labeled" for one in self.unfinished if one["item_id"] in order}
        return replace(self, records=records, states={**self.states, **labeled}, unfinished=[])

    @property
    def num_open(self) -> int:
        """This round's items that wait for an answer."""
        return sum(state not in CLOSED for state in self.states.values())

    def corrected(self, known: Mapping[str, Known], config: LabelingConfig) -> Set[str]:
        """Return the items whose label changes; the others that :attr:`corrections` speak of keep theirs."""
        current = [record for one in known.values() for record in one.current] if self.corrections else []
        now = resolve_for(config, [current, self.corrections]).labels
        return {one for one in {record["item_id"] for record in self.corrections} if now[one] != known[one].label}

    def count(self, state: State) -> int:
        """Return how many of this round's items are in a state."""
        return Counter(self.states.values())[state]


def make_request(campaign: View, round_: int) -> Request:
    """Return what a round asks for, from the manifests.

    Raises:
        StoreError: The round's selection, or an earlier round, is not done.
    """
    seen = snapshot_of(campaign)
    return _request(seen, round_, _selection(seen, round_))


def open_request(campaign: View) -> Request:
    """Return what the campaign asks for now: nothing new while no round waits for labels.

    An answer to any item that was ever asked for can be judged against it.
    """
    seen = snapshot_of(campaign)
    round_ = num_collected(seen)
    return _request(seen, round_, _selection(seen, round_) if Unit("select_batch", round_) in seen.done else [])


def _no_reason(round_: int) -> str:
    """Return what people are told of an item where its reason is kept from them, or where it has none."""
    return f"asked in round {round_}"


def _request(seen: Snapshot, round_: int, rows: list[Record]) -> Request:
    campaign, deleted = seen.campaign, seen.deleted
    tells = campaign.config.labeling.show_reasons
    reasons = {
        row["item_id"]: row["reason"] if tells else _no_reason(round_) for row in rows if row["item_id"] not in deleted
    }
    known = _known(seen, round_)
    earlier: dict[str, int] = {}
    for past in range(round_):
        earlier |= {row["item_id"]: past for row in _selection(seen, past)}
    gone = {*known, *reasons, *deleted}
    earlier = {item_id: past for item_id, past in earlier.items() if item_id not in gone}
    gold = gold_questions(campaign, round_)
    items = PoolItems(seen, [*reasons, *earlier, *known], {item_id: one.item for item_id, one in gold.items()})
    passed, task = _passed(seen, round_), make_task(campaign.config.task)
    told = _noted(seen, round_, REJECTED)
    return Request(campaign, round_, task, reasons, earlier, known, items, passed, gold, told, seen)


PASSED = "passed.json"
"""The file of await_labels with :attr:`Collected.passed`, where ``labeling.skipped`` is ``return``."""


REJECTED = "rejected.json"
"""The file of await_labels with the answers that it could not use, each as :meth:`Rejected.identity`."""


def withheld_items(campaign: View, before_round: int) -> frozenset[str]:
    """Return the items that annotators are not asked for again: passed over, or left to an adjudicator."""
    states: set[State] = {"adjudication"}
    if campaign.config.labeling.skipped != "return":
        states.add("skipped")
    seen, withheld = snapshot_of(campaign), set[str]()
    for manifest in label_manifests(seen, before_round):
        found = seen.json(manifest, "states.json")
        withheld |= {item_id for item_id, state in found.items() if state in states}
    return frozenset(withheld)


def _passed(seen: Snapshot, before_round: int) -> frozenset[tuple[str, ...]]:
    return _noted(seen, before_round, PASSED) if seen.config.labeling.skipped == "return" else frozenset()


def _noted(seen: Snapshot, before_round: int, name: str) -> frozenset[tuple[str, ...]]:
    """Return the rows of a file of await_labels, of all earlier rounds that have one."""
    manifests = [one for one in label_manifests(seen, before_round) if name in one.files]
    return frozenset(tuple(row) for one in manifests for row in seen.json(one, name))


def _selection(seen: Snapshot, round_: int) -> list[Record]:
    table = seen.table(seen.require(Unit("select_batch", round_)), "selection.parquet")
    rows: list[Record] = table.sort_by("position").to_pylist()
    return rows


def _known(seen: Snapshot, round_: int) -> dict[str, Known]:
    rounds = label_records(seen, round_)
    brought_in: dict[str, int] = {}
    records: dict[str, list[Record]] = defaultdict(list)
    for past, brought in enumerate(rounds):
        for record in brought:
            brought_in[record["item_id"]] = past
            records[record["item_id"]].append(record)
    snapshot = resolve_for(seen.config.labeling, rounds)
    current: dict[str, list[Record]] = defaultdict(list)
    for record in vote_rows(snapshot.records):
        current[record["item_id"]].append(record)
    return {
        item_id: Known(label, brought_in[item_id], records[item_id], current[item_id])
        for item_id, label in snapshot.labels.items()
    }
