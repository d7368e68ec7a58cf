"""A real browser for the tests of the pages: the Chromium installed on this machine, headless."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # a container's root cannot start Chromium's sandbox; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 10_000  # milliseconds, for actions and expectations
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no browser to test the pages in: install Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page with its own cookies and storage, in Japanese.

    The test fails if the page's console complained about anything but a picture that did not load.
    """
    context = chromium.new_context(locale="ja-JP", timezone_id="Asia/Tokyo")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    pictures: set[str] = set()
    complaints: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "image":
            pictures.add(request.url)

    def remember(message: ConsoleMessage) -> None:
        # a test's server may end before its page
        is_gone = any(f"net::ERR_CONNECTION_{how}" in message.text for how in ("REFUSED", "RESET", "CLOSED"))
        if message.type in {"error", "warning"} and message.location["url"] not in pictures and not is_gone:
            complaints.append(f"{message.text} ({message.location['url']})")

    page.on("request", note)
    page.on("console", remember)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []
