"""The inline engine, with a tiny model and real steps."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from activelora.campaign.campaign import Campaign, stop_campaign, stop_reason
from activelora.campaign.ledger import finished_units
from activelora.campaign.manifest import Unit
from activelora.labeling.worksheet import folder_of
from pipelines.engines.inline import run_campaign, tick
from tests.pipelines.tiny import LABELS, tiny_config


@pytest.fixture
def make_campaign(tmp_path, tiny_model_path):
    def make(name: str = "campaign", **sections: object) -> Campaign:
        return Campaign.create(str(tmp_path / name), tiny_config(tmp_path, tiny_model_path, **sections))

    return make


def digests(campaign: Campaign) -> dict[Unit, str]:
    """Return what every finished unit produced: equal digests are equal files, bytes for bytes."""
    return {unit: campaign.require(unit).digest for unit in finished_units(campaign)}


def fill_in(campaign: Campaign, round_: int, num_rows: int) -> None:
    """Answer the first rows of a batch as a person would."""
    sheet = Path(campaign.store.uri) / folder_of(round_) / "to_label.csv"
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:num_rows]:
        row["label"] = LABELS[0]
    inbox = Path(campaign.store.uri) / "inbox"
    inbox.mkdir(exist_ok=True)
    with (inbox / f"answers-{round_}-{num_rows}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows[:num_rows])


def test_a_campaign_runs_to_its_end_and_running_it_again_does_nothing(make_campaign):
    campaign = make_campaign()
    seen = []
    result = run_campaign(campaign, seen.append)
    assert (result.status, result.round) == ("finished", 2)
    assert result.reason == "all 2 planned rounds are done (8 labels)"
    assert list(result.done) == seen
    assert set(seen) == finished_units(campaign)
    assert campaign.store.exists("report.html")
    before = digests(campaign)
    again = run_campaign(campaign, lambda unit: pytest.fail(f"{unit} was done again"))
    assert (again.status, again.done, again.reason) == ("finished", (), result.reason)
    assert digests(campaign) == before


def test_a_tick_does_one_round(make_campaign):
    campaign = make_campaign(acquisition={"batch_size": 4, "strategy": "random"})
    first, second, third = tick(campaign), tick(campaign), tick(campaign)
    assert [first.status, second.status, third.status] == ["moved", "moved", "finished"]
    assert {unit.round for unit in second.done} == {1}
    assert second.done[0] == Unit("train_adapter", 1)
    assert second.done[-1] == Unit("await_labels", 1)
    assert third.done == (Unit("train_adapter", 2), Unit("evaluate_adapter", 2))


def test_a_campaign_waits_for_people_and_goes_on_when_they_have_answered(make_campaign):
    campaign = make_campaign(labeling={"source": "files"}, acquisition={"batch_size": 4, "strategy": "random"})
    result = run_campaign(campaign)
    assert (result.status, result.round) == ("waiting", 0)
    waiting = tick(campaign)
    assert (waiting.status, waiting.done) == ("waiting", ())
    fill_in(campaign, 0, 2)
    assert tick(campaign).status == "waiting"
    fill_in(campaign, 0, 4)
    result = tick(campaign)
    assert result.status == "waiting"  # round 1's labels now
    assert result.done[:2] == (Unit("await_labels", 0), Unit("train_adapter", 1))
    assert campaign.require(Unit("train_adapter", 1)).metrics["num_labels"] == 4


def test_the_report_says_that_people_are_asked_while_a_step_stays_for_their_answers(make_campaign):
    waits = {"source": "files", "wait_minutes": 10, "poll_seconds": 0.1}
    campaign = make_campaign(labeling=waits, acquisition={"batch_size": 4, "strategy": "random"})
    seen: list[str] = []

    def people() -> None:
        report, sheet = (Path(campaign.store.uri) / name for name in ("report.html", f"{folder_of(0)}/to_label.csv"))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            text = report.read_text(encoding="utf-8") if sheet.exists() and report.exists() else ""
            if "It waits for people: 4 items of round 0 are to be labelled" in text:
                seen.append(text)
                break
            time.sleep(0.1)
        stop_campaign(campaign, "seen")

    looking = threading.Thread(target=people)
    looking.start()
    try:
        result = tick(campaign)
    finally:
        looking.join()
    assert len(seen) == 1
    assert (result.status, result.reason) == ("finished", "seen")


def test_a_stopped_campaign_stays_stopped(make_campaign):
    campaign = make_campaign()
    stop_campaign(campaign, "a person said so")
    result = run_campaign(campaign)
    assert (result.status, result.done, result.reason) == ("finished", (), "a person said so")


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_to_the_same_end(make_campaign, tmp_path):
    calm = make_campaign("calm")
    run_campaign(calm)
    stormy = make_campaign("stormy")
    program = (
        "import sys; from activelora.campaign.campaign import Campaign;"
        "from pipelines.engines.inline import run_campaign;"
        f"run_campaign(Campaign.open({stormy.store.uri!r}))"
    )
    # Sums on another number of threads differ in their last bit, so the killed processes get as many as this one.
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    for number in range(6):
        with subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL) as process:
            begin, goal = time.monotonic(), len(finished_units(stormy)) + 1 + number % 3
            while process.poll() is None and len(finished_units(stormy)) < goal and time.monotonic() - begin < 60:
                time.sleep(0.02 * (number + 1))
            process.send_signal(signal.SIGKILL)
    run_campaign(stormy)
    assert digests(stormy) == digests(calm)
    assert stop_reason(stormy) == stop_reason(calm)
