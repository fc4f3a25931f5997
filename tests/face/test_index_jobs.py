"""Nightly rebuilds from a catalogue, by an encoder or a trained model, and the verbs around them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from language_models import tiny_bert
from nightly import of_run, teas
from typer.testing import CliRunner, Result

import aisle
from aisle.checksum import file_sha256
from aisle.cli import app
from aisle.data.errors import InputError
from aisle.index.errors import IndexFault
from aisle.index.store import open_folder
from aisle.index.versions import Versions
from aisle.index_jobs import rebuild_index
from aisle.retriever import locate
from aisle.retriever.candidates import fingerprint
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine import readers
from aisle.settings import Settings, load_settings

TITLES = ["red lipstick", "blue nail polish", "a golden shampoo", "perfume", "long nails", "red nails"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    model = tiny_bert(tmp_path_factory.mktemp("bert"))
    return load_settings(
        None,
        [
            f"retriever.encoder.model={model}",
            "retriever.encoder.max_tokens=32",
            "rebuild.gate.min_overlap=0",
            "index.device=cpu",
        ],
    )


def test_an_index_by_a_distilled_encoder(settings: Settings, tmp_path: Path) -> None:
    titles = [f"{title} {number}" for title in TITLES for number in range(9)]
    shop, small = catalogue(tmp_path / "items.csv", titles), tmp_path / "small"
    own = ["--encoder", settings.retriever.encoder.model, "--set", "retriever.encoder.max_tokens=32"]
    killed = tmp_path / ".small.part"
    killed.mkdir()
    (killed / "half.safetensors").write_bytes(b"half")
    said = CliRunner().invoke(app, ["distill", str(shop), "--out", str(small), *own, "--json"])
    assert said.exit_code == 0, said.output
    assert not (small / "half.safetensors").exists()
    facts = json.loads(said.stdout.splitlines()[-1])
    assert 0 < facts["before"] < facts["cosine"] <= 1
    encoder = settings.retriever.encoder.model_copy(update={"model": str(small)})
    retriever = settings.retriever.model_copy(update={"encoder": encoder})
    made = rebuild_index(
        str(tmp_path / "index"), str(shop), settings.model_copy(update={"retriever": retriever})
    )
    assert (made.items, made.encoded) == (54, 54)
    again = CliRunner().invoke(app, ["distill", str(shop), "--out", str(small), *own])
    assert again.exit_code == 2
    assert "not there yet" in again.output


def catalogue(path: Path, titles: list[str | None], first: int = 0) -> Path:
    """A catalogue as JSON lines, Parquet or CSV, by the end of the file's name."""
    table = pl.DataFrame({"item_id": [f"i{first + row}" for row in range(len(titles))], "title": titles})
    writers = {".jsonl": table.write_ndjson, ".parquet": table.write_parquet, ".csv": table.write_csv}
    writers[path.suffix](path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_the_index_holds_what_the_encoder_says(settings: Settings, tmp_path: Path, suffix: str) -> None:
    file = catalogue(tmp_path / f"items{suffix}", TITLES)
    place = str(tmp_path / "index")
    done = rebuild_index(place, str(file), settings)
    assert (done.items, done.encoded, done.status) == (6, 6, "published")
    opened = Versions(place).open()
    wanted = Encoder.load(settings.retriever.encoder).encode(TITLES)
    np.testing.assert_allclose(opened.stored.vectors, wanted, atol=1e-5)
    assert opened.stored.ids.series().to_list() == [f"i{row}" for row in range(6)]
    assert rebuild_index(place, str(file), settings).status == "unchanged"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Cosines of bf16 to float32, on a machine where bf16 is faster, in the order they are measured."""
    found: list[float] = []
    agreement = readers.agreement

    def noted(*arguments: Any) -> float:
        found.append(agreement(*arguments))
        return found[-1]

    monkeypatch.setattr(readers, "in_bf16", lambda *_: True)
    monkeypatch.setattr(readers, "speeds", lambda about, ways, made: {"fp32": 1.0, "bf16": 0.5})
    monkeypatch.setattr(readers, "agreement", noted)
    return found


def night(settings: Settings, folder: Path, titles: list[str | None]) -> np.ndarray:
    """Vectors of a rebuild of a catalogue of these titles."""
    rebuild_index(str(folder / "index"), str(catalogue(folder / "items.jsonl", titles)), settings)
    return np.array(Versions(folder / "index").open().stored.vectors)


def test_the_arithmetic_is_settled_once_and_gives_the_same_vectors(
    settings: Settings, tmp_path: Path, measured: list[float]
) -> None:
    changed: list[str | None] = [f"{title} again" for title in TITLES]
    night(settings, tmp_path, TITLES)
    assert len(measured) == 1
    remembered = night(settings, tmp_path, changed)
    assert len(measured) == 1
    (tmp_path / "anew").mkdir()
    settled = night(settings, tmp_path / "anew", changed)
    assert len(measured) == 2
    np.testing.assert_array_equal(remembered, settled)


@pytest.mark.parametrize("what", ["flipped", "truncated", "machine", "encoder"])
def test_the_arithmetic_is_settled_again(
    settings: Settings,
    tmp_path: Path,
    measured: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    night(settings, tmp_path, TITLES)
    (note,) = (tmp_path / "index" / "cache").glob("*/arithmetic.json")
    content = note.read_bytes()
    if what == "flipped":
        note.write_bytes(content.replace(b"bf16", b"fp16"))
    elif what == "truncated":
        note.write_bytes(content[:-20])
    elif what == "machine":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    else:
        about = json.loads(content)
        note.write_text(json.dumps({**about, "encoder": "another"}))
    night(settings, tmp_path, [*TITLES, "one more"])
    assert len(measured) == 2
    assert not caplog.records
    if what != "machine":
        assert note.read_bytes() == content


def test_weights_are_read_once_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"one")
    read: list[Path] = []
    monkeypatch.setattr(locate, "file_sha256", lambda path: read.append(path) or file_sha256(path))
    with locate.weights_read_once():
        first = [locate.sha256_of(weights) for _ in range(3)]
        assert len(read) == 1
        weights.write_bytes(b"three")
        changed = locate.sha256_of(weights)
    assert len(read) == 2
    assert first == [hashlib.sha256(hashlib.sha256(b"one").digest()).hexdigest()] * 3
    assert changed == hashlib.sha256(hashlib.sha256(b"three").digest()).hexdigest()
    assert locate.sha256_of(weights) == locate.sha256_of(weights)
    assert len(read) == 4


def test_rows_that_cannot_be_used_are_counted(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    rows = [{"item_id": "a", "title": "x"}, {"item_id": "a", "title": ""}, {"item_id": None, "title": "y"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"item_id": "b", "title": "z"}]))
    done = rebuild_index(str(tmp_path / "index"), str(path), settings)
    counts = Versions(tmp_path / "index").open().stored.description.counts
    assert done.items == 2
    assert counts == {"rows": 4, "rejected: duplicate item": 1, "rejected: no item id": 1, "encoded": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such"), ("", "empty"), ('{"item_id": null, "title": "x"}\n', "no item id")],
)
def test_a_catalogue_that_cannot_be_used(
    settings: Settings, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "items.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        rebuild_index(str(tmp_path / "index"), str(path), settings)
    assert not (tmp_path / "index").exists()


def test_a_trained_model_gives_the_vectors_of_its_run(tea_run: Path, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(8)
    versions = of_run(tea_run, teas(tea_run)[order], tmp_path)
    stored = versions.open(model=fingerprint(tea_run / "train" / "model")).stored
    run = open_folder(tea_run / "index")
    np.testing.assert_allclose(stored.vectors, run.vectors[order], atol=1e-5)
    assert stored.ids.series().to_list() == run.ids.of(order)
    with pytest.raises(IndexFault, match="vectors of model other"):
        versions.open(model="other")


def test_items_that_are_new_gone_or_renamed(tea_run: Path, tmp_path: Path) -> None:
    items = teas(tea_run, "oolong tea").filter(pl.col("item_id") != "i2")
    renamed = pl.when(pl.col("item_id") == "i5").then(pl.lit("giant hammer")).otherwise("title")
    stored = of_run(tea_run, items.with_columns(title=renamed), tmp_path).open().stored
    shop = aisle.Recommender.open(tea_run).with_items(
        pl.DataFrame({"item_id": ["n0"], "title": ["oolong tea"]})
    )
    ids = stored.ids.series().to_list()
    wanted = shop.retriever.index.vectors[[int(one[1:]) if one != "n0" else 8 for one in ids]]
    same = np.array([one != "i5" for one in ids])
    assert ids == ["i0", "i1", "i3", "i4", "i5", "i6", "i7", "n0"]
    np.testing.assert_allclose(stored.vectors[same], wanted[same], atol=1e-5)
    assert not np.allclose(stored.vectors[~same], wanted[~same], atol=1e-3)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["index", *arguments])


def test_the_verbs(settings: Settings, tmp_path: Path) -> None:
    place = str(tmp_path / "index")
    chosen = [
        f"retriever.encoder.model={settings.retriever.encoder.model}",
        "retriever.encoder.max_tokens=32",
    ]
    sets = [part for one in [*chosen, "rebuild.gate.min_overlap=0"] for part in ("--set", one)]
    first = catalogue(tmp_path / "first.jsonl", TITLES)
    second = catalogue(tmp_path / "second.jsonl", [*TITLES[:5], "green nails"])
    small = catalogue(tmp_path / "small.jsonl", TITLES[:2])
    said = [
        json.loads(call("rebuild", "--index", place, "--catalogue", str(file), "--json", *sets).stdout)
        for file in (first, second)
    ]
    assert [one["encoded"] for one in said] == [6, 1]
    failed = call("rebuild", "--index", place, "--catalogue", str(small), *sets)
    assert failed.exit_code == 2
    assert "count drift 0.6667, at most 0.2: FAILED" in failed.stderr
    listed = json.loads(call("list", "--index", place, "--json").stdout)["versions"]
    assert [one["live"] for one in listed] == [False, True, False]
    forced = call("publish", listed[2]["version"], "--index", place, "--force", "--why", "two items", *sets)
    assert forced.exit_code == 0
    text = call("list", "--index", place).stdout
    assert "overriding count drift (two items)" in text
    assert call("rollback", "--index", place).stdout.startswith(said[1]["version"])
    assert call("verify", "--index", place).stdout.startswith("3 versions")
    assert call("gc", "--index", place, "--keep", "1").stdout.startswith("removed")
    assert Versions(place).open().version == said[1]["version"]
    path = tmp_path / "index" / said[1]["version"] / "ids.arrow"
    path.write_bytes(path.read_bytes()[:-1])
    assert call("verify", "--index", place).exit_code == 2


def test_the_stage_needs_a_run() -> None:
    missing = call()
    assert missing.exit_code == 2
    assert "--out" in missing.stderr
