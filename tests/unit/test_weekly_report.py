"""The weekly report: its figures, its intervals, and what it leaves out."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.slack.blocks import block_errors
from model.__main__ import main
from model.coverage import coverage
from osusume.items import Item
from osusume.labels import Label
from osusume.messages import MOST_RULES_SHOWN, report_message
from osusume.records import Decision, Record, Run, Why
from osusume.rules import Rule
from trainer.estimates import Draw, total
from trainer.report import liked_share, missed, weekly_report

TOKYO = ZoneInfo("Asia/Tokyo")
MONDAY = datetime(2026, 11, 23, 6, 30, tzinfo=TOKYO).timestamp()
DAY = 86_400.0


def record(number: int, why: Why, *, days_ago: float = 3, score: float = 0.8, probability: float = 1.0) -> Record:
    item = Item(f"RJ{number}", "demo", "", "-")
    at = MONDAY - days_ago * DAY
    return Record(item, "recommended", "s", at, score, ts="1.0", why=why, probability=probability)


def label(number: int, is_interested: bool | None, *, days_ago: float = 2) -> Label:
    return Label(f"RJ{number}", is_interested, "U1", f"{MONDAY - days_ago * DAY:.6f}", "")


RUN = Run("s", MONDAY - 3 * DAY, 9, 0, 9, 5, 3, 1)
RECORDS = [*(record(number, "recommended") for number in range(4)), record(4, "random", probability=0.05)]
LABELS = {each.item_id: each for each in (label(0, True), label(1, True), label(2, False), label(4, True))}


def lines(*extra: Record, weights: dict[tuple[str, str], float] | None = None) -> str:
    promoted = Decision("2026-11-20T21:30:00+00:00", "promote", "-", "v2", 4, 3)
    report = weekly_report([*RECORDS, *extra, RUN], LABELS, [promoted], weights or {}, MONDAY, TOKYO)
    assert report
    assert report.week == "2026-W47"
    return "\n".join(report.lines)


def test_it_counts_what_was_shown_answered_liked_and_missed() -> None:
    text = lines(weights={("genres", "朗読"): 1.0, ("circle", "星屑工房"): -0.5, ("authors", "x"): 9.0})
    assert "11/16〜11/22" in text
    assert "おすすめ 4件のうち 3件に答えがあり、2件が「興味あり!」" in text
    assert "約 20件" in text
    assert "投稿 0.7件、答え 0.6件" in text
    assert "好みと学んだもの: ジャンル「朗読」" in text
    assert "避けると学んだもの: サークル「星屑工房」" in text
    assert "学び直し 1回" in text
    assert text.endswith("・・・・・・・▆")


def test_works_of_rules_and_wishes_and_those_the_owner_has_say_nothing_of_the_head() -> None:
    others = [record(number, why) for number, why in enumerate(("wanted", "wished", "muted", "varied"), 10)]  # type: ignore[arg-type]  # whys
    labels = {**LABELS, **{f"RJ{number}": label(number, False) for number in range(10, 14)}, "RJ3": label(3, None)}
    assert liked_share([*RECORDS, *others], labels) == liked_share(RECORDS, LABELS)
    assert missed([*RECORDS, *others], labels) == missed(RECORDS, LABELS)


def test_a_week_without_a_run_has_no_report_and_later_presses_are_not_in_it() -> None:
    assert weekly_report([*RECORDS], LABELS, [], {}, MONDAY, TOKYO) is None
    late = {**LABELS, "RJ3": label(3, True, days_ago=-1)}
    assert weekly_report([*RECORDS, RUN], late, [], {}, MONDAY, TOKYO) == weekly_report(
        [*RECORDS, RUN], LABELS, [], {}, MONDAY, TOKYO
    )


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 400)), max_size=30))
def test_an_interval_holds_its_estimate_and_stays_within_what_is_possible(draws: list[tuple[int, int]]) -> None:
    found = total(Draw(percent / 100 * most, float(most)) for percent, most in draws)
    assert 0 <= found.low <= found.value <= found.high or not draws
    assert found.high <= sum(most for _, most in draws) + 1e-6


def test_intervals_hold_in_every_week_at_once_and_tell_good_from_bad() -> None:
    assert min(coverage(20, 8, 20)) >= 0.9
    good, bad = (total([Draw(value, 1.0)] * 60) for value in (1.0, 0.0))
    assert good.low > bad.high


def test_the_command_prints_the_shares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--owners", "5", "--weeks", "3"]) == 0
    assert "what was missed: the interval held in all 3 weeks" in capsys.readouterr().out


def test_the_message_is_one_that_slack_takes_with_a_button_for_each_rule() -> None:
    report = weekly_report([*RECORDS, RUN], LABELS, [], {("circle", "&" * 300): 1.0}, MONDAY, TOKYO)
    assert report
    rules = [Rule("circle", f"{number}<>&" * 20, f"{number}.0") for number in range(MOST_RULES_SHOWN + 4)]
    _, blocks = report_message(report, rules)
    assert block_errors(blocks) == []
    assert sum("accessory" in block for block in blocks) == MOST_RULES_SHOWN
