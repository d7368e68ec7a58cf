"""The values that the page shows, in Japanese."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from desk.journal import Mark
from desk.order import Mode
from model.serving.text import KEYWORDS, chosen_section
from osusume.items import ATTRIBUTE_FIELDS, Item
from osusume.times import read_time

if TYPE_CHECKING:
    from desk.active_learning import Learnt

FIELD_NAMES = dict(
    zip(
        ATTRIBUTE_FIELDS,
        ("サークル", "シリーズ", "声優", "作者", "シナリオ", "イラスト", "音楽", "ジャンル"),
        strict=True,
    )
)
MODES: dict[Mode, str] = {"teaching": "学べる順", "given": "元の順", "doubtful": "見直し"}
ANSWERS = {1: "興味あり!", 0: "別に…", None: "持ってる / わからない"}
AGE_RATINGS = {"all": "全年齢", "r15": "R-15", "adult": "R-18"}

_MOST_SUGGESTIONS = 200
_LABELS_OF_THE_PACE = 20
_LONGEST_LOOK = 180  # seconds; a longer gap between two labels is a pause


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A section of a work; `is_chosen` marks the one that the model reads."""

    heading: str
    text: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class WorkCard:
    """A work as the page shows it. `key` is its id as JSON, which can hold any string; unsafe addresses are empty."""

    key: str
    title: str
    link: str
    image: str
    fields: list[tuple[str, str]]
    sections: list[ShownSection]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """The owner's progress; `a_minute` and `minutes_left` are None if there are too few labels."""

    liked: int
    others: int
    left: int
    a_minute: float | None
    minutes_left: int | None

    @property
    def labels(self) -> int:
        """The number of labels."""
        return self.liked + self.others

    @property
    def total(self) -> int:
        """The full length of the progress bar, at least 1."""
        return max(self.labels + self.left, 1)


def card(item: Item) -> WorkCard:
    """Return a work as the page shows it."""
    chosen = chosen_section(item, KEYWORDS)
    facts = {
        "販売日": item.published_on,
        "価格": None if item.price is None else f"{item.price:,}円",
        "年齢指定": AGE_RATINGS.get(item.age_rating or ""),
    }
    fields = [(FIELD_NAMES.get(name, name), "、".join(item.values(name))) for name in fields_of([item])]
    return WorkCard(
        key=json.dumps(item.item_id),
        title=item.title,
        link=_address(item.url, {"http", "https"}),
        image=_address(item.image_url or "", {"https"}),
        fields=[*fields, *((name, fact) for name, fact in facts.items() if fact)],
        sections=[
            ShownSection(section.heading or "", section.text, section is chosen)
            for section in item.sections
            if section.text.strip() or section.heading
        ],
    )


def fields_of(items: Iterable[Item]) -> list[str]:
    """Return the fields in which any of the items has values, those with a Japanese name first."""
    found = {name for item in items for name, values in item.attributes.items() if any(map(str.strip, values))}
    return [name for name in FIELD_NAMES if name in found] + sorted(found - FIELD_NAMES.keys())


def suggestions(items: Iterable[Item], name: str) -> list[str]:
    """Return the most frequent values of a field."""
    found = Counter(value for item in items for value in dict.fromkeys(item.values(name)) if value.strip())
    return [value for value, _ in found.most_common(_MOST_SUGGESTIONS)]


def progress(marks: Mapping[str, Mark], left: int) -> LabelCounts:
    """Return the owner's progress, with `left` works still to label."""
    verdicts = [mark["is_interested"] for mark in marks.values()]
    liked = verdicts.count(1)
    rate = pace([str(mark.get("created_at")) for mark in marks.values()])
    minutes = None if rate is None else max(1, round(left / rate))
    return LabelCounts(liked, verdicts.count(0), left, rate, minutes)


def answer(mark: Mark) -> str:
    """Return what a label says, in the words of its button."""
    verdict = mark["is_interested"]
    return ANSWERS[None if verdict is None else int(verdict == 1)]


def pace(times: Sequence[str]) -> float | None:
    """Return the recent labels per minute, None if too few of them follow each other.

    `times` are the times of the labels, oldest first. Skips invalid times and pauses.

    >>> pace([f"2026-11-22 08:00:{second:02}" for second in range(0, 60, 5)])
    12.0
    """
    moments = []
    for time in times[-_LABELS_OF_THE_PACE:]:
        try:
            moments.append(read_time(time, UTC))  # only differences count
        except ValueError:
            continue
    looks = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    looks = [look for look in looks if 0 <= look <= _LONGEST_LOOK]
    if len(looks) < 5 or not sum(looks):
        return None
    return 60 * len(looks) / sum(looks)


def duration(minutes: int) -> str:
    """Return a time span in words.

    >>> duration(5), duration(95)
    ('約5分', '約1時間35分')
    """
    hours, rest = divmod(minutes, 60)
    return f"約{hours}時間{rest}分" if hours and rest else f"約{hours}時間" if hours else f"約{rest}分"


def verdict(learnt: Learnt) -> str:
    """Return what an estimate means, as a sentence."""
    if learnt.better_by.low > 0:
        return "好みを学べています。"
    if learnt.better_by.high < 0:
        return "まだ学べていません。いつも同じ答えを返すほうが、よく当たります。"
    return "まだ偶然と区別がつきません。ラベルが増えるとはっきりします。"


def _address(text: str, schemes: set[str]) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:  # such as half an IPv6 address
        return ""
    return text if parts.scheme in schemes and parts.hostname else ""
