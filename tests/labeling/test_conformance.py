"""Every label source does what the project relies on; and the checks find what is wrong."""

from dataclasses import dataclass, replace

import pytest

from activelora.labeling.answers import Session
from activelora.labeling.conformance.bench import ALL, Bench, NonconformingError
from activelora.labeling.conformance.checks import CHECKS, check_source, checks_for
from activelora.labeling.files import FilesSource
from activelora.labeling.llm.source import LLMSource
from activelora.labeling.registry import get_source
from activelora.labeling.terminal import TerminalSource
from tests.labeling.conftest import csv_of, put
from tests.labeling.fake_chat_server import fake_chat_server


def into_the_inbox(request, item_id, annotator, label):
    number = len(list(request.campaign.store.list("inbox/")))
    time = f"2026-01-01T00:00:{number:02d}Z"
    row = (item_id, label or "skip", annotator, time)
    put(request.campaign, f"{number}.csv", csv_of(row, header="item_id,label,annotator,labeled_at"))


def at_the_terminal(request, item_id, annotator, label):
    number = None if label is None else request.task.parse_label(label, request.items[item_id])
    Session(request.campaign.store, annotator, request.task).answer(request.items[item_id], number)


def num_rows(request):
    return len(request.campaign.store.read("labeling/round-0000/to_label.jsonl").decode().splitlines())


class Model:
    """A model that says nothing (503) until it is told what to say about an item."""

    def __init__(self, chat):
        self.said = {}
        chat.behave = lambda item, number: self.said.get(item["text"], (503, b"", {"Retry-After": "0"}))

    def answer(self, request, item_id, annotator, label):
        word = "null" if label is None else f'"{label}"'
        self.said[request.items[item_id].fields["text"]] = f'{{"label": {word}}}'
        get_source("llm").publish(replace(request, reasons={item_id: "for a check"}))


MODEL = {"model": "fake", "price_in": 1.0, "price_out": 1.0, "max_cost": 1.0, "retries": 0}
BENCHES = {
    "oracle": Bench(get_source("oracle"), {"source": "oracle"}),
    "files": Bench(FilesSource(), {"source": "files"}, into_the_inbox, num_rows),
    "terminal": Bench(TerminalSource(), {"source": "terminal"}, at_the_terminal, can=ALL - {"invalid", "unknown"}),
    "llm": Bench(
        LLMSource(get_source),
        {"source": "llm"},
        lambda request, item_id, annotator, label: None,
        can=frozenset({"skip", "invalid"}),
        annotator="llm:fake",
    ),
}


@pytest.fixture(scope="module")
def chat():
    with fake_chat_server() as server:
        yield server


PAIRS = [(source, check) for source, bench in BENCHES.items() for check in checks_for(bench)]


@pytest.mark.parametrize(("source", "check"), PAIRS)
def test_it_conforms(source, check, chat, tmp_path):
    bench = BENCHES[source]
    if source == "llm":
        labeling = {"source": "llm", "llm": {**MODEL, "url": chat.url}}
        bench = replace(bench, labeling=labeling, answer=Model(chat).answer)
    CHECKS[check](bench, tmp_path)


def test_what_each_source_is_checked_for():
    assert checks_for(BENCHES["files"]) == list(CHECKS)
    assert [len(checks_for(BENCHES[source])) for source in ("terminal", "llm", "oracle")] == [len(CHECKS) - 2, 9, 5]


@dataclass(frozen=True)
class Faulty(FilesSource):
    """Files, with a fault."""

    fault: str = ""

    def publish(self, request):
        super().publish(request)
        if self.fault == "asks again":
            store, key = request.campaign.store, "labeling/round-0000/to_label.jsonl"
            store.write(key, store.read(key) * 2)

    def collect(self, request):
        found = super().collect(request)
        if self.fault == "changes the store":
            request.campaign.store.write("seen", b"")
        if self.fault == "forgets states":
            return replace(found, states={})
        if self.fault == "hangs":
            import time

            time.sleep(60)
        if self.fault == "labels of nowhere":
            return replace(found, states=dict.fromkeys(found.states, "labeled"))
        if self.fault == "another order":
            return replace(found, records=found.records[::-1])
        return found


FAULTS = {
    "asks again": ("publishing_again_asks_nothing_again", "8 questions where 4 items"),
    "changes the store": ("collecting_changes_nothing", "changed the campaign's store"),
    "forgets states": ("all_answered", "states are not the round's items"),
    "hangs": ("nothing_is_answered", "collect has not ended after 0.2 s"),
    "labels of nowhere": ("nothing_is_answered", "and there are records of"),
    "another order": ("all_answered", "records are not in order"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_find_faults(fault, tmp_path):
    check, words = FAULTS[fault]
    source = Faulty(name="files", fault=fault)
    bench = Bench(
        source, {"source": "files"}, into_the_inbox, num_rows, timeout_seconds=0.2 if fault == "hangs" else 60
    )
    with pytest.raises(NonconformingError, match=words):
        CHECKS[check](bench, tmp_path)


@pytest.mark.slow
def test_all_at_once(tmp_path):
    bench = Bench(FilesSource(), {"source": "files"}, into_the_inbox, num_rows)
    assert check_source(bench, tmp_path) == list(CHECKS)
