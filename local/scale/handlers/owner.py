"""Where the things of one owner are, by the owner's channel."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass

CALLS, SECONDS = "calls of AWS", "seconds in them"
"""The keys of the log line that tells of an invocation's calls."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner. `channel` is the id of the Slack channel; everything else is named after it."""

    channel: str

    @property
    def items_table(self) -> str:
        """The name of the owner's ledger."""
        return f"osusume-{self.channel}-items"

    @property
    def labels_table(self) -> str:
        """The name of the owner's table of labels."""
        return f"osusume-{self.channel}-labels"

    @property
    def token_parameter(self) -> str:
        """The name of the SSM parameter that holds the owner's bot token."""
        return f"/osusume/{self.channel}/slack-bot-token"


class Calls:
    """The calls of AWS that an invocation makes, by operation, and how long it waits for them."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the calls so far."""
        self._counts: Counter[str] = Counter()
        self._seconds, self._began = 0.0, 0.0

    def begin(self, operation: str) -> None:
        """Count a call that begins now."""
        self._counts[operation] += 1
        self._began = time.monotonic()

    def end(self) -> None:
        """Note that the call has ended."""
        self._seconds += time.monotonic() - self._began

    def tell(self) -> None:
        """Print the calls as a line of JSON."""
        print(json.dumps({CALLS: self._counts, SECONDS: self._seconds}), flush=True)
