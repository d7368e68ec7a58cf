"""Made-up audio works for all ages, for the demo and for training, and the taste of a made-up owner."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from osusume.items import Item, Section
from samples.themes import Names, Theme, load_names, load_themes

DEMO_DAYS = (130, 12, 8, 10)
"""How many of the demo's works are out on its first day, and how many each later day adds."""

FIRST_DAY = date(2026, 11, 20)
"""The demo's first day."""

_DEMO_SEED = 20261120
_WORKS_A_DAY = 12

IMAGE_HOST = "img.dlsite.jp"
"""The host of the works' covers."""

# Ids that the shop has not reached, so that no link of the demo leads to a real work.
_FIRST_ID, _LAST_ID = 9_000_000, 9_999_999


def demo_works() -> list[Item]:
    """Return the works of the demo, oldest first; `DEMO_DAYS` says how many are out on each day."""
    works = generate_works(sum(DEMO_DAYS), _DEMO_SEED)
    first, *later = DEMO_DAYS
    dates = [FIRST_DAY - timedelta(days=age // _WORKS_A_DAY) for age in reversed(range(first))]
    for day, added in enumerate(later, start=1):
        dates += [FIRST_DAY + timedelta(days=day)] * added
    return [replace(work, published_on=day.isoformat()) for work, day in zip(works, dates, strict=True)]


def generate_works(count: int, seed: int) -> list[Item]:
    """Return `count` works with distinct titles, oldest first; the same seed gives the same works."""
    rng = random.Random(seed)  # noqa: S311  # invents works, guards nothing
    works = []
    titles: set[str] = set()
    for index, item_id in enumerate(_item_ids(count, rng)):
        work = _work(item_id, rng)
        while work.title in titles:
            work = _work(item_id, rng)
        titles.add(work.title)
        published_on = FIRST_DAY - timedelta(days=(count - 1 - index) // _WORKS_A_DAY)
        works.append(replace(work, published_on=published_on.isoformat()))
    return works


def work_address(item_id: str) -> str:
    """Return the address that a work's page would have in the shop."""
    return f"https://www.dlsite.com/home/work/=/product_id/{item_id}.html"


def image_address(item_id: str) -> str:
    """Return the address of a work's cover; the shop names its folder after the next full thousand.

    >>> image_address("RJ09012345")
    'https://img.dlsite.jp/modpub/images2/work/doujin/RJ09013000/RJ09012345_img_main.jpg'
    """
    folder = f"RJ{-(-int(item_id[2:]) // 1000) * 1000:08d}"
    return f"https://{IMAGE_HOST}/modpub/images2/work/doujin/{folder}/{item_id}_img_main.jpg"


def _item_ids(count: int, rng: random.Random) -> list[str]:
    # A work gets its id when it is registered, not when it is released, so the order differs slightly.
    numbers = sorted(rng.sample(range(_FIRST_ID, _LAST_ID), count), key=lambda number: number + rng.uniform(0, 20_000))
    return [f"RJ{number:08d}" for number in numbers]


@dataclass(frozen=True, slots=True)
class _Draft:
    """The choices for a work before its texts: its theme, its words by slot, its cast and their characters."""

    rng: random.Random
    theme: Theme
    names: Names
    words: dict[str, str]
    cast: list[str]
    characters: list[str]


def _draft(rng: random.Random) -> _Draft:
    theme, names = rng.choice(load_themes()), load_names()
    words = {slot: rng.choice(values) for slot, values in theme.words.items()}
    cast = rng.sample(names.voice_actors, rng.randint(*theme.voices))
    characters = rng.sample(names.characters, min(len(cast), len(theme.roles)))
    return _Draft(rng, theme, names, {**words, "name": characters[0]}, cast, characters)


def _work(item_id: str, rng: random.Random) -> Item:
    draft = _draft(rng)
    attributes = _attributes(draft)
    return Item(
        item_id=item_id,
        source="dlsite",
        url=work_address(item_id),
        title=_title(draft),
        image_url=image_address(item_id),
        price=rng.choice(draft.names.prices),
        age_rating="all",
        attributes=attributes,
        sections=_sections(draft, attributes),
    )


def _title(draft: _Draft) -> str:
    rng, theme = draft.rng, draft.theme
    title = rng.choice(theme.titles).format_map(draft.words)
    tag, subtitle = rng.choice(draft.names.tags[theme.style]), rng.choice(theme.subtitles)
    forms = [
        title,
        f"{title}～{subtitle}～",
        f"【{tag}】{title}",
        f"【{tag}】{title}～{subtitle}～",
        f"{title}♪",
        f"{title} 第{rng.choice('二三四五六')}巻",
        f"{title}／{subtitle}",
        f"{title} -{subtitle}-【{tag}】",
    ]
    return rng.choices(forms, weights=[5, 6, 4, 3, 1, 2, 2, 2])[0]


def _attributes(draft: _Draft) -> dict[str, list[str]]:
    rng, theme, names = draft.rng, draft.theme, draft.names
    attributes = {"circle": [rng.choice([circle.name for circle in names.circles if theme.style in circle.styles])]}
    if rng.random() < 0.3:
        attributes["series"] = [f"{draft.words[next(iter(theme.words))]}シリーズ"]
    if rng.random() < 0.15:
        attributes["authors"] = [rng.choice(names.scenario_writers)]
    if rng.random() < 0.8:
        attributes["scenario_writers"] = rng.sample(names.scenario_writers, rng.choice([1, 1, 1, 2]))
    if rng.random() < 0.85:
        attributes["illustrators"] = [rng.choice(names.illustrators)]
    attributes["voice_actors"] = draft.cast
    if rng.random() < 0.2:
        attributes["musicians"] = [rng.choice(names.musicians)]
    attributes["genres"] = theme.genres[:2] + rng.sample(theme.genres[2:], rng.randint(1, 4))
    return attributes


def _sections(draft: _Draft, attributes: dict[str, list[str]]) -> list[Section]:
    rng, theme, names = draft.rng, draft.theme, draft.names
    tracks = [track.format_map(draft.words) for track in _in_order(rng, theme.tracks, rng.randint(4, 7))]
    texts = {
        "characters": _character_text(draft),
        "tracks": "\n".join(tracks),
        "audience": _bulleted(rng.sample(theme.for_whom, rng.randint(2, 4))),
        "credits": _credit_text(attributes),
        "notices": _bulleted(rng.sample(names.notices, rng.randint(2, 3))),
    }
    sections = [Section(rng.choice([None, *names.headings["story"]]), _story_text(draft))]
    chosen = _in_order(rng, list(texts), rng.randint(1, 4))
    sections += [Section(rng.choice(names.headings[part]), texts[part]) for part in chosen]
    if rng.random() < 0.06:
        return [_merged(sections)]
    return sections


def _story_text(draft: _Draft) -> str:
    rng, theme = draft.rng, draft.theme
    sentences = [rng.choice(theme.openings), *_in_order(rng, theme.sentences, rng.randint(4, 7))]
    lines = [sentence.format_map(draft.words) for sentence in sentences]
    paragraphs = ["\n".join(lines[start : start + 3]) for start in range(0, len(lines), 3)]
    return "\n\n".join(paragraphs)


def _character_text(draft: _Draft) -> str:
    first, *others = draft.theme.roles
    roles = [first, *draft.rng.sample(others, len(draft.characters) - 1)]
    cast = draft.cast[: len(roles)]
    return "\n".join(
        f"{name}（CV：{actor}） {role.format_map(draft.words)}"
        for name, actor, role in zip(draft.characters, cast, roles, strict=True)
    )


def _credit_text(attributes: dict[str, list[str]]) -> str:
    labels = {"voice_actors": "声の出演", "scenario_writers": "脚本", "illustrators": "イラスト", "musicians": "音楽"}
    lines = [f"{label}：{'、'.join(attributes[field])}" for field, label in labels.items() if field in attributes]
    return "\n".join([*lines, f"企画・制作：{attributes['circle'][0]}"])


def _bulleted(lines: Iterable[str]) -> str:
    return "\n".join(f"・{line}" for line in lines)


def _merged(sections: list[Section]) -> Section:
    """Return all sections as one without a heading, as on pages from before 2020."""
    return Section(
        None, "\n\n".join(f"■{part.heading}\n{part.text}" if part.heading else part.text for part in sections)
    )


def _in_order(rng: random.Random, values: list[str], count: int) -> list[str]:
    """Return `count` random values in their original order."""
    return [values[index] for index in sorted(rng.sample(range(len(values)), count))]


# How much each group of words in title, genres or story adds to the liking of a work.
_LIKING = (
    (3.0, ("雨",)),
    (3.0, ("朗読", "読み聞かせ")),
    (2.0, ("睡眠",)),
    (1.0, ("環境音", "焚き火", "走行音")),
    (-3.0, ("コメディ", "ギャグ")),
    (-3.0, ("バトル", "対決")),
    (-3.0, ("耳かき",)),
    (-2.0, ("大声", "叫び", "爆発", "ブザー")),
)
_FAVOURITE_VOICES = ("薄荷野すず", "糸杉谷なぎ", "樫ノ木蒼介", "栗鼠山ほたる")
_FAVOURITE_CIRCLES = ("月曜日の灯台", "雨傘と栞の部屋", "三等客車の窓", "狐雨舎")
_LEAST_LIKED = 2.5
_WHIM = 0.04


def made_up_taste(item: Item) -> bool:
    """Return whether the demo's made-up owner likes a work, as is so for three in ten of the made-up works.

    The owner likes rain, sleep, reading aloud, quiet, and some voice actors and circles; not comedy, noise, fights or
    ear cleaning. Four works in a hundred, always the same ones, are judged the other way round.
    """
    text = "\n".join([item.title, *item.values("genres"), *(section.text for section in item.sections[:1])])
    liking = sum(weight for weight, words in _LIKING if any(word in text for word in words))
    liking += 2.0 * any(voice in _FAVOURITE_VOICES for voice in item.values("voice_actors"))
    liking += 1.0 * any(circle in _FAVOURITE_CIRCLES for circle in item.values("circle"))
    return (liking >= _LEAST_LIKED) != _is_whim(item.item_id)


def _is_whim(item_id: str) -> bool:
    first_bytes = hashlib.sha256(item_id.encode()).digest()[:4]
    return int.from_bytes(first_bytes, "big") < _WHIM * 2**32
