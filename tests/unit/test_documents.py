"""A crawl of feeds: each is asked for once a morning, and what is new in them is told once."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import requests
from conftest import Stores
from crawling import DAY_ONE, DAY_THREE, DAY_TWO, Died
from feed_server import Answer, FeedServer, rss, serve_feeds
from world import Clock

from crawler.crawl import BadCrawl, Outcome, Turn, crawl, read_one
from crawler.fetcher import Document, Fetcher, OutOfTime, user_agent
from crawler.progress import Pace
from crawler.public_hosts import PublicHosts
from crawler.session import FetcherFrom
from crawler.sources import NotADocument
from crawler.sources.feed import Feeds
from osusume.snapshots import Snapshot, list_snapshot_keys, read_snapshot, snapshot_key


class Morning:
    """The crawler of feeds, under a clock that costs no time."""

    def __init__(self, stores: Stores, feeds: FeedServer, *paths: str) -> None:
        self.stores, self.clock = stores, Clock(DAY_ONE.timestamp())
        self.source = Feeds(tuple(feeds.address(path) for path in paths or ("/feed",)))

    def crawl(
        self, due_at: datetime, *, item_limit: int = 50, fetcher: type[Fetcher] = Fetcher, request: str = "a"
    ) -> Outcome:
        self.clock.now = max(self.clock.now, due_at.timestamp())
        s3, bucket = self.stores.s3, self.stores.bucket
        return crawl(
            due_at,
            s3,
            bucket,
            source=self.source,
            item_limit=item_limit,
            turn=self.turn(due_at, request),
            fetcher_from=self.fetcher_from(fetcher),
        )

    def turn(self, due_at: datetime, request: str) -> Turn:
        ends = self.clock.now + 900
        self.remaining = lambda: ends - self.clock.now
        return Turn(f"{due_at}-{request}", self.clock, self.remaining)

    def fetcher_from(self, fetcher: type[Fetcher] = Fetcher) -> FetcherFrom:
        def make(host: str, pace: Pace) -> Fetcher:
            return fetcher(
                host.partition(":")[0],
                user_agent=user_agent("owner@example.com"),
                site_address=f"http://{host}",
                robots_txt=pace.robots_txt,
                last_request_at=pace.last_request_at,
                not_before=pace.not_before,
                remaining=self.remaining,
                clock=self.clock,
                sleep=self.clock.sleep,
            )

        return make

    def snapshot(self, due_at: datetime) -> Snapshot:
        return read_snapshot(self.stores.s3, self.stores.bucket, snapshot_key("feed", due_at))

    def titles(self, due_at: datetime) -> list[str]:
        return [item.title for item in self.snapshot(due_at).items]


class Dying(Fetcher):
    """A fetcher whose process dies at the second feed."""

    def fetch_document(self, url: str, accept: str, etag: str = "", last_modified: str = "") -> Document:
        if url.endswith("/second"):
            raise Died("the process dies")
        return super().fetch_document(url, accept, etag, last_modified)


@pytest.fixture
def feeds() -> Iterator[FeedServer]:
    with serve_feeds() as served:
        yield served


@pytest.fixture
def morning(stores: Stores, feeds: FeedServer) -> Morning:
    return Morning(stores, feeds)


def test_a_snapshot_has_what_a_feed_lists_and_on_the_next_morning_what_is_new_too(
    morning: Morning, feeds: FeedServer
) -> None:
    feeds.publish(["波", "雨"])
    morning.crawl(DAY_ONE)
    feeds.publish(["風", "波", "雨"])
    morning.crawl(DAY_TWO)
    assert (morning.titles(DAY_ONE), morning.titles(DAY_TWO)) == (["波", "雨"], ["風", "波", "雨"])
    assert not morning.snapshot(DAY_TWO).gap


def test_the_first_crawl_reads_the_newest_and_never_what_was_there_before_them(
    morning: Morning, feeds: FeedServer
) -> None:
    feeds.publish(["四", "三", "二", "一"])
    morning.crawl(DAY_ONE, item_limit=2)
    feeds.publish(["五", "四", "三", "二", "一"])
    morning.crawl(DAY_TWO, item_limit=2)
    assert (morning.titles(DAY_ONE), morning.titles(DAY_TWO)) == (["四", "三"], ["五", "四", "三"])


def test_more_new_works_than_the_limit_are_all_read(morning: Morning, feeds: FeedServer) -> None:
    feeds.publish(["一"])
    morning.crawl(DAY_ONE, item_limit=1)
    feeds.publish(["四", "三", "二", "一"])
    morning.crawl(DAY_TWO, item_limit=1)
    assert morning.titles(DAY_TWO) == ["四", "三", "二", "一"]


def test_a_feed_that_lists_its_newest_work_last_slips_nothing_through(morning: Morning, feeds: FeedServer) -> None:
    feeds.publish(["一", "二", "三"])
    morning.crawl(DAY_ONE, item_limit=2)
    feeds.publish(["一", "二", "三", "四"])
    morning.crawl(DAY_TWO, item_limit=2)
    assert "四" in morning.titles(DAY_TWO)


def test_a_feed_whose_known_works_are_all_gone_leaves_a_gap(morning: Morning, feeds: FeedServer) -> None:
    feeds.publish(["一", "二"])
    morning.crawl(DAY_ONE)
    feeds.publish(["九", "八"])
    assert morning.crawl(DAY_TWO).gap
    feeds.publish([])
    assert not morning.crawl(DAY_THREE).gap


def test_an_unchanged_feed_is_not_sent_again_and_its_works_stay_in_the_snapshot(
    morning: Morning, feeds: FeedServer
) -> None:
    feeds.publish(["波", "雨"], etag='"1"')
    morning.crawl(DAY_ONE)
    morning.crawl(DAY_TWO)
    assert feeds.requests[-1][1]["If-None-Match"] == '"1"'
    assert morning.titles(DAY_TWO) == ["波", "雨"]


def test_one_feed_that_fails_is_told_and_the_others_are_read(stores: Stores, feeds: FeedServer) -> None:
    morning = Morning(stores, feeds, "/gone", "/feed", "/page")
    feeds.publish(["波"])
    feeds.answers["/page"] = Answer(b"<html><body>hello</body></html>")
    morning.crawl(DAY_ONE)
    snapshot = morning.snapshot(DAY_ONE)
    errors = {failure.url: failure.error.partition(":")[0] for failure in snapshot.failures}
    assert errors == {feeds.address("/gone"): "NotFound", feeds.address("/page"): "NotADocument"}
    assert morning.titles(DAY_ONE) == ["波"]


def test_a_feed_that_fails_is_asked_for_again_on_every_morning(stores: Stores, feeds: FeedServer) -> None:
    morning = Morning(stores, feeds, "/gone", "/feed")
    feeds.publish(["波"])
    days = [DAY_ONE + timedelta(days=number) for number in range(10)]
    for day in days:
        morning.crawl(day)
    assert feeds.asked("/gone") == len(days)
    assert not morning.snapshot(days[-1]).given_up


def test_no_readable_feed_is_no_snapshot(morning: Morning, stores: Stores) -> None:
    with pytest.raises(BadCrawl, match="NotFound"):
        morning.crawl(DAY_ONE)
    assert list_snapshot_keys(stores.s3, stores.bucket) == []


def test_what_was_read_before_the_process_died_is_told_even_if_the_feed_no_longer_lists_it(
    stores: Stores, feeds: FeedServer
) -> None:
    morning = Morning(stores, feeds, "/feed", "/second")
    feeds.publish(["波"])
    feeds.publish(["霧"], "/second")
    with pytest.raises(Died):
        morning.crawl(DAY_ONE, fetcher=Dying)
    feeds.publish(["雨"])
    morning.clock.now += 1000
    morning.crawl(DAY_TWO)
    assert set(morning.titles(DAY_TWO)) == {"波", "雨", "霧"}


def test_a_retry_after_a_death_asks_for_no_feed_again_that_it_had_read(stores: Stores, feeds: FeedServer) -> None:
    morning = Morning(stores, feeds, "/feed", "/second")
    feeds.publish(["波"])
    feeds.publish(["霧"], "/second")
    with pytest.raises(Died):
        morning.crawl(DAY_ONE, fetcher=Dying)
    morning.crawl(DAY_ONE)
    assert (feeds.asked(), feeds.asked("/second")) == (1, 1)
    assert morning.titles(DAY_ONE) == ["波", "霧"]


def test_a_host_that_asks_to_wait_for_hours_keeps_only_its_own_feed_back(stores: Stores, feeds: FeedServer) -> None:
    with serve_feeds() as other:
        morning = Morning(stores, feeds)
        morning.source = Feeds((other.address(), feeds.address()))
        feeds.publish(["波"])
        other.answers["/robots.txt"] = Answer(status=503, headers={"Retry-After": "36000"})
        assert morning.crawl(DAY_ONE).status == "continues"
        assert morning.crawl(DAY_ONE, request="b").status == "written"
        [failure] = morning.snapshot(DAY_ONE).failures
    assert (failure.url, failure.error.partition(":")[0]) == (other.address(), OutOfTime.__name__)
    assert morning.titles(DAY_ONE) == ["波"]


def test_feeds_that_list_the_same_work_tell_it_once(stores: Stores, feeds: FeedServer) -> None:
    morning = Morning(stores, feeds, "/feed", "/all")
    feeds.publish(["波", "雨"])
    feeds.publish(["雨", "風"], "/all")
    morning.crawl(DAY_ONE)
    assert morning.titles(DAY_ONE) == ["波", "雨", "風"]


def test_robots_txt_is_obeyed_and_read_once_for_all_feeds_of_a_host(stores: Stores, feeds: FeedServer) -> None:
    morning = Morning(stores, feeds, "/feed", "/private/feed")
    feeds.answers["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /private/\n")
    feeds.publish(["波"])
    morning.crawl(DAY_ONE)
    assert (feeds.asked("/robots.txt"), feeds.asked("/private/feed")) == (1, 0)
    assert [failure.error.partition(":")[0] for failure in morning.snapshot(DAY_ONE).failures] == ["Disallowed"]


@pytest.mark.parametrize("target", ["http://10.0.0.1/feed", "http://169.254.169.254/latest", "file:///etc/passwd"])
def test_a_feed_that_redirects_to_a_private_network_is_a_failure(
    stores: Stores, feeds: FeedServer, target: str
) -> None:
    morning = Morning(stores, feeds, "/feed", "/other")
    feeds.publish(["波"], "/other")
    feeds.answers["/feed"] = Answer(status=302, headers={"Location": target})
    morning.crawl(DAY_ONE)
    assert [failure.error.partition(":")[0] for failure in morning.snapshot(DAY_ONE).failures] == ["ForeignHost"]


def test_a_feed_that_moved_to_another_public_host_is_read_there_by_its_rules(stores: Stores, feeds: FeedServer) -> None:
    asked: list[str] = []

    class Elsewhere(Fetcher):
        def fetch_document(self, url: str, accept: str, etag: str = "", last_modified: str = "") -> Document:
            asked.append(url)
            if url == "https://feeds.example.com/a":
                return Document(url, rss(["波"]), "text/xml", "", "")
            return super().fetch_document(url, accept, etag, last_modified)

    morning = Morning(stores, feeds)
    feeds.answers["/feed"] = Answer(status=301, headers={"Location": "http://feeds.example.com/a"})
    fetcher_from = morning.fetcher_from(Elsewhere)
    crawl(
        DAY_ONE,
        stores.s3,
        stores.bucket,
        source=morning.source,
        item_limit=5,
        turn=morning.turn(DAY_ONE, "a"),
        fetcher_from=lambda host, pace: fetcher_from(
            host if host.startswith("127.") else feeds.origin.partition("//")[2], pace
        ),
    )
    assert asked == [feeds.address(), "https://feeds.example.com/a"]
    assert morning.titles(DAY_ONE) == ["波"]


def test_a_document_that_killed_two_turns_is_a_failure_and_the_others_are_read(
    stores: Stores, feeds: FeedServer
) -> None:
    class Deadly(Fetcher):
        def fetch_document(self, url: str, accept: str, etag: str = "", last_modified: str = "") -> Document:
            document = super().fetch_document(url, accept, etag, last_modified)
            if url.endswith("/deadly"):
                raise Died("the process dies")
            return document

    morning = Morning(stores, feeds, "/deadly", "/feed")
    feeds.publish(["霧"], "/deadly")
    feeds.publish(["波"])
    for _ in range(2):
        with pytest.raises(Died):
            morning.crawl(DAY_ONE, fetcher=Deadly)
    morning.crawl(DAY_ONE, fetcher=Deadly)
    assert [failure.error.partition(":")[0] for failure in morning.snapshot(DAY_ONE).failures] == ["DeadlyPage"]
    assert morning.titles(DAY_ONE) == ["波"]


def test_one_work_is_read_after_a_deployment_and_the_first_crawl_still_tells_it(
    stores: Stores, morning: Morning, feeds: FeedServer
) -> None:
    feeds.publish(["波"])
    item = read_one(stores.s3, stores.bucket, morning.source, morning.turn(DAY_ONE, "check"), morning.fetcher_from())
    morning.crawl(DAY_ONE)
    assert (item.title, morning.titles(DAY_ONE)) == ("波", ["波"])


def test_a_feed_without_works_fails_the_check_after_a_deployment(
    stores: Stores, morning: Morning, feeds: FeedServer
) -> None:
    feeds.publish([])
    with pytest.raises(NotADocument, match="lists nothing"):
        read_one(stores.s3, stores.bucket, morning.source, morning.turn(DAY_ONE, "check"), morning.fetcher_from())


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_connection_to_this_machine_is_refused_before_a_byte_is_sent(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, requests.Session() as session:
        session.mount("http://", PublicHosts())
        with pytest.raises(requests.ConnectionError, match="private network"):
            session.get(f"http://{name}:{server.getsockname()[1]}/", timeout=5)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(1) == b""
