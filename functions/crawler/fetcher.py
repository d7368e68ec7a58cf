"""The one fetcher: the crawler sends every request through it, at the pace and within the rules of the host.

urllib3's `Retry` only counts the attempts and computes the pauses. If it also slept and sent, it would ignore the
host's crawl-delay, the robots.txt rules for redirects and the time left. So `requests` sends each request once, and
the loop is here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from crawler.answers import (
    Answer,
    content_type,
    host_of,
    is_local,
    parse_address,
    port_of,
    redirect_target,
    retry_after,
)
from crawler.public_hosts import PublicHosts
from crawler.robots import MAX_ROBOTS_BYTES, PRODUCT, Rules, may_give_rules
from crawler.sources import SourceError
from crawler.sources.markup import decode_markup
from osusume.observability import logger

DEFAULT_CRAWL_DELAY = 1.0
CHALLENGE_WAIT = 60.0
SLOW_DOWN_WAIT = 1800.0
"""Seconds of rest after a second request to slow down (429) in one turn."""

MAX_HOLD = 23 * 3600.0
"""The longest wait to obey, in seconds: less than a day, so that it ends before the next morning's crawl."""

REQUEST_SECONDS = 30.0
"""The time for one whole answer; while the headers come in, only a third of it limits the wait for each byte."""

MAX_BYTES = 5_000_000
MAX_RETRIES = 3
MAX_RETRIES_A_TURN = 6
"""After so many retries in one turn the host is in trouble, and each page is requested only once."""

MAX_REDIRECTS = 3
MAX_ROBOTS_REDIRECTS = 5  # RFC 9309, section 2.3.1.2
_BACKOFF_SECONDS = 5.0
_CHUNK_BYTES = 65_536
_CONTACT = re.compile(r"[\x21-\x27\x2A-\x5B\x5D-\x7E]{3,200}")  # template.yaml has the same rule for its parameter
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
_VALIDATOR = re.compile(r"[\x20-\x7E]{1,500}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class FetchError(SourceError):
    """The root of everything that can go wrong while fetching a page."""


class OutOfTime(FetchError):
    """Raised before a request that does not fit the time left: save the progress and resume in the next run."""


class Disallowed(FetchError):
    """Raised when robots.txt does not allow an address."""


class ForeignHost(FetchError):
    """Raised for an address, or a redirect to one, that is not https on the source's host; `target` is that address."""

    def __init__(self, message: str, target: str = "") -> None:
        super().__init__(message)
        self.target = target


class Challenged(FetchError):
    """Raised when the host answers with its challenge (202) again after a wait."""


class SlowDown(FetchError):
    """Raised when the host asks to slow down (429) for the second time in a turn: leave it alone for a while."""


class Forbidden(FetchError):
    """Raised when the host refuses (401, 403, 451)."""


class NotFound(FetchError):
    """Raised when the page does not exist (404, 410)."""


class Unavailable(FetchError):
    """Raised when the host cannot be reached or fails (5xx), after retries."""


class TimedOut(FetchError):
    """Raised when an answer does not arrive whole in time, after retries."""


class TooLarge(FetchError):
    """Raised when a page has more than `MAX_BYTES`."""


class UnexpectedAnswer(FetchError):
    """Raised for an answer that is not a page: an unexpected status or type, or a redirect to nowhere."""


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched page: its address on the host, after redirects, and its text."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A fetched document: its address after redirects, its bytes, its type, and its validators, empty where unknown.

    `is_unchanged` is true if it is still the one whose validators were given; then the body is empty.
    """

    url: str
    body: bytes
    content_type: str
    etag: str
    last_modified: str
    is_unchanged: bool = False


def user_agent(contact: str) -> str:
    """Return the User-Agent that names this crawler and its owner's `contact`, an e-mail or web address.

    Raises `ValueError` if the contact is empty or not allowed in a header.
    """
    if not contact.strip():
        raise ValueError("the crawler needs a contact: set the owner's e-mail or web address")
    if not _CONTACT.fullmatch(contact):
        raise ValueError(
            f"the contact {contact!r:.60} must be 3 to 200 characters of ASCII without spaces, brackets and \\"
        )
    return f"{PRODUCT}/1.0 (+personal recommender; contact: {contact})"


class Fetcher:
    """Fetches pages of one host, one at a time.

    `remaining` returns the seconds left for the run, `clock` the seconds since the epoch. `robots_txt`,
    `last_request_at` and `not_before`, saved from an earlier fetcher, continue its crawl at its pace without reading
    robots.txt again. `before_request` is called before each request; if it raises, nothing is sent. `readdress` maps
    the target of a redirect to the address to request. `site_address`, an http address on this machine, receives the
    requests instead of the host; all addresses given and returned stay those of the host. `least_delay` is the
    shortest pause between requests in seconds.
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
        least_delay: float = DEFAULT_CRAWL_DELAY,
        before_request: Callable[[], None] = lambda: None,
        readdress: Callable[[str], str] = lambda url: url,
    ) -> None:
        if site_address is not None and urlsplit(site_address).hostname not in _LOOPBACK:
            raise ValueError(f"site address {site_address} must be on this machine, such as http://127.0.0.1:8080")
        self.requests = 0
        self.before_request, self.readdress = before_request, readdress
        self.last_request_at = last_request_at
        self.not_before = min(not_before, clock() + MAX_HOLD)
        self.long_wait = 0
        self._host = host
        self._origin = urlsplit(site_address or f"https://{host}")
        self._rules = None if robots_txt is None else Rules(robots_txt)
        self._robots_txt = robots_txt
        self._remaining, self._clock, self._sleep = remaining, clock, sleep
        self._request_seconds, self._least_delay = request_seconds, least_delay
        self._retries_left = MAX_RETRIES_A_TURN
        self._was_told_to_slow_down = self._was_challenged = False
        self._session = _OneRequest()
        if site_address is None:
            self._session.mount("https://", PublicHosts())
            self._session.mount("http://", PublicHosts())
        self._session.trust_env = False  # no proxy, and no password from ~/.netrc sent to the host
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # keep no cookies of the host
        self._session.headers.update({"User-Agent": user_agent, "Accept": "text/html", "Accept-Language": "ja"})
        if cookies:
            self._session.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())

    @property
    def robots_txt(self) -> str | None:
        """The host's robots.txt, empty if it has none; None before it is read."""
        return self._robots_txt

    @property
    def crawl_delay(self) -> float:
        """Seconds between the end of one request and the start of the next."""
        asked = self._rules.crawl_delay if self._rules else None
        return max(DEFAULT_CRAWL_DELAY if asked is None else asked, self._least_delay)

    def fetch(self, url: str) -> Page:
        """Return the page at `url`, an https address of the host; robots.txt is read before the first.

        Raises the errors of this module; each message names the address.
        """
        if self._rules is None:
            self._read_robots()
        page_url, answer = self._follow(url, {})
        kind, charset = content_type(answer)
        if kind and not (kind.startswith("text/") or kind == "application/xhtml+xml"):
            raise UnexpectedAnswer(f"{page_url} is {kind}, not a page of text: check the address")
        return Page(page_url, decode_markup(answer.body, charset))

    def fetch_document(self, url: str, accept: str, etag: str = "", last_modified: str = "") -> Document:
        """Return the document at `url`, an address of the host, unless it is unchanged since its validators were given.

        `accept` names the types to ask for; what comes is not checked. Raises as `fetch` does.
        """
        if self._rules is None:
            self._read_robots()
        headers = {"Accept": accept, "If-None-Match": etag, "If-Modified-Since": last_modified}
        target, answer = self._follow(url, {name: value for name, value in headers.items() if value})
        return Document(
            self._origin_address(target) if is_local(self._host) else target,
            answer.body,
            answer.headers.get("Content-Type", ""),
            _validator(answer, "ETag"),
            _validator(answer, "Last-Modified"),
            is_unchanged=answer.status == NOT_MODIFIED,
        )

    def _read_robots(self) -> None:
        """Read robots.txt as RFC 9309 says: a 4xx allows everything, and if it cannot be read nothing is allowed.

        It may lie on another host.
        """
        url = target = f"https://{self._host}/robots.txt"
        for _ in range(MAX_ROBOTS_REDIRECTS + 1):
            answer = self._ask(target, MAX_ROBOTS_BYTES, {})
            if answer.status in _REDIRECTS and (location := redirect_target(answer)):
                target = self._rules_address(location, target)
            elif 200 <= answer.status < 300 and answer.status != 206:
                self._robots_txt = decode_markup(answer.body, "utf-8")
                break
            elif 400 <= answer.status < 500:
                break
            else:
                raise Unavailable(f"{url} answered {answer.status}, which is no rules: try again later")
        else:
            raise Unavailable(f"{url} redirects more than {MAX_ROBOTS_REDIRECTS} times: try again later")
        text = self._robots_txt or ""
        if not may_give_rules(text):
            self._robots_txt = None
            raise Unavailable(f"{url} holds no rules: the site may be in maintenance, try again later")
        self._robots_txt, self._rules = text, Rules(text)

    def _follow(self, url: str, headers: Mapping[str, str]) -> tuple[str, Answer]:
        """Return the answer at the end of the redirects from `url`, and its address."""
        is_conditional = not headers.keys().isdisjoint({"If-None-Match", "If-Modified-Since"})
        target = self._host_address(url, url, base="")
        asked: list[str] = []
        while len(asked) <= MAX_REDIRECTS:
            if self._rules and not self._rules.allow(target):
                raise Disallowed(f"robots.txt of {self._host} does not allow {target}: skip it")
            asked.append(target)
            answer = self._ask(target, MAX_BYTES, headers)
            if answer.status == NOT_MODIFIED and is_conditional:
                return target, answer
            answer = _accepted(target, answer)
            if answer.status not in _REDIRECTS:
                return target, answer
            location = redirect_target(answer)
            if not location:
                raise UnexpectedAnswer(f"{target} redirects ({answer.status}) to nowhere: try again later")
            plain = self._host_address(location, url, base=target)
            wanted = self._host_address(self.readdress(plain), url, base=plain)
            # if the host undoes what `readdress` adds, request its address
            target = plain if wanted in asked else wanted
        raise UnexpectedAnswer(f"{url} redirects more than {MAX_REDIRECTS} times: open the address in a browser")

    def _host_address(self, url: str, asked: str, base: str) -> str:
        """Return `url`, relative to `base`, as an address of the host without fragment; `asked` is for the message.

        Browsers' rules apply (https://url.spec.whatwg.org): surrounding white space and line ends are ignored, a
        backslash is a slash, the host may have a final dot or the scheme's own port.
        """
        parts = parse_address(url, base)
        own = {("https", self._host, 443), (self._origin.scheme, self._origin.hostname, self._origin.port or 443)}
        if parts is None or parts.auth is not None or (parts.scheme, host_of(parts), port_of(parts)) not in own:
            target = "" if parts is None else parts.url
            raise ForeignHost(f"{asked} leads to {url!r:.200}, not to https://{self._host}: skip it", target)
        return urlunsplit(("https", self._host, parts.path or "/", parts.query or "", ""))

    def _rules_address(self, url: str, base: str) -> str:
        """Return `url`, relative to `base`, as an address of a robots.txt. Raises `Unavailable`."""
        try:
            return self._host_address(url, base, base)
        except ForeignHost:
            parts = parse_address(url, base)
            # a stand-in's rules are on this machine, the host's never
            is_one_of_ours = parts is not None and is_local(host_of(parts)) == (self._origin.hostname in _LOOPBACK)
            if parts is None or not is_one_of_ours or parts.scheme not in {"http", "https"} or parts.auth is not None:
                raise Unavailable(f"{base} leads to {url!r:.200}, where no rules can be: try again later") from None
            return parts.url

    def _ask(self, url: str, most_bytes: int, headers: Mapping[str, str]) -> Answer:
        """Return the answer to `url`, after retries of temporary failures."""
        retries = Retry(total=min(MAX_RETRIES, self._retries_left), backoff_factor=_BACKOFF_SECONDS, redirect=False)
        while True:
            failure: FetchError
            try:
                answer = self._send(url, most_bytes, headers)
            except (TimedOut, Unavailable) as error:
                failure = error
            else:
                asked = self._obey_retry_after(url, answer)
                if answer.status == 202:
                    self._hold(CHALLENGE_WAIT)
                    if self._was_challenged:
                        raise Challenged(f"{url} answers with a challenge (202) again: crawl less often, or later")
                    self._was_challenged = True
                    continue
                if answer.status == 429:
                    self._slow_down(url, asked)
                    continue
                if answer.status < 500:
                    return answer
                failure = Unavailable(f"{url} answered {answer.status} again and again: try again later")
            try:
                retries = retries.increment("GET", url, error=HTTPError())
            except MaxRetryError:
                raise failure from None
            self._retries_left -= 1
            self._hold(retries.get_backoff_time())

    def _slow_down(self, url: str, asked: float) -> None:
        """Hold requests for as long as the host asks, or a minute; the second time raise `SlowDown` and hold longer."""
        if self._was_told_to_slow_down:
            self._hold(SLOW_DOWN_WAIT)
            raise SlowDown(f"{url} asks to slow down (429) again: the next try waits for half an hour")
        self._was_told_to_slow_down = True
        if asked == 0:
            self._hold(CHALLENGE_WAIT)

    def _obey_retry_after(self, url: str, answer: Answer) -> float:
        """Hold requests for as long as the answer asks, up to `MAX_HOLD`, and return the seconds it asks for."""
        asked = retry_after(answer.headers.get("Retry-After"), self._clock())
        if asked > MAX_HOLD:
            self.long_wait = max(self.long_wait, math.ceil(asked))
            logger.warning("the site asks for a longer wait than is allowed", url=url, asked=asked, obeyed=MAX_HOLD)
        self._hold(min(asked, MAX_HOLD))
        return asked

    def _send(self, url: str, most_bytes: int, headers: Mapping[str, str]) -> Answer:
        """Send one request after the pause that is due, and return the answer, whatever its status.

        Raises `TimedOut`, `Unavailable` and `TooLarge`.
        """
        self._wait_turn(url)
        self.before_request()
        self.requests += 1
        ends = self._clock() + self._request_seconds
        try:
            address = self._origin_address(url)
            cookies = {} if address != url or urlsplit(url).netloc == self._host else {"Cookie": None}
            with self._session.get(
                address, headers={**headers, **cookies}, stream=True, allow_redirects=False, timeout=self._silence
            ) as response:
                is_redirect = response.status_code in _REDIRECTS
                body = b"" if is_redirect else self._read_body(url, response, ends, most_bytes)
                return Answer(response.status_code, response.headers, body)
        except (requests.Timeout, ReadTimeoutError) as error:
            raise TimedOut(f"{url} sent nothing for {self._silence:g} s: try again later") from error
        except (requests.RequestException, HTTPError) as error:
            raise Unavailable(
                f"{url} cannot be read ({type(error).__name__}): check the network, or try later"
            ) from error
        finally:
            self.last_request_at = self._clock()

    def _origin_address(self, url: str) -> str:
        """Return where to send a request for `url`: the host's addresses go to its stand-in if there is one."""
        parts = urlsplit(url)
        if parts.netloc != self._host:
            return url
        return urlunsplit((self._origin.scheme, self._origin.netloc, *parts[2:]))

    def _read_body(self, url: str, response: requests.Response, ends: float, most_bytes: int) -> bytes:
        # read1: the other methods wait for a whole chunk, however slowly it arrives
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > most_bytes:
                if most_bytes == MAX_ROBOTS_BYTES:
                    break  # the rest need not be parsed (RFC 9309, section 2.5)
                raise TooLarge(f"{url} has more than {most_bytes:,} bytes: no page of the site has, skip it")
            if self._clock() > ends:
                raise TimedOut(f"{url} did not end within {self._request_seconds:g} s: try again later")
        return bytes(body)

    @property
    def _silence(self) -> float:
        """Seconds to wait for the next byte; the wait may begin just before the request's time ends."""
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
    """A session that ignores redirects: requests reads the whole body of each, even if told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # as requests calls it
        return None


def _validator(answer: Answer, name: str) -> str:
    """Return a validator that can be sent back, empty if there is none."""
    value = answer.headers.get(name, "").strip()
    return value if _VALIDATOR.fullmatch(value) else ""


def _accepted(url: str, answer: Answer) -> Answer:
    if answer.status in {401, 403, 451}:
        raise Forbidden(f"{url} is refused ({answer.status}): the site may block this network or region")
    if answer.status in {404, 410}:
        raise NotFound(f"{url} is not there ({answer.status}): skip it")
    if answer.status != 200 and answer.status not in _REDIRECTS:
        raise UnexpectedAnswer(f"{url} answered {answer.status}: check the address")
    return answer
