from __future__ import annotations

import pytest

from model.serving.text import chosen_section, compose
from osusume.items import Item, Section

ORDER = ("circle", "voice_actors", "genres")


def item(*sections: tuple[str | None, str], **attributes: list[str]) -> Item:
    return Item(
        "RJ01000001",
        "dlsite",
        "https://example.com/RJ01000001",
        "雨の図書室",
        attributes=attributes,
        sections=[Section(heading, text) for heading, text in sections],
    )


def test_the_text_is_title_then_fields_in_the_given_order_then_the_section() -> None:
    work = item(("あらすじ", "静かな夜です。"), genres=["ASMR", "癒し"], circle=["青い栞"], voice_actors=["春野こよみ"])
    assert compose(work, ORDER, []) == "雨の図書室\n青い栞\n春野こよみ\nASMR, 癒し\nあらすじ\n静かな夜です。"


def test_fields_outside_the_order_are_left_out() -> None:
    assert compose(item(genres=["ASMR"], musicians=["誰か"]), ORDER, []) == "雨の図書室\nASMR"


def test_missing_fields_and_empty_values_add_no_line() -> None:
    assert compose(item(circle=[], genres=["", " "]), ["circle", "genres"], []).splitlines()[0] == "雨の図書室"
    assert compose(item(circle=[], voice_actors=["  "]), ORDER, []) == "雨の図書室"


def test_the_section_with_the_most_keyword_hits_is_chosen_even_if_it_is_short() -> None:
    work = item((None, "とても長い注意書きがここに続きます。" * 5), ("内容", "耳かき、耳かき。"), (None, "耳かき"))
    assert chosen_section(work, ["耳かき"]) == Section("内容", "耳かき、耳かき。")


def test_hits_of_different_keywords_add_up() -> None:
    work = item((None, "耳かき 耳かき"), (None, "耳かき 雨音 囁き"))
    assert chosen_section(work, ["耳かき", "雨音", "囁き"]) == work.sections[1]


def test_a_keyword_in_the_heading_is_a_hit() -> None:
    work = item((None, "長い長い長い長いお知らせ"), ("あらすじ", "短い"))
    assert chosen_section(work, ["あらすじ"]) == work.sections[1]


@pytest.mark.parametrize("keyword", ["asmr", "ＡＳＭＲ", "Asmr "])
def test_width_and_case_do_not_matter_for_a_hit(keyword: str) -> None:
    work = item((None, "ずっと長いお知らせの文章"), (None, "ASMR"))
    assert chosen_section(work, [keyword]) == work.sections[1]


def test_among_equal_hits_the_longer_section_is_chosen() -> None:
    work = item((None, "耳かき"), (None, "耳かきの音"), (None, "何もない、とても長い文章です"))
    assert chosen_section(work, ["耳かき"]) == work.sections[1]


@pytest.mark.parametrize("keywords", [[], ["どこにもない"], [""], [" "]])
def test_without_hits_the_longest_section_is_chosen(keywords: list[str]) -> None:
    work = item((None, "短い"), (None, "いちばん長い"), (None, "ふつう"))
    assert chosen_section(work, keywords) == work.sections[1]


def test_among_equal_hits_and_lengths_the_first_section_is_chosen() -> None:
    work = item(("一", "同じ"), ("二", "長さ"))
    assert chosen_section(work, []) is work.sections[0]


def test_an_item_without_text_in_its_sections_has_no_section() -> None:
    work = item(("あらすじ", " \n"))
    assert chosen_section(work, ["あらすじ"]) is None
    assert compose(work, ORDER, ["あらすじ"]) == "雨の図書室"
