"""Every label source does what the project relies on; and the checks find what is wrong."""

import csv
import io
import json
import subprocess
import sys
import warnings
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from unittest import SkipTest

import pytest

from activelora.labeling.answers import Session
from activelora.labeling.conformance.bench import ALL, Bench, NonconformingError
from activelora.labeling.conformance.checks import CHECKS, check_source, checks_for
from activelora.labeling.files import FilesSource
from activelora.labeling.llm.source import LLMSource
from activelora.labeling.registry import get_source
from activelora.labeling.terminal import TerminalSource
from pipelines.cli.keyboard import LineKeyboard
from pipelines.cli.label_session import Labelling
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


def in_the_sheets(request):
    """Rows of both sheets."""
    folder, found = "labeling/round-0000/to_label", defaultdict(list)
    text = request.campaign.store.read(f"{folder}.csv").decode("utf-8-sig")
    lines = request.campaign.store.read(f"{folder}.jsonl").decode().splitlines()
    for row in [*csv.DictReader(io.StringIO(text, newline="")), *map(json.loads, lines)]:
        found[row["item_id"]].append(row)
    return found


class Reader(LineKeyboard):
    """Passes every question over, and keeps what was printed before it."""

    def __init__(self, screen):
        self.screen = screen
        self.pages = []

    def line(self):
        self.pages.append(self.screen.getvalue())
        self.screen.seek(0)
        self.screen.truncate()
        return ":s"


def on_the_screen(request):
    """What `activelora label` prints of each question, in the order of the answers that it stores."""
    with redirect_stdout(io.StringIO()) as screen:
        reader = Reader(screen)
        Labelling(request, TerminalSource(), Session(request.campaign.store, "ann", request.task), reader).run({})
    (key,) = request.campaign.store.list("labeling/answers/")
    answers = [json.loads(line) for line in request.campaign.store.read(key).decode().splitlines()]
    return {answer["item_id"]: page for answer, page in zip(answers, reader.pages, strict=True)}


class Model:
    """A model that says nothing (503) until it is told what to say about an item."""

    def __init__(self, chat):
        self.said = {}
        self.chat = chat
        self.num_before = len(chat.requests)
        chat.behave = lambda item, number: self.said.get(item["text"], (503, b"", {"Retry-After": "0"}))

    def answer(self, request, item_id, annotator, label):
        word = "null" if label is None else f'"{label}"'
        self.said[request.items[item_id].fields["text"]] = f'{{"label": {word}}}'
        get_source("llm").publish(replace(request, reasons={item_id: "for a check"}))

    def was_sent(self, request):
        """All messages about each item, which is known by the beginning of its text."""
        self.chat.behave = lambda item, number: '{"label": null}'
        get_source("llm").publish(request)
        sent = [one["messages"] for one in self.chat.requests[self.num_before :]]
        begins = {item_id: request.items[item_id].fields["text"].partition(" from")[0] for item_id in request.asked}
        found = {item_id: [one for one in sent if begin in json.dumps(one)] for item_id, begin in begins.items()}
        return {item_id: messages for item_id, messages in found.items() if messages}


MODEL = {"model": "fake", "price_in": 1.0, "price_out": 1.0, "max_cost": 1.0, "retries": 0}
BENCHES = {
    "oracle": Bench(get_source("oracle"), {"source": "oracle"}),
    "files": Bench(FilesSource(), {"source": "files"}, into_the_inbox, num_rows, shown=in_the_sheets),
    "terminal": Bench(
        TerminalSource(),
        {"source": "terminal"},
        at_the_terminal,
        can=ALL - {"invalid", "unknown"},
        shown=on_the_screen,
    ),
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
        model = Model(chat)
        bench = replace(bench, labeling=labeling, answer=model.answer, shown=model.was_sent)
    CHECKS[check](bench, tmp_path)


def test_what_each_source_is_checked_for():
    assert checks_for(BENCHES["files"]) == list(CHECKS)
    assert [len(checks_for(BENCHES[source])) for source in ("terminal", "llm", "oracle")] == [len(CHECKS) - 2, 10, 5]


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


@dataclass(frozen=True)
class Pinned(FilesSource):
    """Questions are files `asked/ITEM`, which may hold more than people may see, or be too few."""

    fault: str = ""

    def publish(self, request):
        for item_id in request.item_ids if self.fault == "item_ids alone" else request.asked:
            item = request.items[item_id]
            content = dict(item.fields) if self.fault == "item.fields" else request.shown(item)
            if self.fault == "source_id":
                content["id"] = item.source_id
            if self.fault == "nothing":
                content = {}
            request.campaign.store.write(f"asked/{item_id}", json.dumps(content).encode())

    @staticmethod
    def bench(fault):
        source = Pinned(name="files", fault=fault)
        return Bench(source, {"source": "files"}, into_the_inbox, shown=Pinned.shown)

    @staticmethod
    def shown(request):
        store = request.campaign.store
        return {key.partition("/")[2]: json.loads(store.read(key)) for key in store.list("asked/")}


SHOWN = ["only_what_may_be_seen_is_shown", "gold_questions_are_asked"]
LEAKS = {
    "item.fields": (SHOWN, "people see what labeling.withhold or labeling.redact keeps"),
    "source_id": (SHOWN, "people see what labeling.withhold or labeling.redact keeps"),
    "nothing": (SHOWN, "the text of an item is not shown"),
    "item_ids alone": (SHOWN[1:], "2 of 6 questions were not shown: ask all of request.asked"),
}


@pytest.mark.parametrize("fault", LEAKS)
def test_the_checks_find_what_people_must_not_see_and_who_is_not_asked(fault, tmp_path):
    checks, words = LEAKS[fault]
    for check in SHOWN:
        if check in checks:
            with pytest.raises(NonconformingError, match=words):
                CHECKS[check](Pinned.bench(fault), tmp_path / check)
        else:
            CHECKS[check](Pinned.bench(fault), tmp_path / check)


@pytest.mark.parametrize("check", SHOWN)
def test_what_is_shown_rightly_passes(check, tmp_path):
    CHECKS[check](Pinned.bench(""), tmp_path)


@pytest.mark.parametrize("check", SHOWN)
def test_without_a_word_about_what_is_shown_a_check_is_skipped_and_not_passed(check, tmp_path):
    bench = replace(BENCHES["files"], shown=None)
    assert check in checks_for(bench)
    with pytest.raises(SkipTest, match="the bench does not say what people are shown: give it `shown`"):
        CHECKS[check](bench, tmp_path)


OLD_BENCH = """
import pytest
from activelora.labeling.conformance.bench import Bench
from activelora.labeling.conformance.checks import CHECKS
from activelora.labeling.files import FilesSource

BENCH = Bench(FilesSource(), {"source": "files"}, lambda *_: None)

@pytest.mark.parametrize("name", ["only_what_may_be_seen_is_shown", "gold_questions_are_asked"])
def test_it_conforms(name, tmp_path):
    CHECKS[name](BENCH, tmp_path)
"""


def test_pytest_takes_that_for_a_skip(tmp_path):
    (tmp_path / "test_old.py").write_text(OLD_BENCH)
    command = [sys.executable, "-m", "pytest", "-rs", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert "give it `shown`" in done.stdout


@pytest.mark.slow
def test_all_at_once(tmp_path):
    bench = BENCHES["files"]
    assert check_source(bench, tmp_path / "with") == list(CHECKS)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert set(check_source(replace(bench, shown=None), tmp_path / "without")) == {*CHECKS} - {*SHOWN}
    assert [name for name in SHOWN if any(name in str(one.message) for one in told)] == SHOWN
