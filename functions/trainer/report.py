"""The weekly report: how good the recommendations are, what was missed, what was learnt, and what the gate did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo

from osusume.labels import Label
from osusume.records import Action, Decision, Record, Report, Run
from osusume.sanitize import legible
from trainer.estimates import Draw, Total, total

_DAY = 86_400.0
_SHOWN = 3
_NAME_LENGTH = 30
_WEEKS = 8
_BARS = "▁▂▃▄▅▆▇█"
_FIELDS = {"circle": "サークル", "series": "シリーズ", "voice_actors": "声優", "genres": "ジャンル"}


def week_before(now: float, time_zone: tzinfo) -> date:
    """Return the Monday of the last whole week before `now`, in seconds since the epoch."""
    today = datetime.fromtimestamp(now, time_zone).date()
    return today - timedelta(days=today.weekday() + 7)


def liked_share(records: Iterable[Record], labels: Mapping[str, Label]) -> Total:
    """Return how many of the pressed works that a head recommended were liked, in the order of their posts.

    Works that a rule or a wish chose, and works that the owner has or cannot judge, say nothing about the head.
    """
    draws = [
        Draw(float(label.is_interested), 1.0)
        for record in sorted(records, key=_order)
        if record.why == "recommended"
        and (label := labels.get(record.item.item_id))
        and label.is_interested is not None
    ]
    return total(draws)


def missed(records: Iterable[Record], labels: Mapping[str, Label]) -> Total:
    """Return how many liked works were not shown, in the mornings whose randomly drawn work was pressed.

    The drawn work stands for all that were not shown: a liked one counts as many times as its chance to be drawn was
    small (Horvitz and Thompson, A generalization of sampling without replacement from a finite universe, 1952).
    """
    draws = []
    for record in sorted(records, key=_order):
        label = labels.get(record.item.item_id)
        if record.why == "random" and record.probability and label and label.is_interested is not None:
            draws.append(Draw(label.is_interested / record.probability, 1 / record.probability))
    return total(draws)


def weekly_report(
    entries: Iterable[Record | Run | Report],
    labels: Mapping[str, Label],
    decisions: Iterable[Decision],
    weights: Mapping[tuple[str, str], float],
    now: float,
    time_zone: tzinfo,
) -> Report | None:
    """Return the report of the last whole week before `now`, None if there was no run in it.

    The estimates are over all weeks so far, so that their intervals hold in every week at once. `weights` are the
    head's, of fields and their values.
    """
    monday = week_before(now, time_zone)
    sunday = monday + timedelta(days=6)
    begin, end = (
        datetime.combine(day, datetime.min.time(), time_zone).timestamp()
        for day in (monday, monday + timedelta(days=7))
    )
    records, runs = _split(entries, end)
    of_week = [record for record in records if record.recorded_at >= begin]
    if not any(begin <= run.recorded_at for run in runs):
        return None
    known = {item_id: label for item_id, label in labels.items() if float(label.action_ts) < end}
    lines = [
        f"📊 週のまとめ {monday.month}/{monday.day}〜{sunday.month}/{sunday.day}",
        _recommended_line(of_week, records, known),
        _missed_line(records, known),
        _volume_line(of_week, known, begin),
        _labels_line(known),
        *_calibration_line(records, known),
        *_learnt_lines(weights),
        *_gate_line(decisions, begin, end),
        _chart_line(records, known, end),
    ]
    return Report(f"{monday:%G-W%V}", now, [line for line in lines if line])


def _split(entries: Iterable[Record | Run | Report], end: float) -> tuple[list[Record], list[Run]]:
    records, runs = [], []
    for entry in entries:
        if entry.recorded_at < end:
            if isinstance(entry, Record):
                records.append(entry)
            elif isinstance(entry, Run):
                runs.append(entry)
    return records, runs


def _recommended_line(of_week: Sequence[Record], records: Sequence[Record], labels: Mapping[str, Label]) -> str:
    shown = sum(record.why == "recommended" for record in of_week)
    week, ever = liked_share(of_week, labels), liked_share(records, labels)
    if not ever.draws:
        return f"🎯 おすすめ {shown}件。答えはまだありません"
    share, low, high = (value / ever.draws for value in (ever.value, ever.low, ever.high))
    return (
        f"🎯 おすすめ {shown}件のうち {week.draws}件に答えがあり、{week.value:.0f}件が「興味あり!」。"
        f"これまでの {ever.draws}件では {share:.0%}（{low:.0%}〜{high:.0%}）"
    )


def _missed_line(records: Sequence[Record], labels: Mapping[str, Label]) -> str:
    found = missed(records, labels)
    if not found.draws:
        return "🎲 見逃し: くじの作品に答えると、見逃した好みの作品の数を見積もれます"
    return (
        f"🎲 見逃し: くじの作品 {found.draws}件の答えから、その朝に出さなかった好みの作品は、"
        f"これまでに約 {found.value:.0f}件（{found.low:.0f}〜{found.high:.0f}件）"
    )


def _volume_line(of_week: Sequence[Record], labels: Mapping[str, Label], begin: float) -> str:
    posts = sum(record.ts is not None for record in of_week)
    presses = sum(begin <= float(label.action_ts) for label in labels.values())
    return f"📮 1日あたり投稿 {posts / 7:.1f}件、答え {presses / 7:.1f}件"


def _labels_line(labels: Mapping[str, Label]) -> str:
    counts = Counter(label.is_interested for label in labels.values())
    return f"🏷️ 答えはこれまでに {sum(counts.values())}件（興味あり! {counts[True]}、別に… {counts[False]}）"


def _calibration_line(records: Sequence[Record], labels: Mapping[str, Label]) -> list[str]:
    """Return what the scores claim of the pressed recommended works, beside what the presses say."""
    claimed = [
        (record.score, label.is_interested)
        for record in records
        if record.why == "recommended"
        and record.score is not None
        and (label := labels.get(record.item.item_id))
        and label.is_interested is not None
    ]
    if not claimed:
        return []
    said = sum(score for score, _ in claimed) / len(claimed)
    real = sum(liked for _, liked in claimed) / len(claimed)
    return [f"⚖️ おすすめ度の平均 {said:.0%} に対して、実際は {real:.0%}"]


def _learnt_lines(weights: Mapping[tuple[str, str], float]) -> list[str]:
    shown = sorted((pair for pair in weights if pair[0] in _FIELDS), key=lambda pair: (weights[pair], pair))
    liked, disliked = [pair for pair in reversed(shown) if weights[pair] > 0], [p for p in shown if weights[p] < 0]
    lines = []
    for what, pairs in (("💚 好みと学んだもの", liked), ("💤 避けると学んだもの", disliked)):
        names = [f"{_FIELDS[field]}「{legible(value, _NAME_LENGTH)}」" for field, value in pairs[:_SHOWN]]
        if names:
            lines.append(f"{what}: {'、'.join(names)}")
    return lines


def _gate_line(decisions: Iterable[Decision], begin: float, end: float) -> list[str]:
    counts = Counter(each.action for each in decisions if begin <= datetime.fromisoformat(each.at).timestamp() < end)
    said: dict[Action, str] = {
        "promote": "学び直し {}回",
        "veto": "使わなかった学び直し {}回",
        "roll back": "前の好みに戻した {}回",
        "compare": "試している夜 {}回",
    }
    parts = [text.format(counts[action]) for action, text in said.items() if counts[action]]
    return [f"🧠 {'、'.join(parts)}"] if parts else []


def _chart_line(records: Sequence[Record], labels: Mapping[str, Label], end: float) -> str:
    """Return the share of liked ones among the pressed recommended works of each of the last weeks, as bars."""
    bars = ""
    for weeks in range(_WEEKS, 0, -1):
        begin = end - weeks * 7 * _DAY
        found = liked_share((r for r in records if begin <= r.recorded_at < begin + 7 * _DAY), labels)
        bars += _BARS[min(int(found.value / found.draws * len(_BARS)), len(_BARS) - 1)] if found.draws else "・"
    return f"📈 週ごとの「興味あり!」の割合（左が{_WEEKS}週前）: {bars}"


def _order(record: Record) -> tuple[float, str]:
    return record.recorded_at, record.item.item_id
