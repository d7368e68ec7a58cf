from __future__ import annotations

from local.catalogue.works import DEMO_DAYS, demo_works, generate_works, made_up_taste
from osusume.items import ATTRIBUTE_FIELDS, Item


def test_the_demo_has_as_many_works_as_its_days_release() -> None:
    assert len(demo_works()) == sum(DEMO_DAYS)


def test_the_works_of_one_seed_are_always_the_same() -> None:
    assert generate_works(50, seed=3) == generate_works(50, seed=3)


def test_works_differ_in_title_and_id() -> None:
    works = generate_works(2000, seed=1)
    assert len({work.title for work in works}) == len({work.item_id for work in works}) == 2000


def test_works_come_oldest_first() -> None:
    dates = [work.published_on or "" for work in demo_works()]
    assert dates == sorted(dates)


def test_every_work_is_a_valid_item() -> None:
    for work in demo_works():
        assert Item.from_json(work.to_json()) == work
        assert set(work.attributes) <= set(ATTRIBUTE_FIELDS)
        assert work.values("circle")
        assert work.values("voice_actors")
        assert len(work.values("genres")) >= 3


def test_no_pattern_is_left_unfilled_in_a_work() -> None:
    for work in generate_works(500, seed=5):
        assert not {"{", "}"} & set(work.title + "".join(section.text for section in work.sections))


def test_the_made_up_owner_likes_about_a_quarter_of_the_works() -> None:
    for works in (demo_works(), generate_works(1000, seed=2)):
        assert 0.2 <= sum(made_up_taste(work) for work in works) / len(works) <= 0.35
