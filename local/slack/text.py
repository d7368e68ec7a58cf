"""Messages as people see them: mrkdwn parsed into spans, and messages as plain lines for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from local.slack.channel import Json, Message

Style = Literal["bold", "italic", "strike", "code"]

# As in Slack, a style's mark needs no word character outside and no space inside. Japanese letters are word characters,
# so *太字*です stays unchanged.
_MARKUP = re.compile(
    r"<(?P<angle>[^<>\n]+)>"
    r"|(?<![\w`])`(?P<code>[^`\n]+)`(?![\w`])"
    r"|(?<![\w*])\*(?=\S)(?P<bold>(?:<[^<>\n]*>|[^*\n])+)(?<=\S)\*(?![\w*])"
    r"|(?<![\w])_(?=\S)(?P<italic>(?:<[^<>\n]*>|[^_\n])+)(?<=\S)_(?!\w)"
    r"|(?<![\w~])~(?=\S)(?P<strike>(?:<[^<>\n]*>|[^~\n])+)(?<=\S)~(?![\w~])"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text with the same styles and link; `notifies` tells whether it notifies people."""

    text: str
    styles: frozenset[Style] = frozenset()
    url: str | None = None
    notifies: bool = False


def spans(text_object: Json) -> list[Span]:
    """Return the spans of a Block Kit text object, or of a section of rich text.

    >>> [span.text for span in spans({"type": "mrkdwn", "text": "*A &amp; B* <https://example.com|here>"})]
    ['A & B', ' ', 'here']
    """
    if text_object["type"] == "rich_text_section":
        return [_rich(element) for element in text_object["elements"]]
    text = str(text_object["text"])
    if text_object["type"] == "plain_text":
        return [Span(_unescaped(text))]
    return list(_spans(text, frozenset()))


def shown_text(text_object: Json) -> str:
    """Return the visible text of a text object, without styles and addresses."""
    return "".join(span.text for span in spans(text_object))


def _rich(element: Json) -> Span:
    """Return the span of a rich text element, whose text is shown verbatim."""
    named: dict[str, Style] = {"bold": "bold", "italic": "italic", "strike": "strike", "code": "code"}
    styles = frozenset(named[name] for name, on in (element.get("style") or {}).items() if on)
    url = element.get("url")
    return Span(str(element.get("text") or url), styles, url=url)


def _spans(text: str, styles: frozenset[Style]) -> Iterator[Span]:
    end = 0
    for found in _MARKUP.finditer(text):
        if found.start() > end:
            yield Span(_unescaped(text[end : found.start()]), styles)
        end = found.end()
        inside = found[0][1:-1]
        if found["angle"]:
            yield _angle(inside, styles)
        elif found["code"]:
            yield Span(_unescaped(inside), styles | {"code"})
        elif found["bold"]:
            yield from _spans(inside, styles | {"bold"})
        elif found["italic"]:
            yield from _spans(inside, styles | {"italic"})
        else:
            yield from _spans(inside, styles | {"strike"})
    if end < len(text):
        yield Span(_unescaped(text[end:]), styles)


def _angle(inside: str, styles: frozenset[Style]) -> Span:
    target, _, label = inside.partition("|")
    target, label = _unescaped(target), _unescaped(label)
    if target.startswith(("@", "!")) and not target.startswith("!date"):
        return Span(label or f"@{target[1:]}", styles, notifies=True)
    if target.startswith(("#", "!date")):
        return Span(label or target, styles)
    leads = target.startswith(("https://", "http://", "mailto:"))
    return Span(label or target, styles, url=target if leads else None)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def as_text(message: Message) -> str:
    """Return the message as plain lines: links followed by their address, buttons in brackets, pictures as alt text."""
    if not message.blocks:
        return _plain({"type": "mrkdwn", "text": message.text})
    return "\n".join(line for block in message.blocks for line in _lines(block))


def _lines(block: Json) -> Iterator[str]:
    if block["type"] == "divider":
        yield "─" * 20
    if block["type"] == "image":
        yield _picture(block)
    if block.get("text"):
        yield _plain(block["text"])
    for field in block.get("fields") or []:
        yield _plain(field).replace("\n", "  ")  # Slack shows fields in columns; here each has a line
    elements = [*(block.get("elements") or []), block.get("accessory")]
    shown = " ".join(_element(element) for element in elements if element)
    if shown:
        yield shown


def _element(element: Json) -> str:
    if element["type"] == "button":
        return f"[{_plain(element['text'])}]"
    if element["type"] == "overflow":
        return "[⋯]"
    if element["type"] == "image":
        return _picture(element)
    return _plain(element)


def _picture(image: Json) -> str:
    return f"(画像: {image['alt_text']})"


def _plain(text_object: Json) -> str:
    return "".join(
        f"{span.text} ({span.url})" if span.url and span.url != span.text else span.text for span in spans(text_object)
    )
