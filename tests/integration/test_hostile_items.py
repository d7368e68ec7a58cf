"""Works with hostile texts, from the snapshot to the channel and back."""

from __future__ import annotations

from datetime import UTC, datetime

from scenario import warm_up

from local.machine import one_machine
from local.slack import as_text, duplicate_posts
from osusume.items import Item, Section
from osusume.messages import INTERESTED
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot

AT = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
TEXTS = [
    "<!channel> <@U0OWNER> <https://evil.example|www.dlsite.com> *b* `c` &amp; <script>alert(1)</script>",
    "あ" * 100_000,
    "\u202e" + "turned" * 20 + "\u2066",
    "\u200b" * 50_000 + "ゼロ幅" + "\ufeff",
    "\u2060\u200b",
    "שלום עולם 123",
    "e" + "\u0301" * 10_000,
    '"}]}\n\x00\x1b[31m {"a": 1} \\u0041',
]


def hostile_item(number: int, text: str) -> Item:
    item_id = f"RJ9{number:07}"
    return Item(
        item_id,
        "dlsite",
        f"https://www.dlsite.com/home/work/=/product_id/{item_id}.html",
        title=text,
        attributes={"circle": [text[:200]], "voice_actors": [text[:200]] * 50, "genres": [text[:200]]},
        sections=[Section(text[:200], text[:2_000])],
    )


def test_every_work_is_posted_whatever_its_texts_contain() -> None:
    items = [hostile_item(number, text) for number, text in enumerate(TEXTS)]
    parameters = {"MadeUpTaste": "ignore", "ExploredItemsADay": "20"}  # each of them is posted
    with one_machine(parameters=parameters, retry_delays=(0.0, 0.0)) as machine:
        snapshot = Snapshot("dlsite", AT, items)
        s3, bucket = machine.cloud.client("s3"), machine.cloud.resources["Bucket"]
        write_snapshot(s3, bucket, snapshot_key("dlsite", AT), snapshot)
        machine.cloud.wait_until_idle(60)
        assert [i.error for i in machine.cloud.invocations if i.error] == []
        posted = {message.item_id: message for message in machine.slack.messages if message.item_id}
        assert set(posted) == {item.item_id for item in items}
        assert duplicate_posts(machine.slack.log) == 0
        warm_up(machine)
        for item in items:
            assert machine.press(item.item_id, INTERESTED) == 200
            assert machine.labels.get(item.item_id) is not None
        assert machine.slack.failed_presses == []
        shown = {item.title: as_text(machine.slack.message(item.item_id)) for item in items}
    assert all(len(text) < 3_000 for text in shown.values())
    assert all("記録しました" in text for text in shown.values())
    assert TEXTS[0] in shown[TEXTS[0]]
    assert not any(set("\u202e\u2066\u200b\ufeff\x00\x1b") & set(text) for text in shown.values())
    assert "ゼロ幅" in shown[TEXTS[3]]
    assert items[4].item_id in shown[TEXTS[4]]
    assert f"\u2068{TEXTS[5]}\u2069" in shown[TEXTS[5]]
