"""`python -m local run` in its own process, on the demo's shop in place of the site."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from feed_server import FeedServer, serve_feeds
from injector import Rule, altered, at, rules_of

from local.__main__ import main
from local.cloud.state import open_state
from local.machine import ROOT, STARTER
from local.run import default_model
from local.shop.site import Site, serve_site
from model.dataset import read_examples, write_examples
from model.learning.examples import Example
from notifier.selection import FIRST_ITEMS
from osusume.snapshots import snapshot_key, snapshot_time
from samples.works import demo_works

DAYS = (8, 4, 3)
POSTED = [min(FIRST_ITEMS, works) for works in DAYS]  # no taste is learnt yet

PATIENCE_SECONDS = 60


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site(0.05, works=demo_works()[: sum(DAYS)], days=DAYS) as site:
        yield site


@contextmanager
def running(source: Site | FeedServer, folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    what = (
        ["dlsite", "--site-address", source.address]
        if isinstance(source, Site)
        else ["feed", "--url", source.address()]
    )
    command = [sys.executable, "-m", "local", "run", "--limit", "20", "--model", str(STARTER), "--source", *what]
    process = subprocess.Popen(  # noqa: S603  # the command above
        [*command, "--folder", str(folder), *more],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "functions:layers/common", "PYTHONUNBUFFERED": "1", "CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def a_whole_run(source: Site | FeedServer, folder: Path, *more: str) -> tuple[int, str]:
    with running(source, folder, "--no-serve", *more) as process:
        told, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, told


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def pages_read(site: Site) -> list[str]:
    return [path for _, path, _ in site.log if "/work/=/product_id/" in path]


def page_when_all_is_posted(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    for line in process.stdout:
        if found := re.match(r"The channel, with working buttons: (http://127\.0\.0\.1:\d+/\S+/)", line):
            return found[1]
    raise AssertionError("the run ended without serving the channel")


def press(page: str, number: int, action_id: str) -> None:
    """Press a button under the `number`th message that has buttons, as the page's form does, and wait for its mark.

    Press again if Slack shows a warning, as an owner would: a busy machine may start the function too slowly.
    """
    shown = {"interested": "「興味あり!」と記録しました", "not_interested": "「別に…」と記録しました"}[action_id]
    text = requests.get(page, timeout=30).text
    before = text.count(shown)
    stamps = list(dict.fromkeys(re.findall(r'name="ts" value="([\d.]+)"', text)))
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        answer = requests.post(f"{page}press", data={"ts": stamps[number], "action_id": action_id}, timeout=30)
        assert answer.status_code == 200  # after the redirect back to the page
        for _ in range(50):  # a press is marked by a second invocation, after Slack has its answer
            if requests.get(page, timeout=30).text.count(shown) > before:
                return
            time.sleep(0.1)
    raise AssertionError(f"no press of {action_id} was accepted")


def posted(folder: Path) -> list[str]:
    """The items in the channel, oldest message first."""
    with open_state(folder) as state:
        messages = [json.loads(value) for value in state.all("messages").values()]
    payloads = [message["metadata"]["event_payload"] for message in messages]
    return [payload["item_id"] for payload in payloads if "item_id" in payload]


def let_a_day_pass(folder: Path, source: str = "dlsite") -> None:
    """Make every snapshot in the folder one day older, wherever it is named."""
    with sqlite3.connect(folder / "state.sqlite3") as connection:
        rows = connection.execute("SELECT store, key, value FROM kept").fetchall()
        keys = {key for _, key, _ in rows if key.startswith("snapshots/")}
        for old in keys:
            new = snapshot_key(source, snapshot_time(old) - timedelta(days=1))
            rows = [
                (store, key.replace(old, new), value.replace(old.encode(), new.encode())) for store, key, value in rows
            ]
        connection.execute("DELETE FROM kept")
        connection.executemany("INSERT INTO kept VALUES (?, ?, ?)", rows)
    connection.close()


def labels(folder: Path) -> list[bool]:
    return [example.is_interested for example in read_examples(folder / "labels.jsonl")]


def test_each_of_three_days_posts_only_what_is_new_though_runs_are_killed(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "kept"

    # the first day: the owner presses twice, and the machine loses power
    with running(site, folder) as process:
        page = page_when_all_is_posted(process)
        press(page, 0, "interested")
        press(page, 1, "interested")
        process.kill()
    first_day = posted(folder)
    assert len(first_day) == POSTED[0]
    assert len(pages_read(site)) == len(site.entries()) - 1 == DAYS[0]  # one of the entries is music

    # the second day: killed halfway through the crawl, and run again
    let_a_day_pass(folder)
    site.day = 2
    site.clear_log()
    site.crawl_delay = 0.5
    with running(site, folder, "--no-serve") as process:
        wait_until(lambda: len(pages_read(site)) >= 3)
        process.kill()
    before = pages_read(site)
    site.crawl_delay = 0.05
    status, told = a_whole_run(site, folder)
    assert status == 0, told
    assert "Resuming where the last run ended." in told
    read = Counter(pages_read(site))
    assert len(read) == DAYS[1]
    # the page that was in flight is read again, and no other
    assert all(read[page] == 1 for page in before[:-1])
    second_day = posted(folder)
    assert second_day[: POSTED[0]] == first_day
    assert len(second_day) == sum(POSTED[:2]) == len(set(second_day))
    assert labels(folder) == [True, True]

    # the third day: the owner changes the answer to a work of the first day
    let_a_day_pass(folder)
    site.day = 3
    site.clear_log()
    with running(site, folder) as process:
        page = page_when_all_is_posted(process)
        press(page, 1, "not_interested")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert len(pages_read(site)) == DAYS[2]
    third_day = posted(folder)
    assert third_day[: sum(POSTED[:2])] == second_day
    assert len(third_day) == sum(POSTED) == len(set(third_day))
    assert sorted(labels(folder)) == [False, True]


def test_a_feed_is_posted_from_and_tomorrow_only_what_is_new(tmp_path: Path) -> None:
    with serve_feeds() as feeds:
        feeds.publish(["波の便り", "雨の便り"], etag='"1"')
        status, told = a_whole_run(feeds, tmp_path)
        assert status == 0, told
        first_day = posted(tmp_path)
        assert len(first_day) == 2
        let_a_day_pass(tmp_path, "feed")
        feeds.publish(["風の便り", "波の便り", "雨の便り"], etag='"2"')
        status, told = a_whole_run(feeds, tmp_path)
        assert status == 0, told
        assert (posted(tmp_path)[:2], len(posted(tmp_path))) == (first_day, 3)
        assert "1 new works, 1 posted" in told


def test_a_crawl_that_the_site_refuses_ends_with_the_reason_and_is_not_retried(site: Site, tmp_path: Path) -> None:
    rules_of(site).append(Rule(at("/works/type"), altered(status=403)))
    status, told = a_whole_run(site, tmp_path)
    assert status == 1
    assert "the crawl failed: the site refuses, perhaps this network or this region (https://www.dlsite.com/" in told
    assert sum("/works/type" in path for _, path, _ in site.log) == 1


def test_imported_labels_are_kept_and_their_works_are_not_posted(site: Site, tmp_path: Path) -> None:
    works = [entry.item for entry in site.entries() if entry.work_type == "SOU"]
    given = tmp_path / "given.jsonl"
    write_examples(given, [Example(work, False, "2026-11-20 07:00:00") for work in works[1:]])
    status, told = a_whole_run(site, tmp_path, "--import-labels", str(given))
    assert status == 0, told
    assert f"Imported {len(works) - 1} labels" in told
    assert posted(tmp_path) == [works[0].item_id]
    assert len(labels(tmp_path)) == len(works) - 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--contact; the crawler sends it in its User-Agent"),
        (["--contact", "(me)"], "without spaces, brackets"),
        (["--contact", "me at example"], "without spaces, brackets"),
        (["--contact", "me@example.com", "--floor", "a b"], "is not a floor of DLsite"),
        (["--contact", "me@example.com", "--limit", "0"], "--limit must be at least 1"),
        (["--contact", "me@example.com", "--model", "nowhere"], "nowhere"),
        (["--contact", "me@example.com", "--import-labels", "nowhere"], "nowhere cannot be read"),
        (["--site-address", "https://www.dlsite.com"], "must be on this machine"),
        (["--url", "https://example.com/feed"], "--url names a feed to read"),
        (["--source", "feed"], "--url names a feed to read"),
        (["--source", "feed", "--url", "https://example.com/feed"], "--contact; the crawler sends it"),
        (
            ["--source", "feed", "--contact", "me@example.com", "--url", "http://10.0.0.1/"],
            "no address of a public host",
        ),
        (["--source", "feed", "--url", "http://127.0.0.1:1/", "--url", "https://example.com/"], "in two folders"),
    ],
)
def test_wrong_use_is_reported_before_anything_is_read(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--source", "dlsite", "--folder", str(tmp_path), "--no-serve", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_of_a_trial_is_not_used_for_the_real_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_state(tmp_path) as state:
        state.put("site", "dlsite", b"trial")
    command = ["run", "--source", "dlsite", "--contact", "me@example.com", "--folder", str(tmp_path), "--no-serve"]
    assert main(command) == 2
    assert "was begun with a stand-in on this machine: name another --folder" in capsys.readouterr().err


def test_ctrl_c_during_a_run_ends_with_130_and_says_that_nothing_is_lost(site: Site, tmp_path: Path) -> None:
    site.crawl_delay = 0.5
    with running(site, tmp_path, "--no-serve") as process:
        wait_until(lambda: len(pages_read(site)) == 1)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
    assert "the next run resumes there" in told
    assert "Traceback" not in told


def test_without_a_model_it_uses_that_of_make_model_as_soon_as_there_is_one(tmp_path: Path) -> None:
    assert default_model(tmp_path) == STARTER
    shutil.copytree(STARTER, tmp_path / "package")
    assert default_model(tmp_path / "package") == tmp_path / "package"
