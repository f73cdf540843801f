"""Kubeflow's cron (six fields, seconds first) and Argo's (five). Checked, said in words, and its next times."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pipelines.cluster.errors import ClusterError

FIELDS = ("second", "minute", "hour", "day of month", "month", "day of week")
_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {
    4: {name: number for number, name in enumerate(_MONTHS, 1)},
    5: {name: number for number, name in enumerate(_DAYS)},
}
_PART = re.compile(r"(?P<first>\*|\?|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


def check_cron(text: str) -> str:
    """Return the expression with single spaces, or refuse what Kubeflow would refuse or take for something else.

    Raises:
        ClusterError: It has not six fields, a field is out of its range, it would run more than once a minute, or both
            day fields are given, which cron reads as "either" and people as "both".
    """
    fields = text.split()
    if len(fields) == 5:
        raise _refusal(text, "has five fields, and Kubeflow's cron has six", f'Put the seconds first: "0 {text}".')
    if len(fields) != 6:
        raise _refusal(text, f"has {len(fields)} fields, not six", f'Write {", ".join(FIELDS)}: "0 0 6 * * *".')
    for index, field in enumerate(fields):
        _check_field(text, index, field)
    if not fields[0].isdigit():
        raise _refusal(text, "would tick more than once a minute", 'Write one number for the seconds: "0 …".')
    if not {"*", "?"} & {fields[3]} and not {"*", "?"} & {fields[5]}:
        raise _refusal(text, "restricts day of month and day of week, and cron takes either", "Leave one of them `*`.")
    normal = " ".join(fields)
    if not next_times(normal, 1):
        raise _refusal(text, "never comes: there is no such day", "Choose a day that its months have.")
    return normal


def check_argo_cron(text: str) -> str:
    """Return an expression of Argo's with single spaces, or refuse it as :func:`check_cron` does.

    Raises:
        ClusterError: It has not five fields, or one of them is refused.
    """
    fields = text.split()
    if len(fields) == 6:
        remedy = f'Leave out the seconds: "{" ".join(fields[1:])}".'
        raise _refusal(text, "has six fields, and Argo's cron has five", remedy)
    if len(fields) != 5:
        raise _refusal(text, f"has {len(fields)} fields, not five", f'Write {", ".join(FIELDS[1:])}: "0 6 * * *".')
    return check_cron(" ".join(["0", *fields])).partition(" ")[2]


def describe_cron(text: str) -> str:
    """Return a checked expression in English words."""
    from cron_descriptor import CasingTypeEnum, ExpressionDescriptor, Options

    options = Options()
    options.casing_type, options.use_24hour_time_format = CasingTypeEnum.LowerCase, True
    return str(ExpressionDescriptor(text, options).get_description())


def next_times(text: str, number: int, after: datetime | None = None) -> list[datetime]:
    """Return the next times of a checked expression, in UTC.

    Kubeflow's controller uses UTC unless its ``CRON_SCHEDULE_TIMEZONE`` says otherwise.

    Args:
        text: The expression.
        number: Number of times.
        after: Time after which they come; None is now.

    Returns:
        An empty list if it never comes.
    """
    from croniter import CroniterBadDateError, croniter

    times = croniter(text.replace("?", "*"), after or datetime.now(UTC), second_at_beginning=True)
    try:
        return [times.get_next(datetime) for _ in range(number)]
    except CroniterBadDateError:
        return []


def _check_field(text: str, index: int, field: str) -> None:
    low, high = _RANGES[index]
    for part in field.split(","):
        match = _PART.fullmatch(part.lower())
        problem = f"its {FIELDS[index]} {part!r} is not understood"
        if match is None or (match["first"] in "*?" and match["last"]):
            raise _refusal(text, problem, f"Write numbers from {low} to {high}, `*`, a-b, */n or a list.")
        numbers = [_number(index, word) for word in (match["first"], match["last"]) if word and word not in "*?"]
        if any(number is None for number in numbers):
            raise _refusal(text, problem, f"Write numbers from {low} to {high}, `*`, a-b, */n or a list.")
        found = [number for number in numbers if number is not None]
        if any(not low <= number <= high for number in found) or found != sorted(found):
            raise _refusal(text, f"its {FIELDS[index]} {part!r} is out of range", f"Write {low} to {high}.")
        if match["step"] is not None and not 1 <= int(match["step"]) <= high:
            raise _refusal(text, f"its {FIELDS[index]} {part!r} has a step out of range", f"Write 1 to {high}.")
        if match["first"] == "?" and index not in (3, 5):
            raise _refusal(text, f"its {FIELDS[index]} cannot be `?`", "Write `*`.")


def _number(index: int, word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    return _NAMES.get(index, {}).get(word)


def _refusal(text: str, problem: str, remedy: str) -> ClusterError:
    return ClusterError(problem, where=f"cron {text!r}", remedy=remedy)
