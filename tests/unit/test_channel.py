import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from injector import Rule, at, late, rules_of, slack_rule
from werkzeug import Request, Response
from werkzeug.serving import make_server

from local.slack import Slack, serve_slack
from notifier.channel import Channel, ChannelRefused, MessageRefused, RateLimited, Unclear

TOKEN = "xoxb-of-the-tests"
BLOCKS: list[dict[str, Any]] = [{"type": "divider"}]
NOW = 1764000000.0


@pytest.fixture
def slack() -> Iterator[Slack]:
    with serve_slack(bot_token=TOKEN, signing_secret="unused", clock=lambda: NOW, post_burst=1000) as slack:
        yield slack


def channel_of(slack: Slack, *, token: str = TOKEN, channel_id: str = "C0LOCAL0001") -> Channel:
    return Channel(token, channel_id, slack.api_url, call_seconds=2)


def metadata(item_id: str = "RJ01000001", snapshot: str = "snapshots/a.json") -> dict[str, Any]:
    return {"event_type": "osusume_item", "event_payload": {"item_id": item_id, "snapshot": snapshot}}


@contextmanager
def slack_that_answers(response: Response) -> Iterator[str]:
    """Serve `response` to every call; give the API's address. For answers that the stand-in never gives."""
    server = make_server("127.0.0.1", 0, Request.application(lambda _request: response), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_message_is_posted_whole_and_named(slack: Slack) -> None:
    ts = channel_of(slack).post("雨の図書館", BLOCKS, metadata())
    (message,) = slack.messages
    assert (message.ts, message.text, message.metadata) == (ts, "雨の図書館", metadata())
    assert [block["type"] for block in message.blocks] == ["divider"]


@pytest.mark.parametrize(
    "body",
    ["[]", "1", '{"ok": true}', '{"ok": true, "ts": null, "messages": null}', "[" * 100_000],
    ids=lambda b: b[:40],
)
def test_an_answer_without_what_was_asked_for_is_unclear(body: str) -> None:
    with slack_that_answers(Response(body, content_type="application/json")) as address:
        channel = Channel(TOKEN, "C0LOCAL0001", address, call_seconds=2)
        with pytest.raises(Unclear):
            channel.post("雨", BLOCKS, metadata())
        with pytest.raises(Unclear):
            channel.find(metadata(), NOW)


def test_pages_that_follow_each_other_in_a_circle_are_not_turned_for_ever() -> None:
    body = '{"ok": true, "messages": [null, {"metadata": null}], "response_metadata": {"next_cursor": "a"}}'
    with (
        slack_that_answers(Response(body, content_type="application/json")) as address,
        pytest.raises(Unclear, match="repeat the same page"),
    ):
        Channel(TOKEN, "C0LOCAL0001", address, call_seconds=2).find(metadata(), NOW)


def test_links_in_a_message_are_not_unfurled(slack: Slack) -> None:
    channel_of(slack).post("雨", BLOCKS, metadata())
    assert str(slack.log[0].arguments["unfurl_links"]) in {"False", "0"}
    assert str(slack.log[0].arguments["unfurl_media"]) in {"False", "0"}


def test_a_message_is_found_by_its_metadata(slack: Slack) -> None:
    channel = channel_of(slack)
    ts = [channel.post("雨", BLOCKS, metadata(item_id)) for item_id in ("RJ1", "RJ2", "RJ3")]
    assert channel.find(metadata("RJ2"), NOW - 1) == ts[1]


def test_a_message_that_is_not_there_is_not_found(slack: Slack) -> None:
    channel = channel_of(slack)
    channel.post("RJ2", BLOCKS, metadata("RJ1"))
    slack.channel.post("somebody's", [], None)
    assert channel.find(metadata("RJ2"), NOW - 1) is None


def test_a_message_is_found_on_a_later_page_of_the_history(slack: Slack) -> None:
    channel = channel_of(slack)
    ts = channel.post("雨", BLOCKS, metadata("RJ1"))
    for number in range(450):
        slack.channel.post(str(number), [], metadata(f"RJ9{number:03}"))
    assert channel.find(metadata("RJ1"), NOW - 1) == ts
    assert [call.method for call in slack.log].count("conversations.history") == 3


def test_only_what_was_posted_since_is_looked_at(slack: Slack) -> None:
    channel = channel_of(slack)
    channel.post("雨", BLOCKS, metadata("RJ1"))
    assert channel.find(metadata("RJ1"), NOW + 1) is None


def test_a_rate_limit_says_how_long_to_wait(slack: Slack) -> None:
    rules_of(slack).append(slack_rule("chat.postMessage", status=429))
    with pytest.raises(RateLimited) as caught:
        channel_of(slack).post("雨", BLOCKS, metadata())
    assert caught.value.seconds == 1
    assert slack.posts == 0


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}], ids=["missing", "malformed"])
def test_a_rate_limit_without_a_time_is_waited_out_all_the_same(headers: dict[str, str]) -> None:
    with slack_that_answers(Response("{}", status=429, headers=headers)) as api_url:
        channel = Channel(TOKEN, "C0LOCAL0001", api_url, call_seconds=2)
        with pytest.raises(RateLimited) as caught:
            channel.post("雨", BLOCKS, metadata())
    assert caught.value.seconds == 30


@pytest.mark.parametrize("after_posting", [False, True], ids=["before posting", "after posting"])
@pytest.mark.parametrize(
    "fault",
    [{"drop": True}, {"status": 500}, {"status": 503}, {"error": "internal_error"}, {"error": "fatal_error"}],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_failure_after_which_the_message_may_be_there_is_unclear(
    slack: Slack, fault: dict[str, Any], after_posting: bool
) -> None:
    rules_of(slack).append(slack_rule("chat.postMessage", after_posting=after_posting, **fault))
    with pytest.raises(Unclear, match="chat_postMessage"):
        channel_of(slack).post("雨", BLOCKS, metadata())
    assert slack.posts == after_posting
    assert len(slack.log) == after_posting  # a second call would have been served


def test_an_answer_that_comes_too_late_is_unclear(slack: Slack) -> None:
    rules_of(slack).append(Rule(at("chat.postMessage"), late(0.3)))
    channel = Channel(TOKEN, "C0LOCAL0001", slack.api_url, call_seconds=0.1)
    with pytest.raises(Unclear):
        channel.post("雨", BLOCKS, metadata())


@pytest.mark.parametrize("status", [200, 404, 502])
@pytest.mark.parametrize("body", ["<html>", "", '{"ok": tr'], ids=["HTML", "empty", "cut off"])
def test_an_answer_that_is_not_slacks_is_unclear(status: int, body: str) -> None:
    with slack_that_answers(Response(body, status=status)) as api_url:
        channel = Channel(TOKEN, "C0LOCAL0001", api_url, call_seconds=2)
        with pytest.raises(Unclear):
            channel.post("雨", BLOCKS, metadata())


def test_slack_out_of_reach_is_unclear() -> None:
    channel = Channel(TOKEN, "C0LOCAL0001", "http://127.0.0.1:1/api/", call_seconds=2)
    with pytest.raises(Unclear):
        channel.post("雨", BLOCKS, metadata())


def test_blocks_that_slack_refuses_are_refused_with_its_reason(slack: Slack) -> None:
    with pytest.raises(MessageRefused, match=r"invalid_blocks .*json-pointer:/blocks/0/type"):
        channel_of(slack).post("雨", [{"type": "marquee"}], metadata())
    assert slack.posts == 0


def test_a_message_that_is_too_long_is_refused_alone(slack: Slack) -> None:
    with pytest.raises(MessageRefused, match="msg_too_long"):
        channel_of(slack).post("雨" * 50_000, BLOCKS, metadata())


def test_metadata_that_is_too_long_is_refused_alone(slack: Slack) -> None:
    with pytest.raises(MessageRefused, match="metadata_too_large"):
        channel_of(slack).post("雨", BLOCKS, metadata(snapshot="雨" * 9_000))


def test_a_channel_that_does_not_exist_is_refused_with_the_remedy(slack: Slack) -> None:
    with pytest.raises(ChannelRefused, match="C0OTHER: channel_not_found: check that the bot is in the channel"):
        channel_of(slack, channel_id="C0OTHER").post("雨", BLOCKS, metadata())


def test_a_token_that_is_not_valid_is_refused_without_being_shown(slack: Slack) -> None:
    with pytest.raises(ChannelRefused, match=r"invalid_auth: check .* token is the current one") as caught:
        channel_of(slack, token="xoxb-revoked").post("雨", BLOCKS, metadata())
    assert "xoxb" not in str(caught.value)


@pytest.mark.parametrize("error", ["not_in_channel", "missing_scope", "is_archived", "account_inactive"])
def test_what_every_message_would_meet_is_refused_for_the_channel(slack: Slack, error: str) -> None:
    rules_of(slack).append(slack_rule("conversations.history", error=error))
    with pytest.raises(ChannelRefused, match=f"conversations_history to C0LOCAL0001: {error}"):
        channel_of(slack).find(metadata(), NOW)
