"""The rules of a robots.txt that apply to this crawler, by RFC 9309 (https://www.rfc-editor.org/rfc/rfc9309).

protego matches the addresses. This module chooses the groups, because protego matches a crawler's name by its
beginning, knows no version after a name, and keeps the last of several delays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from protego import Protego

PRODUCT = "Osusume"
"""This crawler's name in robots.txt; the User-Agent begins with it."""

MAX_ROBOTS_BYTES = 4_000_000
"""How much of a file is read for rules; RFC 9309 wants 500 KiB at least."""

_LONGEST = 10**9  # seconds; a host may name numbers that no float holds
_AGENT_LINE = re.compile(r"user[- ]?agent\s*[:\s]\s*(.*)", re.IGNORECASE)
_PATH_LINE = re.compile(r"(?:allow|d[a-z]*l+[ao]w)\b", re.IGNORECASE)
_OTHER_LINE = re.compile(
    r"(?:crawl[- ]delay|request[- ]rate|visit[- ]time|site-?maps?|host|clean-param)\b", re.IGNORECASE
)
_PACE_LINE = re.compile(r"(?:crawl|request)[- ]", re.IGNORECASE)
_PRODUCT_TOKEN = re.compile(r"\**([A-Za-z_-]+)(?![A-Za-z0-9])")


class Rules:
    """The rules in the text of a robots.txt that apply to this crawler."""

    def __init__(self, text: str) -> None:
        lines = list(_binding_lines(text))
        self._rules = _parsed(lines)
        self.crawl_delay = max(map(_seconds, filter(_PACE_LINE.match, lines)), default=None)
        """Seconds between requests by the slowest delay or rate; None if there is none."""

    def allow(self, url: str) -> bool:
        """Return whether the page at `url` may be requested."""
        return bool(self._rules.can_fetch(url, PRODUCT))


def may_give_rules(text: str) -> bool:
    """Return whether `text` may be a robots.txt: it is empty or has a rule, and is not a page or a binary file."""
    lines = [line for line in map(_without_comment, text.splitlines()) if line]
    known = (_AGENT_LINE, _PATH_LINE, _OTHER_LINE)
    is_page = any(line.startswith("<") for line in lines[:1]) or "\0" in text
    return not is_page and (not lines or any(pattern.match(line) for line in lines for pattern in known))


def _binding_lines(text: str) -> Iterator[str]:
    """Yield the rules of the groups that name this crawler, else those of the groups for all."""
    groups: dict[str, list[str]] = {}
    agents: list[str] = []
    is_heading = False
    for line in text.splitlines():
        rule = _without_comment(line)
        if found := _AGENT_LINE.match(rule):
            agents = [*(agents if is_heading else []), _agent(found[1])]
            groups.setdefault(agents[-1], [])
            is_heading = True
        elif _PATH_LINE.match(rule) or _PACE_LINE.match(rule):
            for agent in agents:
                groups[agent].append(rule)
            is_heading = False
    yield from groups.get(PRODUCT.lower(), groups.get("*", []))


def _agent(value: str) -> str:
    """Return the product token that a group names, in lower case, without a version or a comment."""
    token = _PRODUCT_TOKEN.match(value)
    return token[1].lower() if token else value.strip()


def _without_comment(line: str) -> str:
    return line.partition("#")[0].strip("\ufeff \t")


def _seconds(line: str) -> float:
    """Return the seconds between requests that a line asks for, 0 if it is invalid."""
    rules = _parsed([line])
    delay, rate = rules.crawl_delay(PRODUCT), rules.request_rate(PRODUCT)
    if rate is not None:
        return float(min(rate.seconds, _LONGEST) / min(rate.requests, _LONGEST))
    return min(float(delay or 0.0), float(_LONGEST))


def _parsed(lines: list[str]) -> Protego:
    return Protego.parse("\n".join(["User-agent: *", *lines]))
