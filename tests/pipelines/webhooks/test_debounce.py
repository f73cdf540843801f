"""Many webhooks, one tick."""

import threading
import time

from pipelines.webhooks.debounce import Debounce, Pace

FAST = Pace(quiet_seconds=0.1, longest_seconds=0.4, gap_seconds=0.2, busy_seconds=0.05)


class Ticks:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.times = []
        self.held = threading.Event()
        self.held.set()

    def start(self):
        self.times.append(time.monotonic())
        self.held.wait(5)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, count, seconds=30.0):
        deadline = time.monotonic() + seconds
        while len(self.times) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.times) >= count


def test_a_burst_is_one_tick():
    ticks = Ticks()
    debounce = Debounce(ticks.start, Pace(quiet_seconds=0.5, longest_seconds=2.0, gap_seconds=0.1, busy_seconds=0.1))
    for _ in range(100):
        debounce.trigger()
    ticks.wait(1)
    time.sleep(0.3)
    assert len(ticks.times) == 1
    debounce.close()
    assert not debounce.is_alive


def test_a_burst_without_end_is_answered_all_the_same():
    ticks = Ticks()
    debounce = Debounce(ticks.start, Pace(quiet_seconds=60.0, longest_seconds=0.4))
    begun = time.monotonic()
    while not ticks.times and time.monotonic() - begun < 30:
        debounce.trigger()
        time.sleep(0.01)
    assert 0.35 <= ticks.times[0] - begun < 30
    debounce.close()


def test_what_rings_during_a_tick_is_answered_by_another_after_the_gap():
    ticks = Ticks()
    ticks.held.clear()
    debounce = Debounce(ticks.start, FAST)
    debounce.trigger()
    ticks.wait(1)
    debounce.trigger()
    time.sleep(0.2)
    assert len(ticks.times) == 1
    ticks.held.set()
    ticks.wait(2)
    assert ticks.times[1] - ticks.times[0] >= 0.2
    debounce.close()


def test_a_busy_campaign_is_tried_again_and_a_failure_does_not_end_the_bell(caplog):
    ticks = Ticks(False, False, RuntimeError("no"), True)
    debounce = Debounce(ticks.start, FAST)
    debounce.trigger()
    ticks.wait(3)
    assert debounce.is_alive
    debounce.trigger()
    ticks.wait(4)
    assert "the tick could not be started" in caplog.text
    debounce.close()


def test_a_closed_bell_starts_nothing():
    ticks = Ticks()
    debounce = Debounce(ticks.start, Pace())
    debounce.trigger()
    debounce.close()
    assert ticks.times == []
