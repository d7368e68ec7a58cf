"""What the owner says before any press: stored, read from lists, and guessed from."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Stores

from model.__main__ import main
from model.bought import read_bought
from model.dataset import write_examples
from model.first_morning import first_morning
from model.learning.examples import Example
from notifier.guess import guess
from osusume.errors import UserError
from osusume.items import Item
from osusume.wishes import MOST_NAMES, Bought, Wishes, WishStore
from samples.works import generate_works, made_up_taste


def works(seed: int) -> list[Example]:
    return [Example(item, made_up_taste(item)) for item in generate_works(400, seed)]


def test_words_double_the_base_rate_and_bought_works_do_better_still() -> None:
    seeds = range(1, 6)
    words, both = ([first_morning(works(seed), 5, bought, seed).times for seed in seeds] for bought in (0, 30))
    assert sum(words) / len(words) > 2
    assert sum(both) / len(both) > sum(words) / len(words)


def test_a_name_counts_in_fields_title_and_description_whatever_its_width_and_case() -> None:
    def item(number: int, title: str = "a", **fields: list[str]) -> Item:
        return Item(f"RJ{number}", "demo", "", title, attributes=fields)

    items = [item(1, voice_actors=["水瀬 しおり"]), item(2, "ＡＳＭＲの夜"), *(item(number) for number in range(3, 40))]
    assert guess(items, Wishes(["水瀬しおり", "asmr"])).keys() == {"RJ1", "RJ2"}
    assert guess(items, Wishes(["いない人"])) == {}
    assert guess(items, Wishes()) == {}
    assert guess([], Wishes(["asmr"], [Bought("夜")])) == {}


def test_wishes_are_stored_unless_others_were_stored_meanwhile(stores: Stores) -> None:
    store = WishStore(stores.dynamodb, stores.items_table)
    first = Wishes().with_names(["雨", " 雨"]).with_bought([Bought("夜の雨", {"circle": ["a"]})])
    assert store.replace(Wishes(), first)
    assert store.read() == first
    assert not store.replace(Wishes(), Wishes(["風"]))
    assert store.replace(first, first.without_name("雨"))
    assert store.read().names == []


def test_names_that_say_nothing_or_are_too_many_or_missing_are_refused() -> None:
    with pytest.raises(UserError, match="no letters"):
        Wishes().with_names([" \u3000"])
    with pytest.raises(UserError, match="are the most"):
        Wishes().with_names([f"n{number}" for number in range(MOST_NAMES + 1)])
    with pytest.raises(UserError, match="not among"):
        Wishes(["雨"]).without_name("風")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_a_table_of_bought_works_is_read_in_any_common_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "bought.csv"
    file.write_text('購入日,作品名,サークル名,声優\n2026/01/02,"雨, 風",星屑工房,水瀬しおり/ほか\n', encoding)
    assert read_bought(file) == [Bought("雨, 風", {"circle": ["星屑工房"], "voice_actors": ["水瀬しおり", "ほか"]})]


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "bought.csv"
    file.write_text("サークル,タイトル\n星屑工房,雨の夜\n", "utf-8")
    assert read_bought(file) == [Bought("雨の夜", {"circle": ["星屑工房"]})]


def test_of_a_list_that_is_too_long_for_a_record_the_last_works_are_stored(stores: Stores) -> None:
    bought = [Bought(f"{number} " + "長い題名" * 60, {"voice_actors": ["声" * 300] * 9}) for number in range(3_000)]
    wishes = Wishes().with_bought(bought)
    assert WishStore(stores.dynamodb, stores.items_table).replace(Wishes(), wishes)
    assert 20 < len(wishes.bought) < 3_000
    assert wishes.bought[-1].title.startswith("2999 ")


def test_titles_on_lines_and_items_in_json_lines_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / "bought"
    file.write_text("雨の夜\n\n風の朝\n", "utf-8")
    assert read_bought(file) == [Bought("雨の夜"), Bought("風の朝")]
    write_examples(file, works(1)[:2])
    assert read_bought(file) == [Bought(each.item.title, each.item.attributes) for each in works(1)[:2]]


@pytest.mark.parametrize("text", ["", "\n\n", "作品名,サークル\n", '{"price": 3}'])
def test_a_list_that_names_no_work_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bought").write_text(text, "utf-8")
    with pytest.raises(UserError):
        read_bought(tmp_path / "bought")


def test_the_command_judges_first_mornings_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_examples(tmp_path / "labels.jsonl", works(1))
    arguments = ["simulate", "--data", str(tmp_path / "labels.jsonl"), "--words", "5", "--bought", "30", "--seeds", "2"]
    assert main(arguments) == 0
    assert "base rate" in capsys.readouterr().out
    write_examples(tmp_path / "labels.jsonl", works(1)[:40])
    assert main(arguments) == 1
    assert "a first morning needs" in capsys.readouterr().err
