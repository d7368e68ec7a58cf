"""What a stack's owner decided besides labels: rules, and names that they like before the first press."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from desk.store import NotStored
from osusume.errors import UserError
from osusume.messages import rule_line
from osusume.rules import Rules
from osusume.wishes import WishStore

_SEPARATORS = re.compile(r"[,、\n]+")


class Steering:
    """The rules and the names of a stack."""

    def __init__(self, rules: Rules, wishes: WishStore) -> None:
        self._rules, self._wishes = rules, wishes

    @property
    def rules(self) -> list[str]:
        """What the rules in force say, in Japanese."""
        return [rule_line(rule) for rule in self._rules.all() if rule.holds(time.time())]

    @property
    def names(self) -> Sequence[str]:
        """The names that the owner likes."""
        return self._wishes.read().names

    def like(self, text: str) -> None:
        """Store the names in a text, which commas separate. Raises `NotStored`."""
        try:
            before = self._wishes.read()
            after = before.with_names([name for name in _SEPARATORS.split(text) if name.strip()])
            is_stored = self._wishes.replace(before, after)
        except (BotoCoreError, ClientError) as error:
            raise NotStored(f"テーブルに保存できません（{error}）。") from error
        except UserError as error:
            raise NotStored(f"保存できません（{error}）。") from error
        if not is_stored:
            raise NotStored("ほかの場所で変更されました。もう一度お試しください。")
