"""What a long run says of itself: the rest of the whole run, not of the rows in work alone."""

import logging
import re

import pytest

from activelora import progress
from activelora.prediction.pace import Pace, in_words


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize("done_before", [0, 5000], ids=["from the beginning", "going on"])
def test_the_time_left_is_that_of_all_rows_and_the_rate_that_of_this_run(done_before):
    num_rows, rate, clock = 20_000, 50.0, Clock()
    pace = Pace(clock)
    for first in range(done_before + 1, num_rows + 1, 1000):
        said = pace.describe(first, first + 999, (first + 999) / num_rows)
        assert said.startswith(f"rows {first:,} to {first + 999:,} (")
        if first == done_before + 1:
            assert "left" not in said, "nothing was measured yet"
        else:
            assert f"{in_words((num_rows - first + 1) / rate)} left in all" in said
        clock.seconds += 1000 / rate
        pace.add(1000, first + 999)


def test_pipes_tell_their_rows_alone():
    pace = Pace(Clock())
    pace.add(10, 10)
    assert pace.describe(11, 20, None) == "rows 11 to 20"
    assert "left" not in pace.describe(11, 20, 0.0)


def test_many_fast_chunks_are_told_of_now_and_then(caplog):
    clock = Clock()
    pace = Pace(clock)
    with caplog.at_level(logging.INFO):
        for chunk in range(1, 101):
            clock.seconds += progress.LINE_SECONDS / 4
            pace.describe(chunk * 1000 - 999, chunk * 1000, None if chunk < 50 else chunk / 100)
            pace.add(1000, chunk * 1000)
    assert len(caplog.messages) == 25
    assert caplog.messages[0] == "4,000 rows answered, 400 rows/s"
    assert caplog.messages[14] == "60,000 rows answered, 400 rows/s, about 100 s left"


def test_times_are_said_in_the_unit_that_people_would_use():
    assert [in_words(seconds) for seconds in (0.2, 119, 121, 3600, 7300)] == [
        "about 1 s",
        "about 119 s",
        "about 2 min",
        "about 60 min",
        "about 2 h",
    ]
    assert all(re.fullmatch(r"about [1-9]\d* (s|min|h)", in_words(10.0**power)) for power in range(-3, 7))
