"""The entries of the ledger, for each item, run and weekly report, and their attributes in DynamoDB."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal

from osusume.items import Item

Choice = Literal["recommended", "explored", "passed"]
Why = Literal["recommended", "uncertain", "random", "varied", "wished", "wanted", "muted", ""]
"""Why an item is shown: it reaches the threshold, it is near it, it was drawn, from the rest or from a cluster, it
fits what the owner said before any press, or a rule of the owner's wants it. "muted" tells that a rule forbids it."""

Action = Literal["wait", "promote", "veto", "roll back", "compare"]
Status = Literal["scored", "posting", "posted", "refused"]

RUN_PREFIX = "run:"

REPORT_PREFIX = "report:"

NIGHT_PREFIX = "night:"
"""The beginning of the keys of the trainer's decisions, which are not entries."""

SCORES_PREFIX = "scores:"
"""The beginning of the keys of `kept_scores.py`, which share the ledger's table but are not its entries."""

RULES_KEY = "rules:"
"""The key of the owner's rules (`rules.py`), which are not an entry."""

WISHES_KEY = "wishes:"
"""The key of what the owner said before any press (`wishes.py`)."""

RESERVED = (RUN_PREFIX, REPORT_PREFIX, SCORES_PREFIX, NIGHT_PREFIX, RULES_KEY, WISHES_KEY)

MOST_RECORD_BYTES = 400_000
"""DynamoDB's limit of 409,600, minus what claims and channels add to a record."""

MOST_KEY_BYTES = 2_048

SCORE_DIGITS = 6
"""Scores are rounded to this before any decision, so that a repeated run decides the same."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of an item and its effect: the score minus the score without the value."""

    field: str
    value: str
    effect: float


@dataclass(frozen=True, slots=True)
class Witness:
    """A labelled work that speaks for an item (`is_interested`) or against it, because the two are alike."""

    item_id: str
    title: str
    is_interested: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The ledger's record of an item.

    `score` is None if no taste was learnt yet. `recorded_at` is in seconds since the epoch, `snapshot` is the key of
    the snapshot that brought the item; `channel` and `ts` name its message once it is `posted`.

    `threshold` and `candidates` are the threshold and the number of items of the selection, `why` is why the item is
    shown, and `probability` how likely that was before the draw, 0 for an item that is not shown. `first_guess` tells
    that the head had not been tried yet. `message` is the SHA-256 of the message as first posted, for `ops replay`.
    `witnesses` are the labels that spoke most for and against it.
    """

    item: Item
    choice: Choice
    snapshot: str
    recorded_at: float
    score: float | None = None
    model_version: str = ""
    reasons: list[Reason] = field(default_factory=list)
    status: Status = "scored"
    channel: str | None = None
    ts: str | None = None
    threshold: float | None = None
    candidates: int = 0
    why: Why = ""
    probability: float = 0.0
    first_guess: bool = False
    message: str = ""
    witnesses: list[Witness] = field(default_factory=list)

    @property
    def record_id(self) -> str:
        """The key of the item's record."""
        return self.item.item_id


def labelled_elsewhere(item: Item, now: float) -> Record:
    """Return the record of an item that came with a label, not from a crawl: it is never new, and never posted.

    `now` is in seconds since the epoch.
    """
    return Record(item, choice="passed", snapshot="", recorded_at=now)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the trainer decided in one night, in one sentence, at `at` (UTC, ISO format).

    `version` is the head in use from then on, None for the package's own; it learned from `labels` labels, of which
    `liked` are likes.
    """

    at: str
    action: Action
    sentence: str
    version: str | None
    labels: int
    liked: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounded the selection of a run; `threshold` is the owner's, None if the model's own applied.

    `explored` is the most explored items of a day, `explored_before` how many of them earlier runs of the day showed.
    """

    max_posts: int
    explored: int
    explored_before: int
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one snapshot: how many items it listed, how many failed, and how many new ones got each choice.

    `gap` is true if works may have been missed, `head_unusable` if the promoted head could not be read; `long_wait` is
    how many seconds, over a day, the shop asked to wait; `given_up` are the ids of works that are no longer requested.
    `ts` names its message once it is `posted`; `learned` is the sentence, in Japanese, about the night before. `muted`
    of the passed ones are forbidden by rules. The crawl ended at `crawled_at`, in seconds since the epoch. That and
    `limits` are None for runs of earlier versions.
    """

    snapshot: str
    recorded_at: float
    listed: int
    failed: int
    new: int
    recommended: int
    explored: int
    passed: int
    model_version: str = ""
    has_taste: bool = True
    status: Status = "scored"
    gap: bool = False
    given_up: list[str] = field(default_factory=list)
    ts: str | None = None
    learned: str = ""
    muted: int = 0
    limits: Limits | None = None
    long_wait: int = 0
    head_unusable: bool = False
    crawled_at: float | None = None

    @property
    def record_id(self) -> str:
        """The key of the run's own record."""
        return RUN_PREFIX + self.snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one ISO week, such as `2026-W47`: its lines in Japanese. `ts` names its message once `posted`."""

    week: str
    recorded_at: float
    lines: list[str]
    status: Status = "scored"
    ts: str | None = None

    @property
    def record_id(self) -> str:
        """The key of the report's own record."""
        return REPORT_PREFIX + self.week


Entry = Record | Run | Report


def check_fits(entry: Record) -> None:
    """Raise `ValueError` if DynamoDB would refuse an item's record: it or its key is too large or not valid text.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    """
    if entry.record_id.startswith(RESERVED):
        raise ValueError(f"item_id begins with {' or '.join(RESERVED)}, which the ledger reserves: choose another")
    try:
        key, size = len(entry.record_id.encode()), _size(to_attributes(entry))
    except UnicodeEncodeError as error:
        raise ValueError("the item contains half of a character, which no table stores: remove it") from error
    if key > MOST_KEY_BYTES:
        raise ValueError(f"item_id has {key:,} bytes, a key of the ledger takes {MOST_KEY_BYTES:,}: shorten it")
    if size > MOST_RECORD_BYTES:
        raise ValueError(
            f"the item has {size:,} bytes, a record of the ledger takes {MOST_RECORD_BYTES:,}: shorten its sections"
        )


def _size(value: object) -> int:
    """Return how many bytes DynamoDB counts for a value, rounded up."""
    match value:
        case str():
            return len(value.encode())
        case dict():
            return 3 + sum(1 + len(name.encode()) + _size(part) for name, part in value.items())
        case list():
            return 3 + sum(1 + _size(part) for part in value)
        case _:
            return 21  # of a number at most


def _number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(round(value, SCORE_DIGITS)))


def is_entry(attributes: dict[str, Any]) -> bool:
    """Return whether these attributes are a record or a run, not something else that shares the table."""
    return not str(attributes["item_id"]).startswith((SCORES_PREFIX, NIGHT_PREFIX, RULES_KEY, WISHES_KEY))


def to_attributes(entry: Entry) -> dict[str, Any]:
    """Return the attributes of an entry that is written for the first time."""
    if isinstance(entry, Report):
        return {
            "item_id": entry.record_id,
            "week": entry.week,
            "recorded_at": _number(entry.recorded_at),
            "lines": entry.lines,
            "status": entry.status,
            "unfinished": "yes",
        }
    if isinstance(entry, Run):
        return {
            "item_id": entry.record_id,
            "snapshot": entry.snapshot,
            "recorded_at": _number(entry.recorded_at),
            "counts": {
                name: getattr(entry, name)
                for name in ("listed", "failed", "new", "recommended", "explored", "passed", "muted")
            },
            "model_version": entry.model_version,
            "has_taste": entry.has_taste,
            "gap": entry.gap,
            "long_wait": entry.long_wait,
            "head_unusable": entry.head_unusable,
            "crawled_at": _number(entry.crawled_at),
            "given_up": entry.given_up,
            "status": entry.status,
            "unfinished": "yes",
            "learned": entry.learned,
            "limits": entry.limits and {name: _number(value) for name, value in asdict(entry.limits).items()},
        }
    attributes: dict[str, Any] = {
        "item_id": entry.record_id,
        "item": entry.item.to_json(),
        "score": _number(entry.score),
        "model_version": entry.model_version,
        "reasons": [
            {"field": reason.field, "value": reason.value, "effect": _number(reason.effect)} for reason in entry.reasons
        ],
        "choice": entry.choice,
        "status": entry.status,
        "snapshot": entry.snapshot,
        "recorded_at": _number(entry.recorded_at),
        "threshold": _number(entry.threshold),
        "candidates": entry.candidates,
        "why": entry.why,
        "probability": _number(entry.probability),
        "first_guess": entry.first_guess,
        "message": entry.message,
        "witnesses": [asdict(witness) for witness in entry.witnesses],
    }
    if entry.choice != "passed":
        attributes["unfinished"] = "yes"
    return attributes


def from_attributes(attributes: dict[str, Any]) -> Entry:
    """Return the entry with these attributes."""
    if "lines" in attributes:
        return Report(
            attributes["week"],
            float(attributes["recorded_at"]),
            list(attributes["lines"]),
            attributes["status"],
            attributes.get("ts"),
        )
    if "counts" in attributes:
        counts = {name: int(number) for name, number in attributes["counts"].items()}
        crawled_at = attributes.get("crawled_at")
        return Run(
            snapshot=attributes["snapshot"],
            recorded_at=float(attributes["recorded_at"]),
            model_version=attributes["model_version"],
            has_taste=attributes["has_taste"],
            status=attributes["status"],
            gap=attributes.get("gap", False),
            long_wait=int(attributes.get("long_wait", 0)),
            head_unusable=attributes.get("head_unusable", False),
            crawled_at=None if crawled_at is None else float(crawled_at),
            given_up=list(attributes.get("given_up", [])),
            ts=attributes.get("ts"),
            learned=attributes.get("learned", ""),
            limits=_limits(attributes.get("limits")),
            **counts,
        )
    score, threshold = attributes["score"], attributes.get("threshold")
    return Record(
        item=Item.from_json(_plain(attributes["item"])),
        choice=attributes["choice"],
        snapshot=attributes["snapshot"],
        recorded_at=float(attributes["recorded_at"]),
        score=None if score is None else float(score),
        model_version=attributes["model_version"],
        reasons=[Reason(reason["field"], reason["value"], float(reason["effect"])) for reason in attributes["reasons"]],
        status=attributes["status"],
        channel=attributes.get("channel"),
        ts=attributes.get("ts"),
        threshold=None if threshold is None else float(threshold),
        candidates=int(attributes.get("candidates", 0)),
        why=attributes.get("why", ""),
        probability=float(attributes.get("probability", 0)),
        first_guess=attributes.get("first_guess", False),
        message=attributes.get("message", ""),
        witnesses=[Witness(**witness) for witness in attributes.get("witnesses", [])],
    )


def _limits(value: dict[str, Any] | None) -> Limits | None:
    if value is None:
        return None
    threshold = value["threshold"]
    return Limits(
        int(value["max_posts"]),
        int(value["explored"]),
        int(value["explored_before"]),
        None if threshold is None else float(threshold),
    )


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return an item's JSON with its one number as an integer; DynamoDB gives every number as a Decimal."""
    price = value.get("price")
    return {**value, "price": None if price is None else int(price)}
