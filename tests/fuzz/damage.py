"""Strategies for damaged bytes and JSON: what a broken wire, a broken writer or an attacker makes of a good input."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

T = TypeVar("T")

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


def one_of(draw: DrawFn, values: Sequence[T]) -> T:
    """Draw one of the values."""
    return draw(st.sampled_from(values))


def happens(draw: DrawFn, percent: int) -> bool:
    """Draw whether something happens that does so in `percent` of a hundred inputs."""
    return draw(st.integers(0, 99)) < percent


@st.composite
def damaged_bytes(draw: DrawFn, content: bytes) -> bytes:
    """Draw `content` with one to four kinds of damage."""
    for _ in range(one_of(draw, (1, 1, 1, 2, 2, 3, 4))):
        content = one_of(draw, _KINDS)(draw, content)
    return content


@st.composite
def damaged_json(draw: DrawFn, value: object) -> bytes:
    """Draw the JSON text of `value` with wrong, missing, repeated and deeply nested parts, or cut."""
    damaged = copy.deepcopy(value)
    for _ in range(one_of(draw, (1, 1, 1, 2, 3, 6))):
        damaged = _with_damaged_part(draw, damaged)
    text = json.dumps(damaged, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 24)):
        case 22:
            return draw(damaged_bytes(text))
        case 23:
            return _within(draw, text, rb"null|true|[0-9]+", one_of(draw, NUMBERS).encode())
        case 24:
            opened, closed = one_of(draw, ((b"[", b"]"), (b'{"a":', b"}")))
            depth = one_of(draw, (50, 990, 5_000, DEEP))
            return _within(draw, text, rb"null|true|[0-9]+", opened * depth + b"1" + closed * depth)
        case _:
            return text


def _with_damaged_part(draw: DrawFn, value: Any) -> Any:
    """Return `value` with one part, anywhere in it, made wrong; what is not replaced is changed in place."""
    if not isinstance(value, dict | list) or not value or happens(draw, 4):
        return _odd_value(draw)
    key: Any = one_of(draw, list(value)) if isinstance(value, dict) else draw(st.integers(0, len(value) - 1))
    if isinstance(value[key], dict | list) and value[key] and happens(draw, 80):
        value[key] = _with_damaged_part(draw, value[key])
        return value
    match draw(st.integers(0, 5)):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value += [copy.deepcopy(value[key])] * one_of(draw, (1, 2, 200))
        case 1:
            added: Any = one_of(draw, ("", "unknown", "\x00", "item_id", "x" * 5_000))
            value[added] = _odd_value(draw)
        case 2 if isinstance(value[key], str):
            value[key] = damaged_text(draw, value[key])
        case _:
            value[key] = _odd_value(draw)
    return value


def _odd_value(draw: DrawFn) -> object:
    return copy.deepcopy(one_of(draw, ODD_VALUES))  # a copy, since later damage may be done to it


def damaged_text(draw: DrawFn, text: str) -> str:
    """Return `text` with an odd word in it, cut, repeated, or in place of it."""
    at = draw(st.integers(0, len(text)))
    word = one_of(draw, WORDS)
    return one_of(draw, (text[:at] + word + text[at:], text[:at], text * one_of(draw, (2, 500)), word))


def _flip(draw: DrawFn, content: bytes) -> bytes:
    flipped = bytearray(content)
    for _ in range(one_of(draw, (1, 3, 20))):
        if flipped:
            flipped[draw(st.integers(0, len(flipped) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(flipped)


def _cut(draw: DrawFn, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return one_of(draw, (content[:start], content[:start] + content[end:]))


def _double(draw: DrawFn, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return content[:end] + content[start:end] * one_of(draw, (1, 1, 3, 30)) + content[end:]


def _swap_tags(draw: DrawFn, content: bytes) -> bytes:
    tags = list(_TAG.finditer(content))
    if not tags:
        return _flip(draw, content)
    first, second = sorted((one_of(draw, tags), one_of(draw, tags)), key=re.Match.start)
    between = content[first.end() : second.start()]
    return content[: first.start()] + second.group() + between + first.group() + content[second.end() :]


def _drop_tag(draw: DrawFn, content: bytes) -> bytes:
    return _within(draw, content, _TAG, b"")


def _insert(draw: DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, len(content)))
    word = one_of(draw, (*WORDS, "\n", ":", " ")).encode("utf-8", "surrogatepass")
    return content[:at] + one_of(draw, (word, b"\xff\xfe", b"\xed\xa0\x80", b"\x00" * 9)) + content[at:]


def _change_number(draw: DrawFn, content: bytes) -> bytes:
    return _within(draw, content, _NUMBER, one_of(draw, (*NUMBERS, *DATES, "0", "-1")).encode())


def _change_attribute(draw: DrawFn, content: bytes) -> bytes:
    word = one_of(draw, WORDS).encode("utf-8", "surrogatepass")
    return _within(draw, content, _ATTRIBUTE, b'="' + word + b'"')


def _swell(draw: DrawFn, content: bytes) -> bytes:
    filling = one_of(draw, (b"x", b" ", b"\n", b"\xe3\x80\x80", b"&amp;", b"9", b"<", b"a=b ", b"\xcc\x81"))
    swollen = filling * (one_of(draw, (1_000, HUGE)) // len(filling))
    if happens(draw, 30):
        return _within(draw, content, _ATTRIBUTE, b'="' + swollen + b'"')
    at = draw(st.integers(0, len(content)))
    return content[:at] + swollen + content[at:]


def _nest(draw: DrawFn, content: bytes) -> bytes:
    tag = one_of(draw, (b"<div>", b"<a>", b"<table>", b"<ul><li>", b"<p><b>", b"<svg>", b"[", b"{"))
    at = draw(st.integers(0, len(content)))
    return content[:at] + tag * one_of(draw, (10, 300, 600, 5_000, DEEP)) + content[at:]


def _shuffle_lines(draw: DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    Random(draw(st.integers(0, 2**32))).shuffle(lines)  # noqa: S311  # a permutation of thousands is too much to draw
    return b"\n".join(lines)


_ODDS: tuple[tuple[Callable[[DrawFn, bytes], bytes], int], ...] = (
    (_flip, 20),
    (_cut, 10),
    (_double, 10),
    (_swap_tags, 12),
    (_drop_tag, 12),
    (_insert, 15),
    (_change_number, 12),
    (_change_attribute, 12),
    (_swell, 3),
    (_nest, 2),
    (_shuffle_lines, 1),
)
_KINDS = [kind for kind, times in _ODDS for _ in range(times)]


def _span(draw: DrawFn, content: bytes) -> tuple[int, int]:
    start = draw(st.integers(0, len(content)))
    return start, min(len(content), start + one_of(draw, (1, 10, 200, 3_000)))


def _within(draw: DrawFn, content: bytes, pattern: bytes | re.Pattern[bytes], new: bytes) -> bytes:
    """Return `content` with one place that `pattern` fits, at random, put in another form."""
    found = list(re.finditer(pattern, content))
    if not found:
        return content + new
    chosen = one_of(draw, found)
    return content[: chosen.start()] + new + content[chosen.end() :]
