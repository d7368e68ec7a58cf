from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

import pytest
from conftest import ROOT, Stores
from hypothesis import given
from hypothesis import strategies as st

from feedback.press import Press, PressRefused, set_rule, undo_rule
from local.slack.blocks import block_errors
from model.learning.examples import Example
from model.learning.train import train
from model.serving.head import Head
from model.serving.package import ModelPackage, read_card
from notifier.selection import select
from osusume.items import Item
from osusume.ledger import Ledger, Reason, Record, Witness
from osusume.messages import item_message, why_message
from osusume.rules import PAUSE_SECONDS, Rule, Rules, effects, offered

ITEM = Item(
    "RJ1",
    "demo",
    "https://example.com/",
    "雨の図書館とオルゴール",
    attributes={"circle": ["星屑工房"], "voice_actors": ["水瀬 しおり", "ほか"], "genres": ["ASMR"]},
)


@pytest.fixture(name="rules")
def _rules(stores: Stores) -> Rules:
    return Rules(stores.dynamodb, stores.items_table)


@pytest.fixture(name="ledger")
def _ledger(stores: Stores) -> Ledger:
    ledger = Ledger(stores.dynamodb, stores.items_table)
    ledger.record(Record(ITEM, "recommended", "s", 1.0, 0.9, "v1"))
    return ledger


def press(at: int, user: str = "U1") -> Press:
    return Press("RJ1", None, user, f"{at}.000000", "C1")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_presses_in_any_order_and_twice_end_as_the_last_press_says(
    rules: Rules, ledger: Ledger, order: tuple[int, ...]
) -> None:
    steps = [
        lambda: set_rule(press(1), "circle", rules, ledger, frozenset()),
        lambda: undo_rule("circle:星屑工房", press(2), rules, frozenset()),
        lambda: set_rule(press(3), "circle", rules, ledger, frozenset()),
    ]
    for number in (*order, *order):
        if number == 1 and not rules.all():
            with pytest.raises(PressRefused):
                steps[number]()
        else:
            steps[number]()
    assert [(rule.is_set, rule.action_ts) for rule in rules.all()] == [(True, "3.000000")]


def test_an_undone_rule_stays_undone_when_the_press_that_set_it_arrives_again(rules: Rules, ledger: Ledger) -> None:
    set_rule(press(1), "circle", rules, ledger, frozenset())
    undo_rule("circle:星屑工房", press(2), rules, frozenset())
    assert not set_rule(press(1), "circle", rules, ledger, frozenset()).is_set
    assert effects(rules.all(), [ITEM], 10.0) == {}


def test_rules_of_who_is_not_allowed_or_elsewhere_are_refused(rules: Rules, ledger: Ledger) -> None:
    with pytest.raises(PressRefused, match="許可された人"):
        set_rule(press(1, "U2"), "circle", rules, ledger, frozenset({"U1"}))
    set_rule(press(1), "circle", rules, ledger, frozenset())
    with pytest.raises(PressRefused, match="許可された人"):
        undo_rule("circle:星屑工房", press(2, "U2"), rules, frozenset({"U1"}))
    with pytest.raises(PressRefused, match="見つかりません"):
        undo_rule("circle:星屑工房", Press("", None, "U1", "2.0", "C2"), rules, frozenset())
    assert rules.all()[0].is_set


@pytest.mark.parametrize("kind", ["", "series", "never", "voice_actors", "circle:星屑工房"])
def test_a_kind_that_the_work_does_not_offer_is_refused(rules: Rules, ledger: Ledger, kind: str) -> None:
    with pytest.raises(PressRefused, match="使えません"):
        set_rule(press(1), kind, rules, ledger, frozenset())
    assert rules.all() == []


def test_names_that_differ_in_width_case_or_spaces_are_one() -> None:
    assert Rule("word", "ＡＳＭＲ", "1").concerns(ITEM)
    assert Rule("voice_actor", "水瀬しおり", "1").concerns(ITEM)
    assert Rule("circle", "星屑 工房", "1").concerns(ITEM)
    assert not Rule("circle", "星屑", "1").concerns(ITEM)
    assert Rule("word", "オルゴール", "1").concerns(ITEM)


def test_a_pause_ends_after_two_weeks() -> None:
    pause = Rule("pause", "星屑工房", "100.0")
    assert effects([pause], [ITEM], 100.0 + PAUSE_SECONDS - 1) == {"RJ1": "muted"}
    assert effects([pause], [ITEM], 100.0 + PAUSE_SECONDS) == {}


def test_never_beats_always() -> None:
    always, never = Rule("voice_actor", "水瀬しおり", "1"), Rule("word", "オルゴール", "2")
    assert effects([always, never], [ITEM], 3.0) == effects([never, always], [ITEM], 3.0) == {"RJ1": "muted"}


def test_the_menu_offers_a_series_in_place_of_the_longest_word() -> None:
    assert dict(offered(ITEM)) == {
        "circle": "星屑工房",
        "word": "オルゴール",
        "voice_actor": "水瀬 しおり",
        "pause": "星屑工房",
    }
    of_a_series = Item("RJ2", "demo", "", "雨の図書館", attributes={"series": ["図書館"], "circle": ["a"]})
    assert dict(offered(of_a_series)) == {"circle": "a", "series": "図書館", "pause": "a"}
    assert dict(offered(Item("RJ3", "demo", "", "。"))) == {}


@given(name=st.text(min_size=1, max_size=200), title=st.text(max_size=80))
def test_the_menu_of_any_work_is_one_that_slack_takes(name: str, title: str) -> None:
    item = Item("RJ1", "demo", "https://example.com/", title, attributes={"circle": [name], "voice_actors": [name]})
    _, blocks = item_message(Record(item, "recommended", "s", 1.0))
    assert block_errors(blocks) == []


def test_wanted_works_come_first_and_muted_ones_never_within_the_most_posts() -> None:
    items = [Item(f"RJ{number}", "demo", "", "a") for number in range(6)]
    scores = {item.item_id: number / 10 for number, item in enumerate(items)}
    ruled = {"RJ0": "wanted", "RJ5": "muted"}
    selected = select(items, scores, 0.2, 2, 0, "seed", 0, ruled)  # type: ignore[arg-type]  # effects
    shown = {item_id: each.why for item_id, each in selected.items() if each.choice != "passed"}
    assert shown == {"RJ0": "wanted", "RJ4": "recommended"}
    assert selected["RJ5"].why == "muted"
    untrained = select(items, dict.fromkeys(scores), None, 2, 3, "seed", 0, ruled)  # type: ignore[arg-type]  # effects
    assert untrained["RJ5"].why == "muted"
    assert untrained["RJ0"].why == "wanted"


def test_why_tells_reasons_words_and_the_answers_that_speak_for_it_and_against_it() -> None:
    witnesses = [Witness("RJ8", "夜の雨音", True), Witness("RJ9", "怪談集", False)]
    reasons = [
        Reason("voice_actors", "水瀬しおり", 0.12),
        Reason("phrase", "雨音", 0.05),
        Reason("genres", "怪談", -0.07),
    ]
    shown = Record(
        ITEM, "recommended", "s", 1.0, 0.82, threshold=0.5, why="recommended", reasons=reasons, witnesses=witnesses
    )
    _, blocks = why_message(shown)
    text = json.dumps(blocks, ensure_ascii=False)
    for part in ("82%", "声優「水瀬しおり」+12", "言葉「雨音」+5", "ジャンル「怪談」-7"):
        assert part in text
    assert "「夜の雨音」にあなたは「興味あり!」" in text
    assert "「怪談集」にあなたは「別に…」" in text
    assert block_errors(blocks) == []
    untaught = replace(shown, why="", score=None, reasons=[], witnesses=[])
    assert "まだ好みを学習していない" in json.dumps(why_message(untaught)[1], ensure_ascii=False)


def test_a_trained_head_names_the_words_that_counted_and_like_labels_on_both_sides() -> None:
    works = [
        Item(f"RJ{number}", "demo", "", f"{words} {number}", attributes={"genres": [words.split()[0]]})
        for number, words in enumerate(["怪談 戦闘", "雨音 朗読"] * 15)
    ]
    examples = [Example(work, bool(number % 2)) for number, work in enumerate(works)]
    head = train(examples, encoder=None).head
    assert Head.from_bytes(head.to_bytes()).labels == head.labels
    card = read_card(ROOT / "model" / "starter")
    package = ModelPackage(card, None, head)
    found = package.score([Item("RJ99", "demo", "", "雨音 と 怪談", attributes={"genres": ["雨音"]})])[0]
    words = {reason.value for reason in found.reasons if reason.field == "phrase"}
    assert words & {"雨音", "怪談"}
    assert {witness.is_interested for witness in found.witnesses} == {True, False}
    assert ModelPackage(card, None, replace(head, labels=())).score(works)[0].witnesses == []
