import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from injector import Rule, at, late, rules_of, slack_rule
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient
from werkzeug import Request, Response
from werkzeug.serving import make_server
from world import CHANNEL, SECRET, TOKEN, Clock

from local.slack import Slack, as_text, duplicate_posts, serve_slack, signed_interaction
from local.slack.blocks import block_errors


class App:
    """The app behind the interactions URL: it keeps what it gets and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[dict[str, str], bytes]] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append((dict(request.headers), request.get_data()))
        return Response(status=self.status)(environ, start_response)

    def payload(self) -> dict[str, Any]:
        payload = json.loads(parse_qs(self.requests[-1][1].decode())["payload"][0])
        assert isinstance(payload, dict)
        return payload


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[Slack]:
    with serve_slack(bot_token=TOKEN, signing_secret=SECRET, channel=CHANNEL, clock=clock) as slack:
        yield slack


@pytest.fixture
def client(slack: Slack) -> WebClient:
    return WebClient(token=TOKEN, base_url=slack.api_url)


@pytest.fixture
def app(slack: Slack) -> Iterator[App]:
    app = App()
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    slack.interactions_url = f"http://127.0.0.1:{server.server_port}/slack/interactions"
    yield app
    server.shutdown()
    thread.join()
    server.server_close()


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(text: str, action_id: str, **more: object) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": action_id, **more}


def item_blocks(item_id: str = "RJ00000001") -> list[dict[str, Any]]:
    return [
        {
            "type": "section",
            "text": mrkdwn("*<https://shop.example/RJ00000001|雨音 &amp; 図書館>*"),
            "accessory": {"type": "image", "image_url": "https://img.example/1.jpg", "alt_text": "表紙"},
        },
        {
            "type": "actions",
            "block_id": "choice",
            "elements": [
                button("興味あり!", "like", value=item_id, style="primary"),
                button("別に…", "pass", value=item_id),
            ],
        },
    ]


def about(item_id: str) -> dict[str, Any]:
    return {"event_type": "item_posted", "event_payload": {"item_id": item_id}}


def post_item(client: WebClient, item_id: str = "RJ00000001") -> str:
    answer = client.chat_postMessage(channel=CHANNEL, text="雨音", blocks=item_blocks(item_id), metadata=about(item_id))
    return str(answer["ts"])


def refusal(client: WebClient, method: str = "chat.postMessage", **arguments: object) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json={"channel": CHANNEL, **arguments})
    body = refused.value.response.data
    assert isinstance(body, dict)
    return body


def form_of(page: str, action_id: str) -> dict[str, str]:
    form = next(form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'value="{action_id}"' in form)
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def test_a_posted_message_is_kept_with_its_blocks_and_metadata(slack: Slack, client: WebClient) -> None:
    ts = post_item(client)

    (message,) = slack.messages
    assert (message.ts, message.text, message.metadata) == (ts, "雨音", about("RJ00000001"))
    assert message.posted_at == 1764000000.0
    assert message.blocks[1]["elements"][0]["text"]["text"] == "興味あり!"
    assert all(block["block_id"] for block in message.blocks)


def test_messages_of_one_moment_have_increasing_names(client: WebClient) -> None:
    names = [post_item(client) for _ in range(3)]

    assert names == sorted(set(names))
    assert all(re.fullmatch(r"1764000000\.\d{6}", ts) for ts in names)


def test_names_increase_when_the_clock_is_set_back(clock: Clock, client: WebClient) -> None:
    first = post_item(client)
    clock.now -= 5

    assert post_item(client) > first


def test_a_form_is_taken_as_well_as_json(slack: Slack) -> None:
    form = {"channel": CHANNEL, "token": TOKEN, "blocks": json.dumps(item_blocks()), "metadata": json.dumps(about("A"))}

    answer = requests.post(slack.api_url + "chat.postMessage", data=form, timeout=5).json()

    assert answer["ok"]
    assert slack.messages[0].item_id == "A"
    assert slack.log[0].arguments["metadata"] == about("A")
    assert "token" not in slack.log[0].arguments


@pytest.mark.parametrize(("token", "error"), [(None, "not_authed"), ("xoxb-other", "invalid_auth")])
def test_a_call_without_the_right_token_is_refused(slack: Slack, token: str | None, error: str) -> None:
    client = WebClient(token=token, base_url=slack.api_url)

    assert refusal(client, text="x")["error"] == error
    assert slack.messages == []


def test_auth_test_names_the_bot(client: WebClient) -> None:
    answer = client.auth_test()

    assert answer["user_id"].startswith("U")
    assert answer["bot_id"].startswith("B")


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "C0OTHER", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {}, "no_text"),
        ("chat.postMessage", {"text": " ", "blocks": []}, "no_text"),
        ("chat.postMessage", {"text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"blocks": "{"}, "invalid_blocks_format"),
        ("chat.postMessage", {"text": "x", "metadata": {"event_type": "item"}}, "invalid_metadata_format"),
        (
            "chat.postMessage",
            {"text": "x", "metadata": {"event_type": "item", "event_payload": {"item_id": "x" * 10_000}}},
            "metadata_too_large",
        ),
        ("chat.update", {"ts": "1.0", "text": "x"}, "message_not_found"),
        ("chat.update", {"text": "x"}, "invalid_arguments"),
        ("conversations.history", {"cursor": "nonsense"}, "invalid_cursor"),
        ("conversations.history", {"latest": ["now"]}, "invalid_ts_latest"),
        ("conversations.history", {"limit": "many"}, "invalid_limit"),
        ("conversations.history", {"oldest": "yesterday"}, "invalid_ts_oldest"),
        ("chat.whisper", {}, "unknown_method"),
    ],
)
def test_a_wrong_call_gets_slacks_error(
    slack: Slack, client: WebClient, method: str, arguments: dict[str, object], error: str
) -> None:
    assert refusal(client, method, **arguments)["error"] == error
    assert slack.log[-1].error == error
    assert slack.messages == []


def section(**parts: object) -> dict[str, object]:
    return {"type": "section", **parts}


def actions(*elements: dict[str, Any]) -> dict[str, object]:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([section(text=mrkdwn("x" * 3001))], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section(text=mrkdwn(""))], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([section()], "must define either `text` or `fields` [json-pointer:/blocks/0]"),
        ([section(fields=[mrkdwn("x")] * 11)], "no more than 10 items allowed [json-pointer:/blocks/0/fields]"),
        (
            [section(fields=[mrkdwn("x" * 2001)])],
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        (
            [{"type": "context", "elements": [mrkdwn("x")] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            [actions(button("x" * 76, "a"))],
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            [actions(button("x", "a", value="x" * 2001))],
            "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
        ),
        (
            [actions(button("x", "a" * 256))],
            "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
        ),
        (
            [actions(button("x", "a"), button("y", "a"))],
            "action_id already exists [json-pointer:/blocks/0/elements/1/action_id]",
        ),
        (
            [actions(button("x", "a", disabled=True))],
            "invalid additional property: disabled [json-pointer:/blocks/0/elements/0]",
        ),
        (
            [{"type": "divider", "block_id": "x" * 256}],
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
        (
            [{"type": "divider", "block_id": "x"}] * 2,
            "block_id already exists [json-pointer:/blocks/1/block_id]",
        ),
        (
            [{"type": "image", "image_url": "https://img.example/1.jpg"}],
            "missing required field: alt_text [json-pointer:/blocks/0]",
        ),
        (
            [{"type": "image", "image_url": "//img.example/1.jpg", "alt_text": "x"}],
            "must be a valid URL [json-pointer:/blocks/0/image_url]",
        ),
        ([{"type": "carousel"}], "unsupported type: carousel [json-pointer:/blocks/0/type]"),
        (["text"], "must provide an object [json-pointer:/blocks/0]"),
        ({"type": "divider"}, "must provide an array [json-pointer:/blocks]"),
    ],
)
def test_blocks_over_a_limit_are_refused_with_their_place(client: WebClient, blocks: object, fault: str) -> None:
    body = refusal(client, text="x", blocks=blocks)

    assert body["error"] == "invalid_blocks"
    assert f"[ERROR] {fault}" in body["response_metadata"]["messages"]


_words = st.sampled_from(["section", "context", "actions", "header", "image", "button", "mrkdwn", "plain_text", "x"])
_names = st.sampled_from(["type", "text", "fields", "elements", "accessory", "style", "image_url", "block_id", "url"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_values, min_size=1, max_size=3))
def test_any_json_as_blocks_is_judged_without_failing(blocks: object) -> None:
    assert all("[json-pointer:/blocks" in error for error in block_errors(blocks))


def test_blocks_at_their_limits_are_taken(slack: Slack, client: WebClient) -> None:
    blocks = [
        section(text=mrkdwn("x" * 3000)),
        actions(button("x" * 75, "a" * 255, value="x" * 2000)),
        {"type": "context", "elements": [mrkdwn("x")] * 10},
        *[{"type": "divider"}] * 47,
    ]

    client.api_call("chat.postMessage", json={"channel": CHANNEL, "blocks": blocks})

    assert slack.posts == 1


def test_blocks_that_are_too_long_together_are_refused(client: WebClient) -> None:
    blocks = [section(text=mrkdwn("x" * 2900))] * 5

    assert refusal(client, text="x", blocks=blocks)["error"] == "msg_blocks_too_long"


def test_metadata_of_an_odd_event_type_is_dropped_and_the_message_posted(slack: Slack, client: WebClient) -> None:
    metadata = {"event_type": "item.posted", "event_payload": {"item_id": "A"}}

    answer = client.chat_postMessage(channel=CHANNEL, text="x", metadata=metadata)

    assert answer["response_metadata"]["warnings"]
    assert slack.messages[0].metadata is None


def test_posting_faster_than_the_limit_gets_429_until_the_time_it_names(clock: Clock) -> None:
    with serve_slack(bot_token=TOKEN, signing_secret=SECRET, clock=clock, post_burst=2, post_interval=1.5) as slack:
        client = WebClient(token=TOKEN, base_url=slack.api_url)
        for _ in range(2):
            client.chat_postMessage(channel=CHANNEL, text="x")
        with pytest.raises(SlackApiError) as refused:
            client.chat_postMessage(channel=CHANNEL, text="x")

        assert refused.value.response.status_code == 429
        assert refused.value.response["error"] == "ratelimited"
        assert refused.value.response.headers["Retry-After"] == "2"
        assert slack.log[-1].status == 429

        clock.now += 2
        client.chat_postMessage(channel=CHANNEL, text="x")
        assert slack.posts == 3


def test_an_update_keeps_what_it_does_not_name(slack: Slack, client: WebClient) -> None:
    ts = post_item(client)

    client.api_call("chat.update", json={"channel": CHANNEL, "ts": ts, "blocks": [section(text=mrkdwn("済み"))]})

    (message,) = slack.messages
    assert [block["type"] for block in message.blocks] == ["section"]
    assert (message.text, message.item_id, message.ts) == ("雨音", "RJ00000001", ts)
    assert message.edited is not None


def test_an_update_by_text_alone_takes_the_blocks_away(slack: Slack, client: WebClient) -> None:
    client.chat_update(channel=CHANNEL, ts=post_item(client), text="済み")

    assert (slack.messages[0].text, slack.messages[0].blocks) == ("済み", [])


def test_an_update_with_empty_metadata_removes_it(slack: Slack, client: WebClient) -> None:
    client.chat_update(channel=CHANNEL, ts=post_item(client), text="x", metadata={})

    assert slack.messages[0].metadata is None


def test_history_comes_newest_first_and_page_by_page(client: WebClient) -> None:
    posted = [post_item(client, f"RJ{number}") for number in range(5)]

    pages = [
        ([posted.index(message["ts"]) for message in page["messages"]], page["has_more"])
        for page in client.conversations_history(channel=CHANNEL, limit=2)
    ]

    assert pages == [([4, 3], True), ([2, 1], True), ([0], False)]


@pytest.mark.parametrize(("inclusive", "found"), [(False, [2]), (True, [3, 2, 1])])
def test_history_is_bounded_by_oldest_and_latest(client: WebClient, *, inclusive: bool, found: list[int]) -> None:
    posted = [post_item(client) for _ in range(5)]

    page = client.conversations_history(channel=CHANNEL, oldest=posted[1], latest=posted[3], inclusive=inclusive)

    assert [posted.index(message["ts"]) for message in page["messages"]] == found


def test_history_gives_metadata_in_full_only_when_asked(client: WebClient) -> None:
    post_item(client, "RJ7")

    short = client.conversations_history(channel=CHANNEL)["messages"][0]
    full = client.conversations_history(channel=CHANNEL, include_all_metadata=True)["messages"][0]

    assert short["metadata"]["event_payload"] == {}
    assert full["metadata"] == about("RJ7")


def test_a_permalink_leads_to_the_message_on_the_page(slack: Slack, client: WebClient) -> None:
    ts = post_item(client)

    link = client.chat_getPermalink(channel=CHANNEL, message_ts=ts)["permalink"]

    page, _, anchor = link.partition("#")
    assert f'id="{anchor}"' in requests.get(page, timeout=5).text


@pytest.mark.parametrize("after_posting", [False, True], ids=["before posting", "after posting"])
@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"error": "internal_error"}, {"status": 429}, {"drop": True}], ids=str
)
def test_a_fault_strikes_before_or_after_the_message_is_posted(
    slack: Slack, client: WebClient, fault: dict[str, Any], *, after_posting: bool
) -> None:
    rules_of(slack).append(slack_rule("chat.postMessage", after_posting=after_posting, **fault))
    client.retry_handlers.clear()

    with pytest.raises((SlackApiError, OSError, http.client.HTTPException)):
        post_item(client)

    assert (slack.posts, len(slack.messages)) == (after_posting, after_posting)
    post_item(client)
    assert slack.posts == after_posting + 1


def test_a_late_answer_outlasts_the_caller_after_the_message_is_posted(slack: Slack) -> None:
    rules_of(slack).append(Rule(at("chat.postMessage"), late(0.3)))
    session = requests.Session()

    with session, pytest.raises(requests.ReadTimeout):
        session.post(
            slack.api_url + "chat.postMessage", data={"token": TOKEN, "channel": CHANNEL, "text": "x"}, timeout=0.1
        )

    assert len(slack.messages) == 1


def test_duplicate_posts_are_counted_by_item_from_the_log(slack: Slack, client: WebClient) -> None:
    rules_of(slack).append(slack_rule("chat.postMessage", status=500, after_posting=True))
    with pytest.raises(SlackApiError):
        post_item(client, "RJ1")
    for item_id in ("RJ1", "RJ2", "RJ2", "RJ2"):
        post_item(client, item_id)
    refusal(client, metadata=about("RJ2"))
    client.chat_postMessage(channel=CHANNEL, text="まとめ")

    assert duplicate_posts(slack.log) == 3


def test_a_press_is_signed_and_shaped_as_slack_sends_it(slack: Slack, client: WebClient, app: App) -> None:
    ts = post_item(client, "RJ7")

    answer = slack.press(ts, "like", user_id="U0FRIEND", at=1763999990.5)

    assert answer.status_code == 200
    headers, body = app.requests[0]
    payload = app.payload()
    assert headers["User-Agent"] == "Slackbot 1.0 (+https://api.slack.com/robots)"
    assert headers["X-Slack-Request-Timestamp"] == "1764000000"
    expected = SignatureVerifier(SECRET).generate_signature(timestamp="1764000000", body=body)
    assert headers["X-Slack-Signature"] == expected
    assert payload["type"] == "block_actions"
    assert payload["user"]["id"] == "U0FRIEND"
    assert payload["channel"]["id"] == payload["container"]["channel_id"] == CHANNEL
    assert payload["message"]["ts"] == payload["container"]["message_ts"] == ts
    assert payload["message"]["metadata"] == about("RJ7")
    assert payload["message"]["blocks"] == slack.messages[0].blocks
    assert (payload["enterprise"], payload["is_enterprise_install"]) == (None, False)
    assert payload["actions"] == [
        {
            "action_id": "like",
            "block_id": "choice",
            "text": {"type": "plain_text", "text": "興味あり!", "emoji": True},
            "value": "RJ7",
            "style": "primary",
            "type": "button",
            "action_ts": "1763999990.500000",
        }
    ]


def test_a_message_can_be_pressed_by_its_item(slack: Slack, client: WebClient, app: App) -> None:
    post_item(client, "RJ7")
    ts = post_item(client, "RJ8")

    slack.press("RJ8", "pass")

    assert app.payload()["message"]["ts"] == ts


@pytest.mark.parametrize(("name", "action_id"), [("RJ-missing", "like"), ("RJ7", "like-missing")])
def test_a_press_of_what_is_not_there_names_it(
    slack: Slack, client: WebClient, app: App, name: str, action_id: str
) -> None:
    post_item(client, "RJ7")

    with pytest.raises(LookupError, match="-missing"):
        slack.press(name, action_id)


def test_a_press_that_the_app_refuses_is_remembered(slack: Slack, client: WebClient, app: App) -> None:
    ts = post_item(client)
    app.status = 401

    assert slack.press(ts, "like").status_code == 401

    (failed,) = slack.failed_presses
    assert (failed.message_ts, failed.action_id, failed.status) == (ts, "like", 401)


def test_a_press_that_nobody_answers_in_time_is_remembered() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serve_slack(bot_token=TOKEN, signing_secret=SECRET, press_timeout=0.1) as slack,
    ):
        slack.interactions_url = f"http://127.0.0.1:{silent.getsockname()[1]}/slack/interactions"
        ts = post_item(WebClient(token=TOKEN, base_url=slack.api_url))

        with pytest.raises(requests.Timeout):
            slack.press(ts, "like")

        assert [(failed.message_ts, failed.status) for failed in slack.failed_presses] == [(ts, None)]


def test_a_signature_is_bound_to_secret_time_and_body() -> None:
    headers, body = signed_interaction({"type": "block_actions"}, SECRET, 1764000000)
    forged, _ = signed_interaction({"type": "block_actions"}, "another-secret", 1764000000)

    class Now:
        now = staticmethod(lambda: 1764000000.0)

    class Later:
        now = staticmethod(lambda: 1764000301.0)

    verifier = SignatureVerifier(SECRET, Now())  # type: ignore[arg-type]  # slack_sdk's Clock is a class, not a protocol
    late_verifier = SignatureVerifier(SECRET, Later())  # type: ignore[arg-type]  # as above
    assert verifier.is_valid_request(body, headers)
    assert not verifier.is_valid_request(body + b"&more=1", headers)
    assert not verifier.is_valid_request(body, forged)
    assert not late_verifier.is_valid_request(body, headers)


def pressed_url(slack: Slack, client: WebClient, app: App) -> WebhookClient:
    slack.press(post_item(client), "like", user_id="U0OWNER")
    return WebhookClient(app.payload()["response_url"])


def test_a_response_url_replaces_the_message(slack: Slack, client: WebClient, app: App) -> None:
    answer = pressed_url(slack, client, app).send(replace_original=True, blocks=[section(text=mrkdwn("済み"))])

    assert answer.status_code == 200
    assert as_text(slack.messages[0]) == "済み"
    assert slack.messages[0].item_id == "RJ00000001"


def test_a_response_url_shows_a_text_to_the_presser_alone(slack: Slack, client: WebClient, app: App) -> None:
    url = pressed_url(slack, client, app)

    url.send(response_type="ephemeral", replace_original=False, text="保存できませんでした")

    assert [(message.text, message.visible_to) for message in slack.ephemerals] == [("保存できませんでした", "U0OWNER")]
    assert len(slack.messages) == 1
    assert len(client.conversations_history(channel=CHANNEL)["messages"]) == 1


def test_a_response_url_deletes_the_message(slack: Slack, client: WebClient, app: App) -> None:
    pressed_url(slack, client, app).send(delete_original=True)

    assert slack.messages == []


def test_a_response_url_refuses_wrong_blocks(slack: Slack, client: WebClient, app: App) -> None:
    answer = pressed_url(slack, client, app).send(replace_original=True, blocks=[section(text=mrkdwn("x" * 3001))])

    assert answer.status_code == 400
    assert json.loads(answer.body)["error"] == "invalid_blocks"
    assert slack.messages[0].edited is None


def test_a_response_url_can_be_used_five_times(slack: Slack, client: WebClient, app: App) -> None:
    url = pressed_url(slack, client, app)

    answers = [url.send(text=str(number), response_type="ephemeral") for number in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    assert json.loads(answers[5].body)["error"] == "used_url"


def test_a_response_url_ends_after_30_minutes(slack: Slack, client: WebClient, app: App, clock: Clock) -> None:
    url = pressed_url(slack, client, app)
    clock.now += 30 * 60 + 1

    assert json.loads(url.send(text="x").body)["error"] == "expired_url"


def test_a_message_reads_as_plain_lines(slack: Slack, client: WebClient) -> None:
    post_item(client)

    assert as_text(slack.messages[0]).splitlines() == [
        "雨音 & 図書館 (https://shop.example/RJ00000001)",
        "(画像: 表紙)",
        "[興味あり!] [別に…]",
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("&lt;!channel&gt; &amp;amp; x", "<!channel> &amp; x"),
        ("<!channel> <@U1> <#C1|general>", "@channel @U1 general"),
        ("*a _b_ c* ~d~ `*e*`", "a b c d *e*"),
        ("2 * 3 * 4 snake_case_name *太字*です", "2 * 3 * 4 snake_case_name *太字*です"),
        ("*<https://shop.example/1|5 * 5>*", "5 * 5 (https://shop.example/1)"),
        ("<https://shop.example/?a=1&amp;b=2>", "https://shop.example/?a=1&b=2"),
        ("一行目\n二行目", "一行目\n二行目"),
        ("<javascript:alert(1)|押す>", "押す"),
    ],
)
def test_mrkdwn_reads_as_slack_shows_it(slack: Slack, client: WebClient, text: str, read: str) -> None:
    client.chat_postMessage(channel=CHANNEL, text=text)

    assert as_text(slack.messages[0]) == read


def test_the_page_shows_texts_as_text(slack: Slack, client: WebClient) -> None:
    client.chat_postMessage(channel=CHANNEL, text='&lt;script&gt;alert(1)&lt;/script&gt; <https://x.example/"|a>')

    page = requests.get(slack.page_address, timeout=5).text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert 'href="https://x.example/&#34;"' in page


def press_on_page(slack: Slack, form: dict[str, str], **headers: str) -> requests.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(slack.page_address + "press", form, headers=sent, allow_redirects=False, timeout=5)


def test_a_button_of_the_page_presses(slack: Slack, client: WebClient, app: App) -> None:
    post_item(client, "RJ7")
    ts = post_item(client, "RJ8")
    article = requests.get(slack.page_address, timeout=5).text.rpartition("<article")[2]

    answer = press_on_page(slack, form_of(article, "pass"))

    assert answer.status_code == 303
    assert slack.address + answer.headers["Location"] == f"{slack.page_address}#p{ts.replace('.', '')}"
    assert app.payload()["message"]["ts"] == ts
    assert app.payload()["actions"][0]["action_id"] == "pass"


def test_a_press_by_the_page_script_is_answered_without_a_page(slack: Slack, client: WebClient, app: App) -> None:
    form = {"ts": post_item(client), "action_id": "like"}

    assert press_on_page(slack, form, X_Requested_With="fetch").status_code == 204
    assert len(app.requests) == 1


def test_a_press_of_a_message_that_is_gone_says_so(slack: Slack, app: App) -> None:
    answer = press_on_page(slack, {"ts": "1.000001", "action_id": "like"})

    assert answer.status_code == 409
    assert "1.000001" in answer.text


def test_the_page_warns_where_the_app_refused_a_press_until_the_message_changes(
    slack: Slack, client: WebClient, app: App, clock: Clock
) -> None:
    ts = post_item(client)
    app.status = 500
    press_on_page(slack, {"ts": ts, "action_id": "like"})

    warned = requests.get(slack.page_address, timeout=5).text
    clock.now += 1
    client.chat_update(channel=CHANNEL, ts=ts, text="雨音")
    changed = requests.get(slack.page_address, timeout=5).text

    assert 'role="alert"' in warned
    assert "500" in warned
    assert 'role="alert"' not in changed


def test_the_messages_are_drawn_again_only_when_they_changed(slack: Slack, client: WebClient) -> None:
    ts = post_item(client)

    def ask(tag: str | None = None) -> requests.Response:
        headers = {"If-None-Match": tag} if tag else {}
        return requests.get(slack.page_address + "messages", headers=headers, timeout=5)

    first = ask()
    unchanged = ask(first.headers["ETag"])
    client.chat_update(channel=CHANNEL, ts=ts, text="変更", blocks=[])
    changed = ask(first.headers["ETag"])

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert changed.status_code == 200
    assert "変更" in changed.text


def test_the_side_panel_is_drawn_where_one_is_given(slack: Slack) -> None:
    without = requests.get(slack.page_address, timeout=5).text
    slack.side_panel = lambda: '<section id="x">二件</section>'
    within = requests.get(slack.page_address, timeout=5).text

    assert "<aside" not in without
    assert '<section id="x">二件</section>' in within
    assert requests.get(slack.page_address + "panel", timeout=5).text == '<section id="x">二件</section>'


@pytest.mark.parametrize(
    "headers", [{"Host": "shop.example"}, {"Origin": "https://shop.example"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_a_press_from_elsewhere_is_refused(slack: Slack, client: WebClient, app: App, headers: dict[str, str]) -> None:
    form = {"ts": post_item(client), "action_id": "like"}

    assert press_on_page(slack, form, **headers).status_code == 403
    assert app.requests == []


@pytest.mark.parametrize("path", ["", "/", "/press", "/wrong/press", "/static/channel.js"])
def test_the_page_is_refused_without_its_token(slack: Slack, app: App, path: str) -> None:
    assert requests.get(slack.address + path, timeout=5).status_code == 403
    assert requests.post(slack.address + path, timeout=5).status_code == 403


def test_the_api_is_refused_to_other_pages_of_the_browser(slack: Slack) -> None:
    call = {"token": TOKEN, "channel": CHANNEL, "text": "x"}

    answer = requests.post(
        slack.api_url + "chat.postMessage", call, headers={"Origin": "https://shop.example"}, timeout=5
    )

    assert answer.status_code == 403
    assert slack.messages == []


def test_posts_at_the_same_time_are_all_kept(slack: Slack, client: WebClient) -> None:
    threads = [threading.Thread(target=post_item, args=(client, f"RJ{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {message.item_id for message in slack.messages} == {f"RJ{number}" for number in range(12)}
    assert slack.posts == len({message.ts for message in slack.messages}) == 12
