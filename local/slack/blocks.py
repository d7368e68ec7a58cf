"""Block Kit's limits: what Slack rejects in `blocks`, with Slack's error messages.

Only the block types that this project posts are supported. Others are rejected, so that a new type is added together
with its limits.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

BLOCKS_OF_A_MESSAGE = 50
ID_CHARACTERS = 255
URL_CHARACTERS = 3000

_KNOWN_PROPERTIES = {
    "section": {"text", "fields", "accessory", "expand"},
    "context": {"elements"},
    "actions": {"elements"},
    "header": {"text"},
    "image": {"image_url", "alt_text", "title"},
    "divider": set[str](),
    "rich_text": {"elements"},
}
_BUTTON_PROPERTIES = {"text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
_RICH_PROPERTIES = {"text": {"text", "style"}, "link": {"text", "style", "url", "unsafe"}}
_RICH_STYLES = {"bold", "italic", "strike", "code"}
_TEXT_TYPES = {"plain_text", "mrkdwn"}


def block_errors(blocks: object) -> list[str]:
    """Return Slack's errors for `blocks`, each with a JSON pointer; empty if they are valid.

    >>> block_errors([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}])
    ['must be less than 151 characters [json-pointer:/blocks/0/text/text]']
    """
    if not isinstance(blocks, list):
        return ["must provide an array [json-pointer:/blocks]"]
    errors = list(_count(blocks, "/blocks", BLOCKS_OF_A_MESSAGE))
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        pointer = f"/blocks/{index}"
        errors += _block(block, pointer)
        block_id = block.get("block_id") if isinstance(block, Mapping) else None
        if isinstance(block_id, str):
            if block_id in seen:
                errors.append(f"block_id already exists [json-pointer:{pointer}/block_id]")
            seen.add(block_id)
    return errors


def as_slack_keeps(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return valid blocks as Slack returns them: with a `block_id` each and defaults in texts."""
    return [{**_with_defaults(block), "block_id": block.get("block_id") or secrets.token_hex(3)} for block in blocks]


def _with_defaults(value: Any) -> Any:  # any JSON value
    if isinstance(value, list):
        return [_with_defaults(element) for element in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _with_defaults(element) for key, element in value.items()}
    defaults = {"mrkdwn": {"verbatim": False}, "plain_text": {"emoji": True}}
    return {**defaults.get(str(value.get("type")), {}), **kept}


def _block(block: object, pointer: str) -> Iterator[str]:
    if not isinstance(block, Mapping):
        yield f"must provide an object [json-pointer:{pointer}]"
        return
    kind = _type_of(block)
    if kind not in _KNOWN_PROPERTIES:
        yield f"unsupported type: {kind} [json-pointer:{pointer}/type]"
        return
    yield from _properties(block, {"block_id", *_KNOWN_PROPERTIES[kind]}, pointer)
    yield from _string(block, "block_id", pointer, ID_CHARACTERS)
    yield from _CHECKS[kind](block, pointer)


def _section(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    if block.get("text") is None and block.get("fields") is None:
        yield f"must define either `text` or `fields` [json-pointer:{pointer}]"
    if block.get("text") is not None:
        yield from _text(block, "text", pointer, 3000, _TEXT_TYPES)
    if block.get("fields") is not None:
        for index, field in _items(block["fields"]):
            yield from _text({str(index): field}, str(index), f"{pointer}/fields", 2000, _TEXT_TYPES)
        yield from _count(block["fields"], f"{pointer}/fields", 10)
    if block.get("accessory") is not None:
        yield from _element(block["accessory"], f"{pointer}/accessory", {"button", "image"})


def _context(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _count(block.get("elements"), f"{pointer}/elements", 10)
    for index, element in _items(block.get("elements")):
        if _type_of(element) in _TEXT_TYPES:
            # Slack documents no limit for a text here, so the general limit of text objects applies.
            yield from _text({str(index): element}, str(index), f"{pointer}/elements", 3000, _TEXT_TYPES)
        else:
            yield from _element(element, f"{pointer}/elements/{index}", {"image"})


def _actions(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _count(block.get("elements"), f"{pointer}/elements", 25)
    seen: set[object] = set()
    for index, element in _items(block.get("elements")):
        yield from _element(element, f"{pointer}/elements/{index}", {"button", "overflow"})
        action_id = element.get("action_id") if isinstance(element, Mapping) else None
        if isinstance(action_id, str):
            if action_id in seen:
                yield f"action_id already exists [json-pointer:{pointer}/elements/{index}/action_id]"
            seen.add(action_id)


def _header(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _text(block, "text", pointer, 150, {"plain_text"})


def _image(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _string(block, "image_url", pointer, URL_CHARACTERS, required=True)
    yield from _string(block, "alt_text", pointer, 2000, required=True)
    yield from _web_address(block, "image_url", pointer)
    if block.get("title") is not None:
        yield from _text(block, "title", pointer, 2000, {"plain_text"})


def _rich_text(block: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _count(block.get("elements"), f"{pointer}/elements", 50)
    for index, section in _items(block.get("elements")):
        inside = f"{pointer}/elements/{index}"
        if not isinstance(section, Mapping) or _type_of(section) != "rich_text_section":
            yield f"unsupported type: {_type_of(section)} [json-pointer:{inside}/type]"
            continue
        yield from _properties(section, {"elements"}, inside)
        for place, element in _items(section.get("elements")):
            yield from _rich_element(element, f"{inside}/elements/{place}")


def _rich_element(element: object, pointer: str) -> Iterator[str]:
    kind = _type_of(element)
    if not isinstance(element, Mapping) or kind not in _RICH_PROPERTIES:
        yield f"unsupported type: {kind} [json-pointer:{pointer}/type]"
        return
    yield from _properties(element, _RICH_PROPERTIES[kind], pointer)
    yield from _string(element, "text", pointer, 3000, required=kind == "text")
    yield from _string(element, "url", pointer, URL_CHARACTERS, required=kind == "link")
    yield from _web_address(element, "url", pointer)
    style = element.get("style")
    if style is not None and (not isinstance(style, Mapping) or not set(style) <= _RICH_STYLES):
        yield f"must be a valid style [json-pointer:{pointer}/style]"


def _divider(_block: Mapping[str, object], _pointer: str) -> Iterator[str]:
    yield from ()


_CHECKS: dict[str, Callable[[Mapping[str, object], str], Iterator[str]]] = {
    "section": _section,
    "context": _context,
    "actions": _actions,
    "header": _header,
    "image": _image,
    "divider": _divider,
    "rich_text": _rich_text,
}


def _element(element: object, pointer: str, kinds: set[str]) -> Iterator[str]:
    if not isinstance(element, Mapping) or _type_of(element) not in kinds:
        yield f"unsupported type: {_type_of(element)} [json-pointer:{pointer}/type]"
    elif element["type"] == "overflow":
        yield from _overflow(element, pointer)
    elif element["type"] == "image":
        yield from _properties(element, {"image_url", "alt_text"}, pointer)
        yield from _image(element, pointer)
    else:
        yield from _button(element, pointer)


def _overflow(menu: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _properties(menu, {"action_id", "options", "confirm"}, pointer)
    yield from _string(menu, "action_id", pointer, ID_CHARACTERS)
    yield from _count(menu.get("options"), f"{pointer}/options", 5)
    for index, option in _items(menu.get("options")):
        inside = f"{pointer}/options/{index}"
        if not isinstance(option, Mapping):
            yield f"must provide an object [json-pointer:{inside}]"
            continue
        yield from _properties(option, {"text", "value", "description", "url"}, inside)
        yield from _text(option, "text", inside, 75, {"plain_text"})
        yield from _string(option, "value", inside, 150, required=True)


def _button(button: Mapping[str, object], pointer: str) -> Iterator[str]:
    yield from _properties(button, _BUTTON_PROPERTIES, pointer)
    yield from _text(button, "text", pointer, 75, {"plain_text"})
    yield from _string(button, "action_id", pointer, ID_CHARACTERS)
    yield from _string(button, "value", pointer, 2000)
    yield from _string(button, "url", pointer, URL_CHARACTERS)
    yield from _string(button, "accessibility_label", pointer, 75)
    yield from _web_address(button, "url", pointer)
    if button.get("style") not in (None, "primary", "danger"):  # a list cannot be looked up in a set
        yield f"must be a valid enum value [json-pointer:{pointer}/style]"


def _properties(value: Mapping[str, object], known: set[str], pointer: str) -> Iterator[str]:
    for name in value:
        if name != "type" and name not in known:
            yield f"invalid additional property: {name} [json-pointer:{pointer}]"


def _text(holder: Mapping[str, object], name: str, pointer: str, characters: int, kinds: set[str]) -> Iterator[str]:
    text = holder.get(name)
    if text is None:
        yield f"missing required field: {name} [json-pointer:{pointer}]"
    elif not isinstance(text, Mapping):
        yield f"must provide an object [json-pointer:{pointer}/{name}]"
    elif _type_of(text) not in kinds:
        yield f"unsupported type: {_type_of(text)} [json-pointer:{pointer}/{name}/type]"
    else:
        yield from _properties(text, {"text", "emoji", "verbatim"}, f"{pointer}/{name}")
        yield from _string(text, "text", f"{pointer}/{name}", characters, required=True)


def _string(
    holder: Mapping[str, object], name: str, pointer: str, characters: int, *, required: bool = False
) -> Iterator[str]:
    value = holder.get(name)
    if value is None:
        if required:
            yield f"missing required field: {name} [json-pointer:{pointer}]"
    elif not isinstance(value, str):
        yield f"must be a string [json-pointer:{pointer}/{name}]"
    elif len(value) > characters:
        yield f"must be less than {characters + 1} characters [json-pointer:{pointer}/{name}]"
    elif required and not value:
        yield f"must be more than 0 characters [json-pointer:{pointer}/{name}]"


def _web_address(holder: Mapping[str, object], name: str, pointer: str) -> Iterator[str]:
    value = holder.get(name)
    if not isinstance(value, str):
        return
    try:
        address = urlsplit(value)
        valid = address.scheme in {"http", "https"} and bool(address.hostname)
    except ValueError:
        valid = False
    if not valid:
        yield f"must be a valid URL [json-pointer:{pointer}/{name}]"


def _count(value: object, pointer: str, most: int) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"must provide an array [json-pointer:{pointer}]"
    elif len(value) > most:
        yield f"no more than {most} items allowed [json-pointer:{pointer}]"
    elif not value and pointer != "/blocks":
        yield f"no fewer than 1 items allowed [json-pointer:{pointer}]"


def _type_of(value: object) -> str:
    return str(value.get("type")) if isinstance(value, Mapping) else "none"


def _items(value: object) -> Iterator[tuple[int, object]]:
    yield from enumerate(value if isinstance(value, list) else [])
