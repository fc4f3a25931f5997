"""By day and by night, a run's model over the nightly index of a catalogue that has changed since."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from nightly import of_run, teas
from polars.testing import assert_frame_equal

import aisle
from aisle.batch.job import Request, candidates_for_users
from aisle.batch.local import local_engine
from aisle.batch.work import Work
from aisle.index.description import Description
from aisle.index.errors import IndexFault
from aisle.index.store import SAID
from aisle.index.updates import compact
from aisle.index.versions import Versions
from aisle.index_jobs import rebuild_index, update_index
from aisle.retriever.served import texts_of

SETTINGS = aisle.load_settings(None, ["rebuild.gate.max_count_drift=1", "rebuild.gate.min_overlap=0"])
BUYERS = pl.DataFrame({"user_id": ["v", "v", "w", "w"], "item_id": ["i0", "i1", "i4", "n0"]})


def night(run: Path, users: Path, out: Path, index: Path, engine=local_engine) -> pl.DataFrame:
    settings = aisle.load_settings(None, ["candidates.k=9", "candidates.part_events=30"])
    done, _ = candidates_for_users(Request(str(users), run, out, index=str(index)), settings, engine)
    return pl.read_parquet(done.folder / "candidates" / "*.parquet").sort("user_id", "rank")


def test_words_of_items_that_came_are_known(tea_run: Path, tmp_path: Path) -> None:
    of_run(tea_run, teas(tea_run, "oolong tea"), tmp_path)
    served = aisle.Recommender.load(tea_run, index=tmp_path / "index")
    new = pl.DataFrame({"item_id": ["n0"], "title": ["oolong tea"]})
    longer = aisle.Recommender.open(tea_run).with_items(new)
    found, wanted = (
        shop.for_visitors(BUYERS, k=9).filter(pl.col("item_id") == "n0") for shop in (served, longer)
    )
    assert found["user_id"].to_list() == ["v"]
    assert found["words"].item() > 0
    assert texts_of(served.opened.stored, pl.Series(["n0", "i1"])) == ["oolong tea", "black tea"]
    assert_frame_equal(found, wanted, rel_tol=1e-4, abs_tol=1e-5)


def test_a_version_without_texts_is_read_and_made_anew(
    tea_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As aisle made them before: words of new items are not known, and the next rebuild keeps texts."""
    versions = of_run(tea_run, teas(tea_run, "oolong tea"), tmp_path)
    (name,) = versions.names()
    (tmp_path / "index" / name / SAID).unlink()
    said = Description.read(tmp_path / "index" / name)
    without = {file: entry for file, entry in said.files.items() if file != SAID}
    said.model_copy(update={"files": without}).write(tmp_path / "index" / name)

    def words() -> list[float]:
        shop = aisle.Recommender.load(tea_run, index=tmp_path / "index")
        return shop.for_visitors(BUYERS, k=9).filter(pl.col("item_id") == "n0")["words"].to_list()

    assert words() == [0.0]
    assert "the words of 1 new items are not known" in caplog.text
    assert texts_of(versions.open().stored, pl.Series(["n0"])) == [""]
    more = pl.DataFrame({"item_id": ["n7"], "title": ["jasmine tea"]})
    more.write_parquet(tmp_path / "more.parquet")
    update_index(str(versions.storage), SETTINGS, catalogue=str(tmp_path / "more.parquet"), run=tea_run)
    assert words() == [0.0]
    done = rebuild_index(str(versions.storage), str(tmp_path / "items.parquet"), SETTINGS, run=tea_run)
    assert (done.status, done.encoded) == ("published", 0)
    assert words()[0] > 0


@pytest.fixture
def index(tea_run: Path, tmp_path: Path) -> Path:
    """The catalogue of the run in another order, without i2 and with a new tea."""
    items = teas(tea_run, "oolong tea").filter(pl.col("item_id") != "i2")
    of_run(tea_run, items[np.random.default_rng(0).permutation(8)], tmp_path)
    return tmp_path / "index"


def test_the_same_catalogue_gives_the_same_answers(tea_run: Path, tmp_path: Path) -> None:
    of_run(tea_run, teas(tea_run)[np.random.default_rng(0).permutation(8)], tmp_path)
    own, served = (aisle.Recommender.load(tea_run, index=at) for at in (None, tmp_path / "index"))
    users = own.prepared.user_ids.values.to_list()
    assert_frame_equal(served.for_users(users, k=4), own.for_users(users, k=4), rel_tol=1e-4, abs_tol=1e-5)


def test_items_that_came_are_found_and_those_that_went_are_not(tea_run: Path, index: Path) -> None:
    served = aisle.Recommender.load(tea_run, index=index)
    longer = aisle.Recommender.open(tea_run).with_items(
        pl.DataFrame({"item_id": ["n0"], "title": ["oolong tea"]})
    )
    found, wanted = (shop.for_visitors(BUYERS, k=9) for shop in (served, longer))
    wanted = wanted.filter(pl.col("item_id") != "i2").with_columns(
        rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("user_id")
    )
    assert "n0" in set(found.filter(pl.col("user_id") == "v")["item_id"])
    assert_frame_equal(found, wanted, rel_tol=1e-4, abs_tol=1e-5)
    more = served.with_items(pl.DataFrame({"item_id": ["n1"], "title": ["mint tea"]}))
    assert set(more.for_visitors(BUYERS, k=9)["item_id"]) == {*found["item_id"], "n1"}


def test_changes_between_rebuilds_are_served(tea_run: Path, index: Path, tmp_path: Path) -> None:
    new = pl.DataFrame({"item_id": ["n7", "i5"], "title": ["jasmine tea", "giant hammer"]})
    new.write_parquet(tmp_path / "more.parquet")
    place = str(index)
    update_index(place, SETTINGS, catalogue=str(tmp_path / "more.parquet"), run=tea_run)
    update_index(place, SETTINGS, deleted=["i3"])
    beside = aisle.Recommender.load(tea_run, index=index).for_visitors(BUYERS, k=9)
    assert set(beside["item_id"]) == {"i0", "i1", "i4", "i5", "i6", "i7", "n0", "n7"}
    compact(Versions(index), SETTINGS.rebuild)
    one = aisle.Recommender.load(tea_run, index=index).for_visitors(BUYERS, k=9)
    assert_frame_equal(beside, one, rel_tol=1e-4, abs_tol=1e-5)
    items = teas(tea_run, "oolong tea").filter(~pl.col("item_id").is_in(["i2", "i3", "i5"]))
    pl.concat([items, new]).write_parquet(tmp_path / "all.parquet")
    rebuild_index(place, str(tmp_path / "all.parquet"), SETTINGS, run=tea_run)
    rebuilt = aisle.Recommender.load(tea_run, index=index).for_visitors(BUYERS, k=9)
    assert_frame_equal(beside, rebuilt, rel_tol=1e-4, abs_tol=1e-5)


def test_the_job_keeps_its_version(tea_run: Path, index: Path, tmp_path: Path) -> None:
    before = night(tea_run, tea_run, tmp_path / "plain", index)
    by_day = aisle.Recommender.load(tea_run, index=index)
    users = pl.read_parquet(tea_run / "prepare" / "events.parquet")
    asked = by_day.for_visitors(users, k=9, now=users["timestamp"].max())
    wanted = asked.select(before.columns).sort("user_id", "rank")
    assert_frame_equal(before, wanted, rel_tol=1e-4, abs_tol=1e-5)

    def published_meanwhile(work: Work, parts: list[int]) -> None:
        local_engine(work, parts[:1])
        rebuild_index(str(index), str(tmp_path / "items.parquet"), SETTINGS, run=tea_run)
        raise KeyboardInterrupt

    teas(tea_run, "oolong tea", "mint tea").write_parquet(tmp_path / "items.parquet")
    with pytest.raises(KeyboardInterrupt):
        night(tea_run, tea_run, tmp_path / "out", index, published_meanwhile)
    assert_frame_equal(night(tea_run, tea_run, tmp_path / "out", index), before, rel_tol=1e-4, abs_tol=1e-5)
    after = night(tea_run, tea_run, tmp_path / "out", index)
    assert {"i2", "n1"} <= set(after["item_id"])


def test_an_index_of_others_is_refused(tea_run: Path, index: Path, tmp_path: Path) -> None:
    teas(tea_run).write_parquet(tmp_path / "items.parquet")
    tiny = aisle.load_settings(None, ["retriever.encoder.max_tokens=16"])
    rebuild_index(str(tmp_path / "other"), str(tmp_path / "items.parquet"), tiny)
    with pytest.raises(IndexFault, match="vectors of model"):
        aisle.Recommender.load(tea_run, index=tmp_path / "other")
    with pytest.raises(IndexFault, match="vectors of model"):
        night(tea_run, tea_run, tmp_path / "out", tmp_path / "other")
