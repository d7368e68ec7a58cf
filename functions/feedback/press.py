"""Stores the press of a button as a label, and shows the label in the message; sets and undoes rules."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from datetime import tzinfo

from osusume.errors import UserError
from osusume.labels import Label, Labels, local_time
from osusume.ledger import Ledger, Record
from osusume.messages import Block, item_forms
from osusume.observability import follow, logger
from osusume.rules import Rule, Rules, offered

REWRITES = 3
"""How often to rewrite a message while other presses change the label."""


class PressRefused(Exception):
    """Raised when a press is not stored; the message is for the owner, in Japanese."""


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button under an item; `action_ts` is when, by Slack's clock, `channel` is where."""

    item_id: str
    is_interested: bool | None
    user_id: str
    action_ts: str
    channel: str | None = None


def set_rule(press: Press, kind: str, rules: Rules, ledger: Ledger, allowed_users: Set[str]) -> Rule:
    """Set the rule of a kind that the menu of an item offers, unless a later press is stored; return what is stored.

    The name comes from the ledger, never from the press. Raises `PressRefused` as `store_press` does, and for a rule
    that the item does not offer.
    """
    record = record_of(press, ledger, allowed_users)
    for offered_kind, value in offered(record.item):
        if offered_kind == kind:
            return _stored(Rule(offered_kind, value, press.action_ts, press.channel or ""), rules)
    raise PressRefused("この作品では、そのルールは使えません。")


def undo_rule(key: str, press: Press, rules: Rules, allowed_users: Set[str]) -> Rule:
    """Undo the rule named `key`, unless it was set again later; return what is stored.

    Raises `PressRefused` if the user is not allowed, and if this channel has no such rule.
    """
    _check_user(press, allowed_users)
    rule = next((rule for rule in rules.all() if rule.key == key), None)
    if rule is None or rule.channel not in {"", press.channel}:
        raise PressRefused("そのルールは見つかりません。")
    return _stored(replace(rule, action_ts=press.action_ts, is_set=False), rules)


def _stored(rule: Rule, rules: Rules) -> Rule:
    try:
        if rules.store(rule):
            return rule
    except UserError as error:
        raise PressRefused("ルールが多すぎるため、保存できませんでした。") from error
    return next(each for each in rules.all() if each.key == rule.key)


def store_press(
    press: Press,
    labels: Labels,
    ledger: Ledger,
    allowed_users: Set[str],
    time_zone: tzinfo,
    since_receipt: Callable[[], float] | None = None,
) -> Record:
    """Store a press as a label, unless a later press is stored; return the item's record.

    `since_receipt` returns the seconds since the press was received, which the label keeps.

    An empty `allowed_users` allows everyone. Raises `PressRefused` if the user is not allowed, if the ledger does not
    know the item, or if the item was posted in another channel: an app installed in two workspaces gets the presses of
    both, signed with the same secret.
    """
    record = record_of(press, ledger, allowed_users)
    created_at = local_time(press.action_ts, time_zone)
    label = Label(press.item_id, press.is_interested, press.user_id, press.action_ts, created_at)
    labels.store(replace(label, waited=since_receipt() if since_receipt else None))
    logger.info("press stored", item_id=press.item_id, is_interested=press.is_interested)
    return record


def record_of(press: Press, ledger: Ledger, allowed_users: Set[str]) -> Record:
    """Return the record of the item that was pressed. Raises `PressRefused` as `store_press` does."""
    _check_user(press, allowed_users)
    record = ledger.get([press.item_id]).get(press.item_id)
    if record is None:
        raise PressRefused(f"作品 {press.item_id} の記録が見つからないため、保存できませんでした。")
    follow(record.snapshot)
    if record.channel and press.channel != record.channel:
        raise PressRefused("この作品を投稿したチャンネルのボタンだけが使えます。")
    return record


def _check_user(press: Press, allowed_users: Set[str]) -> None:
    if allowed_users and press.user_id not in allowed_users:
        raise PressRefused("このボタンは、許可された人だけが使えます。")


def show_label(record: Record, labels: Labels, rewrite: Callable[[str, list[Block]], bool | None]) -> None:
    """Rewrite an item's message until it shows the stored label.

    `rewrite` returns False if Slack refuses the message, for example because it cannot fetch the image; then it gets
    the message without one.

    Presses can arrive together: each writes the label it finds and then reads it again, so that the last one to finish
    leaves the message right.
    """
    label = labels.get(record.item.item_id)
    for _ in range(REWRITES):
        for form in item_forms(record, label):
            if rewrite(*form) is not False:
                break
        shown, label = label, labels.get(record.item.item_id)
        if shown == label:
            return
