"""`aisle index tune`, on an index that is served."""

import json

import numpy as np
import pytest
from planted_index import circle
from typer.testing import CliRunner

from aisle.cli import app
from aisle.index.rebuild import rebuild
from aisle.index.rebuild_settings import RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.versions import Versions
from aisle.settings import load_settings


@pytest.fixture
def place(tmp_path):
    rebuild(Versions(tmp_path), circle(400), IndexSettings(device="cpu"), RebuildSettings())
    return str(tmp_path)


def told(*arguments):
    answer = CliRunner().invoke(app, ["index", "tune", *arguments])
    return answer.exit_code, answer.output


def test_what_it_says_can_be_set(place, tmp_path):
    options = ["--index", place, "--k", "10", "--kind", "exact", "--kind", "IVF8,Flat", "--recall", "0.9"]
    status, said = told(*options, "--json")
    assert status == 0
    best = json.loads(said)["best"]
    assert best["recall"] >= 0.9
    status, said = told(*options)
    (tmp_path / "aisle.toml").write_text(said[said.index("[index]") :])
    index = load_settings(tmp_path / "aisle.toml").index
    assert index.kind in ("exact", "IVF8,Flat")
    assert np.unique([index.search.nprobe, index.search.ef, index.search.rescore]).min() >= 1


def test_a_recall_out_of_reach(place):
    status, said = told("--index", place, "--k", "10", "--kind", "SQ4", "--recall", "1.0")
    assert status == 2
    assert "a recall of 1.000 at 10" in said


@pytest.mark.parametrize("options", [[], ["--out", "run", "--index", "versions"]])
def test_whose_vectors(options):
    status, said = told(*options)
    assert status == 2
    assert "say whose vectors" in said
