from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Stores
from desks import DeskProcess, opened
from werkzeug.test import Client, TestResponse

from desk.__main__ import main
from desk.server import desk_app, serve_desk
from desk.steering import Steering
from model.dataset import read_examples, write_examples
from model.learning.examples import Example
from ops.__main__ import main as ops
from osusume.errors import UserError
from osusume.items import Item, Section
from osusume.rules import Rule, Rules
from osusume.wishes import WishStore

HOSTILE = Item(
    "RJ1",
    "dlsite",
    'https://example.com/"><script>alert(1)</script>',
    "<script>alert(1)</script> & *_~",
    image_url='https://example.com/" onerror="alert(1)',
    attributes={'<b name="': ['"><img src=x>'], "genres": ["雨"]},
    sections=[Section("<h1>", "</p><script>alert(2)</script>")],
)
LONE = Item("\ud83d", "dlsite", "https://example.com", "\ud83d 雨")


def ask(folder: Path, item: Item, path: str, body: object = None) -> TestResponse:
    with opened(folder, [item]) as (desk, _):
        client = Client(desk_app(desk, "token", "labels.jsonl"))
        method = "GET" if body is None else "POST"
        return client.open(f"/token/{path}", method=method, base_url="http://127.0.0.1:8123", json=body)


def test_text_from_the_web_is_escaped_on_the_page(tmp_path: Path) -> None:
    page = ask(tmp_path, HOSTILE, "").text

    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert 'onerror="' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; *_~" in page


def test_a_work_with_half_a_surrogate_pair_is_shown_and_labelled(tmp_path: Path) -> None:
    assert "\\ud83d" in ask(tmp_path, LONE, "").text
    body = {"action": "a", "item_id": "\ud83d", "is_interested": 1}
    assert ask(tmp_path, LONE, "label", body).status_code == 200
    assert ask(tmp_path, LONE, "state").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("label", {"action": "a", "item_id": "RJ9", "is_interested": 1}, 404),
        ("label", {"action": "a", "item_id": "RJ1", "is_interested": 2}, 400),
        ("label", {"action": "a", "item_id": "RJ1"}, 400),
        ("label", {"action": 1, "item_id": "RJ1", "is_interested": 1}, 400),
        ("label", [], 400),
        ("skip", {"action": "a"}, 400),
        ("undo", {}, 400),
    ],
)
def test_an_invalid_request_labels_nothing(tmp_path: Path, path: str, body: object, status: int) -> None:
    assert ask(tmp_path, HOSTILE, path, body).status_code == status
    assert not (tmp_path / "labels.jsonl").exists()


@pytest.mark.parametrize(
    "query", ["?order=nonsense", "?f.=x", "?f.genres=%00", "?order=doubtful&f.genres=雨", "?f.x=%ff"]
)
def test_any_query_shows_a_page(tmp_path: Path, query: str) -> None:
    assert ask(tmp_path, HOSTILE, query).status_code == 200


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with opened(tmp_path, [HOSTILE]) as (desk, journal), socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1"), serve_desk(desk, journal, "", port):
            pass
        journal.serve_at(port)
        with serve_desk(desk, journal, "", None) as address:
            assert f":{port}/" not in address


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "snapshot.json cannot be read"),
        ('{"schema_version": 9}', "snapshot.json is not a snapshot: schema_version is 9"),
    ],
)
def test_a_bad_snapshot_is_an_error_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, problem: str
) -> None:
    path = tmp_path / "snapshot.json"
    if content:
        path.write_text(content)
    assert main(["--items", str(path), "--labels", str(tmp_path / "labels.jsonl")]) == 1
    assert problem in capsys.readouterr().err
    assert {each.name for each in tmp_path.iterdir()} <= {"snapshot.json"}


def test_labels_that_another_desk_has_open_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items, labels = tmp_path / "items.jsonl", tmp_path / "labels.jsonl"
    write_examples(items, [Example(HOSTILE, True)])
    with opened(tmp_path, []):
        assert main(["--items", str(items), "--labels", str(labels)]) == 1
    assert "open at another desk" in capsys.readouterr().err


def test_labels_page_and_undo_survive_a_killed_process(tmp_path: Path) -> None:
    works = [Item(f"RJ{number}", "dlsite", "https://example.com", "雨") for number in (1, 2, 3)]
    items, labels = tmp_path / "items.jsonl", tmp_path / "labels.jsonl"
    write_examples(items, [Example(work, True) for work in works])
    command = ("desk", "--items", str(items), "--labels", str(labels), "--no-browser")
    killed = DeskProcess(*command)
    for work in works:
        killed.post("label", action=work.item_id, item_id=work.item_id, is_interested=0)
    killed.end(signal.SIGKILL)
    assert [(example.item, example.is_interested) for example in read_examples(labels)] == [(w, False) for w in works]
    again = DeskProcess(*command)
    again.post("undo", undoes="RJ3")
    said = again.end()

    assert again.address == killed.address
    assert f"{labels}: 2 labels, 0 interested, 2 not" in said
    assert [example.item for example in read_examples(labels)] == works[:2]
    assert {path.name for path in tmp_path.iterdir()} == {"items.jsonl", "labels.jsonl", "labels.jsonl.desk.sqlite"}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(main, ["--items", "a.json", "--labels", "b.jsonl"]), (ops, ["import-labels", "a.jsonl"])],
)
def test_an_unknown_time_zone_is_a_wrong_command_line(
    capsys: pytest.CaptureFixture[str], command: Callable[[list[str]], int], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command([*arguments, "--time-zone", "Asia/Nowhere"])
    assert "'Asia/Nowhere' is not a time zone such as Asia/Tokyo" in capsys.readouterr().err


def test_the_page_of_a_stack_shows_its_rules_and_takes_names_that_the_owner_likes(
    tmp_path: Path, stores: Stores
) -> None:
    rules, wishes = Rules(stores.dynamodb, stores.items_table), WishStore(stores.dynamodb, stores.items_table)
    rules.store(Rule("circle", "<b>星屑工房", "1.0"))
    with opened(tmp_path, [HOSTILE]) as (desk, _):
        client = Client(desk_app(desk, "token", "stack osusume", Steering(rules, wishes)))
        base = "http://127.0.0.1:8123"
        assert "&lt;b&gt;星屑工房" in client.get("/token/", base_url=base).text
        sent = client.post("/token/like", base_url=base, data={"names": "水瀬しおり、 朗読"})
        assert sent.status_code == 303
        assert wishes.read().names == ["水瀬しおり", "朗読"]
        assert "水瀬しおり、朗読" in client.get("/token/", base_url=base).text
        too_many = "、".join(f"n{number}" for number in range(300))
        refused = client.post("/token/like", base_url=base, data={"names": too_many})
        assert (refused.status_code, len(wishes.read().names)) == (503, 2)
        elsewhere = {"Origin": "https://shop.example"}
        assert client.post("/token/like", base_url=base, data={"names": "x"}, headers=elsewhere).status_code == 403
    with opened(tmp_path, [HOSTILE]) as (desk, _):
        client = Client(desk_app(desk, "token", "labels.jsonl"))
        assert client.post("/token/like", base_url=base, data={"names": "x"}).status_code == 400
