from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from desks import opened
from scipy import sparse

from desk import learning_thread as learning
from desk import view_models
from desk.active_learning import Course, Learnt, Lesson, most_teaching
from desk.desk import Desk
from desk.order import Mode, Selection
from model.dataset import write_examples
from model.intervals import Estimate
from model.learning.examples import Example
from osusume.items import Item, Section
from samples.works import generate_works, made_up_taste

WORKS = generate_works(140, seed=7)
LABELS = {work.item_id: made_up_taste(work) for work in WORKS[:90]}


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    found = Course(WORKS).lesson(LABELS)
    assert found is not None
    return found


def test_the_least_certain_comes_first_and_similar_ones_later() -> None:
    directions = sparse.csr_matrix([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    distances = np.array([0.1, 0.2, 0.3, 3.0])

    assert most_teaching(distances, directions, chosen=3, candidates=4) == [0, 2, 1, 3]


def test_nothing_left_teaches_nothing() -> None:
    assert most_teaching(np.zeros(0), sparse.csr_matrix((0, 2)), chosen=3, candidates=4) == []


def test_every_work_without_a_label_is_in_the_teaching_order_once(lesson: Lesson) -> None:
    assert sorted(lesson.teaching) == sorted(work.item_id for work in WORKS[90:])


def test_the_same_labels_teach_the_same() -> None:
    labels = {work.item_id: made_up_taste(work) for work in WORKS[:25]}

    assert Course(WORKS[:40]).lesson(labels) == Course(WORKS[:40]).lesson(labels)


def test_flipped_labels_are_the_most_doubtful() -> None:
    kinds = {f"RJ{n}": n % 2 == 0 for n in range(40)}
    works = [
        Item(id_, "dlsite", "https://example.com", f"{'静かな雨' if liked else '大声の対決'} {id_}")
        for id_, liked in kinds.items()
    ]
    turned = {"RJ6": False, "RJ11": True, "RJ30": False}
    found = Course(works).lesson({**kinds, **turned})

    assert found is not None
    assert set(found.doubtful[:3]) == set(turned)
    assert all(abs(found.chances[id_] - turned.get(id_, kinds[id_])) > 0.5 for id_ in found.doubtful)


def test_the_estimate_comes_with_the_accuracy_of_the_majority_class(lesson: Lesson) -> None:
    share = np.mean(list(LABELS.values()))

    assert lesson.learnt.labels == 90
    assert lesson.learnt.majority_accuracy == pytest.approx(max(share, 1 - share))
    assert lesson.learnt.share_liked == pytest.approx(share)
    assert lesson.learnt.accuracy.low <= lesson.learnt.accuracy.value <= lesson.learnt.accuracy.high
    assert lesson.learnt.average_precision.value > lesson.learnt.share_liked


def test_random_labels_are_not_reported_as_learnt() -> None:
    rng = np.random.default_rng(3)
    found = Course(WORKS[:60]).lesson({work.item_id: bool(rng.integers(2)) for work in WORKS[:60]})

    assert found is not None
    assert found.learnt.better_by.low <= 0


@pytest.mark.parametrize("liked", [0, 1, 30])
def test_fewer_than_two_labels_of_a_kind_teach_nothing(liked: int) -> None:
    assert Course(WORKS[:40]).lesson({work.item_id: n < liked for n, work in enumerate(WORKS[:30])}) is None


def test_works_without_text_or_fields_can_be_learnt_from() -> None:
    bare = [Item(f"RJ{n}", "dlsite", "https://example.com", "、") for n in range(30)]

    assert Course(bare).lesson({f"RJ{n}": n % 2 == 0 for n in range(24)}) is not None


@contextmanager
def learning_desk(folder: Path, labels: Mapping[str, bool]) -> Iterator[Desk]:
    by_id = {work.item_id: work for work in WORKS}
    examples = [Example(by_id[id_], liked, "2026-11-22 08:00:00") for id_, liked in labels.items()]
    write_examples(folder / "labels.jsonl", examples)
    with opened(folder, WORKS) as (desk, _), closing(desk.learner):
        desk.learner.start(desk.all_items)
        yield desk


def next_id(desk: Desk, mode: Mode) -> str | None:
    item = desk.place(Selection(mode)).item
    return item.item_id if item else None


def wait_for(condition: Callable[[], object]) -> None:
    ticks = threading.Event()
    for _ in range(600):
        if condition():
            return
        ticks.wait(0.05)
    pytest.fail("it did not happen within half a minute")


def test_from_fifty_labels_on_the_order_teaches_unless_the_given_one_is_chosen(tmp_path: Path) -> None:
    ids = list(LABELS)
    with learning_desk(tmp_path, {id_: LABELS[id_] for id_ in ids[:49]}) as desk:
        wait_for(lambda: desk.learner.lesson)
        assert next_id(desk, "teaching") == ids[49]
        desk.label("a", ids[49], is_interested=LABELS[ids[49]])
        wait_for(lambda: desk.learner.lesson and desk.learner.lesson.labels == 50)
        assert desk.learner.lesson is not None
        assert next_id(desk, "teaching") == desk.learner.lesson.teaching[0]
        assert next_id(desk, "given") == ids[50]


def test_each_doubtful_label_is_shown_once(tmp_path: Path) -> None:
    turned = {id_: liked != (n % 9 == 0) for n, (id_, liked) in enumerate(LABELS.items())}
    with learning_desk(tmp_path, turned) as desk:
        wait_for(lambda: desk.learner.lesson)
        assert desk.learner.lesson is not None
        first, second = desk.learner.lesson.doubtful[:2]
        assert next_id(desk, "doubtful") == first
        desk.label("a", first, is_interested=not turned[first])
        assert next_id(desk, "doubtful") == second
        desk.label("b", second, is_interested=turned[second])
        assert next_id(desk, "doubtful") not in {first, second}
        desk.undo("b")
        assert next_id(desk, "doubtful") == second
        assert desk.labels()[first] != turned[first]
        assert desk.labels()[second] == turned[second]


def test_labels_are_stored_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "find_spec", lambda _name: None)
    with learning_desk(tmp_path, LABELS) as desk:
        wait_for(lambda: desk.learner.trouble)
        desk.label("a", WORKS[95].item_id, is_interested=True)
        assert desk.labels()[WORKS[95].item_id]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.02, 0.2, "学べています"), (-0.02, 0.2, "区別がつきません"), (-0.2, -0.02, "まだ学べていません")],
)
def test_the_verdict_says_what_the_interval_allows(low: float, high: float, verdict: str) -> None:
    some = Estimate(0.7, 0.6, 0.8)
    learnt = Learnt(40, some, 0.6, some, 0.4, Estimate((low + high) / 2, low, high))

    assert verdict in view_models.verdict(learnt)


def test_a_pause_does_not_slow_the_pace() -> None:
    times = [f"2026-11-22 {hour}:00:{second:02}" for hour in ("08", "09") for second in range(0, 40, 10)]

    assert view_models.pace(times) == 6.0


@pytest.mark.parametrize("times", [[], ["2026-11-22 08:00:00"] * 9, ["None"] * 9, ["2026-11-22 08:00:00", "x"]])
def test_too_few_times_have_no_pace(times: list[str]) -> None:
    assert view_models.pace(times) is None


@pytest.mark.parametrize(
    "address", ["http://shop.example/a.jpg", "javascript:alert(1)", "https:///a.jpg", "https://[", ""]
)
def test_a_picture_without_https_is_not_shown(address: str) -> None:
    assert view_models.card(Item("RJ1", "dlsite", "https://example.com", "雨", image_url=address)).image == ""


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//shop.example", "ftp://shop.example/"]
)
def test_an_unsafe_address_is_not_a_link(address: str) -> None:
    assert view_models.card(Item("RJ1", "dlsite", address, "雨")).link == ""


def test_the_section_that_the_model_reads_is_marked() -> None:
    sections = [Section("注意", "とても長い注意書き" * 9), Section("あらすじ", "雨"), Section("あらすじ", "")]
    card = view_models.card(Item("RJ1", "dlsite", "https://example.com", "雨", sections=sections))

    assert [section.is_chosen for section in card.sections] == [False, True, False]
