"""The channel as a page: messages oldest first, buttons as forms."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader

from local.slack.stand_in import Slack
from local.slack.text import spans

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; img-src http: https:; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
}


def anchor(ts: str) -> str:
    """Return the id that the message named `ts` has on the page."""
    return "p" + ts.replace(".", "")


def render(slack: Slack, token: str) -> str:
    """Return the page of the channel as it stands now; `token` is what its forms carry to be let in."""
    return _templates.get_template("channel.html").render(
        messages=sorted([*slack.messages, *slack.ephemerals], key=lambda message: message.ts),
        warnings=slack.failed_presses,
        token=token,
        image=lambda url: _image_address(url, slack.image_hosts),
    )


def _image_address(url: str, image_hosts: dict[str, str]) -> str:
    parts = urlsplit(url)
    origin = image_hosts.get(parts.netloc)
    return url if origin is None else f"{origin}{parts.path}"


def _local_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


_templates = Environment(loader=PackageLoader("local.slack"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_templates.filters |= {"anchor": anchor, "local_time": _local_time, "spans": spans}
