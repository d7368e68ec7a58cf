import json

import pytest

from osusume.items import InvalidItem, Item, Section
from samples.works import demo_works

REQUIRED = {"item_id": "RJ01000001", "source": "dlsite", "url": "https://example.com/1", "title": "雨の図書館"}
BARE = Item("RJ01000001", "dlsite", "https://example.com/1", "雨の図書館")


@pytest.mark.parametrize("item", demo_works()[::20], ids=lambda item: item.item_id)
def test_an_item_comes_back_from_json_as_it_was(item: Item) -> None:
    assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item


def test_the_order_of_fields_values_and_sections_is_kept() -> None:
    value = {
        **REQUIRED,
        "attributes": {"genres": ["癒し", "ASMR"], "circle": ["あまやどり"]},
        "sections": [{"heading": None, "text": "二"}, {"heading": "あらすじ", "text": "一"}],
    }
    item = Item.from_json(value)
    assert list(item.attributes.items()) == [("genres", ["癒し", "ASMR"]), ("circle", ["あまやどり"])]
    assert item.sections == [Section(None, "二"), Section("あらすじ", "一")]


def test_what_is_not_required_may_be_missing() -> None:
    assert Item.from_json(REQUIRED) == BARE


def test_what_is_not_required_may_be_null() -> None:
    nothing = dict.fromkeys(("published_on", "image_url", "price", "age_rating", "attributes", "sections"))
    assert Item.from_json({**REQUIRED, **nothing}) == BARE


def test_a_key_of_a_later_version_is_left_out() -> None:
    assert Item.from_json({**REQUIRED, "rating": 4.5}) == BARE


def test_a_field_without_values_gives_an_empty_list() -> None:
    assert BARE.values("voice_actors") == []


def test_a_free_work_costs_nothing() -> None:
    assert Item.from_json({**REQUIRED, "price": 0}).price == 0


@pytest.mark.parametrize("name", sorted(REQUIRED))
@pytest.mark.parametrize("value", [None, "", " \u3000\n", 1, ["雨"], {"ja": "雨"}], ids=repr)
def test_a_required_field_that_is_not_a_text_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidItem, match=f"^{name} must be a string"):
        Item.from_json({**REQUIRED, name: value})


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidItem, match=f"^{name} "):
        Item.from_json({key: text for key, text in REQUIRED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("published_on", "2026年11月22日"),
        ("published_on", "2026-02-30"),
        ("published_on", ""),
        ("published_on", 20261122),
        ("image_url", ["https://example.com/1.jpg"]),
        ("price", "880"),
        ("price", -1),
        ("price", 10**400),
        ("item_id", "RJ" * 101),
        ("price", 880.0),
        ("price", True),
        ("age_rating", "R15"),
        ("age_rating", ""),
        ("age_rating", 15),
        ("age_rating", ["all"]),
        ("attributes", ["癒し"]),
        ("attributes", "癒し"),
        ("sections", {"text": "雨"}),
        ("sections", "雨"),
    ],
)
def test_a_field_of_another_form_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidItem, match=f"^{name} must be"):
        Item.from_json({**REQUIRED, name: value})


@pytest.mark.parametrize("values", ["癒し", None, ["癒し", None], [["癒し"]], {"0": "癒し"}], ids=repr)
def test_an_attribute_that_is_no_list_of_texts_is_named(values: object) -> None:
    with pytest.raises(InvalidItem, match=r"^attributes\.genres must be"):
        Item.from_json({**REQUIRED, "attributes": {"circle": ["あまやどり"], "genres": values}})


@pytest.mark.parametrize(
    "section", ["雨", None, {}, {"heading": "あらすじ"}, {"text": None}, {"text": ["雨"]}], ids=repr
)
def test_a_section_without_a_text_is_named_by_its_place(section: object) -> None:
    with pytest.raises(InvalidItem, match=r"^sections\[1\] must be"):
        Item.from_json({**REQUIRED, "sections": [{"heading": None, "text": "雨"}, section]})


def test_a_heading_that_is_no_text_is_named_by_its_place() -> None:
    with pytest.raises(InvalidItem, match=r"^sections\[0\]\.heading must be"):
        Item.from_json({**REQUIRED, "sections": [{"heading": 1, "text": "雨"}]})


@pytest.mark.parametrize("value", [None, [], "雨", 1, [REQUIRED]], ids=repr)
def test_what_is_no_object_is_no_item(value: object) -> None:
    with pytest.raises(InvalidItem, match="must be a JSON object"):
        Item.from_json(value)
