from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.cluster.errors import ClusterError
from pipelines.deploy.cron import check_cron, describe_cron, next_times

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 0 6 * * *", "at 06:00"),
        ("0 */15 * * * *", "every 15 minutes"),
        ("0 30 8 * * mon-fri", "at 08:30, monday through friday"),
        ("30 0 0 1 * ?", "at 00:00:30, on day 1 of the month"),
        ("0 0 6 * jan,jul *", "at 06:00, only in january and july"),
    ],
)
def test_words(cron, words):
    assert describe_cron(check_cron(cron)) == words


def test_spaces_are_normal():
    assert check_cron("  0  0 6 * *   * ") == "0 0 6 * * *"


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 6 * * *", 'Put the seconds first: "0 0 6'),
        ("", "has 0 fields"),
        ("@daily", "has 1 fields"),
        ("* * * * * *", "more than once a minute"),
        ("*/30 * * * * *", "more than once a minute"),
        ("0 60 * * * *", "minute '60' is out of range"),
        ("0 0 24 * * *", "hour '24' is out of range"),
        ("0 0 0 0 * *", "day of month '0' is out of range"),
        ("0 0 0 * * 7", "day of week '7' is out of range"),
        ("0 0 9-5 * * *", "hour '9-5' is out of range"),
        ("0 */0 * * * *", "step out of range"),
        ("0 0 0 L * *", "is not understood"),
        ("0 0 0 * * mon#2", "is not understood"),
        ("0 0 0 31 2 *", "never comes"),
        ("0 0 0 1 * mon", "cron takes either"),
        ("0 ? * * * *", "cannot be"),
    ],
)
def test_what_kubeflow_would_refuse_or_misread(cron, problem):
    with pytest.raises(ClusterError, match=problem):
        check_cron(cron)


def test_next_times_by_the_slow_obvious_way():
    """Every minute of ten days, looked at one by one."""
    cron = "0 30 8,17 * * mon-fri"
    minutes = (SATURDAY + timedelta(minutes=number) for number in range(1, 10 * 24 * 60))
    expected = [time for time in minutes if time.weekday() < 5 and time.hour in (8, 17) and time.minute == 30]
    assert next_times(cron, len(expected), SATURDAY) == expected
    assert len(expected) == 13  # two on each weekday, and the tenth day ends before 17:30
