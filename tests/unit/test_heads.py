from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from botocore.exceptions import ConnectionClosedError
from conftest import Stores

from classifier.serving import LOOK_SECONDS, Serving
from model.serving.card import Card
from model.serving.head import Head
from model.serving.package import ModelPackage, write_package
from osusume.errors import UserError
from osusume.heads import NO_ENCODER, Heads, StoredHead, stored_versions
from osusume.items import Item

ITEM = Item("RJ01000001", "dlsite", "https://example.com", "雨", attributes={"circle": ["青い栞"]})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def package(folder: Path, weight: float, max_tokens: int = 64) -> ModelPackage:
    """Write and load a package that looks at fields alone."""
    card = Card(
        version="test",
        taste="owner",
        base_model="none",
        created_on="2026-04-01",
        order=("circle",),
        keywords=(),
        max_tokens=max_tokens,
        labels={},
        metrics={},
        files={},
    )
    write_package(folder, card, Head(np.zeros(0), 0.0, 0.5, fields={("circle", "青い栞"): weight}))
    return ModelPackage.load(folder)


def files_of(folder: Path) -> StoredHead:
    return StoredHead((folder / "card.json").read_bytes(), (folder / "head.npz").read_bytes())


@pytest.fixture
def heads(stores: Stores) -> Heads:
    return Heads(stores.s3, stores.bucket, NO_ENCODER)


@pytest.fixture
def stored(tmp_path: Path, heads: Heads) -> Callable[[float], ModelPackage]:
    """Store the head of a package with this weight, and return the package."""

    def store(weight: float) -> ModelPackage:
        made = package(tmp_path / str(weight), weight)
        heads.store(made.version, files_of(tmp_path / str(weight)))
        return made

    return store


@pytest.fixture
def own(tmp_path: Path) -> ModelPackage:
    return package(tmp_path / "own", 0.0)


Storing = Callable[[float], ModelPackage]


def test_nothing_is_promoted_at_first(heads: Heads, stored: Storing) -> None:
    stored(1.0)
    assert heads.promoted() is None


def test_rolling_back_picks_the_one_before(heads: Heads, stored: Storing, tmp_path: Path) -> None:
    first, second = stored(1.0), stored(2.0)
    heads.promote(first.version)
    heads.promote(second.version)
    assert heads.promoted() == files_of(tmp_path / "2.0")
    assert heads.roll_back().version == second.version
    assert heads.promoted() == files_of(tmp_path / "1.0")
    assert heads.roll_back().version == first.version
    assert heads.promoted() is None
    with pytest.raises(UserError, match="no promoted head"):
        heads.roll_back()


def test_only_a_stored_head_is_promoted(heads: Heads) -> None:
    with pytest.raises(UserError, match=r"models/no-encoder/absent/card.json"):
        heads.promote("absent")
    assert heads.promotions() == []


def test_a_version_that_would_leave_its_folder_is_refused(heads: Heads) -> None:
    for version in ("../snapshots/x", "a/b", "", ".", "版"):
        with pytest.raises(UserError, match="cannot be a version"):
            heads.store(version, StoredHead(b"", b""))


def test_storing_again_makes_no_difference_and_another_head_of_the_version_is_refused(
    heads: Heads, stored: Storing, stores: Stores
) -> None:
    made = stored(1.0)
    stored(1.0)
    assert [version.version for version in stored_versions(stores.s3, stores.bucket)] == [made.version]
    with pytest.raises(UserError, match="another head of this version"):
        heads.store(made.version, StoredHead(b"{}", b"other"))


def test_the_promoted_head_scores(heads: Heads, stored: Storing, own: ModelPackage) -> None:
    promoted = stored(2.0)
    heads.promote(promoted.version)
    served = Serving(own, heads, Clock()).package()
    assert served.version == promoted.version != own.version
    assert served.score([ITEM]) == promoted.score([ITEM]) != own.score([ITEM])


def test_a_promotion_is_seen_minutes_later_and_a_roll_back_too(
    heads: Heads, stored: Storing, own: ModelPackage
) -> None:
    clock = Clock()
    serving = Serving(own, heads, clock)
    assert serving.package() is own
    heads.promote(stored(2.0).version)
    clock.now += LOOK_SECONDS - 1
    assert serving.package() is own
    clock.now += 1
    assert serving.package().version != own.version
    heads.roll_back()
    clock.now += LOOK_SECONDS
    assert serving.package() is own


def test_a_head_for_another_encoder_is_not_looked_for(
    stores: Stores, stored: Storing, heads: Heads, own: ModelPackage
) -> None:
    heads.promote(stored(2.0).version)
    assert Serving(own, Heads(stores.s3, stores.bucket, "0" * 64), Clock()).package() is own


Damage = Callable[[Stores, str], None]


def delete_head(stores: Stores, folder: str) -> None:
    stores.s3.delete_object(Bucket=stores.bucket, Key=folder + "head.npz")


def alter_head(stores: Stores, folder: str) -> None:
    stores.s3.put_object(Bucket=stores.bucket, Key=folder + "head.npz", Body=b"other")


def alter_card(stores: Stores, folder: str) -> None:
    card = json.loads(stores.s3.get_object(Bucket=stores.bucket, Key=folder + "card.json")["Body"].read())
    card["order"] = ["genres"]
    stores.s3.put_object(Bucket=stores.bucket, Key=folder + "card.json", Body=json.dumps(card).encode())


def break_pointer(stores: Stores, _folder: str) -> None:
    stores.s3.put_object(Bucket=stores.bucket, Key="models/no-encoder/promoted.json", Body=b"{")


@pytest.mark.parametrize("damage", [delete_head, alter_head, alter_card, break_pointer])
def test_a_damaged_head_leaves_the_packages_own_and_is_told_loudly(  # fixtures
    damage: Damage,
    stores: Stores,
    tmp_path: Path,
    stored: Storing,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = package(tmp_path / "own", 0.0)
    heads = Heads(stores.s3, stores.bucket, NO_ENCODER)
    version = stored(2.0).version
    heads.promote(version)
    clock = Clock()
    damage(stores, f"models/no-encoder/{version}/")
    serving = Serving(own, heads, clock)
    assert serving.package() is own
    assert "the promoted head cannot be used" in caplog.messages
    assert serving.head_unusable
    mended = stored(3.0).version
    stores.s3.delete_object(Bucket=stores.bucket, Key="models/no-encoder/promoted.json")
    heads.promote(mended)
    clock.now += LOOK_SECONDS
    assert serving.package().version == mended
    assert not serving.head_unusable


def test_a_head_in_use_stays_while_s3_does_not_answer(
    stores: Stores, heads: Heads, stored: Storing, own: ModelPackage
) -> None:
    heads.promote(stored(2.0).version)
    clock = Clock()
    serving = Serving(own, heads, clock)
    in_use = serving.package()
    stores.s3.meta.events.register("before-send.s3.ListObjectsV2", refuse)
    clock.now += LOOK_SECONDS
    assert serving.package() is in_use
    assert serving.head_unusable


def refuse(**_: object) -> None:
    raise ConnectionClosedError(endpoint_url="http://127.0.0.1")


def test_a_head_made_for_other_files_or_shorter_texts_is_refused(tmp_path: Path, own: ModelPackage) -> None:
    package(tmp_path / "short", 1.0, max_tokens=32)
    other = files_of(tmp_path / "short")
    with pytest.raises(UserError, match="made for another encoder"):
        own.with_head(other.card, other.head)
    card = json.loads(files_of(tmp_path / "own").card)
    card["files"]["encoder.onnx"] = "0" * 64
    with pytest.raises(UserError, match="made for another encoder"):
        own.with_head(json.dumps(card).encode(), files_of(tmp_path / "own").head)


def test_a_head_that_cannot_be_read_is_refused(own: ModelPackage, tmp_path: Path) -> None:
    good = files_of(tmp_path / "own")
    for broken in (replace(good, card=b"{"), replace(good, head=b"PK"), replace(good, card=b"[]")):
        with pytest.raises(UserError):
            own.with_head(broken.card, broken.head)
