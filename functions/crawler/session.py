"""What the functions of one turn share: the progress, and where they read from and write to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crawler.fetcher import Fetcher
from crawler.progress import Crawls, Progress
from crawler.sources import Source
from osusume.items import Item
from osusume.snapshots import Failure, Snapshot


@dataclass(frozen=True, slots=True)
class Session:
    """One turn of a crawl.

    `item_limit` is how many works the first crawl reads. `last` is the newest readable snapshot, and `last_stored_at`
    when the bucket stored it. If none of the newest can be read, that is the time of the oldest one tried; it is None
    before the first snapshot.
    """

    source: Source
    item_limit: int
    progress: Progress
    crawls: Crawls
    fetcher: Fetcher
    last: Snapshot | None
    last_stored_at: datetime | None

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

    def save(self) -> None:
        """Store the progress with the fetcher's pace. Raises `CrawlUnderWay`."""
        self.progress.robots_txt = self.fetcher.robots_txt
        self.progress.last_request_at, self.progress.not_before = self.fetcher.last_request_at, self.fetcher.not_before
        self.crawls.save(self.progress)

    def hand_over(self) -> None:
        """Store the progress and release the crawl, so that the next turn can start at once."""
        self.progress.holder = self.progress.in_flight = ""
        self.save()
