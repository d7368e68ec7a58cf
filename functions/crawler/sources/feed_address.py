"""The addresses of feeds, and the ids of what they list."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from crawler.answers import host_of, parse_address, port_of, public_address

SOURCE = "feed"
MOST_FEEDS = 50
DIGITS = 32

_TRACKING = re.compile(
    r"utm_.*|mtm_.*|pk_.*|piwik_.*|matomo_.*|hsa_.*|mc_[ce]id|_hs(?:enc|mi)|vero_(?:conv|id)|at_(?:medium|campaign)"
    r"|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid|ttclid|yclid|igshid|igsh|li_fat_id|mkt_tok|_ga|_gl|xtor"
    r"|cmpid|rss|feed|from_rss",
    re.IGNORECASE,
)
"""Names of parameters that say where a reader comes from, not what is read."""

_GLOBAL_ID = re.compile(r"(?:tag|urn|uuid|doi|info):.+|(?=.*[0-9])[A-Za-z0-9_:./+=-]{16,}", re.IGNORECASE | re.DOTALL)
"""Ids that say which work of the world they mean; shorter ones are counted anew by each feed."""


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


def item_id(feed: str, guid: str, link: str, text: str) -> str:
    """Return the id of an entry of the feed at address `feed`: the same for the same work, wherever it is listed.

    `guid` is the entry's own id, `link` its address, `text` what else it says; each may be empty. Addresses count
    without scheme, tracking parameters and the order of parameters.

    >>> one = item_id("https://example.com/feed", "", "http://example.com/a?utm_source=rss&b=1", "")
    >>> one == item_id("https://example.net/all", "", "https://EXAMPLE.com/a/?b=1", "")
    True
    """
    if guid and re.match(r"https?://", guid, re.IGNORECASE):
        key = _canonical(guid)
    elif guid and _GLOBAL_ID.fullmatch(guid):
        key = guid
    elif guid:
        key = f"{_canonical(feed)}\n{guid}"
    else:
        key = _canonical(link) or f"{_canonical(feed)}\n{text}"
    return f"{SOURCE}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:DIGITS]}"


def _address(text: str, *, is_trial: bool) -> str:
    parts = parse_address(text, "")
    if is_trial and parts is not None and parts.scheme == "http" and is_on_this_machine(text):
        return parts.url
    address = public_address(text)
    if not address:
        raise ValueError(f"{text!r:.200} is no address of a public host: give feeds such as https://example.com/feed")
    if urlsplit(address).port:
        raise ValueError(f"{text!r:.200} names a port: feeds are read from https alone, at its own port")
    return address


def _canonical(url: str) -> str:
    """Return an address without scheme, tracking and differences of spelling; empty for what is no address."""
    parts = parse_address(url, "")
    if parts is None or not parts.host:
        return ""
    port = "" if port_of(parts) in {80, 443} else f":{parts.port}"
    path = quote(unquote(parts.path or "").rstrip("/"), safe="/")
    query = urlencode(sorted(_telling(parts.query)))
    # a page of many works names each by its fragment
    fragment = urlencode(_telling(parts.fragment)) if "=" in (parts.fragment or "") else parts.fragment or ""
    is_tracking = _TRACKING.fullmatch(fragment) is not None
    return f"{host_of(parts).lower()}{port}{path}?{query}#{'' if is_tracking else fragment}"


def _telling(query: str | None) -> list[tuple[str, str]]:
    pairs = parse_qsl(query or "", keep_blank_values=True)
    return [(name, value) for name, value in pairs if not _TRACKING.fullmatch(name)]
