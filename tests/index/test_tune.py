"""The least effort that is enough, on vectors whose neighbours are known."""

import numpy as np
import pytest

from aisle.index import tune as tuning
from aisle.index.errors import IndexFault
from aisle.index.settings import IndexSettings
from aisle.index.tune import tune

CPU = IndexSettings(device="cpu")


@pytest.fixture(scope="module")
def world():
    """Vectors without clusters: few lists of an inverted file find few neighbours."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(2_000, 16)).astype(np.float32), rng.normal(size=(50, 16)).astype(np.float32)


def test_effort_rises_until_the_recall_is_reached(world):
    best, trials = tune(*world, CPU, k=10, recall=0.9, tried=["IVF32,Flat"])
    probes = [trial.settings.search.nprobe for trial in trials]
    assert probes == [1, 2, 4, 8, 16, 32][: len(probes)]
    assert [trial.recall >= 0.9 for trial in trials] == [False] * (len(trials) - 1) + [True]
    assert best is trials[-1]
    assert len(probes) > 1


def test_all_lists_find_everything(world):
    _, trials = tune(*world, CPU, k=10, recall=1.0, tried=["IVF32,Flat"])
    assert trials[-1].recall == 1.0


def test_the_fastest_of_several_kinds(world, monkeypatch):
    rates = {"exact": 50.0, "IVF32,Flat": 80.0}

    def measured(index, queries, truth):
        kind = index.settings.kind
        share = 1.0 if kind == "exact" else min(1.0, 0.3 * index.settings.search.nprobe)
        return share, rates[kind] / (1 if kind == "exact" else index.settings.search.nprobe)

    monkeypatch.setattr(tuning, "measured", measured)
    assert tune(*world, CPU, recall=0.3, tried=list(rates))[0].settings.kind == "IVF32,Flat"
    best, _ = tune(*world, CPU, recall=0.9, tried=list(rates))
    assert (best.settings.kind, best.rate) == ("exact", 50.0)


def test_two_efforts_are_not_raised_beyond_what_was_enough(world):
    _, trials = tune(*world, CPU, k=10, recall=0.5, tried=["IVF32,SQ4,RFlat"])
    enough = [trial.settings.search for trial in trials if trial.recall >= 0.5]
    for one in enough:
        for other in enough:
            assert one is other or one.nprobe < other.nprobe or one.rescore < other.rescore


def test_a_recall_that_nothing_reaches(world):
    with pytest.raises(IndexFault, match="by PQ4x4"):
        tune(*world, CPU, k=10, recall=0.99, tried=["PQ4x4"])
