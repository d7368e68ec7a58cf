from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Locator, Page, Route, expect
from slack_sdk import WebClient
from werkzeug import Response
from werkzeug.serving import make_server

from local.machine import Machine, one_machine
from local.slack import Slack, serve_slack
from osusume.items import Item
from osusume.ledger import Record
from osusume.messages import BUTTONS, INTERESTED, item_message, item_metadata
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
HOSTILE = "<!channel> & <script>document.title = 1</script> *_~太字~_* &amp; :tada: 🎧"
UNBROKEN = "w" * 120 + "ー" * 120
TOKEN = "xoxb-of-the-tests"
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) window.shifts.push(shift.value);
}).observe({ type: "layout-shift", buffered: true });
"""


def an_item(title: str, number: int = 1) -> Item:
    item_id = f"RJ0900000{number}"
    return Item(
        item_id=item_id,
        source="dlsite",
        url=f"https://www.dlsite.com/home/work/=/product_id/{item_id}.html",
        title=title,
        published_on="2026-04-02",
        image_url=f"https://img.dlsite.jp/modpub/images2/work/doujin/RJ09000000/{item_id}_img_main.jpg",
        price=770,
        attributes={"circle": ["窓辺の灯台"], "genres": ["朗読", "ほのぼの"]},
    )


# ---- on the whole machine ----


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "3"}, retry_delays=(0.0, 0.0)) as machine:
        machine.begin_day(1, MORNING)
        machine.cloud.wait_until_idle(60)
        yield machine


def test_a_press_is_shown_and_stored_and_so_is_a_change_of_mind(page: Page, machine: Machine) -> None:
    item_id = next(message.item_id for message in machine.slack.messages if message.item_id)
    assert item_id
    page.goto(machine.slack.page_address)
    article = page.locator("article", has=page.get_by_role("button")).first
    records = page.locator("#held-labels")

    def stored() -> bool | None:
        label = machine.labels.get(item_id)
        return None if label is None else label.is_interested

    article.get_by_role("button", name="興味あり!").click()
    expect(article).to_contain_text("👍 「興味あり!」と記録しました")
    assert stored() is True
    expect(records).to_contain_text("ラベル 1件")
    expect(records).to_contain_text("👍 興味あり!")

    article.get_by_role("button", name="別に…").click()
    expect(article).to_contain_text("👋 「別に…」と記録しました")
    assert stored() is False
    expect(records).to_contain_text("👋 別に…")
    expect(page.locator("#held-runs li")).to_have_count(1)
    posted = sum(message.item_id is not None for message in machine.slack.messages)
    expect(page.locator("#held-runs li")).to_contain_text(f"投稿 {posted}")
    promises = page.locator("#held-levels li")
    expect(promises.nth(0)).to_contain_text("まとめは予定から1時間以内")
    expect(promises.nth(1)).to_contain_text(f"{posted}件のうち {posted}件 · 目標 99% · 許される遅れ 残り 100%")
    expect(promises.nth(2)).to_contain_text("1件のうち")


def test_a_hostile_title_is_shown_verbatim(page: Page, machine: Machine) -> None:
    page.goto(machine.slack.page_address)
    at = MORNING + timedelta(days=1)
    snapshot = Snapshot("dlsite", at, [an_item(HOSTILE)], [])
    bucket = machine.cloud.resources["Bucket"]

    assert write_snapshot(machine.cloud.client("s3"), bucket, snapshot_key("dlsite", at), snapshot)

    title = page.get_by_role("link", name=HOSTILE, exact=True)
    expect(title).to_be_visible()
    assert title.inner_text() == HOSTILE
    assert page.locator(".notifies").count() == 0
    assert page.locator("#messages script").count() == 0
    expect(page.get_by_role("button", name=f"興味あり!: {HOSTILE}", exact=True)).to_be_visible()
    machine.cloud.wait_until_idle(60)


def test_the_panel_says_why_an_event_was_not_delivered(page: Page, machine: Machine) -> None:
    page.goto(machine.slack.page_address)
    expect(page.locator("#held-dead-letters")).to_contain_text("届かなかったイベント 0件")
    bucket = machine.cloud.resources["Bucket"]

    machine.cloud.client("s3").put_object(Bucket=bucket, Key="snapshots/dlsite/broken.json", Body=b"{")

    expect(page.locator("#held-dead-letters")).to_contain_text("届かなかったイベント 1件")
    expect(page.locator("#held-dead-letters li")).to_contain_text("osusume-notifier: ")
    expect(page.locator("#held-dead-letters li")).to_contain_text("broken.json")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_menu_of_a_work_opens_by_keyboard_within_the_page_and_sends_a_choice(
    page: Page, machine: Machine, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(machine.slack.page_address)
    menu = page.locator("details.menu").first
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    box = menu.locator("form").bounding_box()
    assert box
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    for _ in range(2):  # the first option asks why
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ephemeral").last).to_contain_text("もう出しません")
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("#held-rules")).to_contain_text("ルール 1件")


# ---- on the stand-in alone ----


class App:
    """The app behind the buttons; it responds with `status` once `may_answer` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.may_answer.wait(10)
        return Response(status=self.status)(environ, start_response)


@pytest.fixture
def slack() -> Iterator[Slack]:
    with serve_slack(bot_token=TOKEN, signing_secret="x") as slack:
        slack.image_hosts = {"img.dlsite.jp": slack.address}  # which has no pictures
        yield slack


@pytest.fixture
def app(slack: Slack) -> Iterator[App]:
    app = App()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    slack.interactions_url = f"http://127.0.0.1:{server.server_port}/slack/interactions"
    yield app
    app.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Drip:
    """The channel's page over a network so slow that each part of its HTML is rendered before the next arrives."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.address = ""
        self._left = 0
        self._may_come = threading.Semaphore(0)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        answer = requests.get(self.slack.address + path, timeout=10)
        start_response(f"{answer.status_code} {answer.reason}", [("Content-Type", answer.headers["Content-Type"])])
        if path != urlsplit(self.slack.page_address).path:
            return [answer.content]
        first, *others = re.split("(?=<main|<article|<aside|<section)", answer.text)
        self._left = len(others)
        return self._coming(first, others)

    def _coming(self, first: str, others: list[str]) -> Iterator[bytes]:
        yield first.encode()
        for part in others:
            self._may_come.acquire()
            yield part.encode()

    def let_one_come(self) -> bool:
        """Send the next part; return whether more parts follow."""
        self._may_come.release()
        self._left -= 1
        return self._left > 0


@pytest.fixture
def post(slack: Slack) -> Callable[..., str]:
    client = WebClient(token=TOKEN, base_url=slack.api_url)

    def post(title: str, number: int = 1) -> str:
        record = Record(an_item(title, number), "recommended", "snapshots/dlsite/x.json", 0.0, score=0.9)
        text, blocks = item_message(record)
        answer = client.chat_postMessage(
            channel=slack.channel.channel_id, text=text, blocks=blocks, metadata=item_metadata(record)
        )
        return str(answer["ts"])

    return post


@pytest.fixture
def open_channel(page: Page, slack: Slack) -> Callable[..., Page]:
    def open_channel(width: int = 1440, **media: Any) -> Page:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(**media)
        page.add_init_script(SHIFTS)
        page.goto(slack.page_address)
        return page

    return open_channel


def button_of(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def test_a_message_appears_without_a_reload_and_is_announced(
    open_channel: Callable[..., Page], post: Callable[..., str]
) -> None:
    page = open_channel()
    page.evaluate("window.stays = true")

    post("雨の図書館")

    expect(button_of(page, "別に…: 雨の図書館")).to_be_visible()
    expect(page.locator("[aria-live]")).to_have_text("新しい投稿 1件: 雨の図書館")
    assert page.evaluate("window.stays")


def test_focus_and_scroll_position_survive_new_messages(
    open_channel: Callable[..., Page], post: Callable[..., str], slack: Slack
) -> None:
    first = post("最初の作品", 1)
    for number in range(2, 8):
        post(f"作品{number}", number)
    page = open_channel()
    button_of(page, "興味あり!: 最初の作品").focus()
    page.evaluate("scrollTo(0, 40)")

    message = slack.message(first)
    slack.channel.change(first, message.text, [{**block, "block_id": "another"} for block in message.blocks], None)
    post("あとの作品", 8)

    expect(page.get_by_role("button", name="新しい投稿があります")).to_be_visible()
    expect(button_of(page, "興味あり!: 最初の作品")).to_be_focused()
    assert page.evaluate("scrollY") == 40
    page.get_by_role("button", name="新しい投稿があります").click()
    expect(button_of(page, "興味あり!: あとの作品")).to_be_in_viewport()


def test_a_button_shows_that_it_waits_and_a_failure_is_shown_beside_the_message(
    open_channel: Callable[..., Page], post: Callable[..., str], app: App
) -> None:
    post("雨の図書館")
    page = open_channel()
    app.may_answer.clear()
    app.status = 500

    button_of(page, "興味あり!").click()
    expect(button_of(page, "興味あり!")).to_have_attribute("aria-busy", "true")
    app.may_answer.set()

    expect(page.get_by_role("alert")).to_contain_text("ステータスコード 500")
    expect(button_of(page, "興味あり!")).not_to_have_attribute("aria-busy", "true")


def test_a_press_works_without_the_script(
    open_channel: Callable[..., Page], post: Callable[..., str], app: App, page: Page
) -> None:
    post("雨の図書館")
    app.status = 500
    page.route("**/*.js", lambda route: route.fulfill(body=""))

    button_of(open_channel(), "興味あり!").click()

    expect(page.get_by_role("alert")).to_contain_text("ステータスコード 500")


@pytest.fixture
def drip(slack: Slack) -> Iterator[Drip]:
    drip = Drip(slack)
    server = make_server("127.0.0.1", 0, drip, threaded=True)
    drip.address = slack.page_address.replace(slack.address, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield drip
    while drip.let_one_come():
        pass
    server.shutdown()
    thread.join()
    server.server_close()


def let_frames_pass(page: Page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


@pytest.mark.parametrize("width", [390, 700, 1440])
@pytest.mark.parametrize("last", ["script", "pictures"])
def test_nothing_moves_however_late_each_part_of_the_page_arrives(
    page: Page, drip: Drip, post: Callable[..., str], width: int, last: str
) -> None:
    drip.slack.side_panel = lambda: "<section id='s'><h2>ラベル</h2></section><section id='t'><h2>台帳</h2></section>"
    for number in range(1, 4):
        post("長い題名の作品" * 10 * number, number)
    held: dict[str, list[Route]] = {"script": [], "pictures": []}

    def hold(route: Route) -> None:
        held["script" if route.request.url.endswith(".js") else "pictures"].append(route)

    page.route(re.compile(r"\.(js|jpg)$"), hold)
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(SHIFTS)

    page.goto(drip.address, wait_until="commit")
    is_coming = True
    while is_coming:
        let_frames_pass(page)
        is_coming = drip.let_one_come()
    for part in sorted(held, key=lambda part: part == last):
        for route in held[part]:
            route.abort() if part == "pictures" else route.continue_()
        expect(page.locator(".picture.failed")).to_have_count(3 if part == last else 0)
        let_frames_pass(page)

    page.evaluate("look()")
    let_frames_pass(page)
    assert page.evaluate("shifts") == []
    page.close()  # else it may ask the proxy while that ends


@pytest.mark.parametrize("width", [390, 700, 1440])
def test_nothing_moves_when_the_connection_is_lost(
    open_channel: Callable[..., Page], post: Callable[..., str], width: int
) -> None:
    post("雨の図書館")
    page = open_channel(width)
    before = page.get_by_role("article").bounding_box()
    page.evaluate("fetch = () => Promise.reject(new TypeError()); look()")
    expect(page.get_by_role("status")).to_contain_text("接続が切れました")
    expect(page.get_by_role("status")).to_be_visible()
    assert page.get_by_role("article").bounding_box() == before


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_nothing_overflows_and_nothing_moves_when_pictures_fail(
    open_channel: Callable[..., Page], post: Callable[..., str], width: int, color_scheme: str, slack: Slack
) -> None:
    slack.side_panel = lambda: f"<section id='s'><h2>{UNBROKEN}</h2></section>"
    post(UNBROKEN)
    post("長い題名の作品" * 30, 2)

    page = open_channel(width, color_scheme=color_scheme)

    expect(page.locator(".picture.failed")).to_have_count(2)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("shifts") == []


def test_the_panel_opens_and_closes_on_a_narrow_screen(open_channel: Callable[..., Page], slack: Slack) -> None:
    slack.side_panel = lambda: "<section id='s'><h2>ラベル</h2></section>"
    page = open_channel(390)

    expect(page.get_by_role("heading", name="ラベル")).to_be_hidden()
    button_of(page, "記録を見る").click()
    expect(page.get_by_role("heading", name="ラベル")).to_be_visible()
    button_of(page, "閉じる").click()
    expect(page.get_by_role("heading", name="ラベル")).to_be_hidden()


def test_the_page_is_accessible_to_a_screen_reader(open_channel: Callable[..., Page], post: Callable[..., str]) -> None:
    for number in (1, 2):
        post(f"作品{number}", number)
    page = open_channel()

    names = page.get_by_role("button").evaluate_all("all => all.map(one => one.ariaLabel ?? one.textContent.trim())")

    assert page.locator("html").get_attribute("lang") == "ja"
    assert page.locator("h1").count() == 1
    assert names == [f"{button}: 作品{number}" for number in (1, 2) for button in BUTTONS.values()]
    assert page.locator("img:not([alt])").count() == 0
    assert page.get_by_role("article").count() == 2
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_keyboard_focus_is_visible(
    open_channel: Callable[..., Page], post: Callable[..., str], color_scheme: str
) -> None:
    post("雨の図書館")
    page = open_channel(color_scheme=color_scheme)
    seen = []

    for _ in range(3):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        style = "one => [one.tagName, getComputedStyle(one).outlineStyle, getComputedStyle(one).outlineWidth]"
        seen.append(tuple(focused.evaluate(style)))

    assert seen == [("A", "solid", "3px"), ("BUTTON", "solid", "3px"), ("BUTTON", "solid", "3px")]


def test_a_page_elsewhere_can_neither_read_nor_press(slack: Slack, post: Callable[..., str], app: App) -> None:
    form = {"ts": post("雨の図書館"), "action_id": INTERESTED}
    app.status = 500  # a press that came through would leave a trace

    def asked(address: str, **headers: str) -> tuple[int, int]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        read = requests.get(address, headers=sent, timeout=5)
        pressed = requests.post(address + "press", form, headers=sent, timeout=5)
        return read.status_code, pressed.status_code

    assert asked(slack.address + "/wrong-token/") == (403, 403)
    assert asked(slack.page_address, Host="shop.example") == (403, 403)
    assert asked(slack.page_address, Origin="https://shop.example") == (403, 403)
    assert slack.failed_presses == []
