"""`activelora label`, by lines and at a real pseudo-terminal."""

import io
import json
import os
import re
import select as polling
import signal
import subprocess
import sys
import time

import pytest

from activelora.campaign.campaign import Campaign
from activelora.labeling.registry import get_source
from activelora.labeling.request import make_request
from tests.labeling.conftest import make_campaign, select

NASTY = "\x1b]0;owned\x07\x1b[2J \u202eevil"
ROWS = [{"text": f"question {index}{NASTY}?", "label": "human"} for index in range(12)]
COMMAND = [sys.executable, "-m", "pipelines.cli", "label"]
SECONDS = 60


def labelled(place):
    campaign = Campaign.open(str(place))
    collected = get_source(campaign.config.labeling.source).collect(make_request(campaign, 0))
    return [record["label"] for record in collected.records], list(collected.states.values())


@pytest.fixture
def place(tmp_path):
    campaign = make_campaign(tmp_path, rows=ROWS, labeling={"source": "terminal"}, batch=4)
    select(campaign)
    return campaign.store.uri


@pytest.fixture
def by_lines(run, monkeypatch):
    def by_lines(place, text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        code, out, err = run("label", place, "--annotator", "ann")
        assert code == 0, err
        return out

    return by_lines


def test_an_adjudicator_is_asked_what_the_others_could_not_decide(tmp_path, run, monkeypatch):
    rules = {"source": "terminal", "annotators_per_item": 2, "adjudicators": ["eve"]}
    place = make_campaign(tmp_path, rows=ROWS, labeling=rules, batch=3)
    select(place)

    def by(name, text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        code, out, err = run("label", place.store.uri, "--annotator", name)
        assert code == 0, err
        return out

    assert "0 answers stored for eve" in by("eve", "1\n")
    by("ann", "1\n1\n1\n")
    by("bob", "1\n2\n2\n")
    assert "0 answers stored for cat" in by("cat", "q\n")
    assert "2 answers stored for eve" in by("eve", "3\n3\n3\n")
    assert labelled(place.store.uri)[1] == ["labeled"] * 3


def test_texts_that_look_like_commands_are_answers(tmp_path, by_lines):
    task = {"kind": "generation", "prompt": "{text}"}
    campaign = make_campaign(tmp_path, rows=ROWS, task=task, labeling={"source": "terminal"}, batch=3)
    select(campaign)
    assert "2 answers stored for ann" in by_lines(campaign.store.uri, "u\nq\n:q\n")
    assert labelled(campaign.store.uri)[0] == ["u", "q"]


def test_lines_label_skip_undo_quit_and_resume(place, by_lines):
    out = by_lines(place, "1\nnonsense\n2\nu\n3\ns\n?\nq\n")
    assert "2 answers stored" not in out
    assert "3 answers stored for ann" in out
    assert "1 item is left: the same command goes on" in out
    assert "'nonsense' is no label here" in out
    assert labelled(place) == ([0, 2], ["labeled", "labeled", "skipped", "waiting"])
    out = by_lines(place, "human\n")
    assert "round 0, 4 of 4, 1 skipped" in out
    assert "nothing is left for you in this round" in out
    assert labelled(place)[0] == [0, 2, 1]
    assert "nothing is left" in by_lines(place, "")


def test_a_text_cannot_steer_the_terminal(place, by_lines):
    out = by_lines(place, "1\n1\n1\n1\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)
    assert "\\x1b]0;owned\\x07\\x1b[2J \\u202eevil?" in out


class Screen:
    """A person at a pseudo-terminal."""

    def __init__(self, *arguments):
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def expect(self, text):
        """Read on until the text appears; what was before it is done with."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if polling.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    assert text in self.seen, self.seen
        before, _, self.seen = self.seen.partition(text)
        return before

    def press(self, keys):
        time.sleep(0.05)  # what comes before the question was shown is dropped, as it should be
        os.write(self.master, keys.encode())

    def end(self):
        code = self.process.wait(SECONDS)
        os.close(self.master)
        return code


def test_one_key_a_label_at_a_terminal(place):
    screen = Screen(place, "--annotator", "ann")
    screen.expect("1 of 4")
    screen.expect("> ")
    screen.press("2")
    screen.expect("2 of 4")
    screen.expect("> ")
    assert labelled(place) == ([1], ["labeled", "waiting", "waiting", "waiting"])
    screen.press("\x1b[A")  # an arrow key is nothing
    screen.expect("> ")
    screen.press("333")  # neither is pasted text
    screen.expect("> ")
    screen.press("s")
    screen.expect("3 of 4, 1 skipped")
    screen.expect("> ")
    screen.press("u")
    screen.expect("2 of 4")
    screen.expect("> ")
    screen.press("3")
    screen.expect("3 of 4")
    screen.expect("> ")
    screen.press("q")
    screen.expect("2 answers stored for ann")
    assert screen.end() == 0
    assert labelled(place)[0] == [1, 2]


def test_a_killed_session_loses_nothing_and_the_next_goes_on(place):
    for number in (1, 2):
        screen = Screen(place, "--annotator", "ann")
        screen.expect(f"{number} of 4")
        screen.expect("> ")
        screen.press("1")
        screen.expect(f"{number + 1} of 4")
        screen.process.send_signal(signal.SIGKILL if number == 1 else signal.SIGTERM)
        assert screen.end() == (-signal.SIGKILL if number == 1 else 143)
    assert labelled(place) == ([0, 0], ["labeled", "labeled", "waiting", "waiting"])


def test_several_labels_are_switched_on_and_off(tmp_path):
    task = {"kind": "multi_label", "prompt": "{text} {label}", "labels": ["entity", "human", "number"]}
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "given.jsonl").write_text("".join(json.dumps({"text": f"h{n}", "label": ["human"]}) + "\n" for n in "ab"))
    data = {"folder": str(folder), "pool": {"path": "pool.jsonl"}, "holdout": {"path": "given.jsonl"}}
    rows = [{"text": f"question {index}"} for index in range(6)]
    campaign = make_campaign(folder, rows=rows, task=task, data=data, labeling={"source": "terminal"}, batch=2)
    select(campaign)
    screen = Screen(campaign.store.uri, "--annotator", "ann")
    for key, shown in (("1", "[x] 1 entity"), ("3", "[x] 3 number"), ("1", "[ ] 1 entity  [ ] 2 human  [x] 3 number")):
        screen.expect("(Enter stores)")
        screen.press(key)
        screen.expect(shown)
    screen.press("\r")
    screen.expect("2 of 2")
    screen.expect("(Enter stores)")
    screen.press("\r")
    screen.expect("2 answers stored")
    assert screen.end() == 0
    assert labelled(campaign.store.uri)[0] == [0b100, 0]


def test_nothing_is_asked_where_labels_come_from_elsewhere(tmp_path, run):
    campaign = make_campaign(tmp_path, labeling={"source": "oracle"})
    code, _, err = run("label", campaign.store.uri)
    assert code == 1
    assert "does not count what is labelled in a terminal" in err
