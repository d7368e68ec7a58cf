"""A made-up shop and real stores for the crawler, under a clock that costs no time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from conftest import Stores
from injector import Act, Rule, at, rules_of
from world import Clock

from crawler.crawl import Outcome, Turn, crawl, read_one
from crawler.fetcher import Fetcher, Page, user_agent
from crawler.progress import Pace
from crawler.session import FetcherFrom
from crawler.sources import Source
from crawler.sources.dlsite import DLsite
from local.shop.site import Request, Site, serve_site
from osusume.items import Item
from osusume.snapshots import Snapshot, list_snapshot_keys, read_snapshot, snapshot_key
from samples.works import demo_works

DAY_ONE = datetime(2026, 11, 20, 22, tzinfo=UTC)
DAY_TWO, DAY_THREE = DAY_ONE + timedelta(days=1), DAY_ONE + timedelta(days=2)
DLSITE = DLsite()
LIMIT = 900.0
ANSWER_SECONDS = 0.25
LISTING, FALLBACK_LISTING, ROBOTS, ANY_PAGE = "/works/type/", "/fsr/", "/robots.txt", "/product_id/"
"""What the paths of the site's requests hold."""


class TimedLog(list[Request]):
    """The site's log, which also knows when each request came and lets its answer take a while."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

    def append(self, request: Request) -> None:
        self.times.append(self.clock.now)
        self.clock.now += ANSWER_SECONDS
        super().append(request)

    def clear(self) -> None:
        self.times.clear()
        super().clear()


@dataclass
class Shop:
    """The site, the stores and a clock for them: all that a crawler works with."""

    site: Site
    stores: Stores
    log: TimedLog
    clock: Clock
    invocations: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def turn(
        self,
        due_at: datetime = DAY_ONE,
        *,
        item_limit: int = 50,
        request_id: str | None = None,
        seconds: float = LIMIT,
        fetcher: type[Fetcher] = Fetcher,
        source: Source = DLSITE,
    ) -> Outcome:
        """Take one turn, in a new invocation unless `request_id` names one, which has `seconds` left."""
        self.clock.now = max(self.clock.now, due_at.timestamp())
        turn, fetcher_from = self._invocation(request_id, seconds, fetcher)
        return crawl(
            due_at,
            self.stores.s3,
            self.stores.bucket,
            source=source,
            item_limit=item_limit,
            turn=turn,
            fetcher_from=fetcher_from,
        )

    def check(self) -> Item:
        """Read one work, as after a deployment."""
        turn, fetcher_from = self._invocation(None, LIMIT, Fetcher)
        return read_one(self.stores.s3, self.stores.bucket, DLSITE, turn, fetcher_from)

    def _invocation(self, request_id: str | None, seconds: float, fetcher: type[Fetcher]) -> tuple[Turn, FetcherFrom]:
        ends = self.clock.now + seconds

        def remaining() -> float:
            return ends - self.clock.now

        def fetcher_from(host: str, pace: Pace) -> Fetcher:
            return fetcher(
                host,
                user_agent=user_agent("owner@example.com"),
                site_address=self.site.address,
                robots_txt=pace.robots_txt,
                last_request_at=pace.last_request_at,
                not_before=pace.not_before,
                remaining=remaining,
                clock=self.clock,
                sleep=self.clock.sleep,
            )

        return Turn(request_id or f"invocation-{next(self.invocations)}", self.clock, remaining), fetcher_from

    def turns(self, *, item_limit: int = 50, seconds: float = LIMIT) -> list[Outcome]:
        """Take turns until one ends the crawl, which is within ten or never."""
        outcomes: list[Outcome] = []
        while not outcomes or outcomes[-1].status == "continues":
            assert len(outcomes) < 10
            assert self.snapshots() == []
            outcomes.append(self.turn(item_limit=item_limit, seconds=seconds))
        return outcomes

    def fail(self, act: Act, *places: str) -> None:
        """Let requests whose path holds one of the places meet `act`."""
        rules_of(self.site).extend(Rule(at(place), act) for place in places)

    def recover(self) -> None:
        rules_of(self.site).clear()

    def snapshot(self, due_at: datetime = DAY_ONE) -> Snapshot:
        return read_snapshot(self.stores.s3, self.stores.bucket, snapshot_key(DLSITE.name, due_at))

    def snapshots(self) -> list[str]:
        return list_snapshot_keys(self.stores.s3, self.stores.bucket, DLSITE.name)

    def keys_in_bucket(self) -> list[str]:
        return [entry["Key"] for entry in self.stores.s3.list_objects_v2(Bucket=self.stores.bucket)["Contents"]]

    def listed(self) -> list[str]:
        """Return the ids on sale, newest first, without music."""
        return [entry.item.item_id for entry in self.site.entries() if entry.work_type == "SOU"]

    def asked(self) -> list[str]:
        """Return the path of each request, oldest first."""
        return [request.path for request in self.log]

    def pages(self) -> list[str]:
        """Return the id of each page asked for, oldest first."""
        return [path.split(ANY_PAGE)[1].split(".")[0] for path in self.asked() if ANY_PAGE in path]

    def shortest_pause(self) -> float:
        """Return the least time from the end of one answer to the next request."""
        times = self.log.times
        return min(later - sooner for sooner, later in pairwise(times)) - ANSWER_SECONDS


@contextmanager
def serve(stores: Stores, *days: int, crawl_delay: float = 1, works: Sequence[Item] | None = None) -> Iterator[Shop]:
    """Serve as many works, the demo's unless given, as `days` say, with a work of music among each twelve."""
    clock = Clock(DAY_ONE.timestamp())
    with serve_site(crawl_delay, works=works or demo_works()[: sum(days)], days=days) as site:
        site.log = log = TimedLog(clock)
        yield Shop(site, stores, log, clock)


class Died(RuntimeError):
    """Raised where a process dies."""


def dying_at(number: int, place: str = ANY_PAGE) -> type[Fetcher]:
    """Return a fetcher that dies holding the answer to its request of that number, of those whose URL has `place`."""

    class Dying(Fetcher):
        fetched = 0

        def fetch(self, url: str) -> Page:
            found = super().fetch(url)
            self.fetched += place in url
            if self.fetched == number:
                raise Died("the process dies")
            return found

    return Dying
