import json
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.slack.blocks import block_errors
from local.slack.methods import BLOCKS_CHARACTERS
from local.slack.text import Span, spans
from osusume.items import Item, Section
from osusume.labels import Label
from osusume.ledger import Decision, Reason, Record, Run
from osusume.messages import Block, decision_line, item_message, item_metadata, run_message, run_metadata
from osusume.records import Action, Why
from samples.works import demo_works

ITEM = replace(demo_works()[0], title="雨の図書館", price=1980, published_on="2026-11-22")
RECORD = Record(ITEM, "recommended", "snapshots/a.json", 1764000000.0, 0.875, "v1")
LABEL = Label(ITEM.item_id, is_interested=True, user_id="U0OWNER", action_ts="1764000000.1", created_at="")

HOSTILE = [
    "<!channel> <!here> <@U0OWNER> <#C0LOCAL0001>",
    "A & B &amp; C &lt;!channel&gt;",
    "<script>alert(1)</script>",
    "<https://evil.example|www.dlsite.com>",
    "*bold* _italic_ ~strike~ `code` ```block```",
    ":tada: 🎧👨‍👩‍👧 ❤️",
    '"quoted" \\n \\u0041 {"a": 1}',
    "a\nb c\u3000d",
    "> quote\n- list",
]


def shown(blocks: list[Block]) -> list[Span]:
    """Return every span of text that the blocks show, buttons and pictures' texts left out."""
    found = []
    for block in blocks:
        texts = [*block.get("fields", []), *(block.get("elements", []) if block["type"] != "actions" else [])]
        found += [span for text in texts for span in spans(text)]
    return found


def text_of(blocks: list[Block]) -> str:
    return "\n".join(span.text for span in shown(blocks))


def image_of(blocks: list[Block]) -> Any:
    return next((block["accessory"] for block in blocks if "accessory" in block), None)


def buttons_of(blocks: list[Block]) -> list[Block]:
    elements = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return [element for element in elements if element["type"] == "button"]


def with_item(**changes: Any) -> Record:
    return replace(RECORD, item=replace(ITEM, **changes))


def assert_accepted(blocks: list[Block]) -> None:
    assert block_errors(blocks) == []
    assert len(json.dumps(blocks, ensure_ascii=False)) <= BLOCKS_CHARACTERS


def test_a_message_shows_what_the_owner_wants_to_know() -> None:
    blocks = item_message(RECORD)[1]
    text = text_of(blocks)
    for part in (*ITEM.values("circle"), *ITEM.values("voice_actors"), *ITEM.values("genres")):
        assert part in text
    assert "1,980円" in text
    assert "2026-11-22" in text
    assert "88%" in text
    assert_accepted(blocks)


def test_the_title_is_a_bold_link_to_the_work() -> None:
    assert shown(item_message(RECORD)[1])[0] == Span("雨の図書館", frozenset({"bold"}), ITEM.url)


def test_a_message_shows_the_cover() -> None:
    assert image_of(item_message(RECORD)[1])["image_url"] == ITEM.image_url


def test_a_message_can_go_without_the_cover() -> None:
    blocks = item_message(RECORD, with_image=False)[1]
    assert image_of(blocks) is None
    assert_accepted(blocks)


def test_every_button_carries_the_item() -> None:
    buttons = buttons_of(item_message(RECORD)[1])
    assert [(button["action_id"], button["value"]) for button in buttons] == [
        ("interested", ITEM.item_id),
        ("not_interested", ITEM.item_id),
        ("no_verdict", ITEM.item_id),
    ]


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_shown_to_the_letter_and_does_nothing(title: str) -> None:
    blocks = item_message(with_item(title=title))[1]
    assert_accepted(blocks)
    assert shown(blocks)[0] == Span(title, frozenset({"bold"}), ITEM.url)
    assert not any(span.notifies for span in shown(blocks))


@pytest.mark.parametrize("title", HOSTILE)
def test_a_notification_shows_the_title_to_the_letter_and_pings_nobody(title: str) -> None:
    text = item_message(with_item(title=title))[0]
    assert not any(mark in text for mark in "<>")
    found = spans({"type": "plain_text", "text": text})
    assert found == [Span(title)]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_shown_to_the_letter_and_does_nothing(value: str) -> None:
    attributes = {name: [value] for name in ("circle", "voice_actors", "genres")}
    blocks = item_message(with_item(attributes=attributes))[1]
    assert_accepted(blocks)
    assert text_of(blocks).count(value) == 3
    assert not any(span.notifies or span.url for span in shown(blocks)[1:])


@pytest.mark.parametrize("value", HOSTILE)
def test_a_reason_is_shown_to_the_letter_and_does_nothing(value: str) -> None:
    blocks = item_message(replace(RECORD, reasons=[Reason("title", value[:40], 0.125)]))[1]
    assert_accepted(blocks)
    assert f"「{value[:40]}」" in text_of(blocks)
    assert not any(span.notifies or span.url for span in shown(blocks)[1:])


@pytest.mark.parametrize("letter", ["あ", "&", "<", "🎧"])
def test_texts_of_any_length_are_cut_to_what_slack_takes(letter: str) -> None:
    long = letter * 100_000
    item = replace(ITEM, title=long, attributes={name: [long, long] for name in ITEM.attributes})
    reasons = [Reason(long, long, 1.0), Reason("title", long, -1.0)]
    text, blocks = item_message(replace(RECORD, item=item, choice="explored", reasons=reasons), LABEL)
    assert_accepted(blocks)
    assert len(text) < 1_000
    assert shown(blocks)[0].text.endswith(f"{letter}…")


def test_thousands_of_values_are_cut_to_what_slack_takes() -> None:
    attributes = {name: [f"名前{number}" for number in range(5_000)] for name in ITEM.attributes}
    assert_accepted(item_message(with_item(attributes=attributes))[1])


@pytest.mark.parametrize(
    "url",
    [
        "http://www.dlsite.com/home/work/=/product_id/RJ01000001.html",
        "javascript:alert(1)",
        "//www.dlsite.com/",
        "https:",
        "https:///work",
        "https://[::1",
        "https://www.dlsite.com/" + "a" * 3_000,
        "雨",
    ],
    ids=lambda url: url[:30],
)
def test_an_address_that_slack_or_the_owner_should_not_follow_is_neither_linked_nor_shown_as_image(url: str) -> None:
    blocks = item_message(with_item(url=url, image_url=url))[1]
    assert_accepted(blocks)
    assert shown(blocks)[0] == Span("雨の図書館", frozenset({"bold"}))
    assert image_of(blocks) is None


def test_a_work_of_which_little_is_known_says_so() -> None:
    bare = replace(ITEM, published_on=None, image_url=None, price=None, age_rating=None, attributes={}, sections=[])
    blocks = item_message(replace(RECORD, item=bare))[1]
    assert text_of(blocks).count("不明") == 2
    assert_accepted(blocks)


def test_a_free_work_is_not_taken_for_one_of_unknown_price() -> None:
    assert "価格\n0円" in text_of(item_message(with_item(price=0))[1])


def test_an_explored_item_is_marked() -> None:
    assert "おためし" in text_of(item_message(replace(RECORD, choice="explored"))[1])
    assert "おためし" not in text_of(item_message(RECORD)[1])


def test_an_item_without_a_score_says_that_no_taste_is_learnt_yet() -> None:
    assert "おすすめ度\n未学習" in text_of(item_message(replace(RECORD, score=None))[1])


def test_at_most_three_reasons_are_shown_with_their_effect() -> None:
    reasons = [Reason("genres", f"理由{number}", effect) for number, effect in enumerate((0.25, -0.125, 0.1, 0.05))]
    text = text_of(item_message(replace(RECORD, reasons=reasons))[1])
    assert "ジャンル「理由0」+25" in text
    assert "「理由1」-12" in text
    assert "理由3" not in text


@pytest.mark.parametrize(
    ("is_interested", "answer"),
    [(True, "「興味あり!」と記録"), (False, "「別に…」と記録"), (None, "「持ってる / わからない」と記録")],
)
def test_a_label_is_shown_and_can_be_changed(is_interested: bool | None, answer: str) -> None:
    blocks = item_message(RECORD, replace(LABEL, is_interested=is_interested))[1]
    assert answer in text_of(blocks)
    assert len(buttons_of(blocks)) == 3
    assert_accepted(blocks)


def test_the_button_of_the_label_that_stands_is_the_coloured_one() -> None:
    styles = {
        is_interested: [button.get("style") for button in buttons_of(item_message(RECORD, label)[1])]
        for is_interested, label in ((yes, replace(LABEL, is_interested=yes)) for yes in (True, False, None))
    }
    assert styles == {True: ["primary", None, None], False: [None, "danger", None], None: [None, None, None]}


def test_a_message_is_found_again_by_its_item() -> None:
    assert item_metadata(RECORD)["event_payload"] == {"item_id": ITEM.item_id, "snapshot": "snapshots/a.json"}


@pytest.mark.parametrize(
    ("why", "remark"),
    [("uncertain", "迷っている"), ("random", "くじで選んだ"), ("varied", "いろいろな作品"), ("", "おためし")],
)
def test_an_explored_item_says_why_it_is_shown(why: Why, remark: str) -> None:
    assert remark in text_of(item_message(replace(RECORD, choice="explored", why=why))[1])


def test_a_recommendation_that_no_press_has_tried_is_marked_as_a_guess() -> None:
    assert "はじめての推測" in text_of(item_message(replace(RECORD, first_guess=True))[1])
    assert "はじめての推測" not in text_of(item_message(RECORD)[1])


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("promote", "40件の答え（うち「興味あり!」12件）から学び直しました"),
        ("veto", "学び直しは使わず"),
        ("roll back", "前の好みに戻しました"),
        ("compare", "使う前に試しています"),
    ],
)
def test_a_summary_says_what_was_decided_in_the_night(action: Action, words: str) -> None:
    line = decision_line(Decision("2026-11-27T21:30:00+00:00", action, "", "night-1", 40, 12))
    assert words in line
    assert line in text_of(run_message(a_run(learned=line))[1])


def a_run(**changes: Any) -> Run:
    empty = Run("snapshots/a.json", 1764000000.0, listed=0, failed=0, new=0, recommended=0, explored=0, passed=0)
    return replace(empty, **changes)


def test_a_run_says_what_it_did() -> None:
    text, blocks = run_message(a_run(listed=100, new=12, recommended=2, explored=3, passed=7))
    assert_accepted(blocks)
    for counts in (text, text_of(blocks)):
        assert "100件を確認 · 新着 12件 · おすすめ 2件 · おためし 3件" in counts


def test_a_run_names_its_source_since_a_stack_may_have_two() -> None:
    text, blocks = run_message(a_run(snapshot="snapshots/feed/2026/11/22/220000Z.json", listed=3))
    assert "feed: 3件を確認" in text
    assert "feed: 3件を確認" in text_of(blocks)


def test_a_run_without_anything_new_says_so() -> None:
    assert "新着 0件" in text_of(run_message(a_run(listed=100))[1])


def test_a_run_says_what_could_not_be_read() -> None:
    assert "7件は読み取れませんでした" in text_of(run_message(a_run(listed=100, failed=7))[1])
    assert "読み取れません" not in text_of(run_message(a_run(listed=100))[1])


def test_a_run_says_that_no_taste_is_learnt_yet() -> None:
    assert "まだ好みを学習していません" in text_of(run_message(a_run(has_taste=False))[1])
    assert "好み" not in text_of(run_message(a_run())[1])


def test_a_runs_message_is_not_taken_for_an_items() -> None:
    metadata = run_metadata(a_run())
    assert metadata["event_payload"] == {"snapshot": "snapshots/a.json"}
    assert metadata["event_type"] != item_metadata(RECORD)["event_type"]


texts = st.one_of(st.text(min_size=1), st.text("&<>*_~`\u202e🎧あ", min_size=1, max_size=400)).filter(str.strip)
addresses = st.one_of(
    st.text(), st.just("https://www.dlsite.com/1"), st.text(string.printable).map(lambda path: f"https://{path}")
)
items = st.builds(
    Item,
    item_id=st.text(string.ascii_letters + string.digits, min_size=1, max_size=100),
    source=texts,
    url=addresses,
    title=texts,
    published_on=st.one_of(st.none(), st.dates().map(str)),
    image_url=st.one_of(st.none(), addresses),
    price=st.one_of(st.none(), st.integers(min_value=0)),
    age_rating=st.sampled_from([None, "all", "r15", "adult"]),
    attributes=st.dictionaries(
        st.one_of(st.sampled_from(sorted(ITEM.attributes)), st.text()), st.lists(st.text(), max_size=8)
    ),
    sections=st.lists(st.builds(Section, st.none(), st.text()), max_size=2),
)
records = st.builds(
    Record,
    item=items,
    choice=st.sampled_from(["recommended", "explored"]),
    snapshot=st.just("snapshots/a.json"),
    recorded_at=st.just(1764000000.0),
    score=st.one_of(st.none(), st.floats(0, 1)),
    reasons=st.lists(st.builds(Reason, st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False))),
)


@settings(deadline=None)
@given(records, st.sampled_from([None, LABEL, replace(LABEL, is_interested=False)]), st.booleans())
def test_any_item_gives_a_message_that_slack_takes(record: Record, label: Label | None, with_image: bool) -> None:
    text, blocks = item_message(record, label, with_image=with_image)
    assert_accepted(blocks)
    assert text.strip()
    assert not any(span.notifies for span in shown(blocks))
