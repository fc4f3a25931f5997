"""An index on disk is read whole and unchanged, or not at all."""

import json

import numpy as np
import polars as pl
import pytest

from aisle.index import store
from aisle.index.description import FORMAT
from aisle.index.errors import IndexFault
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings

CPU = IndexSettings(device="cpu")


@pytest.fixture
def saved(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    store.save(ExactIndex(vectors, CPU), pl.Series(list("abcdef")), tmp_path, model="towers", settings=CPU)
    return vectors, tmp_path


def test_round_trip(saved):
    vectors, folder = saved
    index, ids = store.load(folder, CPU, model="towers")
    np.testing.assert_array_equal(index.vectors, vectors)
    assert ids.to_list() == list("abcdef")


@pytest.mark.parametrize("name", ["index.faiss", "ids.arrow"])
def test_every_flipped_bit_is_noticed(saved, name):
    _, folder = saved
    whole = (folder / name).read_bytes()
    for place in np.random.default_rng(0).choice(len(whole), 40, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        (folder / name).write_bytes(broken)
        with pytest.raises(IndexFault, match="has changed"):
            store.load(folder, CPU)


@pytest.mark.parametrize("name", ["index.faiss", "ids.arrow", "index.json"])
def test_a_missing_file(saved, name):
    _, folder = saved
    (folder / name).unlink()
    with pytest.raises(IndexFault):
        store.load(folder, CPU)


def test_another_models_index(saved):
    with pytest.raises(IndexFault, match="vectors of model other"):
        store.load(saved[1], CPU, model="other")


def test_a_newer_format(saved):
    path = saved[1] / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    with pytest.raises(IndexFault, match=f"format {FORMAT + 1}"):
        store.load(saved[1], CPU)


@pytest.mark.parametrize("ids", [["a"], ["a", "a"]])
def test_ids_must_be_one_for_each_vector(tmp_path, ids):
    with pytest.raises(IndexFault, match="2 distinct ids"):
        store.save(
            ExactIndex(np.eye(2, dtype=np.float32), CPU),
            pl.Series(ids),
            tmp_path,
            model="towers",
            settings=CPU,
        )
