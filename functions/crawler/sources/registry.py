"""All sources, by the names that the template's parameter `Source` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crawler.sources import Source
from crawler.sources.dlsite import DLsite
from crawler.sources.feed import Feeds
from osusume.settings import InvalidSetting

SOURCES: dict[str, Callable[[Mapping[str, str]], Source]] = {
    "dlsite": DLsite.from_environment,
    "feed": Feeds.from_environment,
}
"""Each makes its source from the environment, which holds its options."""


def open_source(name: str, environment: Mapping[str, str]) -> Source:
    """Return the source called `name`. Raises `InvalidSetting` for an unknown name or invalid options."""
    if name not in SOURCES:
        raise InvalidSetting(f"SOURCE must be one of {', '.join(SOURCES)}, not {name!r:.40}")
    try:
        return SOURCES[name](environment)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
