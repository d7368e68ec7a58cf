"""The trained heads of an encoder, in S3 under `models/`, and which of them the classifier uses.

Only this module knows these keys and the format of the pointer. `models/{encoder}/{version}/` holds a head's `head.npz`
and the `card.json` that was written with it. `models/{encoder}/promoted.json` is the pointer: the
promotions, oldest first, and what the trainer remembers from night to night, written together. The last promotion is
active, and a roll-back removes it. The pointer hashes the card and the card hashes the head, so that a head altered
since its promotion is not used. `models/{encoder}/embeddings.npz` holds the embeddings of texts seen in training.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from osusume.conditions import write_if
from osusume.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "models/"
CARD = "card.json"
HEAD = "head.npz"
POINTER = "promoted.json"
EMBEDDINGS = "embeddings.npz"

MOST_PROMOTIONS = 100
"""The pointer names no more than the newest so many promotions: a trainer adds one each night."""

NO_ENCODER = "no-encoder"
"""Stands for the encoder of a package that has none."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The files of one stored head: `card` is `card.json`, `head` is `head.npz`."""

    card: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of the pointer: a version, the sha256 of its card, and when it was promoted (UTC, ISO format)."""

    version: str
    card_sha256: str
    promoted_at: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """The pointer at one moment: its promotions, the trainer's state, and the tag that changes with it."""

    promotions: list[Promotion]
    trainer: dict[str, Any]
    tag: str | None

    @property
    def version(self) -> str | None:
        """The active version, None if the package's own head is active."""
        return self.promotions[-1].version if self.promotions else None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A stored head: its encoder, its version, and when it was stored."""

    encoder: str
    version: str
    stored_at: datetime


class Heads:
    """The heads of one encoder, named by the sha256 of its `encoder.onnx` or by `NO_ENCODER`."""

    def __init__(
        self, s3: S3Client, bucket: str, encoder: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._s3, self._bucket, self._clock = s3, bucket, clock
        self._folder = f"{PREFIX}{_checked(encoder)}/"
        self._pointer = self._folder + POINTER

    def store(self, version: str, stored: StoredHead) -> None:
        """Store a head under its version; a repetition changes nothing. The card comes last and completes the head.

        Raises `UserError` if another head has this version.
        """
        folder = f"{self._folder}{_checked(version)}/"
        for name, content in ((HEAD, stored.head), (CARD, stored.card)):
            key = folder + name
            is_new = write_if(self._s3.put_object, Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
            if not is_new and self._read(key) != content:
                raise UserError(f"{key} is another head of this version: train it anew")

    def read(self, version: str) -> StoredHead:
        """Return the head of a version. Raises `UserError` if it is missing or its card does not hash it."""
        folder = f"{self._folder}{_checked(version)}/"
        card, head = self._read(folder + CARD), self._read(folder + HEAD)
        try:
            hashed = json.loads(card)["files"][HEAD]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}{CARD} is not a card that hashes {HEAD} ({error})") from error
        if hashed != _sha256(head):
            raise UserError(f"{folder}{HEAD} was altered or cut short: its sha256 is not the one in {CARD}")
        return StoredHead(card, head)

    def promoted(self) -> StoredHead | None:
        """Return the active head, None if none was promoted. Raises `UserError`."""
        promotions = self.promotions()
        if not promotions:
            return None
        last = promotions[-1]
        stored = self.read(last.version)
        if _sha256(stored.card) != last.card_sha256:
            raise UserError(f"{self._folder}{last.version}/{CARD} was altered since it was promoted")
        return stored

    def promotions(self) -> list[Promotion]:
        """Return the promotions, oldest first. Raises `UserError` for an unreadable pointer."""
        return self.pointer().promotions

    def pointer_tag(self) -> str | None:
        """Return a tag that changes with the pointer, None if there is no pointer.

        The pointer is listed, not fetched: S3 reports a missing key only to those who may list the whole bucket, but a
        list can be allowed for a prefix.
        """
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._pointer, MaxKeys=1).get("Contents", [])
        return next((entry["ETag"] for entry in listed if entry["Key"] == self._pointer), None)

    def promote(self, version: str) -> None:
        """Make a stored version active. Raises `UserError`."""
        pointer = self.pointer()
        self.update(pointer, version, pointer.trainer)

    def update(self, pointer: Pointer, version: str | None, trainer: dict[str, Any]) -> None:
        """Make a version active, unless it is, and store the trainer's state, both in one write.

        Raises `UserError` if the version cannot be read, or the pointer is no longer as `pointer` says.
        """
        promotions = pointer.promotions
        if version is not None and version != pointer.version:
            card = self.read(version).card
            now = self._clock().astimezone(UTC).isoformat(timespec="seconds")
            promotions = [*promotions, Promotion(version, _sha256(card), now)][-MOST_PROMOTIONS:]
        self._write(promotions, trainer, pointer.tag)

    def embeddings(self) -> bytes:
        """Return the stored embeddings, empty if there are none."""
        key = self._folder + EMBEDDINGS
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return self._read(key) if listed else b""

    def store_embeddings(self, content: bytes) -> None:
        """Replace the stored embeddings; whoever writes last wins, since the others can be computed again."""
        self._s3.put_object(Bucket=self._bucket, Key=self._folder + EMBEDDINGS, Body=content)

    def roll_back(self) -> Promotion:
        """Remove the last promotion and return it; the previous one becomes active, or the package's own head.

        Raises `UserError` if nothing is promoted.
        """
        pointer = self.pointer()
        if not pointer.promotions:
            raise UserError(f"{self._pointer} names no promoted head: the package's own is in use already")
        self._write(pointer.promotions[:-1], pointer.trainer, pointer.tag)
        return pointer.promotions[-1]

    def pointer(self) -> Pointer:
        """Return the pointer, an empty one if there is none. Raises `UserError` for an unreadable one."""
        tag = self.pointer_tag()
        if tag is None:
            return Pointer([], {}, None)
        content = self._read(self._pointer)
        try:
            value = json.loads(content)
            lines, trainer = value["promotions"], dict(value.get("trainer", {}))
            promotions = [
                Promotion(_checked(line["version"]), str(line["card_sha256"]), str(line["promoted_at"]))
                for line in lines
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._pointer} is not a list of promotions ({error})") from error
        return Pointer(promotions, trainer, tag)

    def _write(self, promotions: list[Promotion], trainer: dict[str, Any], tag: str | None) -> None:
        is_written = write_if(
            self._s3.put_object,
            Bucket=self._bucket,
            Key=self._pointer,
            Body=json.dumps(
                {"promotions": [asdict(each) for each in promotions], "trainer": trainer}, indent=1
            ).encode(),
            ContentType="application/json",
            **({"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}),
        )
        if not is_written:
            raise UserError(f"{self._pointer} was changed at the same time: look at it and try again")

    def _read(self, key: str) -> bytes:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "AccessDenied"}:
                raise
            # S3 answers AccessDenied for a missing key to those who may not list the bucket
            raise UserError(f"{key} cannot be read: {error.response['Error']['Code']}") from error


def stored_versions(s3: S3Client, bucket: str) -> list[StoredVersion]:
    """Return every completely stored head of every encoder, oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    found = []
    for page in pages:
        for entry in page.get("Contents", []):
            parts = entry["Key"].removeprefix(PREFIX).split("/")
            if len(parts) == 3 and parts[2] == CARD:
                found.append(StoredVersion(parts[0], parts[1], entry["LastModified"]))
    return sorted(found, key=lambda version: (version.stored_at, version.version))


def _checked(name: str) -> str:
    """Return a version or an encoder that is safe as a part of a key; raises `UserError` for another."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(f"{name!r:.80} cannot be a version or an encoder: letters, digits, dots, _ and - alone")
    return name


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
