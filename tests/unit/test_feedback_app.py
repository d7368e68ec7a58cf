import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError
from conftest import Stores, lambda_environment
from injector import slack_rule
from slack_sdk.signature import SignatureVerifier
from werkzeug import Request, Response
from werkzeug.serving import make_server
from world import SECRET, World

from feedback.actions import NotAsDocumented, Telling, take
from feedback.actions import Stores as PressStores
from feedback.aws import Aws, Database
from feedback.slack_request import RequestRefused, payload_of
from feedback.telling import SlackUnavailable, tell
from local.slack import as_text, signed_interaction
from osusume.labels import Label, Labels
from osusume.ledger import Ledger, Record
from osusume.messages import item_message, item_metadata
from osusume.rules import Rules
from osusume.settings import FeedbackSettings
from samples.works import demo_works

WORK = demo_works()[0]
RECORD = Record(WORK, "recommended", "snapshots/a.json", 1764000000.0, 0.75, "v1")


def event_of(headers: dict[str, str], body: str, *, is_base64: bool = False) -> dict[str, Any]:
    """Return what an HTTP API gives its function, in payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "POST /slack/interactions",
        "rawPath": "/slack/interactions",
        "rawQueryString": "",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {"http": {"method": "POST", "path": "/slack/interactions"}},
        "body": body,
        "isBase64Encoded": is_base64,
    }


def signed(body: str, *, secret: str = SECRET, age: float = 0) -> dict[str, Any]:
    """Return the event of `body`, signed `age` seconds ago."""
    timestamp = str(int(time.time() - age))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    assert signature
    return event_of({"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}, body)


def form(payload: object) -> str:
    return urlencode({"payload": json.dumps(payload)})


def status_of(event: dict[str, Any]) -> int | None:
    try:
        payload_of(event, SECRET)
    except RequestRefused as error:
        return error.status
    return None


@pytest.mark.parametrize("age", [0, 290, -290])
def test_a_signed_request_is_let_pass(age: float) -> None:
    assert status_of(signed(form({}), age=age)) is None


def test_what_the_stand_in_signs_is_let_pass() -> None:
    headers, body = signed_interaction({"type": "block_actions"}, SECRET, time.time())
    assert status_of(event_of(headers, body.decode())) is None


def test_a_body_in_base64_is_let_pass() -> None:
    event = signed(form({"title": "雨"}))
    assert (
        status_of({**event, "body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}) is None
    )


def test_a_forged_request_is_refused() -> None:
    assert status_of(signed(form({}), secret="another-secret")) == 401


def test_a_request_whose_body_was_changed_is_refused() -> None:
    event = signed(form({"is_interested": 0}))
    assert status_of({**event, "body": form({"is_interested": 1})}) == 401


@pytest.mark.parametrize("age", [360, -360])
def test_a_stale_request_is_refused(age: float) -> None:
    assert status_of(signed(form({}), age=age)) == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timestamp", text) for text in ("", "now", "1e9", "9" * 400, "9" * 5000, "-1", "１７６４０００００００")),
        *(("signature", text) for text in ("", "v0=", "v0=雨", "\udcff", "v1=" + "0" * 64)),
    ],
)
def test_a_malformed_or_missing_header_of_slacks_is_refused(name: str, value: str) -> None:
    event = signed(form({}))
    header = {"timestamp": "x-slack-request-timestamp", "signature": "x-slack-signature"}[name]
    assert status_of({**event, "headers": {**event["headers"], header: value}}) == 401
    assert (
        status_of({**event, "headers": {key: text for key, text in event["headers"].items() if key != header}}) == 401
    )


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_request_without_headers_or_body_is_refused(part: str) -> None:
    assert status_of({key: value for key, value in signed(form({})).items() if key != part}) == 401


@pytest.mark.parametrize("body", ["not base64!", base64.b64encode("雨".encode("cp932")).decode()])
def test_a_body_that_cannot_be_read_is_refused(body: str) -> None:
    assert status_of({**signed(form({})), "body": body, "isBase64Encoded": True}) == 401


@pytest.mark.parametrize(
    "body",
    [
        "",
        "payload=",
        "payload=%7B%22type%22%3A%20%22block",
        "other=1",
        "payload",
        "{}",
        form([]),
        form("x"),
        form(None),
    ],
)
def test_a_signed_request_without_a_whole_payload_is_malformed(body: str) -> None:
    assert status_of(signed(body)) == 400


def test_a_refusal_says_why_without_the_secret() -> None:
    with pytest.raises(RequestRefused, match="signing secret") as caught:
        payload_of(signed(form({}), secret="another-secret"), SECRET)
    assert SECRET not in str(caught.value)


class FeedbackWorld(World):
    """A world with the message of one item, and the feedback function behind Slack's interactions URL."""

    settings: FeedbackSettings

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores, clock=time.time, press_timeout=10)
        self.stored_when_answered: list[bool | None] = []

    def serve(self, settings: FeedbackSettings) -> None:
        """Answer presses from now on as `settings` say, through the function's own calls of AWS."""
        dynamodb: Any = Database(Aws(lambda_environment(self.stores.dynamodb.meta.client.meta.endpoint_url)))
        self.settings = settings
        self.press_stores = PressStores(
            Labels(dynamodb, settings.labels_table),
            Ledger(dynamodb, settings.items_table),
            Rules(dynamodb, settings.items_table),
        )

    def app(self, environ: Any, start_response: Any) -> Any:
        """Turn a request into an event and the answer back, as the HTTP API and the handler do; then tell Slack."""
        request = Request(environ)
        status = 200
        try:
            payload = payload_of(event_of(dict(request.headers), request.get_data(as_text=True)), SECRET)
            telling = take(payload, self.settings, self.press_stores)
        except RequestRefused as error:
            status = error.status
        except (ClientError, NotAsDocumented):
            status = 500
        self.stored_when_answered.append(self.is_interested())
        if status == 200:
            with suppress(SlackUnavailable, OSError, HTTPException):  # Lambda tries again
                tell(telling, self.press_stores, self.settings.stack)
        return Response(status=status)(environ, start_response)

    def press(self, action_id: str, *, user_id: str = "U0OWNER", at: float | None = None) -> int:
        return self.slack.press(self.slack.messages[0].ts, action_id, user_id, at).status_code

    def shown(self) -> str:
        return as_text(self.slack.messages[0])

    def is_interested(self) -> bool | None:
        label = self.labels.get(WORK.item_id)
        return label.is_interested if label else None


@pytest.fixture
def world(stores: Stores) -> Iterator[FeedbackWorld]:
    Ledger(stores.dynamodb, stores.items_table).record(RECORD)
    settings = FeedbackSettings.from_environment(
        {
            "ITEMS_TABLE": stores.items_table,
            "LABELS_TABLE": stores.labels_table,
            "SLACK_SIGNING_SECRET_PARAMETER": "/osusume/slack-signing-secret",
            "TIME_ZONE": "Asia/Tokyo",
        }
    )
    with FeedbackWorld(stores) as world:
        world.serve(settings)
        text, blocks = item_message(RECORD)
        world.slack.channel.post(
            text, [{"block_id": str(n), **block} for n, block in enumerate(blocks)], item_metadata(RECORD)
        )
        server = make_server("127.0.0.1", 0, world.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        world.slack.interactions_url = f"http://127.0.0.1:{server.server_port}/slack/interactions"
        yield world
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("action_id", "is_interested"), [("interested", True), ("not_interested", False)])
def test_a_press_is_stored_and_answered(world: FeedbackWorld, action_id: str, is_interested: bool) -> None:
    assert world.press(action_id, at=1764000001.000001) == 200
    label = world.labels.get(WORK.item_id)
    assert label
    assert (label.is_interested, label.user_id, label.action_ts, label.created_at, label.origin) == (
        is_interested,
        "U0OWNER",
        "1764000001.000001",
        "2025-11-25 01:00:01",
        "slack",
    )


def test_the_message_shows_the_choice_and_stays_the_items(world: FeedbackWorld) -> None:
    world.press("interested")
    assert "「興味あり!」と記録しました" in world.shown()
    assert WORK.title in world.shown()
    assert world.slack.messages[0].metadata == item_metadata(RECORD)


@pytest.mark.parametrize("status", [400, 200])
def test_a_message_whose_image_slack_refuses_is_rewritten_without_it(world: FeedbackWorld, status: int) -> None:
    assert any("accessory" in block for block in world.slack.messages[0].blocks)
    world.rules.append(slack_rule("response_url", status=status, error="invalid_blocks", about="accessory"))
    world.press("interested")
    assert "「興味あり!」と記録しました" in world.shown()
    assert not any("accessory" in block for block in world.slack.messages[0].blocks)


def test_a_press_that_does_not_say_in_which_channel_is_refused(world: FeedbackWorld) -> None:
    own = world.slack._payload  # no press of the stand-in's is without one

    def without(*arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in own(*arguments).items() if name not in {"channel", "container"}}

    world.slack._payload = without  # type: ignore[assignment, method-assign]
    assert world.press("interested") != 200
    assert world.labels.get(WORK.item_id) is None


def test_pressing_the_other_button_changes_the_choice(world: FeedbackWorld) -> None:
    world.press("interested")
    assert world.press("not_interested") == 200
    assert world.is_interested() is False
    assert "「別に…」と記録しました" in world.shown()


def test_a_press_is_stored_before_slack_gets_its_answer(world: FeedbackWorld) -> None:
    world.press("interested")
    assert world.stored_when_answered == [True]


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"status": 404, "error": "expired_url"}], ids=str)
def test_a_message_that_cannot_be_changed_does_not_lose_the_press(world: FeedbackWorld, fault: dict[str, Any]) -> None:
    world.rules.append(slack_rule("response_url", times=9, **fault))
    assert world.press("interested") == 200
    assert world.is_interested()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_message_that_slack_does_not_take_now_is_sent_again_later(world: FeedbackWorld, status: int) -> None:
    url = world.slack.address + world.slack.response_urls.issue(world.slack.messages[0], "U0OWNER", time.time())
    world.press_stores.labels.store(Label(WORK.item_id, True, "U0OWNER", "1764000001.0", "2025-11-25 01:00:01"))
    world.rules.append(slack_rule("response_url", times=1, status=status))
    with pytest.raises(SlackUnavailable, match=str(status)):
        tell(Telling(url, item_id=WORK.item_id), world.press_stores, "osusume")
    assert "記録しました" not in world.shown()
    tell(Telling(url, item_id=WORK.item_id), world.press_stores, "osusume")
    assert "「興味あり!」と記録しました" in world.shown()


def test_two_presses_arriving_in_reverse_order_leave_the_later_one(world: FeedbackWorld) -> None:
    world.press("not_interested", at=1764000002.5)
    assert world.press("interested", at=1764000001.5) == 200
    assert world.is_interested() is False
    assert "「別に…」と記録しました" in world.shown()


def test_presses_at_the_same_time_leave_the_latest_in_label_and_message(world: FeedbackWorld) -> None:
    at = 1764000000.0
    presses = [("interested", at + 1), ("not_interested", at + 3), ("interested", at + 2)]
    threads = [threading.Thread(target=world.press, args=(action,), kwargs={"at": time}) for action, time in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.is_interested() is False
    assert "「別に…」と記録しました" in world.shown()


def test_the_same_press_delivered_twice_changes_nothing(world: FeedbackWorld) -> None:
    for _ in range(2):
        assert world.press("interested", at=1764000001.5) == 200
    assert world.is_interested()


def test_a_user_who_is_not_allowed_is_told_so_alone(world: FeedbackWorld) -> None:
    world.serve(replace(world.settings, allowed_users=frozenset({"U0OWNER"})))
    before = world.shown()
    assert world.press("interested", user_id="U0GUEST") == 200
    assert world.is_interested() is None
    assert world.shown() == before
    (told,) = world.slack.ephemerals
    assert told.visible_to == "U0GUEST"
    assert "許可された人だけ" in told.text


def test_a_press_on_an_unknown_item_is_told_and_not_stored(world: FeedbackWorld) -> None:
    stranger = replace(RECORD, item=replace(WORK, item_id="RJ01999999"))
    text, blocks = item_message(stranger)
    blocks = [{"block_id": str(n), **block} for n, block in enumerate(blocks)]
    message = world.slack.channel.post(text, blocks, item_metadata(stranger))
    assert world.slack.press(message.ts, "interested").status_code == 200
    assert world.labels.get("RJ01999999") is None
    assert "RJ01999999" in world.slack.ephemerals[0].text


def test_a_button_that_is_no_more_is_told_and_not_stored(world: FeedbackWorld) -> None:
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "?"},
        "action_id": "snooze",
        "value": WORK.item_id,
    }
    message = world.slack.channel.post("?", [{"type": "actions", "block_id": "old", "elements": [button]}], None)
    assert world.slack.press(message.ts, "snooze").status_code == 200
    assert world.is_interested() is None
    assert "もう使えません" in world.slack.ephemerals[0].text


@pytest.mark.parametrize("table", ["items_table", "labels_table"])
def test_a_press_that_cannot_be_stored_is_an_error_to_slack(world: FeedbackWorld, table: str) -> None:
    changes: Any = {table: "no-such-table"}
    world.serve(replace(world.settings, **changes))
    assert world.press("interested") == 500
    assert "記録しました" not in world.shown()


def test_a_forged_press_stores_nothing(world: FeedbackWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.slack, "signing_secret", "another-secret")
    assert world.press("interested") == 401
    assert world.is_interested() is None
