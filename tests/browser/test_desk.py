"""The desk in a real browser, served by the real command."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from desks import DeskProcess
from playwright.sync_api import Page, Route, expect

from local.shop.pages import cover_svg
from model.dataset import read_examples
from osusume.snapshots import Snapshot
from samples.works import demo_works

WORKS = demo_works()[:40]
SHOP_PICTURES = "https://img.dlsite.jp/**"


class Server:
    """A process of `python -m desk`, on the same files each time it is started."""

    def __init__(self, folder: Path) -> None:
        self.labels = folder / "labels.jsonl"
        self.snapshot = folder / "snapshot.json"
        taken = Snapshot("dlsite", datetime(2026, 11, 20, tzinfo=UTC), WORKS)
        self.snapshot.write_text(json.dumps(taken.to_json(), ensure_ascii=False), encoding="utf-8")
        self.start()

    def start(self) -> None:
        self.desk = DeskProcess("desk", "--items", str(self.snapshot), "--labels", str(self.labels))
        self.address = self.desk.address

    def end(self, how: signal.Signals) -> str:
        """End it and return what else it printed."""
        return self.desk.end(how)

    def labelled(self) -> list[tuple[str, int]]:
        return [(example.item.item_id, int(example.is_interested)) for example in read_examples(self.labels)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    if server.desk.process.poll() is None:
        server.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def untouched_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that label nothing."""
    server = Server(tmp_path_factory.mktemp("desk"))
    yield server
    server.end(signal.SIGTERM)
    assert not server.labels.exists()


def show_covers(page: Page) -> None:
    covers = {work.image_url: cover_svg(work) for work in WORKS}

    def answer(route: Route) -> None:
        route.fulfill(body=covers[route.request.url], content_type="image/svg+xml")

    page.route(SHOP_PICTURES, answer)


def open_desk(page: Page, server: Server) -> None:
    show_covers(page)
    page.goto(server.address)


def shown_item(page: Page) -> str:
    return str(json.loads(page.locator("#card article").get_attribute("data-item") or ""))


def press(page: Page, key: str) -> str:
    """Press a key once the last press is done, wait until it is stored, and return the id of its work."""
    page.locator(".pressed").wait_for(state="detached")
    item_id, last = shown_item(page), page.locator("#card article").get_attribute("data-last") or ""
    page.keyboard.press(key)
    page.locator(f'#card article:not([data-last="{last}"])').wait_for()
    return item_id


def test_thirty_works_are_labelled_by_keyboard_although_page_and_server_die(server: Server, page: Page) -> None:
    open_desk(page, server)
    wanted: dict[str, int] = {}
    for number, key in enumerate(["1", "0", "ArrowRight", "ArrowLeft"] * 3):
        wanted[press(page, key)] = int(number % 2 == 0)
    press(page, "s")
    for _ in range(3):  # the one left for later, and two labels
        press(page, "u")
    del wanted[list(wanted)[-1]], wanted[list(wanted)[-1]]
    shown = shown_item(page)

    page.close()
    page = page.context.new_page()
    open_desk(page, server)
    assert shown_item(page) == shown
    for key in ("0", "1", "0"):
        wanted[press(page, key)] = int(key)

    server.end(signal.SIGKILL)
    address, unsent = server.address, shown_item(page)
    page.locator(".pressed").wait_for(state="detached")
    page.keyboard.press("1")
    expect(page.locator("#unsent")).to_contain_text("未送信：「興味あり!」")
    expect(page.locator("#notice")).to_contain_text("サーバーにつながりません")
    assert (shown_item(page), dict(server.labelled())) == (unsent, wanted)

    server.start()
    assert server.address == address
    expect(page.locator("#unsent")).to_be_empty()
    expect(page.locator("#notice")).to_be_empty()
    wanted[unsent] = 1
    while len(wanted) < 30:
        key = "1" if len(wanted) % 3 else "0"
        wanted[press(page, key)] = int(key)

    assert server.labelled() == list(wanted.items())
    expect(page.locator("#progress")).to_contain_text("30 件")
    said = server.end(signal.SIGINT)
    assert f"30 labels, {sum(wanted.values())} interested, {30 - sum(wanted.values())} not" in said
    assert f"next: python -m model train --data {server.labels}" in said
    assert server.desk.process.returncode == 0


def test_an_unsent_label_survives_closing_the_page(server: Server, page: Page) -> None:
    page = page.context.new_page()  # its console may complain about the dead server
    open_desk(page, server)
    item_id = shown_item(page)
    server.end(signal.SIGKILL)
    page.keyboard.press("0")
    expect(page.locator("#unsent")).to_contain_text("未送信")
    page.close()
    server.start()
    again = page.context.new_page()
    open_desk(again, server)
    expect(again.locator("#progress")).to_contain_text("1 件")

    assert server.labelled() == [(item_id, 0)]


def test_a_key_pressed_twice_at_once_labels_one_work(server: Server, page: Page) -> None:
    open_desk(page, server)
    item_id = shown_item(page)
    # again while the first is being sent, and again as soon as the next work is shown
    page.evaluate("""() => {
        const press = () => document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true}));
        new MutationObserver((_, seen) => { seen.disconnect(); setTimeout(press); })
            .observe(document.querySelector("#card"), {childList: true});
        press();
        press();
    }""")
    expect(page.locator("#unsent")).to_contain_text("1回と数えました")
    press(page, "s")

    assert server.labelled() == [(item_id, 1)]


def test_the_buttons_do_what_the_keys_do(server: Server, page: Page) -> None:
    open_desk(page, server)
    expect(page.get_by_role("button", name="戻す")).to_be_disabled()
    first = shown_item(page)
    page.get_by_role("button", name="興味あり!").click()
    expect(page.locator("#progress")).to_contain_text("興味あり 1")
    page.locator(".pressed").wait_for(state="detached")
    page.get_by_role("button", name="戻す").click()
    expect(page.locator("#progress")).to_contain_text("0 件")
    assert shown_item(page) == first

    page.get_by_role("button", name="使い方").click()
    expect(page.get_by_role("dialog", name="使い方")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="使い方")).to_be_hidden()
    expect(page.locator("#progress")).to_contain_text("0 件")


def test_letters_typed_into_a_filter_label_nothing(untouched_server: Server, page: Page) -> None:
    open_desk(page, untouched_server)
    circle = WORKS[7].values("circle")[0]
    page.get_by_text("絞り込み", exact=True).click()
    page.get_by_label("サークル").press_sequentially(f"10us{circle}")
    page.get_by_label("サークル").fill(circle)
    page.keyboard.press("Enter")
    expect(page.locator("#card dl")).to_contain_text(circle)


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_moves_when_the_connection_is_lost_or_figures_arrive_late(
    untouched_server: Server, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_desk(page, untouched_server)
    tops = "['#card article', 'details'].map((each) => document.querySelector(each).getBoundingClientRect().top)"
    before = page.evaluate(tops)

    page.evaluate("show({ learnt: '<p>計算しました。</p>'.repeat(9) })")
    page.evaluate("fetch = () => Promise.reject(new TypeError()); look()")

    expect(page.get_by_role("alert")).to_contain_text("サーバーにつながりません")
    assert page.evaluate(tops) == before


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_missing_pictures_shift_nothing(
    untouched_server: Server, page: Page, width: int, scheme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.add_init_script(
        "shifts = 0; new PerformanceObserver((seen) => seen.getEntries().forEach((each) => shifts += each.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page.route(SHOP_PICTURES, lambda route: route.abort())
    page.goto(untouched_server.address, wait_until="networkidle")

    expect(page.locator(".picture")).to_have_text("画像はありません")
    expect(page.locator(".picture img")).to_have_count(0)
    assert page.evaluate("shifts") == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    without = page.locator("#card h2").bounding_box()
    page.unroute(SHOP_PICTURES)
    show_covers(page)
    page.reload(wait_until="networkidle")
    assert page.locator("#card h2").bounding_box() == without


def test_the_focus_is_visible(untouched_server: Server, page: Page) -> None:
    open_desk(page, untouched_server)
    reached = 0
    while True:
        page.keyboard.press("Tab")
        name, style, width = page.evaluate(
            "(({outlineStyle, outlineWidth}) => [document.activeElement.localName, outlineStyle, outlineWidth])"
            "(getComputedStyle(document.activeElement))"
        )
        if name == "body":
            break
        assert (style, width) == ("solid", "3px")
        reached += 1

    assert reached == 9  # the shop, three orders, the filters, and all buttons but undo, which is disabled


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/wrong/", {}),
        ("/", {}),
        (None, {"Host": "desk.example"}),
        (None, {"Origin": "https://shop.example"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_foreign_requests_are_refused_and_label_nothing(
    untouched_server: Server, path: str | None, headers: dict[str, str]
) -> None:
    parts = urlsplit(untouched_server.address)
    address = f"http://{parts.netloc}{path or parts.path}label"
    body = {"action": "a", "item_id": WORKS[0].item_id, "is_interested": 1}
    request = Request(address, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=10)  # noqa: S310  # the address is the desk's own
    refused.value.close()

    assert refused.value.code == 403
