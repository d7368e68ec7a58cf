"""Reads times as files and people write them."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, tzinfo
from datetime import time as day_time

_MILLISECONDS_FROM = 10**11
"""Numbers from here on are milliseconds since the epoch; as seconds they would be in the year 5138."""

_DIGITS = re.compile(r"[0-9]{8}(?:[0-9]{6})?")  # 20261122, 20261122070000
_NUMBER = re.compile(r"[0-9]{9,20}(?:\.[0-9]{0,20})?")
_DATE = r"(?P<year>[0-9]{4})[-/.年](?P<month>[0-9]{1,2})[-/.月](?P<day>[0-9]{1,2})日?"
_SECONDS = r"(?P<second>[0-9]{1,2})(?:[.,](?P<part>[0-9]{1,9}))?秒?"
_CLOCK = rf"(?P<hour>[0-9]{{1,2}})[:時](?:(?P<minute>[0-9]{{1,2}})分?)?(?::?{_SECONDS})?"
_ZONE = r"(?P<zone>Z|UTC|GMT|JST|(?P<sign>[+-])(?P<hours>[0-9]{1,2}):?(?P<minutes>[0-9]{2})?)"
_TIME = re.compile(rf"{_DATE}(?:[T ]*{_CLOCK}\s*{_ZONE}?)?", re.IGNORECASE)


def read_time(value: object, time_zone: tzinfo) -> datetime:
    """Return the time that `value` names, with an offset; `time_zone` applies if it names none.

    It reads ISO 8601 in all its forms, `2026/11/9 7:05`, `2026年11月9日 7時5分`, a date alone, which is its midnight,
    and seconds or milliseconds since the epoch, as a number or a string. Raises `ValueError` for anything else.

    >>> read_time("2026/11/9 7:05", UTC).isoformat()
    '2026-11-09T07:05:00+00:00'
    >>> read_time("2026-11-22T06:00:00Z", UTC) < read_time("2026-11-22 16:00:00+09:00", UTC)
    True
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _since_the_epoch(float(value))
        if isinstance(value, str):
            text = unicodedata.normalize("NFKC", value).strip()
            if _DIGITS.fullmatch(text):
                return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=time_zone)
            return _since_the_epoch(float(text)) if _NUMBER.fullmatch(text) else _in_words(text, time_zone)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError(f"must be a time such as 2026-11-22 07:00:00+09:00, not {value!r:.40}")


def names_its_zone(value: object) -> bool:
    """Return whether the time `value` is the same moment in every time zone. Raises `ValueError` like `read_time`."""
    return read_time(value, UTC) == read_time(value, _ELSEWHERE)


def written_time(seconds: float, time_zone: tzinfo) -> str:
    """Return a time, in seconds since the epoch, as files have it: in `time_zone`, with its offset.

    >>> from zoneinfo import ZoneInfo
    >>> written_time(1764000000.5, ZoneInfo("Asia/Tokyo"))
    '2025-11-25 01:00:00+09:00'
    """
    return datetime.fromtimestamp(seconds, time_zone).isoformat(" ", "seconds")


def _since_the_epoch(number: float) -> datetime:
    if not math.isfinite(number):
        raise ValueError("not finite")
    return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)


def _in_words(text: str, time_zone: tzinfo) -> datetime:
    found = _TIME.fullmatch(text)
    moment = datetime.fromisoformat(text) if found is None else _of_parts(found, time_zone)
    return moment if moment.tzinfo else moment.replace(tzinfo=time_zone)


def _of_parts(found: re.Match[str], time_zone: tzinfo) -> datetime:
    part = found.groupdict()
    clock = day_time(
        int(part["hour"] or 0),
        int(part["minute"] or 0),
        int(part["second"] or 0),
        int((part["part"] or "0").ljust(6, "0")[:6]),
    )
    zone: tzinfo = time_zone
    if name := part["zone"]:
        shift = {"JST": "+09:00", "Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"}.get(
            name.upper(), f"{part['sign']}{int(part['hours'] or 0):02}:{part['minutes'] or '00'}"
        )
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{shift}").tzinfo or UTC
    return datetime(int(part["year"]), int(part["month"]), int(part["day"]), tzinfo=zone).replace(
        hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond
    )


_ELSEWHERE = datetime.fromisoformat("2000-01-01T00:00:00+09:00").tzinfo or UTC
