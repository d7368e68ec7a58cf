"""The addresses of feeds, and the ids of what they list."""

from __future__ import annotations

import string
from collections.abc import Sequence
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.sources.feed_address import MOST_FEEDS, feed_addresses, is_on_this_machine, item_id, web_address

FEED = "https://feeds.example.com/all.xml"


def test_several_addresses_are_read_each_once_with_https() -> None:
    text = " https://example.com/feed\n\thttp://example.org:80/a?b=c https://EXAMPLE.com/feed  https://example.net:443 "
    assert feed_addresses(text) == ["https://example.com/feed", "https://example.org/a?b=c", "https://example.net"]


LOCAL = [
    *("http://127.0.0.1/feed", "http://127.1/feed", "http://0x7f.0.0.1/", "http://2130706433/", "http://0177.0.0.1/"),
    *(
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
    ),
    *("https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://224.0.0.1/", "https://127.0.0.1./"),
    *("https://[::1]/", "https://[fd00::1]/", "https://[fe80::1]/", "https://[::ffff:10.0.0.1]/", "https://[::]/"),
    *("https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://[::ffff:127.0.0.1]/"),
    *("https://localhost/", "https://LOCALHOST./", "https://printer.local/", "https://a.localhost/"),
    *("https://db.internal/", "https://intranet/feed", "https:///feed"),
]
NO_FEEDS = [
    *("https://user:password@example.com/", "https://user@example.com/", "https://example.com:8443/feed"),
    *("http://example.com:8080/", "file:///etc/hostname", "gopher://example.com/", "ftp://example.com/feed"),
    *(
        "feed://example.com/",
        "javascript:alert(1)",
        "data:text/xml,x",
        "example.com/feed",
        "//example.com/feed",
        "/feed",
    ),
    *("https://", "https://[", "feed.xml", "https://example.com/" + "a" * 2_000),
]


@pytest.mark.parametrize("address", LOCAL + NO_FEEDS, ids=lambda address: address[:40])
def test_an_address_that_is_none_of_a_public_host_is_refused_by_name(address: str) -> None:
    with pytest.raises(ValueError, match=r"is no address of a public host|names a port") as raised:
        feed_addresses(f"https://example.com/feed {address}")
    assert address[:100] in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("text", ["", " \n "])
def test_no_address_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ValueError, match="set Feeds, or give --url"):
        feed_addresses(text)


def test_more_feeds_than_a_crawl_reads_are_refused() -> None:
    addresses = [f"https://example.com/{number}" for number in range(MOST_FEEDS)]
    assert feed_addresses(" ".join([*addresses, *addresses])) == addresses
    with pytest.raises(ValueError, match="51 feeds are more than 50"):
        feed_addresses(" ".join([*addresses, "https://example.com/one-more"]))


def test_in_a_trial_a_feed_may_be_on_this_machine_and_stays_as_it_is() -> None:
    addresses = ["http://127.0.0.1:8000/feed.xml", "http://localhost:8000/feed.xml", "https://example.com/feed"]
    assert feed_addresses(" ".join(addresses), is_trial=True) == addresses
    assert [is_on_this_machine(address) for address in addresses] == [True, True, False]


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1/feed", "http://[::1]:8000/", "file:///etc/hostname", "http://intranet/"]
)
def test_in_a_trial_no_other_machine_of_the_network_is_asked(address: str) -> None:
    with pytest.raises(ValueError, match="is no address of a public host"):
        feed_addresses(address, is_trial=True)


@pytest.mark.parametrize("address", [*LOCAL, "https://www.example.com:8443/a", "javascript:alert(1)", "https://["])
def test_an_address_in_a_feed_that_is_none_of_a_public_host_is_not_shown(address: str) -> None:
    assert web_address(address, FEED) == ""


WORK = "https://example.com/works/12?id=1&page=2"


@pytest.mark.parametrize(
    "same",
    [
        "http://example.com/works/12?id=1&page=2",
        "HTTPS://EXAMPLE.COM:443/works/12?id=1&page=2",
        "http://example.com:80/works/12/?id=1&page=2",
        "https://example.com./works/12?page=2&id=1",
        "https://example.com/works/12?id=1&utm_source=rss&page=2&UTM_Medium=feed&fbclid=x&gclid=",
        "https://example.com/works/12?id=1&page=2#utm_source=rss",
        "https://example.com/works/12?id=1&page=2#xtor=RSS-1",
        "https://example.com/works/12?id=1&page=2&ref=rss&from=feed",
        "https://example.com/%77orks/x/../12?id=1&page=2",
        "https://example.com/works/12?id=%31&page=2#:~:text=word",
    ],
)
def test_another_spelling_of_an_address_has_the_same_id(same: str) -> None:
    assert item_id(FEED, "", same, "") == item_id(FEED, "", WORK, "")
    assert item_id(FEED, same, "", "") == item_id(FEED, "", WORK, "")


@pytest.mark.parametrize(
    "other",
    [
        "https://www.example.com/works/12?id=1&page=2",
        "https://example.com:8443/works/12?id=1&page=2",
        "https://example.com/Works/12?id=1&page=2",
        "https://example.com/works%2F12?id=1&page=2",
        "https://example.com/works/12?id=1",
        "https://example.com/works/12?id=2&page=1",
        "https://example.com/works/12?id=1&page=2&ref=12",
        "https://example.com/works/12?id=1&page=2&feed=jazz",
        "https://example.com/works/12?id=1&page=2&pk_id=3",
        "https://example.com/works/12?id=1&page=2#work-3",
        "https://example.com/works/12?id=1&page=2#work=3",
        "https://example.com/works/12?id=1&page=2#/3?utm=4",
    ],
)
def test_an_address_of_another_work_has_another_id(other: str) -> None:
    assert item_id(FEED, "", other, "") != item_id(FEED, "", WORK, "")


def test_words_in_old_encodings_stay_apart() -> None:
    words = ("%83%41", "%83%42", "%80", "%81", "%e3%82%a2")
    for form in ("https://example.com/?q={}", "https://example.com/{}"):
        assert len({item_id(FEED, "", form.format(word), "") for word in words}) == len(words)


@pytest.mark.parametrize(
    "guid",
    [
        "tag:example.com,2026:works/12",
        "urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a",
        "1225c695-cfb8-4ebb-aaaa-80da344efa6a",
        "0cc175b9c0f1b6a831c399e269772661",
        "https://example.com/works/12",
    ],
)
def test_an_id_of_the_whole_world_is_one_in_every_feed(guid: str) -> None:
    assert item_id(FEED, guid, WORK, "a") == item_id("https://example.net/", guid, "https://example.net/b", "c")


@pytest.mark.parametrize(
    "guid", ["12", "post-12", "2026-11-28T00:00:00+09:00", "http://localhost/?p=12", "https://", "tag:12"]
)
def test_an_id_that_feeds_count_anew_is_told_apart_by_the_address_or_the_feed(guid: str) -> None:
    ids = {
        item_id(FEED, guid, "", ""),
        item_id("https://example.net/feed", guid, "", ""),
        item_id(FEED, guid, "https://example.net/works/12", ""),
        item_id(FEED, guid, "https://example.net/works/13", ""),
        item_id(FEED, guid + "0", "https://example.net/works/13", ""),
    }
    assert len(ids) == 5
    assert item_id(FEED, guid, WORK, "a") == item_id("https://example.net/feed", guid, WORK, "b")


def test_a_work_that_says_nothing_of_itself_is_told_by_its_feed_and_text() -> None:
    ids = [item_id(feed, "", "", text) for feed in (FEED, "https://example.net/feed") for text in ("a", "b")]
    assert len(set(ids)) == 4
    assert item_id("http://feeds.example.com/all.xml", "", "", "a") == ids[0]


words = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8)
values = st.text(string.printable + "あ%&=#+/", max_size=8)
pairs = st.lists(st.tuples(words.map("p{}".format), values), max_size=3)
hosts = st.sampled_from(["example.com", "www.example.com", "example.org"])
works = st.tuples(hosts, st.lists(words, max_size=3), pairs)
TRACKING = ("utm_source", "utm_x", "fbclid", "gclid", "mc_eid", "pk_campaign", "hsa_acc", "_ga", "igshid", "yclid")


def address(work: tuple[str, list[str], list[tuple[str, str]]], more: Sequence[tuple[str, str]] = ()) -> str:
    host, path, query = work
    return f"https://{host}/{'/'.join(map(quote, path))}?{urlencode([*query, *more])}"


@settings(max_examples=50)
@given(works, st.lists(st.tuples(st.sampled_from(TRACKING), values), max_size=3), st.randoms(use_true_random=False))
def test_tracking_scheme_and_order_never_change_an_id(work, tracking, random) -> None:  # type: ignore[no-untyped-def]
    host, path, query = work
    mixed = random.sample([*query, *tracking], len(query) + len(tracking))
    tracked = address((host.upper(), path, mixed)).replace("https", random.choice(["http", "https"]))
    assert item_id(FEED, "", tracked, "") == item_id(FEED, "", address(work), "")
    assert item_id(FEED, tracked, "", "") == item_id("https://example.net/", address(work), "", "")


@settings(max_examples=50)
@given(works, works)
def test_different_hosts_paths_and_parameters_always_have_different_ids(one, other) -> None:  # type: ignore[no-untyped-def]
    is_same = (one[0], one[1], sorted(one[2])) == (other[0], other[1], sorted(other[2]))
    assert (item_id(FEED, "", address(one), "") == item_id(FEED, "", address(other), "")) == is_same
