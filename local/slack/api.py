"""One call of the Web API or of a response_url over HTTP: body, token, rate limit, and the log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug import Request, Response

from local.slack.channel import Json
from local.slack.methods import METHODS, METHODS_OF_A_CHANNEL, MethodResponse, SlackError, decoded
from local.slack.stand_in import Call, Slack

Arguments = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What goes back to the caller, and the message that the call touched."""

    status: int
    body: Json
    ts: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def web_api(slack: Slack, request: Request, method: str) -> Response:
    """Answer a call of `method` as Slack does: 200 even for Slack's errors, 429 above the rate limit."""
    return _logged(slack, request, method, lambda arguments: _call(slack, request, method, arguments))


def response_url(slack: Slack, request: Request) -> Response:
    """Answer a call of a response_url: 404 when it has expired or is used up, 400 for invalid contents."""

    def serve(arguments: Arguments) -> _Outcome:
        try:
            ts = slack.response_urls.answer(request.path, arguments, slack.clock())
        except SlackError as error:
            status = 404 if error.error in {"expired_url", "used_url"} else 400
            return _Outcome(status, error.to_json())
        return _Outcome(200, {"ok": True}, ts)

    return _logged(slack, request, "response_url", serve)


def _logged(slack: Slack, request: Request, method: str, serve: Callable[[Arguments], _Outcome]) -> Response:
    arguments: Arguments = {}
    try:
        arguments = _arguments(request)
        outcome = serve(arguments)
    except SlackError as error:
        outcome = _refusal(error)
    shown = {name: value for name, value in arguments.items() if name != "token"}
    slack.log.append(Call(method, shown, outcome.status, outcome.body.get("error"), outcome.ts, slack.clock()))
    return Response(
        json.dumps(outcome.body),
        status=outcome.status,
        headers=outcome.headers,
        content_type="application/json; charset=utf-8",
    )


def _call(slack: Slack, request: Request, method: str, arguments: Arguments) -> _Outcome:
    if method not in METHODS:
        raise SlackError("unknown_method")
    token = _token(request, arguments)
    if not token:
        raise SlackError("not_authed")
    if token != slack.bot_token:
        raise SlackError("invalid_auth")
    if method in METHODS_OF_A_CHANNEL:
        if "channel" not in arguments:
            raise SlackError("invalid_arguments", ["missing required field: channel"])
        if arguments["channel"] != slack.channel.channel_id:
            raise SlackError("channel_not_found")
    if method == "chat.postMessage" and (wait := slack.rate_limit.seconds_to_wait(slack.clock())):
        raise SlackError("ratelimited", retry_after=math.ceil(wait))
    if method == "conversations.info" and "channels:read" not in slack.scopes:
        raise SlackError("missing_scope")
    answer: MethodResponse = METHODS[method](slack.channel, arguments, slack.page_address)
    return _Outcome(200, answer.body, answer.ts, {"X-OAuth-Scopes": ",".join(slack.scopes)})


def _refusal(error: SlackError) -> _Outcome:
    if error.retry_after is None:
        return _Outcome(200, error.to_json())
    return _Outcome(429, error.to_json(), headers={"Retry-After": str(error.retry_after)})


def _token(request: Request, arguments: Arguments) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    # As Slack documents it, a JSON body cannot carry the token.
    return "" if request.is_json else str(arguments.get("token", ""))


def _arguments(request: Request) -> Arguments:
    arguments: Arguments = {**request.args.to_dict(), **request.form.to_dict()}
    if request.is_json and (text := request.get_data()):
        try:
            body = json.loads(text)
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        arguments |= body
    return decoded({name: value for name, value in arguments.items() if value is not None})
