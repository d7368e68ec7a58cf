import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crawler.fetcher import (
    CHALLENGE_WAIT,
    MAX_BYTES,
    Challenged,
    Disallowed,
    Fetcher,
    FetchError,
    Forbidden,
    ForeignHost,
    NotFound,
    OutOfTime,
    TimedOut,
    TooLarge,
    Unavailable,
    UnexpectedAnswer,
    user_agent,
)
from crawler.sources import SourceError

HOST = "www.dlsite.com"
PAGE = f"https://{HOST}/home/work/=/product_id/RJ01234567.html"
PATH = "/home/work/=/product_id/RJ01234567.html"
RULES = "User-agent: *\nCrawl-delay: 10\nDisallow: /*/cart\nDisallow: /*/fsr/=/*/per_page/*/page/\n"
AGENT = user_agent("owner@example.com")


@dataclass
class Clock:
    """Time that passes only by sleeping, and by what the server says a request takes."""

    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Reply:
    body: bytes = b"<html>page</html>"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=UTF-8"})
    chunks: Callable[[], Iterator[bytes]] | None = None


@dataclass
class Site:
    """A real HTTP server: each path has its replies, the last of which repeats."""

    address: str = ""
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def __setitem__(self, path: str, replies: Reply | list[Reply]) -> None:
        self.replies[path] = [replies] if isinstance(replies, Reply) else replies

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def reply(self, path: str) -> Reply:
        replies = self.replies.get(path, [Reply(b"nothing here", 404)])
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def fetcher(self, **changes: Any) -> Fetcher:
        settings: dict[str, Any] = {
            "user_agent": AGENT,
            "site_address": self.address,
            "clock": self.clock,
            "sleep": self.clock.sleep,
        }
        return Fetcher(HOST, **(settings | changes))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, site.clock.now))
            site.headers.append(dict(self.headers))
            reply = site.reply(self.path)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunks is None and "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            try:
                for chunk in reply.chunks() if reply.chunks else [reply.body]:
                    self.wfile.write(chunk)
                    self.wfile.flush()
            except OSError:  # the fetcher has closed the connection, as some tests want it to
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the overridden argument
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_port}"
        site["/robots.txt"] = Reply(RULES.encode(), headers={"Content-Type": "text/plain"})
        site[PATH] = Reply()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def test_a_page_is_fetched_after_robots_txt_and_keeps_the_hosts_address(site: Site) -> None:
    fetcher = site.fetcher()
    page = fetcher.fetch(PAGE)
    assert (page.url, page.text) == (PAGE, "<html>page</html>")
    assert site.paths == ["/robots.txt", PATH]
    assert (fetcher.requests, fetcher.robots_txt, fetcher.crawl_delay) == (2, RULES, 10.0)


def test_the_crawler_names_itself_and_its_owner_and_keeps_no_cookies(site: Site) -> None:
    site[PATH] = Reply(headers={"Set-Cookie": "session=1"})
    fetcher = site.fetcher(cookies={"adultchecked": "1"})
    fetcher.fetch(PAGE)
    fetcher.fetch(PAGE)
    assert {headers["User-Agent"] for headers in site.headers} == {
        "Osusume/1.0 (+personal recommender; contact: owner@example.com)"
    }
    assert {headers["Cookie"] for headers in site.headers} == {"adultchecked=1"}


@pytest.mark.parametrize("contact", ["", "  ", "所有者@example.com", "a\r\nX: y", "a) Mozilla/5.0 (b"])
def test_a_contact_that_says_nothing_or_breaks_the_header_is_refused(contact: str) -> None:
    with pytest.raises(ValueError, match="contact"):
        user_agent(contact)


def test_the_crawl_delay_lies_between_the_ends_of_requests_and_the_next(site: Site) -> None:
    def slow() -> Iterator[bytes]:
        site.clock.now += 4
        yield b"<html></html>"

    site[PATH] = Reply(chunks=slow, headers={"Connection": "close"})
    fetcher = site.fetcher()
    fetcher.fetch(PAGE)
    fetcher.fetch(PAGE)
    assert [time - site.asked[0][1] for _, time in site.asked] == [0, 10, 24]
    assert fetcher.last_request_at == site.clock.now


def test_without_a_crawl_delay_a_second_passes_between_requests(site: Site) -> None:
    site["/robots.txt"] = Reply(b"", 404)
    site.fetcher().fetch(PAGE)
    assert site.clock.slept == [1.0]


def test_a_request_rate_stands_for_a_crawl_delay(site: Site) -> None:
    assert site.fetcher(robots_txt="User-agent: *\nRequest-rate: 1/30\n").crawl_delay == 30


def test_a_request_rate_beyond_all_numbers_is_one_that_can_be_waited_for(site: Site) -> None:
    rules = f"User-agent: *\nRequest-rate: 1/{'9' * 400}\n"
    assert site.fetcher(robots_txt=rules).crawl_delay == 1e9


def test_a_continued_crawl_keeps_its_pace_and_reads_robots_txt_no_second_time(site: Site) -> None:
    site.fetcher(robots_txt=RULES, last_request_at=site.clock.now - 3).fetch(PAGE)
    assert (site.paths, site.clock.slept) == ([PATH], [7.0])


def test_a_clock_set_back_does_not_make_the_crawl_wait_for_it(site: Site) -> None:
    site.fetcher(robots_txt=RULES, last_request_at=site.clock.now + 10_000).fetch(PAGE)
    assert site.clock.slept == [10.0]


@pytest.mark.parametrize("path", ["/home/cart/=/product_id/RJ01234567.html", "/home/fsr/=/a/b/per_page/100/page/2"])
def test_what_robots_txt_disallows_is_not_asked_for(site: Site, path: str) -> None:
    with pytest.raises(Disallowed, match=path):
        site.fetcher().fetch(f"https://{HOST}{path}")
    assert site.paths == ["/robots.txt"]


def test_without_robots_txt_all_is_allowed(site: Site) -> None:
    site["/robots.txt"] = Reply(b"", 404)
    site["/home/cart/"] = Reply()
    fetcher = site.fetcher()
    fetcher.fetch(f"https://{HOST}/home/cart/")
    assert fetcher.robots_txt == ""


@pytest.mark.parametrize("reply", [Reply(b"", 500), Reply(b"", 503), Reply(b"<html>maintenance</html>")])
def test_nothing_is_allowed_while_robots_txt_cannot_be_known(site: Site, reply: Reply) -> None:
    site["/robots.txt"] = reply
    fetcher = site.fetcher()
    with pytest.raises(Unavailable, match=r"robots\.txt"):
        fetcher.fetch(PAGE)
    assert set(site.paths) == {"/robots.txt"}
    assert fetcher.robots_txt is None


def test_a_failing_host_is_asked_three_times_more_at_growing_intervals(site: Site) -> None:
    site[PATH] = Reply(b"", 502)
    fetcher = site.fetcher(robots_txt=RULES)
    with pytest.raises(Unavailable, match="502"):
        fetcher.fetch(PAGE)
    assert (fetcher.requests, site.clock.slept) == (4, [10.0, 10.0, 20.0])


def test_a_failure_that_passes_is_not_seen(site: Site) -> None:
    site[PATH] = [Reply(b"", 500), Reply(b"", 429), Reply(b"<p>there</p>")]
    assert site.fetcher().fetch(PAGE).text == "<p>there</p>"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed_in_seconds_and_as_a_date(site: Site, status: int, as_date: bool) -> None:
    value = formatdate(site.clock.now + 120, usegmt=True) if as_date else "120"
    site[PATH] = [Reply(b"", status, {"Retry-After": value}), Reply()]
    site.fetcher(robots_txt=RULES).fetch(PAGE)
    assert site.clock.slept == [120.0]


@pytest.mark.parametrize("value", ["", "soon", "-5", "0", "0\x1d", "Thu, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_leaves_the_crawl_delay(site: Site, value: str) -> None:
    site[PATH] = [Reply(b"", 503, {"Retry-After": value}), Reply()]
    site.fetcher(robots_txt=RULES).fetch(PAGE)
    assert site.clock.slept == [10.0]


def test_a_wait_that_does_not_fit_the_time_left_ends_the_turn_and_is_kept_for_the_next(site: Site) -> None:
    site[PATH] = [Reply(b"", 503, {"Retry-After": "3600"}), Reply()]
    fetcher = site.fetcher(robots_txt=RULES, remaining=lambda: 800.0)
    with pytest.raises(OutOfTime, match="RJ01234567"):
        fetcher.fetch(PAGE)
    assert site.clock.slept == []
    later = site.fetcher(robots_txt=RULES, not_before=fetcher.not_before, last_request_at=fetcher.last_request_at)
    later.fetch(PAGE)
    assert site.clock.slept == [3600.0]


def test_a_wait_asked_for_by_the_last_answer_holds_for_the_next_page_too(site: Site) -> None:
    site[PATH] = [Reply(b"", 404, {"Retry-After": "300"}), Reply()]
    fetcher = site.fetcher(robots_txt=RULES)
    with pytest.raises(NotFound):
        fetcher.fetch(PAGE)
    fetcher.fetch(PAGE)
    assert site.clock.slept == [300.0]


def test_no_request_begins_that_may_not_end_in_time(site: Site) -> None:
    with pytest.raises(OutOfTime):
        site.fetcher(remaining=lambda: 39.0).fetch(PAGE)
    assert site.asked == []
    site.fetcher(remaining=lambda: 41.0, robots_txt=RULES).fetch(PAGE)


def test_a_challenge_is_waited_out_once(site: Site) -> None:
    site[PATH] = [Reply(b"challenge", 202), Reply()]
    site.fetcher(robots_txt=RULES).fetch(PAGE)
    assert site.clock.slept == [CHALLENGE_WAIT]


def test_a_second_challenge_is_an_error(site: Site) -> None:
    site[PATH] = Reply(b"challenge", 202, {"Retry-After": "90"})
    fetcher = site.fetcher(robots_txt=RULES)
    with pytest.raises(Challenged, match="RJ01234567"):
        fetcher.fetch(PAGE)
    assert (fetcher.requests, site.clock.slept) == (2, [90.0])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (410, NotFound),
        (451, Forbidden),
        (204, UnexpectedAnswer),
        (206, UnexpectedAnswer),
        (304, UnexpectedAnswer),
        (400, UnexpectedAnswer),
        (418, UnexpectedAnswer),
    ],
)
def test_what_will_not_pass_is_asked_once(site: Site, status: int, error: type[FetchError]) -> None:
    site[PATH] = Reply(b"", status)
    fetcher = site.fetcher(robots_txt=RULES)
    with pytest.raises(error, match="RJ01234567"):
        fetcher.fetch(PAGE)
    assert fetcher.requests == 1


def test_redirects_are_followed_at_the_same_pace_and_counted(site: Site) -> None:
    site["/a"] = Reply(b"", 302, {"Location": "/b"})
    site["/b"] = Reply(b"", 301, {"Location": f"https://{HOST}/c#part"})
    site["/c"] = Reply(b"", 307, {"Location": f"{site.address}{PATH}"})
    fetcher = site.fetcher(robots_txt=RULES)
    assert fetcher.fetch(f"https://{HOST}/a").url == PAGE
    assert (site.paths, fetcher.requests, site.clock.slept) == (["/a", "/b", "/c", PATH], 4, [10.0, 10.0, 10.0])


def test_a_redirect_in_a_circle_ends(site: Site) -> None:
    site["/a"] = Reply(b"", 302, {"Location": "/a"})
    with pytest.raises(UnexpectedAnswer, match="redirects more than 3 times"):
        site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")
    assert site.paths == ["/a"] * 4


def test_a_redirect_to_a_disallowed_page_is_not_followed(site: Site) -> None:
    site["/a"] = Reply(b"", 302, {"Location": "/home/cart/"})
    with pytest.raises(Disallowed, match="/home/cart/"):
        site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")


@pytest.mark.parametrize(
    "location",
    [
        "https://example.com/",
        "//example.com/",
        f"http://{HOST}/",
        f"https://{HOST}:8443/",
        f"https://{HOST}@example.com/",
        f"https://{HOST}.example.com/",
        "http://127.0.0.1:1/",
        "ftp://x/",
        "javascript:alert(1)",
        "http://[",
    ],
)
def test_a_redirect_to_anywhere_else_is_not_followed(site: Site, location: str) -> None:
    site["/a"] = Reply(b"", 302, {"Location": location})
    with pytest.raises(ForeignHost, match="leads to"):
        site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")
    assert site.paths == ["/a"]


def test_a_redirect_to_nowhere_is_an_error(site: Site) -> None:
    site["/a"] = Reply(b"", 302)
    with pytest.raises(UnexpectedAnswer, match="nowhere"):
        site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")


def test_another_hosts_address_is_never_asked_for(site: Site) -> None:
    with pytest.raises(ForeignHost):
        site.fetcher(robots_txt=RULES).fetch("https://example.com/")
    assert site.asked == []


@pytest.mark.parametrize("address", ["http://example.com", "https://www.dlsite.com", "127.0.0.1:80"])
def test_only_this_machine_stands_in_for_the_host(address: str) -> None:
    with pytest.raises(ValueError, match="this machine"):
        Fetcher(HOST, user_agent=AGENT, site_address=address)


def test_a_page_without_end_is_cut_off_at_the_bound(site: Site) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    site[PATH] = Reply(chunks=endless, headers={"Connection": "close"})
    with pytest.raises(TooLarge, match="RJ01234567"):
        site.fetcher(robots_txt=RULES).fetch(PAGE)


def test_what_a_redirect_says_beside_its_target_is_not_read(site: Site) -> None:
    written = []

    def endless() -> Iterator[bytes]:
        while True:
            written.append(100_000)
            yield b"x" * 100_000

    site["/a"] = Reply(status=302, chunks=endless, headers={"Location": PATH, "Connection": "close"})
    assert site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a").url == PAGE
    assert sum(written) < 2 * MAX_BYTES


def test_a_page_that_unpacks_without_end_is_cut_off_at_the_bound(site: Site) -> None:
    site[PATH] = Reply(gzip.compress(bytes(20 * MAX_BYTES)), headers={"Content-Encoding": "gzip"})
    with pytest.raises(TooLarge):
        site.fetcher(robots_txt=RULES).fetch(PAGE)


def test_a_packed_page_is_unpacked(site: Site) -> None:
    site[PATH] = Reply(gzip.compress("雨".encode()), headers={"Content-Encoding": "gzip"})
    assert site.fetcher(robots_txt=RULES).fetch(PAGE).text == "雨"


def test_a_page_that_drips_is_given_up(site: Site) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(1_000):
            site.clock.now += 5
            yield b"x"

    site[PATH] = Reply(chunks=drip, headers={"Connection": "close"})
    with pytest.raises(TimedOut, match="30 s"):
        site.fetcher(robots_txt=RULES).fetch(PAGE)


def test_a_host_that_says_nothing_is_given_up(site: Site) -> None:
    silence = threading.Event()

    def say_nothing() -> Iterator[bytes]:
        silence.wait(10)
        yield b""

    site[PATH] = Reply(chunks=say_nothing, headers={"Connection": "close"})
    with pytest.raises(TimedOut, match="RJ01234567"):
        site.fetcher(robots_txt=RULES, request_seconds=0.06).fetch(PAGE)
    silence.set()


def test_a_page_whose_end_does_not_come_is_asked_for_again(site: Site) -> None:
    cut = Reply(b"<html>half", headers={"Content-Length": "5000", "Connection": "close"})
    site[PATH] = [cut, Reply(b"<html>whole</html>")]
    assert site.fetcher(robots_txt=RULES).fetch(PAGE).text == "<html>whole</html>"


def test_a_host_that_cannot_be_reached_is_unavailable() -> None:
    clock = Clock()
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        closed = f"http://127.0.0.1:{server.server_port}"
    fetcher = Fetcher(HOST, user_agent=AGENT, site_address=closed, clock=clock, sleep=clock.sleep)
    with pytest.raises(Unavailable, match=r"robots\.txt cannot be read"):
        fetcher.fetch(PAGE)
    assert fetcher.requests == 4


@pytest.mark.parametrize("kind", ["image/png", "application/json", "application/octet-stream"])
def test_what_is_no_text_is_no_page(site: Site, kind: str) -> None:
    site[PATH] = Reply(b"\x89PNG", headers={"Content-Type": kind})
    with pytest.raises(UnexpectedAnswer, match=kind):
        site.fetcher(robots_txt=RULES).fetch(PAGE)


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        ("雨①".encode(), "text/html; charset=UTF-8"),
        ("雨①".encode(), "text/html"),
        ("雨①".encode(), ""),
        ("雨①".encode(), "text/html; charset=no-such-charset"),
        ("雨①".encode(), 'text/html; charset="utf-8'),
        ("雨①".encode(), "text/html; charset=hex"),
        ("雨①".encode(), "text/html; charset=ascii"),
        ("\ufeff雨①".encode(), "text/html; charset=Shift_JIS"),
        ("雨①".encode("cp932"), "text/html; charset=Shift_JIS"),
        ('<meta charset="Shift_JIS">雨①'.encode("cp932"), "text/html"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=x-sjis">雨①'.encode("cp932"), "text/html"),
        ('<meta charset="euc-jp">雨①'.encode("euc_jis_2004"), "text/html; charset=euc_jis_2004"),
    ],
)
def test_a_page_is_read_in_the_encoding_it_declares(site: Site, body: bytes, declared: str) -> None:
    site[PATH] = Reply(body, headers={"Content-Type": declared} if declared else {})
    assert site.fetcher(robots_txt=RULES).fetch(PAGE).text.endswith("雨①")


def test_one_broken_character_leaves_the_others_right(site: Site) -> None:
    site[PATH] = Reply("雨の".encode() + b"\xff" + "図書館".encode())
    assert site.fetcher(robots_txt=RULES).fetch(PAGE).text == "雨の\ufffd図書館"


def test_every_error_is_a_source_error() -> None:
    assert issubclass(FetchError, SourceError)
