"""What the functions of one turn share: the progress, and where they read from and write to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from crawler.fetcher import Fetcher
from crawler.progress import Crawls, Pace, Progress
from crawler.sources import PagedSource, Source, SourceError
from osusume.items import Item
from osusume.snapshots import Failure, Snapshot

FetcherFrom = Callable[[str, Pace], Fetcher]
"""Returns a fetcher for a host that keeps the given pace."""

OneSource = TypeVar("OneSource", bound=Source)

MOST_DEATHS = 2
"""A page that killed so many turns is a failure: it would kill the next one too."""


class DeadlyPage(SourceError):
    """Raised instead of reading a page that killed `MOST_DEATHS` turns."""


@dataclass(frozen=True, slots=True)
class Session(Generic[OneSource]):
    """One turn of a crawl.

    `item_limit` is how many works the first crawl reads. `last` is the newest readable snapshot, and `last_stored_at`
    when the bucket stored it. If none of the newest can be read, that is the time of the oldest one tried; it is None
    before the first snapshot.
    """

    source: OneSource
    item_limit: int
    progress: Progress
    crawls: Crawls
    fetcher_from: FetcherFrom
    last: Snapshot | None
    last_stored_at: datetime | None
    fetchers: dict[str, Fetcher] = field(default_factory=dict)

    @property
    def published(self) -> dict[str, Item]:
        """The items of the last snapshot by id."""
        return {item.item_id: item for item in self.last.items} if self.last else {}

    @property
    def failed_before(self) -> dict[str, Failure]:
        """The failures of the last snapshot by item id."""
        return {failure.item_id: failure for failure in self.last.failures} if self.last else {}

    @property
    def has_better_parser(self) -> bool:
        """Whether an older parser read the last snapshot's items."""
        return self.last is not None and self.last.parser_version < self.source.parser_version

    @property
    def requests(self) -> int:
        """How many requests the turn has sent."""
        return sum(fetcher.requests for fetcher in self.fetchers.values())

    @property
    def long_wait(self) -> int:
        """For how many seconds a host asked to wait since the last snapshot, if that was over a day, else 0."""
        return max([self.progress.long_wait, *(fetcher.long_wait for fetcher in self.fetchers.values())])

    def forget_long_wait(self) -> None:
        """Forget the long wait, which a snapshot tells of now."""
        self.progress.long_wait = 0
        for fetcher in self.fetchers.values():
            fetcher.long_wait = 0

    def fetcher(self, host: str) -> Fetcher:
        """Return the turn's fetcher for a host."""
        if host not in self.fetchers:
            paces = self.progress.paces
            fetcher = self.fetcher_from(host, paces.get(host) or paces.pop("", None) or Pace())
            # saved before each request, so that a replaced invocation finds out before it sends another request
            fetcher.before_request = self.save
            self.fetchers[host] = fetcher
        return self.fetchers[host]

    def mark_in_flight(self, name: str, url: str) -> None:
        """Note which page or document is about to be read. Raises `DeadlyPage` if it killed `MOST_DEATHS` turns."""
        if self.progress.deaths.get(name, 0) >= MOST_DEATHS:
            raise DeadlyPage(f"{MOST_DEATHS} turns died while reading {url}: see the crawler's log")
        self.progress.in_flight = name

    def unpublished(self, kept: Mapping[str, datetime]) -> list[str]:
        """Return the ids of the works that were kept since the last snapshot; `kept` says when each was."""
        stored_at = self.last_stored_at
        return [item_id for item_id, kept_at in kept.items() if stored_at is None or kept_at > stored_at]

    def save(self) -> None:
        """Store the progress with the fetchers' paces. Raises `CrawlUnderWay`."""
        for host, fetcher in self.fetchers.items():
            self.progress.paces[host] = Pace(fetcher.robots_txt, fetcher.last_request_at, fetcher.not_before)
        self.progress.long_wait = self.long_wait
        self.crawls.save(self.progress)

    def hand_over(self) -> None:
        """Store the progress and release the crawl, so that the next turn can start at once."""
        self.progress.holder = self.progress.in_flight = ""
        self.save()


def fetcher_of(session: Session[PagedSource]) -> Fetcher:
    """Return the turn's fetcher for the shop."""
    fetcher = session.fetcher(session.source.host)
    fetcher.readdress = session.source.page_address
    return fetcher
