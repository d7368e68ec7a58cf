"""The channel as a page: messages oldest first, rendered as in Slack, buttons as forms.

The page works without its script. The script polls the parts `messages` and `panel`, and presses buttons without a
reload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import requests
from flask import Flask, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug import Response

from local.slack.channel import Message
from local.slack.stand_in import FailedPress, Slack
from local.slack.text import shown_text, spans
from web.guard import guard

WEEKDAYS = "月火水木金土日"


def channel_page(slack: Slack, token: str) -> Flask:
    """Return the channel's page, served under /`token`/ by `web.guard`."""
    app = Flask(__package__)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.jinja_env.filters |= {
        "anchor": anchor,
        "heading": _heading,
        "local_day": lambda message: f"{_local(message):%Y-%m-%d}",
        "local_time": lambda message: f"{_local(message):%H:%M}",
        "spans": spans,
        "written_day": lambda message: _written_day(_local(message)),
    }
    guard(app, token)

    def messages() -> str:
        return render_template(
            "messages.html",
            messages=sorted([*slack.messages, *slack.ephemerals], key=lambda message: message.ts),
            warning_of=lambda message: _warning(message, slack.failed_presses),
            image=lambda url: _image_address(url, slack.image_hosts),
        )

    @app.get("/")
    def index() -> str:
        panel = slack.side_panel and Markup(slack.side_panel())  # noqa: S704  # HTML of this machine's own
        return render_template("channel.html", messages=Markup(messages()), panel=panel)  # noqa: S704  # as above

    @app.get("/messages")
    def messages_alone() -> Response:
        return _unless_known(_state_of(slack), messages)

    @app.get("/panel")
    def panel_alone() -> Response:
        panel = slack.side_panel() if slack.side_panel else ""
        return _unless_known(panel, lambda: panel)

    @app.post("/press")
    def press() -> Response:
        ts = request.form.get("ts", "")
        try:
            block_id, option = request.form.get("block_id"), request.form.get("option")
            slack.press(ts, request.form.get("action_id", ""), block_id=block_id, option=option)
        except (LookupError, RuntimeError) as error:
            return Response(f"ボタンを押せません: {error}", status=409, mimetype="text/plain")
        except requests.RequestException:
            pass  # recorded in failed_presses, which the page shows beside the message
        if request.headers.get("X-Requested-With") == "fetch":
            return Response(status=204)
        return redirect(f"{url_for('index')}#{anchor(ts)}", code=303)

    return app


def anchor(ts: str) -> str:
    """Return the HTML id of the message named `ts`."""
    return "p" + ts.replace(".", "")


def _unless_known(state: str, draw: Callable[[], str]) -> Response:
    """Return the result of `draw`, or 304 if the client already has it for this `state`."""
    answer = Response(mimetype="text/html")
    tag = hashlib.sha256(state.encode()).hexdigest()
    answer.set_etag(tag)
    if request.if_none_match.contains(tag):
        answer.status_code = 304
    else:
        answer.set_data(draw())
    return answer


def _state_of(slack: Slack) -> str:
    drawn = [(message.ts, message.edited) for message in (*slack.messages, *slack.ephemerals)]
    return repr((drawn, len(slack.failed_presses)))


def _heading(message: Message) -> str:
    """Return the message's first visible text, which serves as its name."""
    texts = {"rich_text_section", "plain_text", "mrkdwn"}
    shown = (element for block in message.blocks for element in (block.get("text"), *block.get("elements", ())))
    first = next((text for text in shown if text and text["type"] in texts), {"type": "mrkdwn", "text": message.text})
    return shown_text(first)


def _warning(message: Message, failed_presses: list[FailedPress]) -> FailedPress | None:
    """Return the message's last failed press, unless the message was changed since."""
    changed_at = float(message.edited or 0)
    failed = [press for press in failed_presses if press.message_ts == message.ts and press.at >= changed_at]
    return failed[-1] if failed else None


def _image_address(url: str, image_hosts: dict[str, str]) -> str:
    parts = urlsplit(url)
    origin = image_hosts.get(parts.netloc)
    return url if origin is None else f"{origin}{parts.path}"


def _local(message: Message) -> datetime:
    return datetime.fromtimestamp(message.posted_at, UTC).astimezone()


def _written_day(moment: datetime) -> str:
    return f"{moment.month}月{moment.day}日（{WEEKDAYS[moment.weekday()]}）"
