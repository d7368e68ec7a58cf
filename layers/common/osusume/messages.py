"""The messages in Slack. Only this module knows Block Kit.

Texts from the web go into `rich_text` and `plain_text`, which Slack shows unchanged: no title can mention anyone, break
a link or turn bold. `legible` strips what would hide or reorder other text. Lengths are cut to Block Kit's limits
(https://docs.slack.dev/reference/block-kit/blocks).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from osusume.items import Item
from osusume.labels import Label
from osusume.ledger import Decision, Record, Report, Run
from osusume.rules import Kind, Rule, offered
from osusume.sanitize import legible
from osusume.snapshots import GIVE_UP_DAYS, snapshot_source

Block = dict[str, Any]

INTERESTED = "interested"
NOT_INTERESTED = "not_interested"
NO_VERDICT = "no_verdict"

VERDICTS = {INTERESTED: True, NOT_INTERESTED: False, NO_VERDICT: None}
"""What each button says of an item; None if the owner has it already or cannot say."""

BUTTONS = {INTERESTED: "興味あり!", NOT_INTERESTED: "別に…", NO_VERDICT: "持ってる / わからない"}
_MARKS = {True: "👍", False: "👋", None: "🤷"}
_STYLES = {INTERESTED: "primary", NOT_INTERESTED: "danger"}

_DAY = 86_400

MENU, UNDO_RULE = "menu", "undo_rule"
WHY = "why"
"""The option of the menu that asks why; the others name the kind of a rule."""

_MENU_LENGTH = 75  # Block Kit allows no more
_MOST_OF_AN_ID = 250 - len(MENU)  # Block Kit allows 255 characters in an action_id

RULE_OFFERS: dict[Kind, str] = {
    "circle": "サークル「{}」をもう出さない",
    "series": "シリーズ「{}」をもう出さない",
    "word": "「{}」の作品をもう出さない",
    "voice_actor": "声優「{}」はいつも出す",
    "pause": "サークル「{}」を2週間休む",
}
RULES_SET: dict[Kind, str] = {
    "circle": "🔕 サークル「{}」の作品は、もう出しません",
    "series": "🔕 シリーズ「{}」の作品は、もう出しません",
    "word": "🔕 題名かジャンルに「{}」がある作品は、もう出しません",
    "voice_actor": "⭐ 声優「{}」の作品は、いつも出します",
    "pause": "💤 サークル「{}」の作品は、2週間出しません",
}

WHYS = {
    "wished": "🔮 推測: あなたが挙げた言葉や、買った作品から選びました",
    "wanted": "⭐ ルール: いつも出す声優の作品です",
    "uncertain": "🔍 おためし: 好みに合うか迷っている作品です",
    "random": "🎲 おためし: 見落としがないか、くじで選んだ作品です",
    "varied": "🌱 おためし: いろいろな作品の中から、好みを学ぶために選びました",
}

LOOK_UP = "docs/operations.md の表で、このアラームの行を見てください"
ALARMS = {
    "SummaryMissing": (
        "26時間、まとめが投稿されていません。",
        "crawler のログ、次に notifier のログを見てください",
    ),
    "DeadLettersWaiting": (
        "何度やり直しても処理できない出来事があり、取ってあります。",
        "python -m ops dead-letters list で中身を見て、送り直してください",
    ),
    "ApiErrors": (
        "ボタンへの返事か作品の採点が、失敗したか遅すぎました。",
        "ボタンの下に警告が出た作品は、もう一度押してください。採点は自動でやり直します。"
        "続くときは feedback と classifier のログを見てください",
    ),
}
"""What each alarm of template.yaml means, and what its owner can do."""

FIELD_NAMES = {
    "circle": "サークル",
    "series": "シリーズ",
    "voice_actors": "声優",
    "authors": "作者",
    "scenario_writers": "シナリオ",
    "illustrators": "イラスト",
    "musicians": "音楽",
    "genres": "ジャンル",
    "title": "タイトル",
    "sections": "作品内容",
    "phrase": "言葉",
}
SHOWN_FIELDS = ("circle", "voice_actors", "genres")
SHOWN_REASONS = 3

# Block Kit allows 2,000 characters a field and 75 a button, but a message should be readable at a glance
TITLE_LENGTH = 300
FIELD_LENGTH = 300
REMARK_LENGTH = 300
REASON_LENGTH = 40
NOTIFICATION_LENGTH = 150
NAMES_A_LINE = 20
MOST_NAMES = 400  # a whole message must stay under some 13,000 characters
MOST_ELEMENTS = 10  # in a block of context
TEXT_LENGTH = 600  # a section takes 3,000, but some characters become five when they are escaped
MOST_RULES_SHOWN = 8
MOST_ROWS = 40  # Block Kit allows 50 blocks
URL_LENGTH = 2000  # Block Kit allows 3,000, but a whole message must stay under some 13,000 characters


def item_message(record: Record, label: Label | None = None, *, with_image: bool = True) -> tuple[str, list[Block]]:
    """Return the text (for notifications) and the blocks of an item's message, with `label` if there is one."""
    item = record.item
    details: Block = {"type": "section", "fields": [_plain(text) for text in _details(record)]}
    if with_image and item.image_url and _is_web_address(item.image_url):
        details["accessory"] = {
            "type": "image",
            "image_url": item.image_url,
            "alt_text": _shown_title(item, TITLE_LENGTH),
        }
    blocks = [
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [_title(item)]}]},
        details,
        {"type": "context", "elements": [_plain(text) for text in _remarks(record, label)]},
        {"type": "actions", "block_id": "press", "elements": [*_buttons(item, label), *_menu(item)]},
    ]
    return _escape(_shown_title(item, NOTIFICATION_LENGTH)), blocks


def item_forms(record: Record, label: Label | None = None) -> list[tuple[str, list[Block]]]:
    """Return the forms of an item's message, the best first: Slack refuses one whose image it cannot fetch."""
    forms = [item_message(record, label, with_image=with_image) for with_image in (True, False)]
    return forms[:1] if forms[0] == forms[1] else forms


def item_digest(record: Record) -> str:
    """Return the SHA-256 of an item's message without a label, as it is first posted, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(item_message(record), sort_keys=True).encode()).hexdigest()


def why_message(record: Record) -> tuple[str, list[Block]]:
    """Return the text and the blocks that answer why an item was shown."""
    title = f"「{legible(record.item.title, REASON_LENGTH) or record.item.item_id}」を選んだわけ"
    chosen = "🎯 好みに合いそうなので選びました" if record.why == "recommended" else WHYS.get(record.why, "")
    lines = [f"💬 {title}", chosen] if chosen else [f"💬 {title}"]
    if record.score is not None:
        threshold = "" if record.threshold is None else f"（{record.threshold:.0%} 以上がおすすめ）"
        lines.append(f"📏 おすすめ度 {record.score:.0%}{threshold}")
    for sign, what in ((1, "👍 プラス"), (-1, "👎 マイナス")):
        named = [
            f"{_field_name(reason.field)}「{legible(reason.value, REASON_LENGTH)}」{reason.effect * 100:+.0f}"
            for reason in record.reasons
            if reason.effect * sign > 0
        ]
        if named:
            lines.append(f"{what}: {'、'.join(named)}")
    for witness in record.witnesses:
        answer = BUTTONS[INTERESTED if witness.is_interested else NOT_INTERESTED]
        name = legible(witness.title, REASON_LENGTH) or witness.item_id
        lines.append(f"{_MARKS[witness.is_interested]} 似ている作品: 「{name}」にあなたは「{answer}」と答えました")
    if len(lines) == 1:
        lines.append("まだ好みを学習していないので、理由はありません")
    return _escape(title), [{"type": "context", "elements": [_plain(_cut(line, TEXT_LENGTH)) for line in lines[:10]]}]


def rule_message(rule: Rule) -> tuple[str, list[Block]]:
    """Return the text and the blocks that tell the owner of a rule, with a button to undo it if it is set."""
    text = rule_line(rule)
    blocks: list[Block] = [{"type": "context", "elements": [_plain(text)]}]
    if rule.is_set:
        undo = {"type": "button", "text": _plain("取り消す"), "action_id": UNDO_RULE, "value": rule.key}
        blocks.append({"type": "actions", "elements": [undo]})
    return _escape(text), blocks


def report_message(report: Report, rules: Sequence[Rule] = ()) -> tuple[str, list[Block]]:
    """Return the text and the blocks of a weekly report, with the rules in force and a button to undo each.

    At most `MOST_RULES_SHOWN` rules are shown, the newest.
    """
    title, *lines = report.lines
    blocks: list[Block] = [
        {"type": "section", "text": _plain(title)},
        *({"type": "section", "text": _plain(_cut(line, TEXT_LENGTH))} for line in lines[:MOST_ROWS]),
    ]
    for rule in [rule for rule in rules if rule.is_set][-MOST_RULES_SHOWN:]:
        undo = {"type": "button", "text": _plain("取り消す"), "action_id": UNDO_RULE, "value": rule.key}
        blocks.append({"type": "section", "text": _plain(rule_line(rule)), "accessory": undo})
    return _escape(title), blocks


def report_metadata(report: Report, stack: str = "") -> dict[str, Any]:
    """Return the message metadata by which the message of `stack` about a week is found in the channel."""
    return _metadata("osusume_report", {"week": report.week}, stack)


def rule_line(rule: Rule) -> str:
    """Return what a rule says, or that it was undone, as one line in Japanese."""
    name = legible(rule.value, REASON_LENGTH)
    return RULES_SET[rule.kind].format(name) if rule.is_set else f"↩️ 「{name}」のルールを取り消しました"


def item_metadata(record: Record, stack: str = "") -> dict[str, Any]:
    """Return the message metadata by which the message of `stack` about an item is found in the channel."""
    return _metadata("osusume_item", {"item_id": record.item.item_id, "snapshot": record.snapshot}, stack)


def run_message(run: Run, refused: Sequence[str] = ()) -> tuple[str, list[Block]]:
    """Return the text and the blocks of a run's summary.

    `refused` are the names of the messages that Slack refused for good since the last summary.
    """
    source = f"{name}: " if (name := snapshot_source(run.snapshot)) else ""
    counts = (
        f"{source}{run.listed}件を確認 · 新着 {run.new}件 · おすすめ {run.recommended}件 · おためし {run.explored}件"
    )
    lines = [f"📋 {counts}"]
    if run.muted:
        lines.append(f"🔕 ルールにより {run.muted}件を出しませんでした")
    if run.failed:
        lines.append(f"⚠️ {run.failed}件は読み取れませんでした（明日もう一度試します）")
    if run.gap:
        lines.append("⚠️ 前回の続きまでさかのぼれませんでした。見逃した作品があるかもしれません")
        lines.append("　しばらく止めていた後なら、何もしなくて大丈夫です。そうでなければ crawler のログを見てください")
    if run.long_wait:
        days = math.ceil(run.long_wait / _DAY)
        lines.append(f"⚠️ お店に{days:,}日待つように求められました（待つのは1日までです）")
        lines.append("　続くときは取得の予定を止めるか、お店に問い合わせてください")
    if run.head_unusable:
        lines.append("⚠️ 学習した好みを読み込めず、前のもので選びました")
        lines.append("　python -m ops model list で確かめ、python -m ops model roll-back で前のものに戻してください")
    lines += _naming(f"⚠️ {GIVE_UP_DAYS}日続けて読み取れなかった{len(run.given_up)}件をあきらめました", run.given_up)
    if not run.has_taste:
        lines.append("🌱 まだ好みを学習していません。おためしの作品にボタンで答えてください")
    if run.learned:
        lines.append(f"🧠 {run.learned}")
    lines += _naming(f"⚠️ {len(refused)}件はSlackが受け付けないため、投稿をあきらめました", refused)
    rows = [lines[first : first + MOST_ELEMENTS] for first in range(0, len(lines), MOST_ELEMENTS)]
    return counts, [{"type": "context", "elements": [_plain(line) for line in row]} for row in rows[:MOST_ROWS]]


def check_message(model_version: str) -> tuple[str, list[Block]]:
    """Return the text and the blocks that say that scoring and posting work."""
    text = f"🔧 動作確認: 採点できました(モデル {model_version or 'なし'})。ここに毎朝のまとめを投稿します。"
    return text, [{"type": "section", "text": _plain(text)}]


def check_metadata(stack: str = "") -> dict[str, Any]:
    """Return the metadata of the message that `check_message` makes."""
    return _metadata("osusume_check", {}, stack)


def alarm_message(name: str, *, is_over: bool) -> tuple[str, list[Block]]:
    """Return the text and the blocks about an alarm, by its name in the template: it rings, or it is over."""
    happened, next_step = ALARMS.get(name, (f"アラーム {name} が鳴りました。", LOOK_UP))
    text = f"✅ 解消: {happened}" if is_over else f"🚨 {happened}"
    said = [text, f"この状態は終わりました（{name}）。" if is_over else f"次にすること: {next_step}（{name}）"]
    return text, [{"type": "section", "text": _plain("\n".join(said))}]


def alarm_metadata(name: str, at: str, stack: str = "") -> dict[str, Any]:
    """Return the metadata by which the message about an alarm's change at the time `at` is found in the channel."""
    return _metadata("osusume_alarm", {"alarm": name, "at": at}, stack)


def decision_line(decision: Decision) -> str:
    """Return what the trainer decided, for the run's summary, in Japanese; empty for what needs no words."""
    learned = f"{decision.labels}件の答え（うち「{BUTTONS[INTERESTED]}」{decision.liked}件）"
    return {
        "promote": f"昨夜、{learned}から学び直しました",
        "veto": f"昨夜の学び直しは使わず、これまでの好みで選びました（{learned}）",
        "roll back": f"新しい好みのほうが外れていたため、前の好みに戻しました（{learned}）",
        "compare": f"新しい好みを、使う前に試しています（{learned}）",
    }.get(decision.action, "")


def run_metadata(run: Run, stack: str = "") -> dict[str, Any]:
    """Return the message metadata by which the message of `stack` about a run is found in the channel."""
    return _metadata("osusume_run", {"snapshot": run.snapshot}, stack)


def _naming(what: str, names: Sequence[str]) -> Iterator[str]:
    """Yield `what` followed by the names, in as many lines as they need."""
    begin = f"{what}: "
    for number in range(0, min(len(names), MOST_NAMES), NAMES_A_LINE):
        rest = len(names) - MOST_NAMES if number + NAMES_A_LINE >= MOST_NAMES else 0
        named = [legible(name, REASON_LENGTH) for name in names[number : number + NAMES_A_LINE]]
        yield begin + "、".join(named) + (f" ほか{rest}件" if rest > 0 else "")
        begin = "　"


def _metadata(event_type: str, payload: dict[str, str], stack: str) -> dict[str, Any]:
    # two stacks may post to one channel
    return {"event_type": event_type, "event_payload": payload | ({"stack": stack} if stack else {})}


def _title(item: Item) -> Block:
    title = _shown_title(item, TITLE_LENGTH)
    if _is_web_address(item.url):
        return {"type": "link", "url": item.url, "text": title, "style": {"bold": True}}
    return {"type": "text", "text": title, "style": {"bold": True}}


def _shown_title(item: Item, length: int) -> str:
    return legible(item.title, length) or item.item_id  # Slack refuses an empty text


def _details(record: Record) -> list[str]:
    item = record.item
    values = {name: legible("、".join(item.values(name)), FIELD_LENGTH) for name in SHOWN_FIELDS}
    lines = [f"{FIELD_NAMES[name]}\n{shown}" for name, shown in values.items() if shown]
    lines.append(f"価格\n{'不明' if item.price is None else f'{item.price:,}円'}")
    lines.append(f"発売日\n{item.published_on or '不明'}")
    lines.append(f"おすすめ度\n{'未学習' if record.score is None else f'{record.score:.0%}'}")
    return lines


def _remarks(record: Record, label: Label | None) -> list[str]:
    remarks = []
    if record.choice == "explored" or record.why in {"wanted", "wished"}:
        remarks.append(WHYS.get(record.why, "🔍 おためし: 好みを学ぶために選んだ作品です"))
    elif record.first_guess:
        remarks.append("🌱 はじめての推測です。答えが増えるほど当たりやすくなります")
    if record.reasons:
        reasons = [
            f"{_field_name(reason.field)}「{legible(reason.value, REASON_LENGTH)}」{reason.effect * 100:+.0f}"
            for reason in record.reasons[:SHOWN_REASONS]
        ]
        remarks.append("理由: " + "、".join(reasons))
    if label:
        said = next(text for action, text in BUTTONS.items() if VERDICTS[action] == label.is_interested)
        remarks.append(f"{_MARKS[label.is_interested]} 「{said}」と記録しました（もう一度押すと変えられます）")
    return [_cut(remark, REMARK_LENGTH) for remark in remarks] or ["好みに合うか、ボタンで教えてください"]


def _field_name(field: str) -> str:
    return FIELD_NAMES.get(field) or legible(field, REASON_LENGTH)


def _buttons(item: Item, label: Label | None) -> list[Block]:
    pressed = next(
        action for action, verdict in VERDICTS.items() if verdict == (label.is_interested if label else True)
    )
    buttons = [_button(text, action, item) for action, text in BUTTONS.items()]
    for button in buttons:
        if button["action_id"] == pressed and pressed in _STYLES:
            button["style"] = _STYLES[pressed]
    return buttons


def _menu(item: Item) -> list[Block]:
    """Return the menu 「⋯」: why, and the rules that the item offers, by their kinds; the ledger has the names."""
    if len(item.item_id) > _MOST_OF_AN_ID:
        return []
    options = [{"text": _plain("なぜこの作品?"), "value": WHY}]
    options += [
        {"text": _plain(_offer(kind, value)), "value": kind}
        for kind, value in offered(item)
        if legible(value, REASON_LENGTH)
    ]
    return [{"type": "overflow", "action_id": f"{MENU}:{item.item_id}", "options": options}]


def _offer(kind: Kind, value: str) -> str:
    """Return the text of an option; the escaped text is what Block Kit counts."""
    offers = (RULE_OFFERS[kind].format(legible(value, length)) for length in range(REASON_LENGTH, 0, -1))
    return next(offer for offer in offers if len(_escape(offer)) <= _MENU_LENGTH)


def _button(text: str, action_id: str, item: Item) -> Block:
    return {"type": "button", "text": _plain(text), "action_id": action_id, "value": item.item_id}


def _plain(text: str) -> Block:
    # Slack decodes the three entities here too: a title with "&amp;" would be shown wrong
    return {"type": "plain_text", "text": _escape(text), "emoji": False}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _escape(text: str) -> str:
    """Escape the three characters of https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _is_web_address(url: str) -> bool:
    """Return whether `url` is https and Slack accepts it: one bad address makes Slack refuse the whole message."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address
        return False
    return parts.scheme == "https" and bool(parts.hostname) and len(url) <= URL_LENGTH
