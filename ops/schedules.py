"""When an expression of EventBridge Scheduler fires."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from osusume.errors import UserError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 1, 7, _DAYS),
    ("year", 1970, 2199, ()),
)
_DAYS_AHEAD = 800


def next_times(expression: str, time_zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the times at which a schedule fires within two years, in its time zone.

    Raises `UserError` for an expression that EventBridge Scheduler refuses, and for cron's L, W and #.

    >>> moment = datetime(2026, 4, 1, 22, 30, tzinfo=UTC)
    >>> next(next_times("cron(0 7 * * ? *)", ZoneInfo("Asia/Tokyo"), moment)).isoformat()
    '2026-04-03T07:00:00+09:00'
    """
    if rate := re.fullmatch(r"rate\(([1-9][0-9]*) (minute|hour|day)s?\)", expression):
        step = timedelta(**{f"{rate[2]}s": int(rate[1])})
        return (after.astimezone(time_zone) + step * number for number in range(1, 100))
    cron = re.fullmatch(r"cron\((.+)\)", expression)
    texts = cron[1].split() if cron else []
    if len(texts) != len(_FIELDS):
        raise UserError(f"{expression!r} is no schedule: write one such as cron(0 7 * * ? *) or rate(1 day)")
    if (texts[2] == "?") == (texts[4] == "?"):
        raise UserError(f"{expression!r}: one of day of the month and day of the week, and only one, must be '?'")
    fields = [_values(text, *field) for text, field in zip(texts, _FIELDS, strict=True)]
    return _times(fields, time_zone, after)


def past_times(expression: str, time_zone: ZoneInfo, after: datetime, now: datetime) -> list[datetime]:
    """Return when a schedule fired since `after`; none where that cannot be known, as of a rate.

    >>> begin, now = datetime(2026, 4, 1, 22, 30, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC)
    >>> [moment.day for moment in past_times("cron(0 7 * * ? *)", ZoneInfo("Asia/Tokyo"), begin, now)]
    [3, 4]
    >>> past_times("rate(1 day)", ZoneInfo("Asia/Tokyo"), begin, now)
    []
    """
    if expression.startswith("rate"):
        return []
    try:
        return list(takewhile(lambda moment: moment <= now, next_times(expression, time_zone, after)))
    except UserError:
        return []


def _times(fields: list[set[int]], time_zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    minutes, hours, days, months, weekdays, years = fields
    first = after.astimezone(time_zone).date()
    for day in (first + timedelta(days=number) for number in range(_DAYS_AHEAD)):
        weekday = day.isoweekday() % 7 + 1  # Sunday is 1
        if day.day in days and day.month in months and weekday in weekdays and day.year in years:
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=time_zone)
                    # an hour that the change to summer time skips does not come back as itself
                    if moment > after and moment.astimezone(UTC).astimezone(time_zone).hour == hour:
                        yield moment


def _values(text: str, name: str, least: int, most: int, names: tuple[str, ...]) -> set[int]:
    values: set[int] = set()
    for part in text.upper().split(","):
        found = re.fullmatch(r"(\*|\?|(\w+)(?:-(\w+))?)(?:/([0-9]+))?", part)
        if not found:
            raise UserError(f"{text!r} is no {name} of a schedule that can be checked here (L, W and # cannot)")
        start, end = least, most
        if found[2]:
            start = _number(found[2], name, least, names)
            end = _number(found[3], name, least, names) if found[3] else (most if found[4] else start)
        step = int(found[4] or 1)
        if not (least <= start <= end <= most and step > 0):
            raise UserError(f"{text!r} is no {name}: from {least} to {most}")
        values.update(range(start, end + 1, step))
    return values


def _number(text: str, name: str, least: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + least
    if not text.isdecimal():
        raise UserError(f"{text!r} is no {name} of a schedule that can be checked here (L, W and # cannot)")
    return int(text)
