"""Items added, replaced and deleted beside a served version: there at once for the next reader."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from planted_index import Counting, angles, circle

from aisle.index.base import NONE
from aisle.index.description import Description
from aisle.index.errors import IndexFault
from aisle.index.publishing import collect, rollback
from aisle.index.rebuild import Source, rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.updates import compact, update
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")
JOB = RebuildSettings(gate=GateSettings(min_overlap=0, max_count_drift=1))


@pytest.fixture(params=["a folder", "a URL"])
def versions(request, tmp_path) -> Versions:
    place = tmp_path / "index" if request.param == "a folder" else f"memory://updates-{tmp_path.name}"
    found = Versions(place, tmp_path / "work")
    rebuild(found, circle(4), CPU, JOB)  # at 0, 90, 180 and 270 degrees
    return found


def items(encode=angles, **degrees: float) -> Source:
    texts = [str(value) for value in degrees.values()]
    return Source(pl.Series(list(degrees)), texts, encode, "encoder of angles", "angles")


def found(versions: Versions, degrees: float, k: int = 1) -> list[str]:
    stored = versions.open().stored
    _, rows = stored.index.search(angles([str(degrees)]), k)
    return stored.ids.of(rows[rows != NONE])


def test_a_change_is_there_for_the_next_reader(versions):
    before = versions.open()
    encode = Counting()
    done = update(versions, items(encode, i0001=45, new=135), ["i0002"], JOB)
    assert (done.added, done.replaced, done.deleted, done.encoded, done.changed) == (1, 1, 1, 2, 2)
    assert encode.asked == ["45", "135"]
    assert found(versions, 45) == ["i0001"]
    assert found(versions, 135) == ["new"]
    assert sorted(found(versions, 180, 10)) == ["i0000", "i0001", "i0003", "new"]
    _, rows = before.stored.index.search(angles(["180"]), 1)
    assert before.stored.ids.of(rows[0]) == ["i0002"]  # who had it open keeps what it had


def test_texts_stay_with_their_items(tmp_path):
    """Through a rebuild, two updates and compaction, where a model reads vectors of texts."""
    kept = Versions(tmp_path / "kept")

    def said() -> dict[str, str]:
        stored = kept.open().stored
        return dict(zip(stored.ids.of(stored.rows), stored.said(stored.rows), strict=True))

    def turned(source: Source) -> Source:
        return replace(source, finish=lambda vectors: -vectors)

    rebuild(kept, turned(circle(4)), CPU, JOB)
    texts = {f"i{row:04}": f"{90 * row:.6f}" for row in range(4)}
    assert said() == texts
    update(kept, turned(items(new=10, i0001=45)), ["i0002"], JOB)
    update(kept, turned(items(newer=20, new=11)), ["i0003"], JOB)
    wanted = {"i0000": texts["i0000"], "i0001": "45", "new": "11", "newer": "20"}
    assert said() == wanted
    update(kept, None, ["i0000"], JOB)
    compact(kept, JOB)
    assert said() == {name: text for name, text in wanted.items() if name != "i0000"}


def test_changes_that_are_replaced_while_they_are_opened(versions, monkeypatch):
    update(versions, items(new=10), [], JOB)
    damage, told = Description.damage, []

    def slow(self, folder, check="all"):
        if folder.name.startswith("delta-") and not told:
            told.append(folder.name)
            update(Versions(str(versions.storage), versions.work), None, ["i0003"], JOB)
        return damage(self, folder, check)

    monkeypatch.setattr(Description, "damage", slow)
    assert len(found(versions, 10, 10)) in (4, 5)  # as it was, or as it is: whole
    assert told
    assert sorted(found(versions, 10, 10)) == ["i0000", "i0001", "i0002", "new"]


def test_changes_add_up_and_a_deleted_item_may_come_back(versions):
    update(versions, items(new=10), [], JOB)
    update(versions, None, ["new", "i0003"], JOB)
    assert sorted(found(versions, 10, 10)) == ["i0000", "i0001", "i0002"]
    update(versions, items(i0003=200), [], JOB)
    assert found(versions, 200) == ["i0003"]
    assert sorted(found(versions, 10, 10)) == ["i0000", "i0001", "i0002", "i0003"]
    assert len(versions.storage.deltas()) == 1


def test_what_cannot_be_done_changes_nothing(versions):
    other = items(new=10)
    wrong = Source(other.ids, other.texts, angles, other.encoder, "another model")
    misread = Source(other.ids, other.texts, angles, "another encoder", other.model)
    twice = Source(pl.Series(["new", "new"]), ["1", "2"], angles, other.encoder, other.model)
    for source, deleted, words in (
        (None, [], "--catalogue or --delete"),
        (misread, [], "rebuild the index with the new encoder"),
        (twice, [], "'new' more than once"),
        (None, ["nobody"], "'nobody'"),
        (None, ["i0000", "i0000"], "twice"),
        (wrong, [], "rebuild the index with the new model"),
        (items(lambda texts, what: np.full((len(texts), 2), np.nan, np.float32), new=1), [], "NaN"),
    ):
        with pytest.raises(IndexFault, match=words):
            update(versions, source, deleted, JOB)
    assert versions.storage.deltas() == []
    assert len(versions.open().stored.index) == 4


def test_the_next_rebuild_starts_anew(versions):
    update(versions, items(new=10), ["i0003"], JOB)
    live = versions.pointer().version
    done = rebuild(versions, circle(4), CPU, JOB)
    assert (done.version, done.status) == (live, "published")
    assert sorted(found(versions, 10, 10)) == [f"i000{n}" for n in range(4)]


def test_a_rollback_brings_the_changes_of_that_version_with_it(versions):
    update(versions, None, ["i0003"], JOB)
    rebuild(versions, circle(4, changed=2), CPU, JOB)
    with versions.writing():
        collect(versions, 3)
        rollback(versions)
    assert sorted(found(versions, 10, 10)) == ["i0000", "i0001", "i0002"]


def test_compaction_makes_one_version_of_both(versions):
    update(versions, items(i0001=45, new=135), ["i0002"], JOB)
    before = {degrees: found(versions, degrees, 4) for degrees in (0, 50, 130, 200)}
    publication = compact(versions, JOB)
    opened = versions.open()
    assert opened.version == publication.version
    assert len(opened.stored.index) == 4
    assert opened.stored.ids.series().to_list() == ["i0000", "i0001", "i0003", "new"]
    assert {degrees: found(versions, degrees, 4) for degrees in before} == before
    assert versions.pointer().delta == ""


@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_compaction_keeps_vectors_as_they_came(tmp_path, metric):
    """Whatever the index rounds them to, and however often."""

    def longer(texts, what=""):
        return angles(texts) * np.float32(3.7)

    rounding = IndexSettings(device="cpu", storage="int8", metric=metric)
    versions = Versions(tmp_path / "index")
    whole = circle(4, encode=longer)
    rebuild(versions, whole, rounding, JOB)
    for degrees in (45, 135):
        update(versions, items(longer, new=degrees), [], JOB)
        wanted = longer([*whole.texts, str(degrees)])
        np.testing.assert_array_equal(versions.open().stored.vectors, wanted)
        compact(versions, JOB)
        np.testing.assert_array_equal(versions.open().stored.vectors, wanted)


def test_the_gate_compares_with_what_is_served_changes_included(tmp_path):
    """Three of ten items are sold out since: what comes without them has lost nothing."""
    versions = Versions(tmp_path / "index")
    strict = RebuildSettings(gate=GateSettings(max_count_drift=0, min_overlap=1, k=2))
    source = circle(10)
    rebuild(versions, source, CPU, strict)
    update(versions, items(new=3), [], strict)
    update(versions, None, ["i0007", "i0008", "i0009", "new"], strict)
    left = Source(source.ids[:7], source.texts[:7], angles, source.encoder, source.model)
    checks = {one.check: one.value for one in rebuild(versions, left, CPU, strict).publication.checks}
    assert (checks["count drift"], checks["overlap"]) == (0, 1)
    assert checks["norm drift"] == pytest.approx(0, abs=1e-6)
    update(versions, None, ["i0006"], strict)
    assert compact(versions, strict).version == versions.pointer().version


def test_damaged_changes_are_noticed(tmp_path):
    versions = Versions(tmp_path / "index")
    rebuild(versions, circle(4), CPU, JOB)
    update(versions, items(new=10), [], JOB)
    (name,) = versions.storage.deltas()
    for file in ("delta.parquet", "ids.arrow", "index.json"):
        path = versions.storage.place_of(name) / file
        whole = path.read_bytes()
        for place in np.random.default_rng(0).choice(len(whole), 20):
            content = bytearray(whole)
            content[place] ^= 1 << (place % 8)
            path.write_bytes(content)
            with pytest.raises(IndexFault):
                versions.open()
            (listed,) = versions.listing(check="all")
            assert listed.damage is not None
        path.write_bytes(whole)
    assert found(versions, 10) == ["new"]
