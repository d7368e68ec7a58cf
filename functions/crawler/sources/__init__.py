"""The interfaces of a source. Each source has a module that knows its addresses and markup, but not the network.

A `PagedSource` has a listing and a page for each work, on one host: a shop. A `DocumentSource` has documents that
describe their works whole, on any hosts: feeds. To add a source, write its module and name it in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from osusume.items import Item


class SourceError(Exception):
    """The base of all errors of a source, in fetching or in parsing."""


class NotAListingPage(SourceError):
    """Raised when a page lists no works and does not say that there are none."""


class NotAWorkPage(SourceError):
    """Raised when a page is not a work's page, or is incomplete."""


class NotADocument(SourceError):
    """Raised when a document cannot be read, or is of another kind."""


class RegionBlocked(SourceError):
    """Raised when the shop shows only the title of a work, because it may not be sold here."""


@dataclass(frozen=True, slots=True)
class ListedItem:
    """A work as a listing names it; `title` is empty if the listing gives none."""

    item_id: str
    url: str
    title: str

    def to_json(self) -> dict[str, str]:
        """Return the listed item as plain JSON values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> ListedItem:
        """Return the listed item that the JSON object `value` describes; raises `ValueError`, naming the field."""
        if not isinstance(value, Mapping):
            raise ValueError(f"a listed item must be a JSON object, not {type(value).__name__}")  # noqa: TRY004  # it is the value that is wrong
        texts = {name: value.get(name) for name in ("item_id", "url", "title")}
        for name, text in texts.items():
            if not isinstance(text, str) or not (text or name == "title"):
                raise ValueError(f"{name} of a listed item must be a string{'' if name == 'title' else ', not empty'}")
        return cls(**{name: str(text) for name, text in texts.items()})


class PagedSource(Protocol):
    """One shop with its own options, such as a floor."""

    @property
    def name(self) -> str:
        """The name in the keys of the bucket, which never changes."""

    @property
    def host(self) -> str:
        """The only host that the fetcher sends requests to."""

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies to send with every request."""

    @property
    def parser_version(self) -> int:
        """The version of the parsers; a higher one reads kept pages again."""

    def listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of the pages that list the newest `limit` works, newest first."""

    def fallback_listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of another listing of the same works, none if the shop has none."""

    def parse_listing_page(self, html: str, url: str) -> list[ListedItem]:
        """Return the works that a listing names, in its order. Raises `NotAListingPage`."""

    def work_url(self, item_id: str) -> str:
        """Return the address of a work's page."""

    def page_address(self, url: str) -> str:
        """Return the address to request for `url`, such as that of the page in the right language."""

    def parse_work_page(self, html: str, url: str) -> Item:
        """Return the item that a work's page describes. Raises `NotAWorkPage` or `RegionBlocked`."""


@runtime_checkable
class DocumentSource(Protocol):
    """Documents that describe their works whole, such as feeds."""

    @property
    def name(self) -> str:
        """The name in the keys of the bucket, which never changes."""

    @property
    def parser_version(self) -> int:
        """The version of the parser."""

    @property
    def addresses(self) -> Sequence[str]:
        """The addresses of the documents."""

    @property
    def accepts(self) -> str:
        """The types of documents to ask for, as in the header `Accept`."""

    def parse_document(self, body: bytes, content_type: str, url: str) -> list[Item]:
        """Return the works of the document `body`, fetched from `url`, newest first. Raises `NotADocument`.

        `content_type` is the header of that name, empty if there was none.
        """


Source = PagedSource | DocumentSource
