"""What a host answers: its headers and the addresses in them, read as browsers read them."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urljoin

from urllib3.util import Url, parse_url

_SECONDS = re.compile(r"\s*\+?([0-9]+(?:\.[0-9]*)?|inf(?:inity)?)\s*(?:s|sec|seconds)?\s*", re.IGNORECASE)
_LONGEST = 10**9  # seconds; a host may name numbers that no float holds
MAX_ADDRESS = 2_000
"""Characters of an address in an item; Slack takes 3,000."""
_AROUND = "".join(map(chr, range(0x21)))  # browsers strip control characters and spaces around an address


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whatever its status; the body of a redirect is empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def redirect_target(answer: Answer) -> str:
    """Return where an answer redirects to, in UTF-8 as browsers read it; empty if it does not say."""
    location = answer.headers.get("Location", "").strip(_AROUND)
    try:
        return location.encode("latin-1").decode()  # http.client reads headers as Latin-1
    except UnicodeError:  # browsers keep the bytes of other encodings
        return re.sub(r"[\x80-\xff]", lambda byte: f"%{ord(byte[0]):02X}", location)


def parse_address(url: str, base: str) -> Url | None:
    """Return `url`, relative to `base`, as browsers read it; None if it is not an address."""
    address, mark, query = re.sub(r"[\t\r\n]", "", url.strip(_AROUND)).partition("?")
    slashes = re.sub(r"%2e", ".", address.replace("\\", "/"), flags=re.IGNORECASE)
    plain = re.sub(r"^(https?:)?/{2,}", r"\1//", slashes, flags=re.IGNORECASE)
    try:
        return parse_url(urljoin(base, plain + mark + query))
    except ValueError:  # urllib3's LocationParseError is one
        return None


def public_address(url: str, base: str = "") -> str:
    """Return `url`, relative to `base`, as an https address; empty if it is none of a public host, or too long.

    >>> public_address("http://Example.com:80/a b?c=d")
    'https://example.com/a%20b?c=d'
    >>> public_address("http://192.168.0.1/")
    ''
    """
    parts = parse_address(url, base)
    if parts is None or parts.scheme not in {"http", "https"} or parts.auth is not None or is_local(host_of(parts)):
        return ""
    address = parts._replace(scheme="https", port=None if port_of(parts) in {80, 443} else parts.port).url
    return address if len(address) <= MAX_ADDRESS and address.isascii() else ""


def host_of(parts: Url) -> str:
    """Return the host of an address, without the final dot that it may have."""
    return (parts.host or "").removesuffix(".")


def port_of(parts: Url) -> int:
    """Return the port of an address, its scheme's own where it names none."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_local(host: str) -> bool:
    """Return whether a host is this machine or on its network."""
    try:
        # addresses have several spellings: 127.1, 0x7f.0.0.1
        address = ip_address(host.strip("[]") if ":" in host else socket.inet_ntoa(socket.inet_aton(host)))
    except (ValueError, OSError):
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return not address.is_global or address.is_multicast


def content_type(answer: Answer) -> tuple[str, str | None]:
    """Return the declared type, empty if there is none, and the charset of an answer."""
    declared = answer.headers.get("Content-Type")
    if not declared:
        return "", None
    message = Message()
    message["Content-Type"] = declared
    return message.get_content_type(), message.get_content_charset()


def retry_after(value: str | None, now: float) -> float:
    """Return the seconds that a Retry-After header asks to wait, the longest of several; 0 if it asks for none."""
    if value is None:
        return 0.0
    try:
        date = parsedate_to_datetime(value)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        seconds = max(map(_asked_seconds, value.split(",")))
    return min(max(0.0, seconds), float(_LONGEST))


def _asked_seconds(text: str) -> float:
    found = _SECONDS.fullmatch(text)
    return float(found[1]) if found else 0.0
