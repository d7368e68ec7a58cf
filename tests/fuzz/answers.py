"""Answers over HTTP from a server that says anything: the site's, the classifier's and Slack's."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Sequence
from functools import cache
from unittest.mock import patch

from botocore.credentials import Credentials
from fuzz.damage import WORDS, damaged_bytes, damaged_json, happens, one_of
from fuzz.target import Target
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from crawler.fetcher import Fetcher, FetchError
from notifier import scoring
from notifier.channel import Channel, ChannelRefused, MessageRefused, RateLimited, Unclear
from notifier.scoring import ScoringFailed, score_items
from samples.works import demo_works

HOST = "www.dlsite.com"
PAGE = f"https://{HOST}/home/work/=/product_id/RJ01500101.html"
WORKS = demo_works()[:2]
NOW = 1764000000.0
METADATA = {
    "event_type": "osusume_item",
    "event_payload": {"item_id": WORKS[0].item_id, "snapshot": "snapshots/a.json"},
}
FOUND = {"ts": "1764000000.000100", "type": "message", "text": "a", "metadata": METADATA}


class HostileServer:
    """A server on loopback that gives every request the same bytes and closes the connection."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(2)
                self._read(connection)
                connection.sendall(self.answer)

    def _read(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65_536)
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        left = int(lengths[0]) - len(body) if lengths else 0
        while left > 0:
            left -= len(connection.recv(65_536))


@cache
def server() -> HostileServer:
    """Return the one server of this process."""
    return HostileServer()


def read_site(content: bytes) -> None:
    """Fetch a page, and check that no answer makes the fetcher wait or ask without end."""
    server().answer = content
    now = [NOW]

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= 1e10
        now[0] += seconds

    fetcher = Fetcher(
        HOST, user_agent="fuzz", site_address=server().address, robots_txt="", clock=lambda: now[0], sleep=sleep,
        request_seconds=6,
    )  # fmt: skip
    try:
        assert fetcher.fetch(PAGE).url.startswith(f"https://{HOST}/")
    finally:
        assert fetcher.requests <= 20


def read_classifier(content: bytes) -> None:
    """Have items scored, and check that every one has a score or none has."""
    server().answer = content
    with patch.object(scoring, "RETRY", scoring.RETRY.new(total=0)):  # asking again costs time and changes nothing
        scores = score_items(WORKS, f"{server().address}/predict", Credentials("key", "secret"), "ap-northeast-1")
    assert scores.predictions.keys() == {work.item_id for work in WORKS}
    for prediction in scores.predictions.values():
        assert (prediction.score is None) == (scores.threshold is None)
        assert prediction.score is None or 0 <= prediction.score <= 1


def read_slack(content: bytes) -> None:
    """Look for a message and post one."""
    server().answer = content
    channel = Channel("xoxb-fuzz", "C0LOCAL0001", f"{server().address}/api/", call_seconds=2)
    with contextlib.suppress(RateLimited, Unclear, MessageRefused, ChannelRefused):
        found = channel.find(METADATA, NOW)
        assert found is None or isinstance(found, str)
    assert channel.post("a", [], METADATA)


def _response(status: str, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("utf-8", "surrogatepass") + body


def _site_answers() -> Sequence[object]:
    page = "<html><title>題</title><p>文</html>".encode()
    return [
        _response("200 OK", page, Content_Type="text/html; charset=UTF-8"),
        _response("200 OK", gzip.compress(page, mtime=0), Content_Type="text/html", Content_Encoding="gzip"),
        _response("200 OK", page, Content_Type="text/html; charset=Shift_JIS", Set_Cookie="a=b; path=/"),
        _response("302 Found", b"", Location="/home/work/=/product_id/RJ01500102.html"),
        _response("202 Accepted", page, Retry_After="10"),
        _response("503 Service Unavailable", b"", Retry_After="120"),
        _response("429 Too Many Requests", b"", Retry_After="Wed, 26 Nov 2025 08:00:00 GMT"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<html\r\n1\r\n>\r\n0\r\n\r\n",
    ]


def _classifier_answers() -> Sequence[object]:
    reasons = [{"field": "circle", "value": "青の箱", "effect": 0.25}]
    ids = [work.item_id for work in WORKS]
    scored: list[object] = [{"item_id": item_id, "score": 0.75, "label": 1, "reasons": reasons} for item_id in ids]
    unscored: list[object] = [{"item_id": item_id, "score": None, "label": None, "reasons": []} for item_id in ids]
    return [
        {"model_version": "v1", "threshold": 0.5, "predictions": scored},
        {"model_version": "starter", "threshold": None, "predictions": unscored},
    ]


def _slack_answers() -> Sequence[object]:
    history = {"ok": True, "messages": [{**FOUND, "metadata": {}}, FOUND], "has_more": False}
    posted = {"ok": True, "channel": "C0LOCAL0001", "ts": "1764000000.000200", "message": FOUND}
    refused = {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] no image"]}}
    return [history, posted, refused, {**history, "ts": "1764000000.000200"}, {"ok": False, "error": "ratelimited"}]


@st.composite
def _classifier_damage(draw: DrawFn, seed: object) -> bytes:
    answer = _response("200 OK", draw(damaged_json(seed)), Content_Type="application/json")
    return draw(damaged_bytes(answer)) if happens(draw, 5) else answer


@st.composite
def _slack_damage(draw: DrawFn, seed: object) -> bytes:
    status = one_of(draw, ("200 OK", "200 OK", "200 OK", "429 Too Many Requests", "500 Error", "302 Found", "403 No"))
    wait = one_of(draw, ("1", "30", *WORDS)).replace("\n", " ")
    return _response(status, draw(damaged_json(seed)), Content_Type="application/json", Retry_After=wait)


TARGETS = (
    Target("site's answer", 8, (FetchError,), read_site, _site_answers, damaged_bytes),
    Target("classifier's answer", 5, (ScoringFailed,), read_classifier, _classifier_answers, _classifier_damage),
    Target(
        "Slack's answer",
        5,
        (RateLimited, Unclear, MessageRefused, ChannelRefused),
        read_slack,
        _slack_answers,
        _slack_damage,
    ),
)
