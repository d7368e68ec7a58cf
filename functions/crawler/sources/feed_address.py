"""The addresses of feeds, and the ids of what they list."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from crawler.answers import MAX_ADDRESS, host_of, is_local, parse_address, port_of, public_address

SOURCE = "feed"
MOST_FEEDS = 50
DIGITS = 32

_TRACKING = re.compile(
    r"(?:(?:utm|mtm|hsa|piwik|matomo)_.*|pk_(?:campaign|cpn|kwd|keyword|source|medium|content|cid)|mc_[ce]id"
    r"|_hs(?:enc|mi)|vero_(?:conv|id)|at_(?:medium|campaign)|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid"
    r"|ttclid|yclid|ysclid|srsltid|igshid|igsh|li_fat_id|mkt_tok|_ga|_gl|xtor|cmpid|ncid|phpsessid|jsessionid|:~:text"
    r"|from_rss)=.*|(?:from|ref|source|src|via|feed|rss)=(?:rss|atom|feed)?",
    re.IGNORECASE | re.DOTALL,
)
"""Parameters that say where a reader comes from, not what is read."""

_GLOBAL_ID = re.compile(
    r"(?:tag:[^:]+,[0-9-]{4,10}:|urn:[a-z0-9-]+:|doi:|info:).+"
    r"|(?:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}",
    re.IGNORECASE | re.DOTALL,
)
"""Ids that say which work of the world they mean; others are counted anew by each site."""

_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")


def feed_addresses(text: str, *, is_trial: bool = False) -> list[str]:
    """Return the addresses in `text`, which are separated by white space, each once; http becomes https.

    In a trial they may be on this machine, and stay as they are. Raises `ValueError` for anything else, naming it.
    """
    addresses = list(dict.fromkeys(_address(each, is_trial=is_trial) for each in text.split()))
    if not addresses:
        raise ValueError("a source of feeds needs the address of at least one: set Feeds, or give --url")
    if len(addresses) > MOST_FEEDS:
        raise ValueError(f"{len(addresses)} feeds are more than {MOST_FEEDS}: leave some out")
    return addresses


def is_on_this_machine(url: str) -> bool:
    """Return whether an address names this machine by the name or number of its loopback."""
    parts = parse_address(url, "")
    return parts is not None and (host_of(parts) == "localhost" or host_of(parts).startswith("127."))


def web_address(address: str, feed: str, base: str = "") -> str:
    """Return an address in the feed at address `feed` as https, empty if it is none of a public host.

    It may be relative to `base`, or else to the feed. In a feed of this machine, as in a trial, addresses of its own
    server are kept as they are.
    """
    if not address.strip():
        return ""
    server = urlsplit(feed)
    if is_local(server.hostname or ""):
        try:
            own = urljoin(base or feed, address.strip())
            if urlsplit(own)[:2] == server[:2] and len(own) <= MAX_ADDRESS:
                return own
        except ValueError:
            return ""
    found = public_address(address, base or feed)
    return found if found and _names_a_host(found) else ""


def item_id(feed: str, guid: str, link: str, text: str) -> str:
    """Return the id of an entry of the feed at address `feed`: the same for the same work, wherever it is listed.

    `guid` is the entry's own id, `link` its address, `text` what else it says; each may be empty. Addresses count
    without scheme, tracking parameters and the order of parameters.

    >>> one = item_id("https://example.com/feed", "", "http://example.com/a?utm_source=rss&b=1", "")
    >>> one == item_id("https://example.net/all", "", "https://EXAMPLE.com/a/?b=1", "")
    True
    """
    page = _canonical(link)
    if re.match("https?:", guid, re.IGNORECASE) and public_address(guid):
        key = _canonical(guid)
    elif _GLOBAL_ID.fullmatch(guid):
        key = guid
    elif guid:
        key = f"{page or _canonical(feed)}\n{guid}"  # a shop's feeds share its works, and their addresses
    else:
        key = page or f"{_canonical(feed)}\n{text}"
    return f"{SOURCE}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:DIGITS]}"


def _address(text: str, *, is_trial: bool) -> str:
    parts = parse_address(text, "")
    if is_trial and parts is not None and parts.scheme == "http" and is_on_this_machine(text):
        return parts.url
    address = public_address(text)
    if not address:
        raise ValueError(f"{text!r:.200} is no address of a public host: give feeds such as https://example.com/feed")
    if not _names_a_host(address):
        raise ValueError(f"{text!r:.200} names a port, or a number for a host: feeds are read from https alone")
    return address


def _names_a_host(address: str) -> bool:
    """Return whether an address has the port of https, and a host that is no IPv6 address, which may stand for IPv4."""
    parts = urlsplit(address)
    return parts.port is None and "[" not in parts.netloc


def _canonical(url: str) -> str:
    """Return an address without scheme, tracking and differences of spelling; empty for what is no address."""
    parts = parse_address(url, "")
    if parts is None or not parts.host:
        return ""
    port = "" if port_of(parts) in {80, 443} else f":{parts.port}"
    path = _ESCAPED.sub(_unescaped, parts.path or "").rstrip("/")
    query = urlencode(sorted(_telling(parts.query)))
    # a page of many works names each by its fragment
    fragment = urlencode(_telling(parts.fragment)) if "=" in (parts.fragment or "") else parts.fragment or ""
    return f"{host_of(parts).lower()}{port}{path}?{query}#{fragment}"


def _unescaped(escaped: re.Match[str]) -> str:
    """Return a character as it is where an address may hold it as it is."""
    character = chr(int(escaped[1], 16))
    return character if re.fullmatch("[A-Za-z0-9._~-]", character) else escaped[0].upper()


def _telling(query: str | None) -> list[tuple[str, str]]:
    """Return the parameters that say what is read; the bytes of any encoding stay apart."""
    pairs = parse_qsl(query or "", keep_blank_values=True, encoding="latin-1")
    return [(name, value) for name, value in pairs if not _TRACKING.fullmatch(f"{name}={value}")]
