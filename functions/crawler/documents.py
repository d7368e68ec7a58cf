"""Reads a source of documents, such as feeds: each is requested once a crawl, and only its new works are kept.

A work is kept as soon as its document is read, under `crawls/{source}/pages/` as a shop's pages are, so that a crawl
that dies loses none: what was kept since the last snapshot is part of the next one.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from crawler.answers import public_address
from crawler.fetcher import MAX_REDIRECTS, Document, ForeignHost, OutOfTime, UnexpectedAnswer
from crawler.progress import KnownDocument
from crawler.quality import bad_crawl
from crawler.session import Session
from crawler.sources import DocumentSource, ListedItem, NotADocument, SourceError
from osusume.items import Item
from osusume.observability import logger
from osusume.snapshots import Failure


def read_documents(session: Session[DocumentSource]) -> list[Item]:
    """Return the works of all documents: every new one, and as many known ones of each as the item limit allows.

    A document that cannot be read goes into the failures of the progress. Raises `OutOfTime`, and `BadCrawl` if no
    document can be read.
    """
    progress, addresses = session.progress, session.source.addresses
    kept = session.crawls.kept()
    out_of_time: dict[str, OutOfTime] = {}
    for url in addresses:
        if url in progress.documents_read:
            continue
        try:
            _list_document(session, url, kept)
        except OutOfTime as error:
            out_of_time[url] = error
            continue
        except SourceError as error:
            _note_failure(session, url, error)
        progress.documents_read.append(url)
        session.save()
    for url, no_time in out_of_time.items():
        if session.requests:
            raise no_time  # the next turn has more
        _note_failure(session, url, no_time)  # its host asks to be left alone for longer than a turn
    if len(progress.failures) == len(addresses):
        raise bad_crawl(0, progress.failures)
    published = session.published
    item_ids = dict.fromkeys([*(listed.item_id for listed in progress.listed), *session.unpublished(kept)])
    items = (published.get(item_id) or session.crawls.page(item_id) for item_id in item_ids)
    return [item for item in items if item]


def read_one_document(session: Session[DocumentSource]) -> Item:
    """Return the newest work of the first document. Raises `NotADocument` if it has none, and as `Fetcher` does."""
    url = session.source.addresses[0]
    items = _parsed(session, _fetch(session, url, KnownDocument()))
    if not items:
        raise NotADocument(f"{url} lists nothing")
    return items[0]


def _list_document(session: Session[DocumentSource], url: str, kept: Collection[str]) -> None:
    """Add the works of a document to the listed ones, and keep those that are new. Raises `SourceError`."""
    progress, source = session.progress, session.source
    before = progress.documents.get(url)
    session.mark_in_flight(url, url)
    document = _fetch(session, url, before or KnownDocument())
    if before and document.is_unchanged:
        listed = [ListedItem(item_id, url, "") for item_id in before.item_ids if item_id in kept]
        progress.listed += listed[: session.item_limit]
        return
    items = _parsed(session, document)
    known = {*kept, *(before.item_ids if before else [])}
    new = [item for item in items if item.item_id not in known]
    if before is None:
        new = new[: session.item_limit]  # the rest was there before its owner was
    elif before.item_ids and items and known.isdisjoint(item.item_id for item in items):
        progress.gap = True
    for item in new:
        session.crawls.keep_page(item.item_id, item, url=url, parser_version=source.parser_version)
    old = [item for item in items if item.item_id in kept]
    progress.listed += [ListedItem(item.item_id, item.url, item.title) for item in [*new, *old[: session.item_limit]]]
    progress.documents[url] = KnownDocument(document.etag, document.last_modified, [item.item_id for item in items])


def _fetch(session: Session[DocumentSource], url: str, known: KnownDocument) -> Document:
    """Return the document at `url`, or at the end of its redirects, which may lead to other public hosts."""
    address = url
    for _ in range(MAX_REDIRECTS + 1):
        fetcher = session.fetcher(urlsplit(address).netloc)
        try:
            return fetcher.fetch_document(address, session.source.accepts, known.etag, known.last_modified)
        except ForeignHost as error:
            moved = public_address(error.target)
            if not moved:
                raise
            address = moved
    raise UnexpectedAnswer(f"{url} redirects to more than {MAX_REDIRECTS} hosts: open the address in a browser")


def _parsed(session: Session[DocumentSource], document: Document) -> list[Item]:
    return session.source.parse_document(document.body, document.content_type, document.url)


def _note_failure(session: Session[DocumentSource], url: str, error: SourceError) -> None:
    logger.warning("a document cannot be read", url=url, error=str(error))
    session.progress.failures.append(Failure(url, url, f"{type(error).__name__}: {error}"))
