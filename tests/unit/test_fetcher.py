import gzip
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from crawler.fetcher import (
    CHALLENGE_WAIT,
    MAX_BYTES,
    MAX_HOLD,
    MAX_RETRIES_A_TURN,
    Challenged,
    Disallowed,
    Fetcher,
    FetchError,
    Forbidden,
    ForeignHost,
    NotFound,
    OutOfTime,
    SlowDown,
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
SEARCH, FIRST_PAGE = "Disallow: /*/fsr/=/*/per_page/*/page/", "Allow: /*/fsr/=/*/per_page/*/page/1/"
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


@contextmanager
def serve(site: Site) -> Iterator[None]:
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
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site["/robots.txt"] = Reply(RULES.encode(), headers={"Content-Type": "text/plain"})
    site[PATH] = Reply()
    with serve(site):
        yield site


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


@pytest.mark.parametrize("location", ["/home/cart/", f"https://{HOST}/x/../home/cart/"])
def test_a_redirect_to_a_disallowed_page_is_not_followed(site: Site, location: str) -> None:
    site["/a"] = Reply(b"", 302, {"Location": location})
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
        f"https://{HOST}..com/",
        f"https:\\\\{HOST}@example.com/",
        f"https://{HOST}:444/",
        f"https://a:b@{HOST}/",
    ],
)
def test_a_redirect_to_anywhere_else_is_not_followed(site: Site, location: str) -> None:
    site["/a"] = Reply(b"", 302, {"Location": location})
    with pytest.raises(ForeignHost, match="leads to"):
        site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")
    assert site.paths == ["/a"]


@pytest.mark.parametrize("headers", [{}, *({"Location": blank} for blank in ("", "  ", "\t"))])
def test_a_redirect_to_nowhere_is_an_error(site: Site, headers: dict[str, str]) -> None:
    site["/a"] = Reply(b"", 302, headers)
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


# rules


def is_allowed(site: Site, rules: str, path: str = PATH) -> bool:
    site[path] = Reply()
    try:
        site.fetcher(robots_txt=rules).fetch(f"https://{HOST}{path}")
    except Disallowed:
        return False
    return True


@pytest.mark.parametrize(
    "agent",
    [
        "Osusume",
        "osusume",
        "OSUSUME",
        "Osusume/1.0",
        "Osusume/2",
        AGENT,
        "Osusume (+personal recommender)",
        "Osusume # ours",
        "\tOsusume  ",
        "Osusume*",
        "*Osusume*",
    ],
)
def test_a_group_that_names_the_crawler_as_it_names_itself_binds_it(site: Site, agent: str) -> None:
    assert not is_allowed(site, f"User-agent: *\nAllow: /\n\nUser-agent: {agent}\nDisallow: /home/\n")


@pytest.mark.parametrize(
    "agent", ["Osu", "Osusume-Images", "OsusumeBot", "Osusume2", "My-Osusume", "Googlebot", "personal", "1.0"]
)
def test_a_group_that_names_another_crawler_does_not_bind_this_one(site: Site, agent: str) -> None:
    assert is_allowed(site, f"User-agent: {agent}\nDisallow: /\n")


SEVERAL = (
    "User-agent: Osusume\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\n"
    "User-agent: y\nUser-agent: osusume/1.0\nDisallow: /home/\n"
)


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /\n\nUser-agent: Osusume\nDisallow: /cart\n", PATH, True),
        (SEVERAL, PATH, False),
        (SEVERAL, "/a", False),
        (SEVERAL, "/b", True),
        ("User-agent: Osusume\nSitemap: https://x/y.xml\nUser-agent: x\nDisallow: /\n", PATH, False),
    ],
    ids=["its group in place of that for all", "groups of one name", "the first of them", "others", "a line between"],
)
def test_all_groups_that_name_the_crawler_bind_it_and_no_others(
    site: Site, rules: str, path: str, allowed: bool
) -> None:
    assert is_allowed(site, rules, path) == allowed


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("Disallow: /a", "/a", False),
        ("Disallow: /a\nAllow: /a/b", "/a/b", True),
        ("Allow: /a\nDisallow: /a/b", "/a/b", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Disallow: /*.html$", "/x.html", False),
        ("Disallow: /*.html$", "/x.html?y", True),
        ("Disallow: /%E9%9B%A8", "/%e9%9b%a8", False),
        ("Disallow: /雨", "/%E9%9B%A8", False),
        ("Disallow:", "/a", True),
        ("DISALLOW : /a", "/a", False),
        (f"{SEARCH}\n{FIRST_PAGE}", "/home/fsr/=/x/per_page/30/page/1/", True),
        (f"{SEARCH}\n{FIRST_PAGE}", "/home/fsr/=/x/per_page/30/page/2/", False),
    ],
)
def test_the_longest_rule_that_matches_an_address_counts(site: Site, rules: str, path: str, allowed: bool) -> None:
    assert is_allowed(site, f"User-agent: *\n{rules}\n", path) == allowed


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        ("Crawl-delay: 0", 1),
        ("Crawl-delay: 0.1", 1),
        ("Crawl-delay: -5", 1),
        ("Crawl-delay: soon", 1),
        ("Crawl-delay: 30\nCrawl-delay: 5", 30),
        ("Crawl-delay: 5\nCrawl-delay: 30", 30),
        ("Crawl-delay: 5\nRequest-rate: 1/20", 20),
        ("Crawl-delay: 25\nRequest-rate: 1/20", 25),
        ("Request-rate: 100/1", 1),
        ("Request-rate: 1/30", 30),
        (f"Request-rate: 1/{'9' * 400}", 1e9),
        ("Request-rate: 1/2m\nRequest-rate: 1/10", 120),
        ("Disallow: /cart", 1),
    ],
)
def test_the_slowest_of_all_delays_and_rates_counts_and_a_second_at_least(
    site: Site, rules: str, seconds: float
) -> None:
    assert site.fetcher(robots_txt=f"User-agent: *\n{rules}\n").crawl_delay == seconds


def test_the_delays_of_all_groups_that_bind_the_crawler_count_and_no_others(site: Site) -> None:
    rules = (
        "User-agent: *\nCrawl-delay: 60\n\nUser-agent: osusume\nCrawl-delay: 20\n\n"
        "User-agent: other\nCrawl-delay: 90\n\nUser-agent: Osusume/1.0\nCrawl-delay: 30\n"
    )
    assert site.fetcher(robots_txt=rules).crawl_delay == 30


def test_what_stands_in_for_the_site_may_be_asked_faster(site: Site) -> None:
    assert site.fetcher(robots_txt="User-agent: *\nCrawl-delay: 0.1\n", least_delay=0.0).crawl_delay == 0.1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451])
def test_all_is_allowed_where_robots_txt_is_refused(site: Site, status: int) -> None:
    site["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /\n", status)
    fetcher = site.fetcher()
    assert fetcher.fetch(PAGE).text
    assert fetcher.robots_txt == ""


def test_robots_txt_is_read_after_five_redirects(site: Site) -> None:
    for number in range(5):
        site["/robots.txt" if number == 0 else f"/r{number}"] = Reply(b"", 301, {"Location": f"/r{number + 1}"})
    site["/r5"] = Reply(b"User-agent: *\nDisallow: /home/\n")
    with pytest.raises(Disallowed):
        site.fetcher().fetch(PAGE)


def test_robots_txt_that_redirects_in_a_circle_cannot_be_known(site: Site) -> None:
    site["/robots.txt"] = Reply(b"", 301, {"Location": "/robots.txt"})
    with pytest.raises(Unavailable, match="more than 5 times"):
        site.fetcher().fetch(PAGE)
    assert site.paths == ["/robots.txt"] * 6


def test_robots_txt_may_lie_on_another_host(site: Site) -> None:
    elsewhere = Site()
    elsewhere["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /home/\n")
    with serve(elsewhere):
        site["/robots.txt"] = Reply(b"", 302, {"Location": f"{elsewhere.address}/robots.txt"})
        with pytest.raises(Disallowed):
            site.fetcher().fetch(PAGE)


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "0177.0.0.1", "10.0.0.1", "224.0.0.1", "[::1]", "localhost."])
def test_the_rules_of_a_real_host_are_not_looked_for_on_this_machine(host: str) -> None:
    fetcher = Fetcher(HOST, user_agent=AGENT)
    with pytest.raises(Unavailable, match="where no rules can be"):
        fetcher._rules_address(
            f"http://{host}/robots.txt", f"https://{HOST}/robots.txt"
        )  # a real host cannot redirect here


@pytest.mark.parametrize("location", ["ftp://example.com/robots.txt", "https://a@example.com/", "http://[", "data:,x"])
def test_robots_txt_that_leads_where_no_rules_can_be_cannot_be_known(site: Site, location: str) -> None:
    site["/robots.txt"] = Reply(b"", 302, {"Location": location})
    with pytest.raises(Unavailable, match=r"robots\.txt"):
        site.fetcher().fetch(PAGE)


def test_only_the_beginning_of_a_huge_robots_txt_is_read(site: Site) -> None:
    site["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /home/\n" + b"# nothing\n" * 600_000)
    with pytest.raises(Disallowed):
        site.fetcher().fetch(PAGE)


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(b"", status) for status in (500, 502, 503, 504, 304)),
        Reply(b"<html>"),
        Reply(b"\n <!DOCTYPE html><p>"),
        Reply("\ufeff<html>".encode()),
        Reply(b"# rules\n<html>"),
        Reply(b"We are in maintenance.\nBack soon.\n"),
        Reply(b'{"error": "unavailable"}'),
        Reply(b"\x89PNG\r\n\x1a\n\0\0"),
        Reply("\x1f\ufffd\x08".encode()),
    ],
    ids=str,
)
def test_nothing_is_allowed_while_robots_txt_cannot_be_known(site: Site, reply: Reply) -> None:
    site["/robots.txt"] = reply
    fetcher = site.fetcher()
    with pytest.raises(Unavailable, match=r"robots\.txt (answered|holds no rules)"):
        fetcher.fetch(PAGE)
    assert set(site.paths) == {"/robots.txt"}
    assert fetcher.robots_txt is None


# redirects as browsers follow them


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (b"/home/\xe9\x9b\xa8.html", "/home/%E9%9B%A8.html"),
        (b"/home/%E9%9B%A8.html", "/home/%E9%9B%A8.html"),
        (b"/a b", "/a%20b"),
        (b"https://www.dlsite.com:443/b", "/b"),
        (b"https://www.dlsite.com./b", "/b"),
        (b"https://www.dlsite.com.:443/b", "/b"),
        (b"HTTPS://WWW.DLSITE.COM/b", "/b"),
        (b"//www.dlsite.com/b", "/b"),
        (b"///www.dlsite.com/b", "/b"),
        (b"/b ", "/b"),
        (b" /b", "/b"),
        (b"/b\t", "/b"),
        (b"\\b", "/b"),
        (b"https:\\\\www.dlsite.com\\b", "/b"),
        (b"b", "/b"),
        (b"./x/../b", "/b"),
        (b"https://www.dlsite.com/x/../b", "/b"),
        (b"/x/%2e%2E/b", "/b"),
        (b"/caf\xe9", "/caf%E9"),
        (b"?q=\xe9\x9b\xa8", "/a?q=%E9%9B%A8"),
        (b"/b?q=\\", "/b?q=%5C"),
        (b"/b#part", "/b"),
        (b"https://www.dlsite.com", "/"),
    ],
)
def test_a_redirect_is_followed_as_browsers_do(site: Site, location: bytes, path: str) -> None:
    site["/a"] = Reply(b"", 302, {"Location": location.decode("latin-1")})
    site[path] = Reply(b"<p>there</p>")
    page = site.fetcher(robots_txt=RULES).fetch(f"https://{HOST}/a")
    assert (page.url, page.text) == (f"https://{HOST}{path}", "<p>there</p>")


def in_japanese(url: str) -> str:
    return url if "?" in url else f"{url}?locale=ja_JP"


def test_where_a_redirect_leads_is_readdressed(site: Site) -> None:
    site["/a"] = Reply(b"", 302, {"Location": "/girls/b"})
    site["/girls/b?locale=ja_JP"] = Reply(b"<p>there</p>")
    page = site.fetcher(robots_txt=RULES, readdress=in_japanese).fetch(f"https://{HOST}/a")
    assert page.url == f"https://{HOST}/girls/b?locale=ja_JP"


def test_a_host_that_takes_back_what_was_added_to_an_address_has_its_way(site: Site) -> None:
    site["/a"] = Reply(b"", 302, {"Location": "/b"})
    site["/b?locale=ja_JP"] = Reply(b"", 302, {"Location": "/b"})
    site["/b"] = Reply(b"<p>there</p>")
    page = site.fetcher(robots_txt=RULES, readdress=in_japanese).fetch(f"https://{HOST}/a")
    assert (page.url, page.text) == (f"https://{HOST}/b", "<p>there</p>")


def test_who_is_told_before_each_request_can_keep_it_from_being_sent(site: Site) -> None:
    site["/a"] = [Reply(b"", 503), Reply(b"", 302, {"Location": PATH})]
    told: list[int] = []
    fetcher = site.fetcher(before_request=lambda: told.append(len(site.asked)))
    fetcher.fetch(f"https://{HOST}/a")
    assert told == [0, 1, 2, 3]

    def refuse() -> None:
        raise RuntimeError

    fetcher.before_request = refuse
    with pytest.raises(RuntimeError):
        fetcher.fetch(PAGE)
    assert (len(site.asked), fetcher.requests) == (4, 4)


# waits


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90.5", 90.5),
        ("120.0", 120),
        ("+120", 120),
        ("120 s", 120),
        (" 120 ", 120),
        ("120, 300", 300),
        ("300,120", 300),
        *((nothing, 10) for nothing in ("", "soon", "-5", "0", "0\x1d", "Thu, 99 Foo 2026")),
    ],
)
def test_a_retry_after_is_read_in_every_form_or_leaves_the_crawl_delay(site: Site, value: str, seconds: float) -> None:
    site[PATH] = [Reply(b"", 503, {"Retry-After": value}), Reply()]
    site.fetcher(robots_txt=RULES).fetch(PAGE)
    assert site.clock.slept == [seconds]


@pytest.mark.parametrize("value", ["inf", "Infinity", "999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_retry_after_holds_for_less_than_a_day(site: Site, value: str) -> None:
    site[PATH] = [Reply(b"", 404, {"Retry-After": value}), Reply()]
    fetcher = site.fetcher(robots_txt=RULES)
    with pytest.raises(NotFound):
        fetcher.fetch(PAGE)
    assert fetcher.not_before - site.clock.now == MAX_HOLD < 86400


def test_a_wait_of_thirty_years_that_was_stored_is_cut_short(site: Site) -> None:
    fetcher = site.fetcher(robots_txt=RULES, not_before=site.clock.now + 1e9)
    assert fetcher.not_before - site.clock.now == MAX_HOLD


@pytest.mark.parametrize("is_same_page", [True, False])
@pytest.mark.parametrize(
    ("reply", "error", "rest"),
    [
        (Reply(b"challenge", 202, {"Retry-After": "90"}), Challenged, 90),
        (Reply(b"", 429, {"Retry-After": "5"}), SlowDown, 600),
        (Reply(b"", 429), SlowDown, 600),
    ],
    ids=str,
)
def test_a_second_challenge_or_request_to_slow_down_ends_the_turn(
    site: Site, reply: Reply, error: type[FetchError], rest: float, is_same_page: bool
) -> None:
    page = PAGE if is_same_page else f"https://{HOST}/b"
    site[PATH], site["/b"] = reply if is_same_page else [reply, Reply()], reply
    fetcher = site.fetcher(robots_txt=RULES)
    if not is_same_page:
        fetcher.fetch(PAGE)
    with pytest.raises(error, match=page):
        fetcher.fetch(page)
    assert fetcher.requests == (2 if is_same_page else 3)
    assert fetcher.not_before - site.clock.now >= rest


def test_a_request_to_slow_down_is_obeyed_for_a_minute_where_it_names_no_time(site: Site) -> None:
    site[PATH] = [Reply(b"", 429), Reply()]
    site.fetcher(robots_txt=RULES).fetch(PAGE)
    assert site.clock.slept == [60.0]


def test_a_host_in_trouble_is_not_asked_again_and_again_for_page_after_page(site: Site) -> None:
    fetcher = site.fetcher(robots_txt=RULES)
    for number in range(20):
        site[f"/{number}"] = Reply(b"", 503)
        with pytest.raises(Unavailable):
            fetcher.fetch(f"https://{HOST}/{number}")
    assert fetcher.requests == 20 + MAX_RETRIES_A_TURN


# the contact


def test_the_template_and_the_crawler_take_the_same_contacts() -> None:
    template = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
    pattern = re.compile(template["Parameters"]["Contact"]["AllowedPattern"])
    contacts = [f"a{chr(code)}b" for code in [*range(0x180), 0x3042, 0x1F600]]
    contacts += [" a@b ", "a@b\n", "a" * 200, "a" * 201, "a@example.com", "https://example.com/?a=b&c=[d]"]
    contacts += ["abc", "ab", "a", "(a@b)", "a\\b", "a b"]
    for contact in contacts:
        try:
            accepted = bool(user_agent(contact))
        except ValueError:
            accepted = False
        assert accepted == bool(pattern.fullmatch(contact)), contact


def test_every_error_is_a_source_error() -> None:
    assert issubclass(FetchError, SourceError)
