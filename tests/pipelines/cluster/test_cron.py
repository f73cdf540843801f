from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.cluster.errors import ClusterError
from pipelines.deploy.cron import check_argo_cron, check_cron, describe_cron, next_times

ANSWERS = Path(__file__).parent / "cron_answers" / "answers.tsv.gz"
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


def answers():
    """Return what Kubeflow's own parser says: expression, start, and next times; None where it refuses."""
    with gzip.open(ANSWERS, "rt") as lines:
        for line in lines:
            expression, start, found = line.rstrip("\n").split("\t")
            times = [datetime.fromtimestamp(int(one), UTC) for one in found.split()] if found != "refused" else None
            yield expression, datetime.fromtimestamp(int(start), UTC), times


def test_it_agrees_with_kubeflow_s_own_parser():
    num_equal, only_ours = 0, Counter()
    for expression, start, expected in answers():
        refusal = refusal_of(expression, start)
        if refusal is not None and expected is not None:
            only_ours[refusal] += 1
            assert expected == [] or refusal != "never comes", expression
        elif refusal is None:
            assert expected is not None, f"Kubeflow refuses {expression}"
            assert next_times(expression, 3, start) == expected, (expression, start)
            assert describe_cron(expression)
            num_equal += 1
    assert num_equal >= 3_000
    assert set(only_ours) == set(STRICTER)


STRICTER = ("more than once a minute", "takes either", "never comes", "step out of range")
"""Why an expression is refused that Kubeflow takes."""


def refusal_of(expression, now):
    """Return why an expression is refused, of the reasons that are ours alone; None if it is not."""
    try:
        check_cron(expression, now)
    except ClusterError as error:
        return next((one for one in STRICTER if one in str(error)), "another")
    return None


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        ("0 0 0 29 2 *", datetime(2026, 1, 1, tzinfo=UTC), ["2028-02-29", "2032-02-29"]),
        ("0 0 0 29 2 *", datetime(2096, 3, 1, tzinfo=UTC), []),  # 2100 has none, and 2104 is too far for Kubeflow
        ("0 0 6-6 31-31 * *", datetime(2026, 4, 1, tzinfo=UTC), ["2026-05-31", "2026-07-31"]),
        ("0 0 0 */2 * mon", datetime(2026, 11, 1, tzinfo=UTC), ["2026-11-09", "2026-11-23"]),  # both
    ],
)
def test_days_that_not_every_year_or_month_has(cron, start, expected):
    assert [f"{time:%Y-%m-%d}" for time in next_times(cron, 2, start)] == expected


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 0 6-6 * * mon-mon", "at 06:00, only on monday"),
        ("0 0 0 1,* * *", "at 00:00"),
        ("0 0 *,3 * * ?", "every hour"),
    ],
)
def test_words_of_odd_forms(cron, words):
    assert describe_cron(check_cron(cron)) == words


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 0 6 * * *", "six fields"),
        ("0 6 * *", "4 fields"),
        ("0 25 * * *", "out of range"),
        ("0 6 */2 * mon", "takes either"),
    ],
)
def test_what_argo_would_refuse_or_misread(cron, problem):
    with pytest.raises(ClusterError, match=problem):
        check_argo_cron(cron)


def test_argo_s_five_fields():
    assert check_argo_cron(" 17  * * * mon-fri") == "17 * * * mon-fri"
