"""Damage to bytes and to JSON values: what a broken wire, a broken writer or an attacker makes of a good input."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

DEEP = 100_000
HUGE = 200_000

NUMBERS = (
    "1e999",
    "-1e999",
    "NaN",
    "-Infinity",
    "-0",
    "-0.0",
    "9" * 400,
    "9" * 5000,
    "1e-400",
    "0x10",
    "1_000",
    "٣",
    "１２",
)
DATES = (
    "0000-00-00",
    "9999-12-31",
    "2026-02-30",
    "２０２６年０２月０３日",
    "2026年13月01日",
    "10000-01-01",
    "Feb/30/2026",
)
WORDS = (
    *NUMBERS,
    *DATES,
    "\x00",
    "\ud800",
    "\u202e\u200b\ufeff",
    "&#x110000;",
    "&#0;",
    "&#xd800;",
    "&amp;amp;",
    "&nosuch;",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<html>",
    "</html>",
    "<script>",
    "<template>",
    "<svg><style>",
    "<table><tr><td>",
    "http://[",
    "//example.com/",
    "javascript:alert(1)",
    "RJ99999999",
    "{{",
    "%00%ff",
)
ODD_VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -1,
    10**400,
    -(10**38) - 1,
    1e308,
    float("nan"),
    float("inf"),
    0.1,
    "",
    " ",
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"item_id": {"item_id": []}},
    "x" * 10_000,
    *WORDS,
)

_TAG = re.compile(rb"<[^<>]{1,300}>")
_NUMBER = re.compile(rb"[0-9]{1,12}")
_ATTRIBUTE = re.compile(rb'="[^"<>]{0,300}"')


def damaged_bytes(random: Random, content: bytes) -> bytes:
    """Return `content` with one to four kinds of damage."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choices(_KINDS, _ODDS)[0](random, content)
    return content


def damaged_json(random: Random, value: object) -> bytes:
    """Return the JSON text of `value` with wrong, missing, added, repeated and deeply nested parts, or cut."""
    damaged = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        damaged = _with_damaged_part(random, damaged)
    text = json.dumps(damaged, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    match random.randrange(25):
        case 0:
            return damaged_bytes(random, text)
        case 1:
            return _within(random, text, rb"null|true|[0-9]+", random.choice(NUMBERS).encode())
        case 2:
            opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
            depth = random.choice((50, 990, 5_000, DEEP))
            return _within(random, text, rb"null|true|[0-9]+", opened * depth + b"1" + closed * depth)
        case _:
            return text


def _with_damaged_part(random: Random, value: Any) -> Any:
    """Return `value` with one part, anywhere in it, made wrong; what is not replaced is changed in place."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.04:
        return _odd_value(random)
    key: Any = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    if isinstance(value[key], dict | list) and value[key] and random.random() < 0.8:
        value[key] = _with_damaged_part(random, value[key])
        return value
    match random.randrange(6):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value += [copy.deepcopy(value[key])] * random.choice((1, 2, 200))
        case 1:
            added: Any = random.choice(("", "unknown", "\x00", "item_id", "x" * 5_000))
            value[added] = _odd_value(random)
        case 2 if isinstance(value[key], str):
            value[key] = damaged_text(random, value[key])
        case _:
            value[key] = _odd_value(random)
    return value


def _odd_value(random: Random) -> object:
    return copy.deepcopy(random.choice(ODD_VALUES))  # a copy, since later damage may be done to it


def damaged_text(random: Random, text: str) -> str:
    """Return `text` with an odd word in it, cut, repeated, or in place of it."""
    at = random.randrange(len(text) + 1)
    word = random.choice(WORDS)
    return random.choice((text[:at] + word + text[at:], text[:at], text * random.choice((2, 500)), word))


def _flip(random: Random, content: bytes) -> bytes:
    flipped = bytearray(content)
    for _ in range(random.choice((1, 3, 20))):
        if flipped:
            flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _cut(random: Random, content: bytes) -> bytes:
    start, end = _span(random, content)
    return random.choice((content[:start], content[:start] + content[end:]))


def _double(random: Random, content: bytes) -> bytes:
    start, end = _span(random, content)
    return content[:end] + content[start:end] * random.choice((1, 1, 3, 30)) + content[end:]


def _swap_tags(random: Random, content: bytes) -> bytes:
    tags = list(_TAG.finditer(content))
    if len(tags) < 2:
        return _flip(random, content)
    first, second = sorted(random.sample(tags, 2), key=re.Match.start)
    between = content[first.end() : second.start()]
    return content[: first.start()] + second.group() + between + first.group() + content[second.end() :]


def _drop_tag(random: Random, content: bytes) -> bytes:
    return _within(random, content, _TAG, b"")


def _insert(random: Random, content: bytes) -> bytes:
    at = random.randrange(len(content) + 1)
    word = random.choice((*WORDS, "\n", ":", " ")).encode("utf-8", "surrogatepass")
    return content[:at] + random.choice((word, b"\xff\xfe", b"\xed\xa0\x80", b"\x00" * 9)) + content[at:]


def _change_number(random: Random, content: bytes) -> bytes:
    return _within(random, content, _NUMBER, random.choice((*NUMBERS, *DATES, "0", "-1")).encode())


def _change_attribute(random: Random, content: bytes) -> bytes:
    word = random.choice(WORDS).encode("utf-8", "surrogatepass")
    return _within(random, content, _ATTRIBUTE, b'="' + word + b'"')


def _swell(random: Random, content: bytes) -> bytes:
    filling = random.choice((b"x", b" ", b"\n", b"\xe3\x80\x80", b"&amp;", b"9", b"<", b"a=b ", b"\xcc\x81"))
    swollen = filling * (random.choice((1_000, HUGE)) // len(filling))
    if random.random() < 0.3:
        return _within(random, content, _ATTRIBUTE, b'="' + swollen + b'"')
    at = random.randrange(len(content) + 1)
    return content[:at] + swollen + content[at:]


def _nest(random: Random, content: bytes) -> bytes:
    tag = random.choice((b"<div>", b"<a>", b"<table>", b"<ul><li>", b"<p><b>", b"<svg>", b"[", b"{"))
    at = random.randrange(len(content) + 1)
    return content[:at] + tag * random.choice((10, 300, 600, 5_000, DEEP)) + content[at:]


def _shuffle_lines(random: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    random.shuffle(lines)
    return b"\n".join(lines)


_KINDS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip,
    _cut,
    _double,
    _swap_tags,
    _drop_tag,
    _insert,
    _change_number,
    _change_attribute,
    _swell,
    _nest,
    _shuffle_lines,
)
_ODDS = (20, 10, 10, 12, 12, 15, 12, 12, 3, 2, 1)


def _span(random: Random, content: bytes) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, min(len(content), start + random.choice((1, 10, 200, 3_000)))


def _within(random: Random, content: bytes, pattern: bytes | re.Pattern[bytes], new: bytes) -> bytes:
    """Return `content` with one place that `pattern` fits, at random, put in another form."""
    found = list(re.finditer(pattern, content))
    if not found:
        return content + new
    chosen = random.choice(found)
    return content[: chosen.start()] + new + content[chosen.end() :]
