"""Kubeflow's cron (six fields, seconds first) and Argo's (five). Checked, said in words, and its next times.

Kubeflow Pipelines reads expressions with robfig/cron 1.2 (https://pkg.go.dev/github.com/robfig/cron@v1.2.0), which
other parsers do not agree with: where a `*` is in a list or has a step, the two day fields are read as "both".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

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
_STARS = ("*", "?")
_YEARS = 5
"""Kubeflow looks no further than the fifth year from now."""


def check_cron(text: str, now: datetime | None = None) -> str:
    """Return the expression with single spaces, or refuse what Kubeflow would refuse or take for something else.

    Args:
        text: The expression.
        now: Moment after which it has to come; None is the present one.

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
        for part in field.split(","):
            _check_part(text, index, part)
    if not fields[0].isdigit():
        raise _refusal(text, "would tick more than once a minute", 'Write one number for the seconds: "0 …".')
    normal = " ".join(fields)
    if not _Times.of(normal).has_star:
        raise _refusal(text, "restricts day of month and day of week, and cron takes either", "Leave one of them `*`.")
    if not next_times(normal, 1, now):
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
    if not {fields[2], fields[4]} & set(_STARS):
        raise _refusal(text, "restricts day of month and day of week, and cron takes either", "Leave one of them `*`.")
    return check_cron(" ".join(["0", *fields])).partition(" ")[2]


def describe_cron(text: str) -> str:
    """Return a checked expression in English words."""
    from cron_descriptor import CasingTypeEnum, ExpressionDescriptor, Options

    options = Options()
    options.casing_type, options.use_24hour_time_format = CasingTypeEnum.LowerCase, True
    # A list with a star in it is a star, and a range of one is one: the describer knows neither.
    plain = [_plain(field) for field in text.split()]
    return str(ExpressionDescriptor(" ".join(plain), options).get_description())


def next_times(text: str, number: int, after: datetime | None = None) -> list[datetime]:
    """Return the next times of a checked expression, in UTC.

    Kubeflow's controller uses UTC unless its ``CRON_SCHEDULE_TIMEZONE`` says otherwise.

    Args:
        text: The expression.
        number: Number of times.
        after: Time after which they come; None is now.

    Returns:
        Fewer where none comes within five years of the one before: Kubeflow looks no further.
    """
    times, found, last = _Times.of(text), list[datetime](), after or datetime.now(UTC)
    while len(found) < number:
        following = next(times.after(last), None)
        if following is None:
            break
        found.append(following)
        last = following
    return found


@dataclass(frozen=True)
class _Times:
    """When an expression's times are.

    Attributes:
        values: Values of each field that match, in order.
        has_star: Whether a day field has a star, so that a day has to match both.
    """

    values: tuple[tuple[int, ...], ...]
    has_star: bool

    @classmethod
    def of(cls, text: str) -> _Times:
        """Read a checked expression."""
        fields = text.lower().split()
        values = tuple(
            tuple(sorted({value for part in field.split(",") for value in _values(index, part)}))
            for index, field in enumerate(fields)
        )
        days = (*fields[3].split(","), *fields[5].split(","))
        return cls(values, any(part.startswith(_STARS) for part in days))

    def after(self, start: datetime) -> Iterator[datetime]:
        """Yield the times after a moment, up to the end of the fifth year from it."""
        start = start.astimezone(UTC).replace(microsecond=0)
        day = start.date()
        while day.year <= start.year + _YEARS:
            if day.month not in self.values[4]:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._has_day(day):
                for hour in self.values[2]:
                    for minute in self.values[1]:
                        for second in self.values[0]:
                            found = datetime.combine(day, time(hour, minute, second), UTC)
                            if found > start:
                                yield found
            day += timedelta(days=1)

    def _has_day(self, day: date) -> bool:
        of_month, of_week = day.day in self.values[3], day.isoweekday() % 7 in self.values[5]
        return of_month and of_week if self.has_star else of_month or of_week


def _values(index: int, part: str) -> range:
    """Return the values that a part of a field matches; a number with a step begins a range to the end."""
    low, high = _RANGES[index]
    words, _, step = part.partition("/")
    first, _, last = words.partition("-")
    if first in _STARS:
        return range(low, high + 1, int(step or 1))
    start = _known(index, first)
    end = _known(index, last) if last else high if step else start
    return range(start, end + 1, int(step or 1))


def _plain(field: str) -> str:
    """Return a field that matches the same in the commonest form."""
    parts = field.split(",")
    if any(part in _STARS for part in parts):
        return "*"
    return ",".join(
        first if last and first == last else part for part in parts for first, _, last in [part.partition("-")]
    )


def _check_part(text: str, index: int, part: str) -> None:
    low, high = _RANGES[index]
    match = _PART.fullmatch(part.lower())
    problem = f"its {FIELDS[index]} {part!r} is not understood"
    if match is None or (match["first"] in _STARS and match["last"]):
        raise _refusal(text, problem, f"Write numbers from {low} to {high}, `*`, a-b, */n or a list.")
    numbers = [_number(index, word) for word in (match["first"], match["last"]) if word and word not in _STARS]
    if any(number is None for number in numbers):
        raise _refusal(text, problem, f"Write numbers from {low} to {high}, `*`, a-b, */n or a list.")
    found = [number for number in numbers if number is not None]
    if any(not low <= number <= high for number in found) or found != sorted(found):
        raise _refusal(text, f"its {FIELDS[index]} {part!r} is out of range", f"Write {low} to {high}.")
    if match["step"] is not None and not 1 <= int(match["step"]) <= high:
        raise _refusal(text, f"its {FIELDS[index]} {part!r} has a step out of range", f"Write 1 to {high}.")
    if match["first"] == "?" and index not in (3, 5):
        raise _refusal(text, f"its {FIELDS[index]} cannot be `?`", "Write `*`.")


def _known(index: int, word: str) -> int:
    number = _number(index, word)
    if number is None:
        raise ValueError(f"{word} is no {FIELDS[index]}")
    return number


def _number(index: int, word: str) -> int | None:
    if word.isascii() and word.isdecimal():
        return int(word)
    return _NAMES.get(index, {}).get(word)


def _refusal(text: str, problem: str, remedy: str) -> ClusterError:
    return ClusterError(problem, where=f"cron {text!r}", remedy=remedy)
