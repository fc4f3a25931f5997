"""A rebuild encodes what changed, and refuses what cannot be an index."""

import numpy as np
import polars as pl
import pytest
from planted_index import Counting, circle
from planted_versions import CPU, JOB, built

from aisle.index.errors import IndexFault
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.versions import Versions


@pytest.mark.parametrize("ids", [["a", "b", "b"], ["a", None, "c"]])
def test_ids_that_repeat_or_are_missing(tmp_path, ids):
    source = circle(3)
    wrong = type(source)(pl.Series(ids), source.texts, source.encode, "e", "m")
    with pytest.raises(IndexFault, match="all different"):
        rebuild(Versions(tmp_path), wrong, CPU, JOB)


def test_vectors_that_cannot_be_used(tmp_path):
    source = circle(3)
    spoilt = type(source)(
        source.ids, source.texts, lambda texts, what: np.full((len(texts), 2), np.nan, np.float32), "e", "m"
    )
    with pytest.raises(IndexFault, match="NaN or infinity"):
        rebuild(Versions(tmp_path), spoilt, CPU, JOB)
    assert Versions(tmp_path).names() == []
    sound = type(source)(source.ids, source.texts, source.encode, "e", "m")
    assert rebuild(Versions(tmp_path), sound, CPU, JOB).encoded == 3  # nothing of it was kept


def test_vectors_of_the_wrong_dimension_or_number(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    for wrong in (
        lambda texts, what: np.ones((len(texts), 3), np.float32),
        lambda texts, what: np.ones((1, 2), np.float32),
    ):
        with pytest.raises(IndexFault, match=r"vectors of shape \(3, 2\)"):
            rebuild(versions, circle(20, changed=3, encode=wrong), CPU, JOB)
    assert versions.open(CPU).stored.index.dim == 2


def test_a_place_that_cannot_be_written():
    with pytest.raises(IndexFault, match="can be written"), Versions("/proc/index").writing():
        pass


def test_an_unchanged_catalogue_costs_nothing(place):
    encode = Counting()
    versions, (name,) = built(place, circle(20, encode=encode))
    done = rebuild(versions, circle(20, encode=encode), CPU, JOB)
    assert (done.version, done.status) == (name, "unchanged")
    assert len(encode.asked) == 20


def test_only_what_changed_is_encoded(place):
    versions, _ = built(place, circle(20))
    encode = Counting()
    done = rebuild(versions, circle(20, changed=3, encode=encode), CPU, JOB)
    assert (done.status, done.encoded) == ("published", 3)
    assert encode.asked == list(circle(20, changed=3).texts[:3])
    np.testing.assert_array_equal(
        versions.open(CPU).stored.vectors, circle(20, changed=3).encode(circle(20, changed=3).texts)
    )


def test_another_encoder_encodes_everything_and_fails_the_gate_only_where_it_differs(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    done = rebuild(versions, circle(20, model="other"), CPU, JOB)
    assert (done.encoded, done.status) == (20, "published")
    assert versions.open(CPU, model="other").version == done.version


def test_vectors_of_encoders_that_are_gone_go(tmp_path):
    versions = Versions(tmp_path)
    for night in range(4):  # a new model every night
        rebuild(versions, circle(20, model=f"of night {night}"), CPU, RebuildSettings(keep=2))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert rebuild(versions, circle(20, changed=1, model="of night 2"), CPU, JOB).encoded == 1


def test_encoders_whose_fingerprints_begin_alike(tmp_path):
    versions, _ = built(tmp_path, circle(20))
    alike = circle(20, model="angles, turned", encode=lambda texts, what: -circle(20).encode(texts))
    assert rebuild(versions, alike, CPU, JOB).encoded == 20
    np.testing.assert_array_equal(versions.open(CPU).stored.vectors, alike.encode(alike.texts, ""))


def test_small_blocks_and_a_catalogue_that_shrinks_and_grows(tmp_path):
    versions = Versions(tmp_path)
    encode = Counting()
    job = RebuildSettings(block=3, gate=GateSettings(max_count_drift=10, min_overlap=0))
    for items in (20, 16, 20, 16):
        rebuild(versions, circle(items, encode=encode), CPU, job)
    assert len(encode.asked) == len(set(encode.asked))
    rebuild(versions, circle(20), CPU, job)
    np.testing.assert_array_equal(versions.open(CPU).stored.vectors, circle(20).encode(circle(20).texts))
