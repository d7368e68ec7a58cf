"""Rules set behind 「⋯」 by signed presses: they hold in the next morning, are shown, and are undone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import requests
from scenario import warm_up

from local.machine import Machine, one_machine
from local.slack import as_text, signed_interaction
from local.slack.interactions import block_actions
from osusume.items import Item
from osusume.messages import MENU, UNDO_RULE, WHY
from osusume.records import Record
from osusume.rules import KINDS, Kind, Rule
from osusume.snapshots import Snapshot, snapshot_key
from samples.works import demo_works

_mornings = (datetime(2026, 4, 1, 22, tzinfo=UTC) + timedelta(days=day) for day in count())
_ids = (f"RJ08{number:06}" for number in count())
WORK = demo_works()[0]
NAMES: dict[Kind, str] = {
    "circle": "星屑工房",
    "series": "夜の図書室",
    "word": "オルゴール",
    "voice_actor": "水瀬しおり",
    "pause": "星屑工房",
}


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[Machine]:
    with one_machine(parameters={"ExploredItemsADay": "0", "MaxPosts": "5"}, retry_delays=(0.0, 0.0)) as machine:
        warm_up(machine)
        yield machine


def work(kind: Kind, *, concerned: bool = True) -> Item:
    """Return a new work that a rule of the kind concerns, or does not."""
    fields = {"circle": "circle", "series": "series", "voice_actor": "voice_actors", "pause": "circle"}
    attributes = {"genres": ["なにもない"], **({fields[kind]: [NAMES[kind]]} if concerned and kind in fields else {})}
    title = "小さなオルゴールの音" if kind == "word" and concerned else "風の音"
    return replace(WORK, item_id=next(_ids), title=title, attributes=attributes, sections=[])


def a_morning(machine: Machine, *works: Item) -> dict[str, Record]:
    due_at = next(_mornings)
    key = snapshot_key(WORK.source, due_at)
    body = json.dumps(Snapshot(WORK.source, due_at, list(works)).to_json())
    machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
    machine.cloud.wait_until_idle(60)
    return {record.item.item_id: record for record in machine.records_of(key)}


def posted(machine: Machine, item: Item) -> str:
    """Post a work by a rule of its own, so that its score does not matter, and return its id."""
    item = replace(item, attributes={**item.attributes, "voice_actors": [*item.values("voice_actors"), "いつもの声"]})
    return next(iter(a_morning(machine, item)))


@pytest.fixture(name="always")
def _always(machine: Machine) -> None:
    machine.rules.store(Rule("voice_actor", "いつもの声", "1.0"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("always")
def test_a_rule_of_each_kind_is_set_shown_and_undone(machine: Machine, kind: Kind) -> None:
    item_id = posted(machine, work(kind))
    assert machine.press(item_id, f"{MENU}:{item_id}", option=kind) == 200
    told = machine.slack.ephemerals[-1]
    assert NAMES[kind] in as_text(told)
    assert NAMES[kind] in requests.get(machine.slack.page_address, timeout=10).text
    concerned, other = work(kind), work(kind, concerned=False)
    records = a_morning(machine, concerned, other)
    expected = ("recommended", "wanted") if kind == "voice_actor" else ("passed", "muted")
    assert (records[concerned.item_id].choice, records[concerned.item_id].why) == expected
    assert records[other.item_id].why not in {"wanted", "muted"}
    summary = as_text(machine.slack.messages[-1])
    assert ("ルールにより 1件を出しませんでした" in summary) == (kind != "voice_actor")

    assert machine.press(told.ts, UNDO_RULE) == 200
    assert "取り消しました" in as_text(machine.slack.ephemerals[-1])
    again = work(kind)
    assert a_morning(machine, again)[again.item_id].why not in {"wanted", "muted"}


@pytest.mark.usefixtures("always")
def test_a_forged_press_sets_no_rule_and_one_for_what_the_work_lacks_is_refused(machine: Machine) -> None:
    item_id = posted(machine, work("circle"))
    before = machine.rules.all()
    message = machine.slack.message(item_id)
    for kind, secret, status in (("circle", "another-secret", 401), ("series", machine.slack.signing_secret, 200)):
        now = machine.slack.clock()
        chosen = {"type": "overflow", "action_id": f"{MENU}:{item_id}", "selected_option": {"value": kind}}
        payload = block_actions(
            machine.slack.channel,
            message,
            chosen,
            user_id="U0OWNER",
            action_ts="1999999999.000001",
            response_url=machine.slack.address + machine.slack.response_urls.issue(message, "U0OWNER", now),
        )
        headers, body = signed_interaction(payload, secret, now)
        answer = requests.post(f"{machine.cloud.api_url}/slack/interactions", headers=headers, data=body, timeout=10)
        assert answer.status_code == status
    assert machine.rules.all() == before
    assert re.search("そのルールは使えません", as_text(machine.slack.ephemerals[-1]))


@pytest.mark.usefixtures("always")
def test_why_is_answered_to_the_one_who_asks_alone(machine: Machine) -> None:
    item_id = posted(machine, work("circle"))
    assert machine.press(item_id, f"{MENU}:{item_id}", option=WHY) == 200
    told = as_text(machine.slack.ephemerals[-1])
    assert "を選んだわけ" in told
    assert "いつも出す声優" in told
    assert "おすすめ度" in told
