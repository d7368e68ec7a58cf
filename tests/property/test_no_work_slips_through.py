"""Whatever the days bring, every work that the shop listed is posted, passed over, or named as given up.

`make properties` tries many more sequences of days than the suite does, other ones each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crawling import DAY_ONE, LISTING, Died, Shop, dying_at, serve
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from injector import Act, altered
from property.stepped import SteppedWorld
from property.test_any_order import LONG

from crawler.crawl import BadCrawl
from crawler.fetcher import Fetcher
from crawler.sources import SourceError
from local.slack import as_text
from osusume.ledger import Record
from osusume.snapshots import GIVE_UP_DAYS, read_snapshot, snapshot_key
from samples.works import generate_works

WORKS = generate_works(400, seed=11)
FIRST_WORKS = 24
LAMBDA_TRIES = 3

SITE_FAULTS: dict[str, Act] = {
    "down": altered(status=503),
    "challenge": altered(status=202, body=b"<html><body>One moment</body></html>"),
    "busy": altered(status=429),
    "maintenance": altered(body=b"<html><body>We are back soon</body></html>"),
}
PAGE_FAULTS: dict[str, Act] = {
    "unparsable": altered(body=b"<html><body><h1>Something else</h1></body></html>"),
    "gone": altered(status=404),
    "failing": altered(status=500),
}


@dataclass(frozen=True)
class Day:
    """What a day brings: new works, works withdrawn, pages that fail for some days, trouble with the whole shop.

    Works are named by their place among those on sale, newest first. `dies_at` is the page at which the first turn
    dies.
    """

    new: int
    withdrawn: list[int] = field(default_factory=list)
    failing: list[tuple[int, str, int]] = field(default_factory=list)
    trouble: str | None = None
    dies_at: int | None = None


places = st.integers(0, 30)
days = st.builds(
    Day,
    new=st.integers(0, 16),
    withdrawn=st.lists(places, max_size=2),
    failing=st.lists(st.tuples(places, st.sampled_from(sorted(PAGE_FAULTS)), st.integers(1, 12)), max_size=6),
    trouble=st.none() | st.none() | st.sampled_from(sorted(SITE_FAULTS)),
    dies_at=st.none() | st.integers(1, 12),
)


class Mornings:
    """The real crawl and the real notifier, day after day, before a shop that does what the days say."""

    def __init__(self, world: SteppedWorld, shop: Shop, item_limit: int) -> None:
        self.world, self.shop, self.item_limit = world, shop, item_limit
        self.number = 0
        self.trouble: str | None = None
        self.failing: dict[str, tuple[Act, int]] = {}
        self.before_the_first: set[str] | None = None
        self.listed: set[str] = set()

    def live(self, day: Day) -> None:
        """Let a day go by: the shop changes, the crawl is tried as often as Lambda does, its snapshot is notified."""
        self.number += 1
        self._change_the_shop(day)
        due = DAY_ONE + timedelta(days=self.number - 1)
        for number in range(LAMBDA_TRIES):
            self.shop.clock.now = max(self.shop.clock.now + 60, due.timestamp())
            dying = dying_at(day.dies_at, "") if number == 0 and day.dies_at else Fetcher
            self.shop.log.clear()
            with suppress(SourceError, BadCrawl, Died):
                self._crawl(due, f"day-{self.number}", dying)
                break
        self.world.now = max(self.world.now, self.shop.clock.now)
        if snapshot_key("dlsite", due) in self.shop.snapshots():
            self.world.run(snapshot_key("dlsite", due), {})

    def _crawl(self, due: datetime, request_id: str, fetcher: type[Fetcher]) -> None:
        try:
            while self.shop.turn(due, item_limit=self.item_limit, request_id=request_id, fetcher=fetcher).status == (
                "continues"
            ):
                self.shop.clock.now += 1
        finally:
            if any(LISTING in request.path and request.status == 200 for request in self.shop.log):
                self._note_what_is_listed()

    def _note_what_is_listed(self) -> None:
        listed = self.shop.listed()
        if self.trouble == "maintenance":
            return
        if self.before_the_first is None:
            self.before_the_first = set(listed[self.item_limit :])
        self.listed |= set(listed) - self.before_the_first

    def _change_the_shop(self, day: Day) -> None:
        site = self.shop.site
        if self.number > 1:
            site.days = [*site.days, day.new]
            site.day = self.number
        on_sale = self.shop.listed()
        withdrawn = {on_sale[place % len(on_sale)] for place in day.withdrawn}
        self._withdraw(withdrawn)
        self.failing = {item_id: (act, left - 1) for item_id, (act, left) in self.failing.items() if left > 1}
        on_sale = self.shop.listed()
        self.failing |= {on_sale[place % len(on_sale)]: (PAGE_FAULTS[kind], left) for place, kind, left in day.failing}
        self.shop.recover()
        self.trouble = day.trouble
        if day.trouble:
            self.shop.fail(SITE_FAULTS[day.trouble], "/")
        for item_id, (act, _) in self.failing.items():
            self.shop.fail(act, f"product_id/{item_id}")

    def _withdraw(self, item_ids: set[str]) -> None:
        """Take works off the shop, and keep the days at which the others came out."""
        site = self.shop.site
        kept, counts, first = [], [], 0
        for count in site.days:
            of_day = [work for work in site.works[first : first + count] if work.item_id not in item_ids]
            kept += of_day
            counts.append(len(of_day))
            first += count
        site.works, site.days = [*kept, *site.works[first:]], counts

    def check(self) -> None:
        """Fail where a work that was listed is in no record of the ledger and in no summary."""
        records = self.world.ledger.get(self.listed)
        summaries = "\n".join(as_text(message) for message in self.world.slack.messages if not message.item_id)
        summaries += str(
            [read_snapshot(self.shop.stores.s3, self.shop.stores.bucket, k).given_up for k in self.shop.snapshots()]
        )
        missing = {item_id for item_id in self.listed - records.keys() if item_id not in summaries}
        assert not missing
        posted = self.world.messages()
        for item_id, record in records.items():
            assert isinstance(record, Record)
            assert posted[item_id] == (record.choice != "passed")


@contextmanager
def mornings(item_limit: int) -> Iterator[Mornings]:
    with SteppedWorld() as world, serve(world.stores, FIRST_WORKS, crawl_delay=0, works=WORKS) as shop:
        yield Mornings(world, shop, item_limit)


@settings(
    max_examples=150 if LONG else 3,
    derandomize=not LONG,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(item_limit=st.integers(2, 12), passing=st.lists(days, min_size=2, max_size=9))
def test_every_work_that_was_listed_is_posted_passed_or_given_up_by_name(item_limit: int, passing: list[Day]) -> None:
    with mornings(item_limit) as world:
        for day in passing:
            world.live(day)
        for _ in range(GIVE_UP_DAYS + 2):
            world.live(Day(new=1))
        world.check()
