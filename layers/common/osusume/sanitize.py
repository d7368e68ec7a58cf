"""Make text from the web safe to display beside our own."""

from __future__ import annotations

import unicodedata

MOST_MARKS = 4
"""No script puts more marks on a letter; more would cover the lines above."""

_SPACES = frozenset("\t\r\v\f\x85\u2028\u2029")
_JOINERS = frozenset("\u200c\u200d")  # they shape letters and emoji, and stand between characters that show
_CUT = "…"
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


def legible(text: str, length: int) -> str:
    r"""Return up to `length` characters of `text`, stripped so that they cannot alter the surrounding text.

    Control and format characters are removed: they are invisible or change the direction of writing. A text with
    right-to-left letters is put between isolates, so that its direction ends with it. The result is empty if nothing
    visible is left.

    >>> legible("rain\u202e and\u200b tea", 80)
    'rain and tea'
    >>> legible("rain and tea", 6)
    'rain …'
    """
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        is_joiner = character in _JOINERS
        if character in _SPACES:
            kept.append(" ")
        elif character == "\n" or is_joiner or category not in {"Cc", "Cf", "Cs"}:
            if category in {"Mn", "Me"}:
                marks += 1
            elif not is_joiner:
                marks = 0
            if marks <= MOST_MARKS:
                kept.append(character)
        if len(kept) > length:
            break
    if not any(not character.isspace() and character not in _JOINERS for character in kept):
        return ""
    if any(unicodedata.bidirectional(character) in {"R", "AL"} for character in kept):
        return _ISOLATE + _cut(kept, length - 2) + _END_OF_ISOLATE
    return _cut(kept, length)


def _cut(characters: list[str], length: int) -> str:
    return "".join(characters if len(characters) <= length else [*characters[: length - 1], _CUT])


def normal(text: str) -> str:
    """Return a text in the form in which names are compared.

    >>> normal(" ＡＢＣ  カフェ ")
    'abcカフェ'
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
