"""From hostile HTML to plain text: what every source's parser starts with."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PageElement, Tag
from bs4.exceptions import ParserRejectedMarkup

MAX_TAGS = 30_000
MAX_DEPTH = 500
"""More tags, and deeper nested, than any page has: a tag takes a kilobyte and 25 µs, a look-up may climb its depth."""

# fmt: off
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "td", "tfoot",
    "th", "thead", "tr", "ul",
})
_UNREADABLE = frozenset({
    "button", "iframe", "input", "noscript", "option", "rp", "rt", "script", "select", "style", "template", "textarea",
})
# fmt: on

# Format characters show nothing and make equal texts differ; those that turn the direction of writing can also
# disguise a link. The joiner stays between emoji, where it is a part of the picture.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    r"|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d"
)
_HIDDEN_MARKS = "\u0f73\u0f75\u0f81"  # they count as letters, and come apart into marks
MAX_MARKS = 30
"""Marks on one letter; https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format says that no language has more.

Normalising takes the square of their number, so that a page of marks alone would take hours.
"""

_WEB_ENCODINGS = dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932")  # as browsers read them
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_BREAKS = re.compile(r" ?[\n\f][ \n\f]*")


class UnreadableMarkup(ValueError):
    """Raised when a text cannot be an HTML page: no tags, too many or too deep ones, or its end missing."""


def decode_markup(body: bytes, charset: str | None = None) -> str:
    """Return the text of a page in the encoding of its byte-order mark, of `charset`, of its `<meta>`, or in UTF-8.

    The first of these that fits wins; where none does, the first that is known, with U+FFFD for what it cannot read.
    A guess from the bytes is never made: it turns a page with one broken character into one with none right.
    """
    body, mark = EncodingDetector.strip_byte_order_mark(body)
    declared = EncodingDetector.find_declared_encoding(body, is_html=True)
    names = [_WEB_ENCODINGS.get(name.lower(), name) for name in (mark, charset, declared) if name]
    for errors in ("strict", "replace"):
        for name in [*names, "utf-8"]:
            try:
                return body.decode(name, errors)
            except (LookupError, ValueError):  # an unknown encoding, or one that does not fit
                continue
    return body.decode("utf-8", "replace")


def read_markup(html: str) -> BeautifulSoup:
    """Return the tree of an HTML page or of a part of one.

    Raises `UnreadableMarkup` for a text without tags, for one beyond `MAX_TAGS` or `MAX_DEPTH`, and for a document
    whose end is missing: what a cut-off page lacks would be lost for good, since a work's page is read once.
    """
    tags = html.count("<")
    if tags == 0:
        raise UnreadableMarkup("it has no HTML tags")
    if tags > MAX_TAGS:
        raise UnreadableMarkup(f"it has more than {MAX_TAGS} tags")
    if re.search(r"<html[\s>]", html, re.IGNORECASE) and not re.search(r"</html\s*>", html, re.IGNORECASE):
        raise UnreadableMarkup("it is cut off: </html> is missing")
    storable = html.encode("utf-8", "replace").decode("utf-8")  # lone surrogates fit neither the parser nor a store
    with warnings.catch_warnings():
        # an XHTML declaration before HTML, or a short text that looks like an address: both are read all the same
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        try:
            page = BeautifulSoup(storable, "lxml")
        except ParserRejectedMarkup as error:
            raise UnreadableMarkup(f"the parser refuses it: {error}") from error
    level: list[Tag] = [page]
    for _ in range(MAX_DEPTH):
        level = [child for tag in level for child in tag.children if isinstance(child, Tag)]
    if level:
        raise UnreadableMarkup(f"its tags are nested more than {MAX_DEPTH} deep")
    return page


def clean_text(text: str) -> str:
    r"""Return `text` in NFC, without invisible characters, spaces at the ends of lines and doubled blank lines.

    Shops get their texts from many keyboards: a voiced kana comes as one character or as two, and only in one normal
    form are equal names equal to a set, a tokenizer and a person's search. It is NFC and not NFKC, because the owner
    reads the text too: ① and ㈱ shall stay what the author wrote.

    >>> clean_text("か\u3099た\xa0\n\n\n \u200bり ")
    'がた\n\nり'
    """
    visible = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    spaced = re.sub(r"[ \t\xa0]+", " ", unicodedata.normalize("NFC", _without_towers(visible)))
    lines = "\n".join(line.rstrip().lstrip(" ") for line in spaced.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n").strip()


def _without_towers(text: str) -> str:
    """Return `text` with no more than `MAX_MARKS` marks in a row."""
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        is_mark = unicodedata.combining(character) or character in _HIDDEN_MARKS
        marks = marks + 1 if is_mark else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def clean_line(text: str) -> str:
    """Return `text` as `clean_text` does, on one line."""
    return clean_text(_SPACES.sub(" ", text))


def readable_text(element: Tag, skip: Callable[[Tag], bool] = lambda _: False) -> str:
    """Return the text a reader sees in `element`, clean, a line for each `<br>` and each block.

    Scripts, templates and ruby readings are left out, and every element for which `skip` is true.
    """
    pieces: list[str] = []
    waiting: list[PageElement | str] = [element]
    while waiting:  # not recursive: a page may nest deeper than Python's stack
        node = waiting.pop()
        if isinstance(node, Tag):
            if node.name in _UNREADABLE or (node is not element and skip(node)):
                continue
            if node.name == "br":
                waiting.append("\n")
            edges = ["\f"] if node.name in _BLOCKS else []
            waiting += [*edges, *reversed(node.contents), *edges]
        elif type(node) is NavigableString:  # its subclasses are comments, scripts, declarations
            pieces.append(_SPACES.sub(" ", node))
        elif type(node) is str:
            pieces.append(node)
    return clean_text(_BREAKS.sub(_line_breaks, re.sub(" +", " ", "".join(pieces))))


def own_tags(element: Tag, skip: Callable[[Tag], bool]) -> Iterator[Tag]:
    """Yield the tags within `element` in page order, without those for which `skip` is true and what is in them."""
    waiting = [element]
    while waiting:
        tag = waiting.pop()
        if tag is not element:
            if skip(tag):
                continue
            yield tag
        waiting += [child for child in reversed(tag.contents) if isinstance(child, Tag)]


def outermost(tags: Iterable[Tag]) -> Iterator[Tag]:
    """Yield those of `tags` that lie in none of the others; they must come in page order.

    Nested matches would be read repeatedly: in a hostile page, thousands of times.
    """
    taken: set[int] = set()
    for tag in tags:
        if not any(id(parent) in taken for parent in tag.parents):
            taken.add(id(tag))
            yield tag


def _line_breaks(match: re.Match[str]) -> str:
    """Return a break for each `<br>` in a run; the edges of blocks (form feeds) make one only where no `<br>` does."""
    return "\n" * max(1, match.group().count("\n"))
