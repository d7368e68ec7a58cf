from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from osusume.times import names_its_zone, read_time, written_time

TOKYO = ZoneInfo("Asia/Tokyo")
MORNING = datetime(2026, 11, 22, 6, 5, 7, tzinfo=TOKYO)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 06:05:07",
        "2026-11-22T06:05:07",
        "2026-11-22 06:05:07+09:00",
        "2026-11-22T06:05:07+0900",
        "2026-11-22 06:05:07 +09",
        "2026-11-22 06:05:07 JST",
        "2026-11-21T21:05:07Z",
        "2026-11-21 21:05:07 UTC",
        "20261121T210507Z",
        "20261122060507",
        "2026-11-22 06:05:07+9",
        "2026/11/22 6:05:07",
        "2026.11.22 06:05:07",
        "2026年11月22日 6時5分7秒",
        "２０２６年１１月２２日６時５分７秒",
        "  2026-11-22 06:05:07  ",
        "2026-11-22T06:05:07.000000",
        MORNING.timestamp(),
        int(MORNING.timestamp()),
        int(MORNING.timestamp() * 1000),
        str(int(MORNING.timestamp())),
        f"{MORNING.timestamp():.6f}",
    ],
    ids=str,
)
def test_a_time_is_read_in_every_form(text: object) -> None:
    assert read_time(text, TOKYO) == MORNING


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026/11/9", datetime(2026, 11, 9, tzinfo=TOKYO)),
        ("2026-11-09", datetime(2026, 11, 9, tzinfo=TOKYO)),
        ("20261109", datetime(2026, 11, 9, tzinfo=TOKYO)),
        ("2026年11月9日", datetime(2026, 11, 9, tzinfo=TOKYO)),
        ("2026/11/9 7:05", datetime(2026, 11, 9, 7, 5, tzinfo=TOKYO)),
        ("2026-11-22 06:05:07.25", MORNING.replace(microsecond=250_000)),
        ("2026-11-22T06:05:07,5", MORNING.replace(microsecond=500_000)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
    ids=str,
)
def test_what_a_time_leaves_out_is_nought(text: object, moment: datetime) -> None:
    assert read_time(text, TOKYO) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "2026-11-22 25:00:00",
        "22.11.2026",
        None,
        True,
        [],
        float("nan"),
        1e300,
    ],
    ids=str,
)
def test_what_is_no_time_is_an_error(text: object) -> None:
    with pytest.raises(ValueError, match="must be a time such as 2026-11-22 07:00:00"):
        read_time(text, TOKYO)


@pytest.mark.parametrize(
    ("text", "names"),
    [("2026-11-22 06:05:07", False), ("2026/11/9", False), ("2026-11-22T06:05:07Z", True), (1_764_000_000, True)],
)
def test_a_time_names_its_zone_or_leaves_it_open(text: object, names: bool) -> None:
    assert names_its_zone(text) is names


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC", "Asia/Kolkata"])
def test_a_written_time_is_read_as_the_same_moment_anywhere(zone: str) -> None:
    text = written_time(1_764_000_000.0, ZoneInfo(zone))
    assert read_time(text, ZoneInfo("Pacific/Auckland")).timestamp() == 1_764_000_000
