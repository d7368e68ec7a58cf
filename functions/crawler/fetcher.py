"""The one fetcher: every request the crawler sends goes through it, at the pace and within the rules of the host.

Where urllib3's `Retry` fits and where not: it counts the attempts and grows the pause between them, but it would
sleep and send by itself, without the host's crawl-delay, without robots.txt for the target of a redirect, without
a look at the time left, and uncounted. So `requests` sends each request once, and the loop around it is here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from protego import Protego
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from crawler.sources import SourceError
from crawler.sources.markup import decode_markup

ROBOT = "Osusume"
"""The name that a group of robots.txt would call this crawler by."""

DEFAULT_CRAWL_DELAY = 1.0
CHALLENGE_WAIT = 60.0
REQUEST_SECONDS = 30.0
"""The time for one whole answer. The headers alone, dripping in, are held to its third for each byte and no more."""

MAX_BYTES = 5_000_000
MAX_RETRIES = 3
MAX_REDIRECTS = 3
_BACKOFF_SECONDS = 5.0
_CHUNK_BYTES = 65_536
_LONGEST = 10**9  # seconds, some thirty years; a host may name numbers that no float holds
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class FetchError(SourceError):
    """The root of everything that can go wrong while fetching a page."""


class OutOfTime(FetchError):
    """Raised before a request that the time left does not allow: save the progress and go on in the next run."""


class Disallowed(FetchError):
    """Raised when robots.txt does not allow an address."""


class ForeignHost(FetchError):
    """Raised for an address, or a redirect to one, that is not https on the source's host."""


class Challenged(FetchError):
    """Raised when the host still answers with its challenge (202) after a wait."""


class SlowDown(FetchError):
    """Raised when the host asks to slow down (429) although it was asked as slowly as it wants."""


class Forbidden(FetchError):
    """Raised when the host refuses (401, 403, 451)."""


class NotFound(FetchError):
    """Raised when the page is not there (404, 410)."""


class Unavailable(FetchError):
    """Raised when the host cannot be reached, fails (5xx) or asks to slow down (429), after retries."""


class TimedOut(FetchError):
    """Raised when a whole answer does not come in time, after retries."""


class TooLarge(FetchError):
    """Raised when a page has more than `MAX_BYTES`."""


class UnexpectedAnswer(FetchError):
    """Raised for an answer that is no page: another status, another type than text, a redirect to nowhere."""


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page: its address on the host, after redirects, and its text."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def user_agent(contact: str) -> str:
    """Return the User-Agent that names this crawler and its owner's `contact`, an e-mail or web address.

    Raises `ValueError` when the contact is empty or cannot stand in a header.
    """
    if not contact.strip():
        raise ValueError("the crawler needs a contact: set the owner's e-mail or web address")
    if not (contact.isascii() and contact.isprintable()) or any(mark in contact for mark in "()\\"):
        raise ValueError(f"the contact {contact!r:.60} must be plain ASCII without brackets")
    return f"{ROBOT}/1.0 (+personal recommender; contact: {contact.strip()})"


class Fetcher:
    """Fetches pages of one host, one at a time.

    `remaining` tells the seconds left for the run; `clock` gives seconds since 1970. `robots_txt`, `last_request_at`
    and `not_before`, saved from an earlier fetcher, continue its crawl at its pace without reading robots.txt again.
    `before_request` is called before each request is sent; what it raises leaves `fetch`, and nothing is sent.
    `readdress` is given each address that the host redirects to, and returns the address to ask for.
    `site_address`, an http address on this machine, is where requests go in place of the host; all addresses
    given and returned stay those of the host.
    """

    def __init__(
        self,
        host: str,
        *,
        user_agent: str,
        cookies: Mapping[str, str] | None = None,
        site_address: str | None = None,
        robots_txt: str | None = None,
        last_request_at: float | None = None,
        not_before: float = 0.0,
        remaining: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        if site_address is not None and urlsplit(site_address).hostname not in _LOOPBACK:
            raise ValueError(f"site address {site_address} must be on this machine, such as http://127.0.0.1:8080")
        self.requests = 0
        self.before_request: Callable[[], None] = lambda: None
        self.readdress: Callable[[str], str] = lambda url: url
        self.last_request_at = last_request_at
        self.not_before = not_before
        self._host = host
        self._origin = urlsplit(site_address or f"https://{host}")
        self._robots = None if robots_txt is None else Protego.parse(robots_txt)
        self._robots_txt = robots_txt
        self._remaining, self._clock, self._sleep = remaining, clock, sleep
        self._request_seconds = request_seconds
        self._session = _OneRequest()
        self._session.trust_env = False  # no proxy, and no password from ~/.netrc sent to the host
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the host's cookies are not kept
        self._session.headers.update({"User-Agent": user_agent, "Accept": "text/html", "Accept-Language": "ja"})
        if cookies:
            self._session.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())

    @property
    def robots_txt(self) -> str | None:
        """The host's robots.txt as it was read, empty where it has none; None before it is read."""
        return self._robots_txt

    @property
    def crawl_delay(self) -> float:
        """Seconds between the end of one request and the start of the next."""
        if self._robots is None:
            return DEFAULT_CRAWL_DELAY
        delay = self._robots.crawl_delay(ROBOT)
        rate = self._robots.request_rate(ROBOT)
        if delay is None and rate is not None and rate.requests > 0:
            return float(min(rate.seconds, _LONGEST) / min(rate.requests, _LONGEST))
        return DEFAULT_CRAWL_DELAY if delay is None else float(delay)

    def fetch(self, url: str) -> Page:
        """Return the page at `url`, an https address of the host; robots.txt is read before the first.

        Raises `OutOfTime` before a request that would not end in time, and the other errors of this module as their
        descriptions say; each message names the address.
        """
        if self._robots is None:
            self._read_robots()
        page_url, answer = self._follow(url, obey_robots=True)
        kind, charset = _content_type(answer)
        if kind and not (kind.startswith("text/") or kind == "application/xhtml+xml"):
            raise UnexpectedAnswer(f"{page_url} is {kind}, not a page of text: check the address")
        return Page(page_url, decode_markup(answer.body, charset))

    def _read_robots(self) -> None:
        """Read robots.txt as RFC 9309 says: all is allowed where there is none, nothing where it cannot be known."""
        url = f"https://{self._host}/robots.txt"
        try:
            text = decode_markup(self._follow(url, obey_robots=False)[1].body, "utf-8")
        except (NotFound, Forbidden):
            text = ""
        if text.lstrip().startswith("<"):
            raise Unavailable(f"{url} is a page, not rules: the site may be in maintenance, try again later")
        self._robots_txt, self._robots = text, Protego.parse(text)

    def _follow(self, url: str, *, obey_robots: bool) -> tuple[str, _Answer]:
        """Return the answer at the end of the redirects from `url`, and its address."""
        target = self._host_address(url, url, base="")
        for _ in range(MAX_REDIRECTS + 1):
            if obey_robots and self._robots is not None and not self._robots.can_fetch(target, ROBOT):
                raise Disallowed(f"robots.txt of {self._host} does not allow {target}: leave it out")
            answer = self._ask(target)
            if answer.status not in _REDIRECTS:
                return target, answer
            location = answer.headers.get("Location")
            if not location:
                raise UnexpectedAnswer(f"{target} redirects ({answer.status}) to nowhere: try again later")
            target = self.readdress(self._host_address(location, url, base=target))
        raise UnexpectedAnswer(f"{url} redirects more than {MAX_REDIRECTS} times: open the address in a browser")

    def _host_address(self, url: str, asked: str, base: str) -> str:
        """Return `url`, relative to `base`, as an address of the host without fragment; `asked` is for the message."""
        try:
            parts = urlsplit(urljoin(base, url))
        except ValueError as error:
            raise ForeignHost(f"{asked} leads to {url!r:.200}, which is no address: leave it out") from error
        own = {("https", self._host), (self._origin.scheme, self._origin.netloc)}
        if (parts.scheme, parts.netloc.lower()) not in own:
            raise ForeignHost(f"{asked} leads to {url!r:.200}, not to https://{self._host}: leave it out")
        return urlunsplit(("https", self._host, parts.path or "/", parts.query, ""))

    def _ask(self, url: str) -> _Answer:
        """Return the answer to `url` that is a page or a redirect; try again what may pass."""
        retries = Retry(total=MAX_RETRIES, backoff_factor=_BACKOFF_SECONDS, redirect=False)
        challenged = False
        while True:
            failure: FetchError
            try:
                answer = self._send(url)
            except (TimedOut, Unavailable) as error:
                failure = error
            else:
                self._hold(_retry_after(answer.headers.get("Retry-After"), self._clock()))
                if answer.status == 202:
                    self._hold(CHALLENGE_WAIT)
                    if challenged:
                        raise Challenged(f"{url} answers with a challenge (202) again: crawl less often, or later")
                    challenged = True
                    continue
                if answer.status != 429 and answer.status < 500:
                    return _accepted(url, answer)
                failure = Unavailable(f"{url} answered {answer.status} {MAX_RETRIES + 1} times: try again later")
            try:
                retries = retries.increment("GET", url, error=HTTPError())
            except MaxRetryError:
                raise failure from None
            self._hold(retries.get_backoff_time())

    def _send(self, url: str) -> _Answer:
        """Send one request when its turn has come, and return what came back, whatever its status.

        Raises `TimedOut`, `Unavailable` and `TooLarge`.
        """
        self._wait_turn(url)
        address = urlunsplit((self._origin.scheme, self._origin.netloc, *urlsplit(url)[2:]))
        self.before_request()
        self.requests += 1
        ends = self._clock() + self._request_seconds
        try:
            with self._session.get(address, stream=True, allow_redirects=False, timeout=self._silence) as response:
                body = b"" if response.status_code in _REDIRECTS else self._read_body(url, response, ends)
                return _Answer(response.status_code, response.headers, body)
        except (requests.Timeout, ReadTimeoutError) as error:
            raise TimedOut(f"{url} sent nothing for {self._silence:g} s: try again later") from error
        except (requests.RequestException, HTTPError) as error:
            raise Unavailable(
                f"{url} cannot be read ({type(error).__name__}): check the network, or try later"
            ) from error
        finally:
            self.last_request_at = self._clock()

    def _read_body(self, url: str, response: requests.Response, ends: float) -> bytes:
        # read1, because the other ways to read wait for a whole chunk, however slowly it drips
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_BYTES:
                raise TooLarge(f"{url} has more than {MAX_BYTES:,} bytes: no page of the site has, leave it out")
            if self._clock() > ends:
                raise TimedOut(f"{url} did not end within {self._request_seconds:g} s: try again later")
        return bytes(body)

    @property
    def _silence(self) -> float:
        """Seconds to wait for the next byte, which may begin just before the whole request's time is over."""
        return self._request_seconds / 3

    def _hold(self, seconds: float) -> None:
        self.not_before = max(self.not_before, self._clock() + seconds)

    def _wait_turn(self, url: str) -> None:
        now = self._clock()
        wait = max(0.0, self.not_before - now)
        if self.last_request_at is not None:
            last = min(self.last_request_at, now)  # a clock set back must not make the wait longer than the delay
            wait = max(wait, last + self.crawl_delay - now)
        needed = wait + self._request_seconds + self._silence
        if needed > (left := self._remaining()):
            raise OutOfTime(
                f"{url} may need {needed:.0f} s and {left:.0f} s are left: save the progress and go on later"
            )
        if wait > 0:
            self._sleep(wait)


class _OneRequest(requests.Session):
    """A session that leaves redirects alone: even one told not to follow them reads the whole body of each."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # as requests calls it
        return None


def _accepted(url: str, answer: _Answer) -> _Answer:
    if answer.status in {401, 403, 451}:
        raise Forbidden(f"{url} is refused ({answer.status}): the site may block this network or region")
    if answer.status in {404, 410}:
        raise NotFound(f"{url} is not there ({answer.status}): leave it out")
    if answer.status != 200 and answer.status not in _REDIRECTS:
        raise UnexpectedAnswer(f"{url} answered {answer.status}: check the address")
    return answer


def _content_type(answer: _Answer) -> tuple[str, str | None]:
    """Return the declared type, empty where there is none, and charset of an answer."""
    declared = answer.headers.get("Content-Type")
    if not declared:
        return "", None
    message = Message()
    message["Content-Type"] = declared
    return message.get_content_type(), message.get_content_charset()


def _retry_after(value: str | None, now: float) -> float:
    """Return the seconds that a Retry-After header, in seconds or a date, asks to wait; 0 where it asks for none."""
    if value is None:
        return 0.0
    if (seconds := value.strip()).isdecimal():
        return min(float(seconds), float(_LONGEST))
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - now), float(_LONGEST))
    except (ValueError, OverflowError):
        return 0.0
