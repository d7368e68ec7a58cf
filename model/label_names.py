"""Decides by name which of a checkpoint's two labels means that the owner is interested."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from osusume.errors import UserError

_YES = frozenset(
    [
        *("interested", "interesting", "positive", "pos", "like", "liked", "love", "yes", "y", "true", "t", "1"),
        *("label1", "good", "relevant", "recommended", "recommend", "want"),
        *("興味あり", "好き", "はい", "いいね", "おすすめ"),
    ]
)
_NO = frozenset(
    [
        *("notinterested", "uninterested", "notinteresting", "negative", "neg", "dislike", "disliked", "no", "n"),
        *("false", "f", "0", "label0", "bad", "irrelevant", "notrelevant", "notrecommended", "skip", "other", "none"),
        *("別に", "興味なし", "嫌い", "いいえ"),
    ]
)


def interested_label(names: Mapping[int, str], chosen: str | None = None) -> int:
    """Return which of the labels 0 and 1 means interest; `chosen` is its name, if the user gave one.

    Raises `UserError` if no label has the chosen name, or if the names leave it open.
    """
    if chosen is not None:
        found = [label for label, name in names.items() if _plain(name) == _plain(chosen)]
        if len(found) != 1:
            raise UserError(f"no label is called {chosen!r:.40}: --positive-label takes one of {_listed(names)}")
        return found[0]
    yes = {label for label, name in names.items() if _plain(name) in _YES}
    no = {label for label, name in names.items() if _plain(name) in _NO}
    candidates = yes or (set(names) - no if no else set())
    if len(candidates) != 1 or candidates & no:
        raise UserError(
            f"the checkpoint's labels are called {_listed(names)}, which leaves open which of them means interest:"
            " name it with --positive-label"
        )
    return candidates.pop()


def _plain(name: object) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", str(name))).casefold()


def _listed(names: Mapping[int, str]) -> str:
    return " and ".join(repr(name) for _, name in sorted(names.items()))
