"""What goes wrong with events and clocks: S3's notifications, the schedule, the day that turns halfway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from injector import Call, Forward, Rule, calls
from werkzeug import Response

from faults.fault import Fault
from faults.harness import Harness, Settings
from local.cloud import moto_events
from local.machine import SCHEDULE

GROUP = "Events and clocks"
NEW_YORK = Settings(parameters=(("TimeZone", "America/New_York"), ("Schedule", "cron(30 1 * * ? *)")))

Held = list[tuple[str, dict[str, Any]]]


@contextmanager
def _held_notifications() -> Iterator[Held]:
    """Keep back what S3 tells functions, in the order it would have told it; whoever holds it may deliver it."""
    handlers = moto_events.handlers
    assert handlers is not None  # a cloud runs
    deliver, held = handlers.deliver, Held()
    handlers.deliver = lambda arn, event: held.append((arn, event))
    try:
        yield held
    finally:
        handlers.deliver = deliver


def _deliver(held: Held) -> None:
    assert moto_events.handlers is not None  # a cloud runs
    for arn, event in held:
        moto_events.handlers.deliver(arn, event)


def _doubled_while_it_runs(on: Harness) -> int:
    """Deliver a snapshot's event twice more while the first delivery is being worked at, and once more at the end."""

    def again(_call: Call, forward: Forward) -> Response:
        on.machine.cloud.deliver_s3_event(on.machine.snapshot_keys[-1], times=2)
        return forward()

    on.a_day(3, [Rule(calls("notifier", "classifier:"), again, times=1)])
    on.machine.cloud.deliver_s3_event(on.machine.snapshot_keys[-1])
    on.settle()
    on.a_day(1)
    return 3


def _reordered(on: Harness) -> int:
    """Deliver the events of two days in the wrong order, both after the second day's crawl."""
    with _held_notifications() as held:
        on.a_day(2)
        on.a_day(2)
    _deliver(held[::-1])
    on.settle()
    on.a_day(1)
    return len(held)


def _delayed(on: Harness) -> int:
    """Deliver a day's event after the next day's run is over."""
    with _held_notifications() as held:
        on.a_day(2)
    on.a_day(2)
    _deliver(held)
    on.settle()
    return len(held)


def _deleted(on: Harness) -> int:
    """Deliver the event of a snapshot that was deleted before the notifier could read it."""
    with _held_notifications() as held:
        on.a_day(2)
    key = on.machine.snapshot_keys[-1]
    on.machine.cloud.client("s3").delete_object(Bucket=on.machine.cloud.resources["Bucket"], Key=key)
    _deliver(held)
    on.settle()
    on.a_day(1)
    return len(held)


def _schedule_fires_twice(on: Harness) -> int:
    """Fire the schedule of a morning three times: twice at once, and when all is done."""
    on.begin_day(2)
    morning = on.morning
    on.machine.cloud.fire_schedule(SCHEDULE, morning)
    on.settle()
    on.machine.cloud.fire_schedule(SCHEDULE, morning)
    on.settle()
    on.a_day(1)
    return 3


def _daylight_saving(on: Harness) -> int:
    """Fire a schedule at half past one in New York over the nights when clocks go back and forth.

    The first of November has that half hour twice, and EventBridge fires in one of them; here it fires in both.
    """
    zone = ZoneInfo("America/New_York")
    nights = [datetime(2026, 10, 31), datetime(2026, 11, 1), datetime(2026, 11, 2), datetime(2027, 3, 14)]  # noqa: DTZ001  # of the zone, below
    moments = [night.replace(hour=1, minute=30, tzinfo=zone, fold=fold) for night in nights for fold in (0, 1)]
    distinct = sorted({moment.timestamp(): moment for moment in moments}.values(), key=datetime.timestamp)
    for moment in distinct:
        on.begin_day(1, at=moment)
        on.settle()
        on.press_until_taken(on.newest_message())
    return len(distinct)


def _midnight(on: Harness) -> int:
    """Let the shop's day turn, with new works, between the listing and the first work's page."""

    def turn(_call: Call, forward: Forward) -> Response:
        on.put_on_sale(2)
        return forward()

    rule = Rule(calls("crawler", "site: GET /home/work/"), turn, times=1)
    on.a_day(2, [rule])
    on.a_day(1)
    return rule.met


FAULTS = (
    Fault(
        GROUP, "event-doubled", "S3's event doubled, at the same time and later", _doubled_while_it_runs, is_quick=True
    ),
    Fault(GROUP, "event-reordered", "S3's events of two days in the wrong order", _reordered),
    Fault(GROUP, "event-delayed", "S3's event delayed past the next day's run", _delayed),
    Fault(GROUP, "event-deleted", "S3's event for a deleted snapshot", _deleted),
    Fault(GROUP, "schedule-doubled", "the schedule fires three times for one morning", _schedule_fires_twice),
    Fault(
        GROUP,
        "clock-daylight-saving",
        "daylight saving of another time zone: half past one, twice in a night",
        _daylight_saving,
        NEW_YORK,
        seconds=20,
    ),
    Fault(GROUP, "clock-midnight", "the shop's day turns between listing and pages", _midnight),
)
