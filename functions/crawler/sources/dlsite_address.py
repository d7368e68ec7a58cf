"""DLsite's addresses: those the crawler asks for, and those found in pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

SOURCE = "dlsite"
HOST = "www.dlsite.com"
_ORIGIN = f"https://{HOST}/"

LISTING_SIZE = 100
FALLBACK_LISTING_SIZE = 30

_FLOOR = re.compile(r"[a-z0-9][a-z0-9-]*")
_ITEM_ID = re.compile(r"(?<![A-Za-z0-9])(?:RJ|BJ|VJ|RE)(?:[0-9]{8}|[0-9]{6})(?![0-9])", re.IGNORECASE)
_WORK_PATH = re.compile(
    r"/([a-z0-9-]+)/(work|announce)/=/(?:[^?#]*/)?product_id/([A-Za-z]{2}[0-9]+)(?![A-Za-z0-9])", re.IGNORECASE
)
_IMAGE_HOST = re.compile(r"(?:[a-z0-9-]+\.)*dlsite\.(?:jp|com)")
_UNSAFE_IN_URL = re.compile(r"[\s\x00-\x20\x7f\"'<>\\^`{|}]")
MAX_URL_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class WorkAddress:
    """The address of a work's page: its floor, `work` or `announce`, and the work's id in upper case."""

    floor: str
    kind: str
    item_id: str

    @property
    def url(self) -> str:
        """The canonical address, without a locale."""
        return f"https://{HOST}/{self.floor}/{self.kind}/=/product_id/{self.item_id}.html"


def listing_urls(floor: str, limit: int) -> list[str]:
    """Return the addresses of the pages that list the newest `limit` audio works of `floor`, 100 a page.

    Raises `ValueError` for an invalid floor.
    """
    root = f"{_root(floor)}/works/type/=/work_type_category/audio/order/release_d/per_page/{LISTING_SIZE}"
    return [f"{root}/page/{page}/show_type/3" for page in _pages(limit, LISTING_SIZE)]


def fallback_listing_urls(floor: str, limit: int) -> list[str]:
    """Return the addresses of the search that lists the same works, 30 a page.

    Raises `ValueError` for an invalid floor.
    """
    root = f"{_root(floor)}/fsr/=/language/jp/work_type_category[0]/audio/order/release_d"
    return [f"{root}/page/{page}" for page in _pages(limit, FALLBACK_LISTING_SIZE)]


def work_url(floor: str, item_id: str) -> str:
    """Return the address of a work's page in Japanese; raises `ValueError` for an invalid floor or id."""
    if not is_item_id(item_id):
        raise ValueError(f"{item_id!r:.40} is not a work's id such as RJ01234567")
    return f"{_root(floor)}/work/=/product_id/{item_id.upper()}.html?locale=ja_JP"


def page_address(url: str) -> str:
    """Return the address of a work's page in Japanese; any other address unchanged."""
    if work_address(url) is None:
        return url
    parts = urlsplit(url)
    query = [each for each in parts.query.split("&") if each and not each.lower().startswith("locale=")]
    return parts._replace(query="&".join([*query, "locale=ja_JP"])).geturl()


def cookies(floor: str) -> dict[str, str]:
    """Return the cookies that `floor` requires: every floor except `home` asks whether the visitor is an adult."""
    return {} if floor == "home" else {"adultchecked": "1"}


def is_item_id(text: str) -> bool:
    """Return whether `text` is a work's id and nothing else, in upper or lower case."""
    return _ITEM_ID.fullmatch(text) is not None


def find_item_id(text: str) -> str | None:
    """Return the first work's id in `text`, in upper case."""
    found = _ITEM_ID.search(text)
    return found.group().upper() if found else None


def work_address(url: str, base: str = _ORIGIN) -> WorkAddress | None:
    """Return the work that `url`, which may be relative to `base`, points to; None if it points to anything else.

    Off-site links never match, whatever their path.
    """
    parts = _on_site(url, base if _on_site(base) else _ORIGIN)
    if parts is None:
        return None
    found = _WORK_PATH.match(parts.path)
    if found is None or not is_item_id(found[3]):
        return None
    return WorkAddress(found[1].lower(), found[2].lower(), found[3].upper())


def floor_of(url: str) -> str | None:
    """Return the floor of an address of DLsite, None if it has none."""
    parts = _on_site(url)
    floor = parts.path.split("/")[1].lower() if parts and parts.path else ""
    return floor if _FLOOR.fullmatch(floor) else None


def image_address(url: str) -> str | None:
    """Return `url` as https if it is an image on DLsite's hosts, else None: Slack shows it to the owner."""
    try:
        parts = urlsplit(urljoin(_ORIGIN, url.strip()))
    except ValueError:
        return None
    address = parts._replace(scheme="https", netloc=parts.netloc.lower()).geturl()
    if parts.scheme not in {"http", "https"} or not _IMAGE_HOST.fullmatch(parts.netloc.lower()):
        return None
    return None if len(address) > MAX_URL_LENGTH or _UNSAFE_IN_URL.search(address) else address


def _on_site(url: str, base: str = _ORIGIN) -> SplitResult | None:
    try:
        parts = urlsplit(urljoin(base, url.strip()))
    except ValueError:  # such as http://[
        return None
    return parts if parts.scheme in {"http", "https"} and parts.netloc.lower() in {HOST, "dlsite.com"} else None


def _root(floor: str) -> str:
    if not _FLOOR.fullmatch(floor):
        raise ValueError(f"{floor!r:.40} is not a floor of DLsite: use home, maniax, girls or another such name")
    return f"{_ORIGIN}{floor}"


def _pages(limit: int, size: int) -> range:
    return range(1, -(-limit // size) + 1)
