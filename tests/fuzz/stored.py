"""JSON that lies in a store, in a file or comes as an event: snapshots, progress, events, requests, labels."""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from fuzz.damage import damaged_bytes, damaged_json, happens
from fuzz.target import Target
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from classifier.predict import InvalidRequest, answer, requested_items
from crawler.progress import Crawls, CrawlUnderWay, KnownDocument, Pace, Progress
from crawler.sources import ListedItem
from model.dataset import read_examples
from model.learning.examples import Example
from model.serving.package import ModelPackage
from notifier.events import InvalidEvent, written_snapshots
from osusume.errors import UserError
from osusume.snapshots import Failure, InvalidSnapshot, read_snapshot
from samples.works import demo_works

ROOT = Path(__file__).parents[2]
WORKS = demo_works()[:4]
FAILURE = Failure("RJ01500101", "https://www.dlsite.com/", "NotFound: 404")
NOW = 1764000000.0


class OneObject:
    """An S3 client of a bucket in which every key holds the same bytes."""

    class exceptions:  # noqa: N801  # boto3's name
        """The one error that is asked for."""

        NoSuchKey = LookupError

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **_: str) -> dict[str, Any]:
        """Return the object."""
        return {"Body": io.BytesIO(self._content), "ETag": '"1"'}

    def put_object(self, **_: object) -> dict[str, str]:
        """Take an object, to no effect."""
        return {"ETag": '"2"'}


def read_stored_snapshot(content: bytes) -> None:
    """Read a snapshot as the notifier does, and check that the ledger can hold its items."""
    s3: Any = OneObject(content)
    snapshot = read_snapshot(s3, "bucket", "snapshots/dlsite/2025/11/24/220000Z.json")
    for item in snapshot.items:
        TypeSerializer().serialize(item.to_json())
        assert len(item.item_id.encode("utf-8", "surrogatepass")) <= 2048  # DynamoDB takes no longer key
    json.dumps(snapshot.to_json())


def read_progress(content: bytes) -> None:
    """Take up a crawl whose progress or kept page is damaged, and check that it can go on from there."""
    s3: Any = OneObject(content)
    crawls = Crawls(s3, "bucket", "dlsite")
    crawls.page("RJ01500101")
    progress = crawls.begin("2025-11-24T22:00:00+00:00", "request", NOW, NOW + 900)
    for pace in progress.paces.values():
        assert all(math.isfinite(time) for time in (pace.not_before, pace.last_request_at or 0.0))
        assert pace.robots_txt is None or isinstance(pace.robots_txt, str)
    crawls.save(progress)


def read_event(content: bytes) -> None:
    """Read what S3 tells the notifier; what is no JSON does not reach a function."""
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        return
    for bucket, key in written_snapshots(event):
        assert isinstance(bucket, str)
        assert isinstance(key, str)


def answer_request(content: bytes) -> None:
    """Read a predict request and answer it, and check that the answer is JSON with a score for each item."""
    items = requested_items(content.decode("utf-8", "surrogateescape"), is_base64=content[:1] not in b"{[")
    found = answer(_package(), items[:3], use_made_up_taste=True)
    scores = json.loads(json.dumps(found, allow_nan=False))["predictions"]
    assert [score["item_id"] for score in scores] == [item.item_id for item in items[:3]]


def read_training_file(content: bytes) -> None:
    """Read a training file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        read_examples(Path(file.name))


@cache
def _package() -> ModelPackage:
    return ModelPackage.load(ROOT / "model" / "starter")


def _snapshots() -> Sequence[object]:
    head = {"schema_version": 1, "source": "dlsite", "crawled_at": "2025-11-24T22:00:00Z"}
    return [{**head, "items": [work.to_json() for work in WORKS], "failures": [FAILURE.to_json()]}]


def _progress() -> Sequence[object]:
    listed = [ListedItem(work.item_id, work.url, work.title) for work in WORKS]
    paces = {"www.dlsite.com": Pace("User-agent: *\n", NOW - 9, NOW)}
    known = {"https://example.com/feed": KnownDocument('"1"', "", [WORKS[0].item_id])}
    progress = Progress("2025-11-24T22:00:00+00:00", paces, listed, [FAILURE], 1, documents=known)
    return [asdict(progress), asdict(progress), WORKS[0].to_json()]


def _events() -> Sequence[object]:
    return [json.loads((ROOT / "events" / "notifier.json").read_text())]


def _requests() -> Sequence[object]:
    _package()  # loading it is not part of what the first request takes
    return [{"items": [work.to_json() for work in WORKS[:count]]} for count in (1, 2)]


@st.composite
def _training_file_damage(draw: DrawFn, _: object) -> bytes:
    rows = [Example(work, index % 2 == 0, "2025-11-25 01:00:00").to_json() for index, work in enumerate(WORKS)]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    place = draw(st.integers(0, len(lines) - 1))
    lines[place] = draw(damaged_json(rows[place]))
    content = b"\n".join(lines)
    return draw(damaged_bytes(content)) if happens(draw, 10) else content


TARGETS = (
    Target("snapshot", 9, (InvalidSnapshot,), read_stored_snapshot, _snapshots, damaged_json),
    Target("crawl's progress", 6, (CrawlUnderWay,), read_progress, _progress, damaged_json),
    Target("S3 event", 5, (InvalidEvent,), read_event, _events, damaged_json),
    Target("predict request", 9, (InvalidRequest,), answer_request, _requests, damaged_json),
    Target("training file", 5, (UserError,), read_training_file, lambda: [b""], _training_file_damage),
)
