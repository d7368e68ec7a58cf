"""What goes wrong with single works' pages: another work's, another floor's in another language, one made to kill."""

from __future__ import annotations

import re

from injector import Call, Forward, Rule, calls, rewritten
from werkzeug import Response

from faults.fault import Fault, a_day_of
from faults.harness import Harness
from faults.site_faults import SHORT_TURNS, WORK, one_work

GROUP = "Pages"
MARKS = "\u0301\u0316" * 350_000
"""As many combining marks as a page of 1.4 MB has room for, in an order that Unicode's normal form does not have."""

_IN_CHINESE = {
    '<html lang="ja-jp">': '<html lang="zh-tw">',
    "サークル名": "社團名",
    "販売日": "販賣日",
    "年齢指定": "年齡指定",
    "作品形式": "作品類型",
    "ファイル形式": "檔案形式",
    "ファイル容量": "檔案容量",
    "シリーズ名": "系列名",
    "シナリオ": "劇本",
    "イラスト": "插畫",
    "声優": "聲優",
    "ジャンル": "分類",
}


def _with_marks(page: bytes) -> bytes:
    """Return a page whose title begins with more combining marks than a turn can put in order."""
    return re.sub(rb"(<h1[^>]*>\s*(?:<a[^>]*>)?)", lambda tag: tag[1] + "か".encode() + MARKS.encode(), page)


def _full_of_marks(on: Harness) -> int:
    """Let a new work's page be full of marks, all day; the day is to have its snapshot all the same."""
    rule = one_work(rewritten(_with_marks))
    on.a_day(2, [rule])
    if on.due[-1] not in on.machine.snapshot_keys:
        raise AssertionError("one page kept the day from having a snapshot")
    on.a_day(1)
    return rule.met


def _leads_to_another_work(on: Harness) -> int:
    """Let the newest work's address lead to the next one's, all day."""

    def lead(_call: Call, _forward: Forward) -> Response:
        _, other, *_ = (entry.item.item_id for entry in on.machine.site.entries() if entry.work_type == "SOU")
        return Response(status=302, headers=[("Location", f"/home/work/=/product_id/{other}.html")])

    return a_day_of(one_work(lead))(on)


def _leads_to_another_floor(on: Harness) -> int:
    """Let works' addresses lead to another floor, whose pages are Chinese where no locale is asked for, all day."""

    def lead(call: Call, _forward: Forward) -> Response:
        path = call.path.partition("?")[0].rstrip("/")
        return Response(status=302, headers=[("Location", path.replace("/home/", "/girls/"))])

    def in_chinese(page: bytes) -> bytes:
        text = page.decode()
        for japanese, chinese in _IN_CHINESE.items():
            text = text.replace(japanese, chinese)
        return text.encode()

    def has_no_locale(call: Call) -> bool:
        return calls("crawler", "site: GET /girls/work/")(call) and "locale=ja_JP" not in call.path

    rule = Rule(WORK, lead)
    on.a_day(3, [rule, Rule(has_no_locale, rewritten(in_chinese))])
    on.a_day(1)
    own = {entry.item.item_id: entry.item for entry in on.machine.site.entries()}
    for item in on.machine.snapshot(on.machine.snapshot_keys[-1]).items:
        if item.attributes != own[item.item_id].attributes:
            raise AssertionError(f"of {item.item_id} the attributes {', '.join(item.attributes)} were read")
    return rule.met


FAULTS = (
    Fault(GROUP, "page-of-another-work", "redirect of a work to another listed work, all day", _leads_to_another_work),
    Fault(
        GROUP,
        "page-in-chinese",
        "redirect of works to another floor without their locale, where pages are Chinese, all day",
        _leads_to_another_floor,
    ),
    Fault(
        GROUP,
        "page-of-marks",
        f"a page with {len(MARKS):,} combining marks in a row, all day",
        _full_of_marks,
        SHORT_TURNS,
        seconds=15,
    ),
)
