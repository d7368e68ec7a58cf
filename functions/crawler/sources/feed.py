"""Feeds: any RSS, Atom or JSON Feed, of any public hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.sources.feed_address import SOURCE, feed_addresses
from crawler.sources.feed_document import parse_feed

PARSER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Feeds:
    """The feeds at some addresses; see `DocumentSource`."""

    addresses: tuple[str, ...]
    name: str = SOURCE
    parser_version: int = PARSER_VERSION
    accepts: str = (
        "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9,"
        " application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Feeds:
        """Return the source as the variable `FEEDS` says: addresses with white space between. Raises `ValueError`.

        Where `SITE_ADDRESS` is set, as in a trial, they may be on this machine.
        """
        return cls(tuple(feed_addresses(environment.get("FEEDS", ""), is_trial=bool(environment.get("SITE_ADDRESS")))))

    parse_document = staticmethod(parse_feed)
