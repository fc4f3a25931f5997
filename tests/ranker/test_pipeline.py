"""A ranker trained and used by the pipeline, in a world where the price says what the retriever does not."""

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aisle import pipeline
from aisle.batch.job import Request, candidates_for_users
from aisle.batch.local import local_engine
from aisle.data.errors import InputError
from aisle.data.prepared import Prepared
from aisle.eval.report import Report
from aisle.ranker.earlier import earlier
from aisle.ranker.pairs import refuse_seen
from aisle.retriever.teacher import read_teacher
from aisle.settings import Settings, with_values


def share_of_own_kind(run: pl.DataFrame) -> float:
    """Share of the first ten that are as dear as the user's things."""
    top = run.filter(pl.col("rank") <= 10)
    dear = pl.col("item_id").str.strip_prefix("i").cast(pl.Int64) % 2
    return top.select((dear == pl.col("user_id").str.slice(1).cast(pl.Int64) % 2).mean()).item()


def test_the_ranker_sees_the_price(run: Path) -> None:
    candidates = pl.read_parquet(run / "candidates" / "candidates.parquet")
    ranked = pl.read_parquet(run / "rank" / "ranked.parquet")
    assert share_of_own_kind(candidates) < 0.7
    assert share_of_own_kind(ranked) > 0.95
    assert (
        ranked.select("user_id", "item_id")
        .sort(pl.all())
        .equals(candidates.select("user_id", "item_id").sort(pl.all()))
    )


def test_the_nightly_job_reranks_as_the_stage_does(run: Path, tmp_path: Path, settings: Settings) -> None:
    for part in ("train", "validation"):
        events = pl.read_parquet(run / "prepare" / "split" / f"{part}.parquet")
        events.write_parquet(tmp_path / f"{part}.parquet")
    shorter = with_values(settings, {"candidates.k": 10, "candidates.part_events": 400})
    request = Request(str(tmp_path), run, tmp_path / "out", rerank=True)
    done, _ = candidates_for_users(request, shorter, local_engine)
    found = pl.read_parquet(done.folder / "candidates" / "*.parquet").sort("user_id", "rank")
    ranked = pl.read_parquet(run / "rank" / "ranked.parquet").filter(pl.col("rank") <= 10)
    assert_frame_equal(found, ranked.sort("user_id", "rank"), rel_tol=1e-4)
    assert done.manifest.settings["aisle.ranker"]


def test_the_blend_is_not_below_retrieval_on_validation(run: Path) -> None:
    said = json.loads((run / "ranker" / "validation.json").read_text())
    assert said["chosen"] == max(value for name, value in said.items() if name.startswith("blend"))
    assert said["blend 0"] == said["retrieval"] < said["chosen"]


def test_the_report_compares_with_retrieval(run: Path) -> None:
    report = Report.read(run / "evaluate")
    assert report.ours[:2] == ["ranked", "fused"]
    assert any({row.model, row.other} == {"ranked", "fused"} for row in report.comparisons)


def test_the_report_shows_users_as_they_were_ranked_and_why(run: Path) -> None:
    report = Report.read(run / "evaluate")
    assert len(report.examples) == 6
    ranked = pl.read_parquet(run / "rank" / "ranked.parquet")
    reasons = []
    for one in report.examples:
        assert list(one.lists) == ["fused", "ranked"]
        for entry in one.lists["ranked"]:
            here = ranked.filter(user_id=one.user_id, item_id=entry.item.item_id)
            assert here["rank"].to_list() == [entry.rank]
            assert entry.probability is not None
            reasons += [reason.what for reason in entry.reasons]
    assert "its price" in reasons
    assert any(what.startswith("thing number") for what in reasons)
    assert report.customers.tested == 0  # nothing has been reviewed for long enough


def test_the_report_holds_the_reliability_that_the_ranker_found(run: Path) -> None:
    found = Report.read(run / "evaluate").calibration
    table = pl.read_parquet(run / "ranker" / "reliability.parquet")
    assert found is not None
    assert [one.model_dump() for one in found.bins] == table.to_dicts()
    distance = (table["predicted"] - table["observed"]).abs()
    assert found.error == pytest.approx((distance * table["count"]).sum() / table["count"].sum())


def test_a_retriever_that_saw_the_labels_is_refused(run: Path, tmp_path: Path) -> None:
    shop = Prepared(run / "prepare")
    before = earlier(shop, tmp_path / "earlier")
    labels = shop.events("validation").collect()
    refuse_seen(before, labels)
    with pytest.raises(InputError, match="has not seen"):
        refuse_seen(shop, labels)
    again = shop.events("train").collect().with_columns(pl.col("timestamp") + pl.duration(days=1))
    refuse_seen(before, again)  # what is taken again is another event


def test_one_step_back_nothing_of_the_test_part_is_left(run: Path, tmp_path: Path) -> None:
    shop = Prepared(run / "prepare")
    before = earlier(shop, tmp_path / "earlier")
    assert before.truth("test").equals(shop.truth("validation"))
    past = before.events("train", "validation").collect()
    assert past.sort("user_id", "timestamp").equals(
        shop.events("train").collect().sort("user_id", "timestamp")
    )
    last = past.sort("timestamp").group_by("user_id").tail(1).select("user_id", "item_id").sort("user_id")
    assert before.truth("validation").equals(last)


def test_a_step_that_is_switched_off_is_not_done_again(tmp_path: Path, settings: Settings) -> None:
    off = settings.model_copy(update={"ranker": settings.ranker.model_copy(update={"enabled": False})})
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "events.csv").write_text("user_id,item_id,timestamp\nu,i,1700000000\n")
    with pytest.raises(InputError, match=r"ranker.enabled=true"):
        pipeline.run(tmp_path / "raw", tmp_path / "out", off, redo=["rank"])


def test_probabilities_are_calibrated_and_told(run: Path) -> None:
    table = pl.read_parquet(run / "ranker" / "reliability.parquet")
    off = (table["predicted"] - table["observed"]).abs()
    assert (off * table["count"]).sum() / table["count"].sum() < 0.02


def test_the_retriever_can_learn_from_the_ranker(run: Path, tmp_path: Path) -> None:
    shop = Prepared(run / "prepare")
    teacher = read_teacher(run / "ranker" / "teacher.parquet", shop)
    assert len(teacher.users) == len(shop.user_ids)
    assert (teacher.lengths >= 40).all()
