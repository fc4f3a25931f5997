"""How long an evaluation of Games takes after scoring, and the same values by `ranx` and `ir-measures`.

python benchmarks/evaluate_games.py runs/games   # all models of a run, as the last stage of `aisle run` does
python benchmarks/evaluate_games.py              # planted lists of the same size

The first table is a whole evaluation: all metrics, intervals, tests and slices. The second is what all three
libraries compute, on one run: recall, precision, hit rate, mrr, map and ndcg at six cut-offs, from two files
to the means. What they find is compared before any time is printed, and ranx has compiled its code before.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import ir_measures
import numpy as np
import polars as pl
import ranx
import typer
from ir_measures import AP, RR, P, R, Success, nDCG

from aisle.data.prepared import Prepared
from aisle.eval.catalogue import Catalogue
from aisle.eval.evaluate import evaluate
from aisle.eval.files import read_run, read_truth
from aisle.eval.judging import judge
from aisle.eval.metrics.measure import USER_METRICS
from aisle.eval.report import Report
from aisle.eval.runs import check_run, check_truth
from aisle.retriever.model import text_vectors

USERS, ITEMS, K = 50_546, 16_859, 100
CUT_OFFS = (1, 5, 10, 20, 50, 100)
METRICS = ("recall", "precision", "hit_rate", "mrr", "map", "ndcg")
THEIRS = {"recall": R, "precision": P, "hit_rate": Success, "mrr": RR, "map": AP, "ndcg": nDCG}

Whole = Callable[[], Report]
Files = tuple[Path, Path]


def of_folder(folder: Path, files_in: Path) -> tuple[Whole, Files]:
    """The evaluation of a run, and the files of one of its models and of the truth.

    The file has ranks for scores: where two scores are equal, each library has a rule of its own.
    """
    prepared, place = Prepared(folder / "prepare"), folder / "evaluate"
    runs = {path.stem: path for path in sorted((place / "runs").glob("*.parquet"))}
    times = prepared.events("test").select("user_id", "item_id", "timestamp").collect()
    truth = pl.read_parquet(place / "truth.parquet")
    truth = truth.join(times.unique(["user_id", "item_id"]), on=["user_id", "item_id"], how="left")
    items = prepared.items.select("item_id", "categories", "price")

    def whole() -> Report:
        return evaluate(
            truth,
            {name: pl.read_parquet(path) for name, path in runs.items()},
            catalogue=Catalogue.of(items, text_vectors(folder / "train" / "model")),
            past=prepared.past("test").select("user_id", "item_id", "timestamp", "rating").collect(),
        )

    untied = files_in / "fused.parquet"
    pl.read_parquet(runs["fused"]).with_columns(score=-pl.col("rank").cast(pl.Float64)).write_parquet(untied)
    return whole, (untied, place / "truth.parquet")


def planted(folder: Path, users: int, items: int, k: int, models: int) -> tuple[Whole, Files]:
    """The same on random lists: the wanted item is in three of ten."""
    rng = np.random.default_rng(0)
    user_ids = pl.Series([f"A{at * 7919:013X}" for at in rng.permutation(users)])
    item_ids = pl.Series([f"B{at * 31:09X}" for at in rng.permutation(items)])
    wanted = (items * rng.random(users) ** 2).astype(int)
    for model in range(models):
        offsets = np.sort(rng.integers(0, items - k, size=(users, k)), axis=1) + np.arange(k)
        lists = rng.permuted(offsets, axis=1)
        lucky = (rng.random(users) < 0.3) & ~(lists == wanted[:, None]).any(axis=1)
        lists[lucky, rng.integers(k, size=users)[lucky]] = wanted[lucky]
        pl.DataFrame(
            {
                "user_id": user_ids.gather(np.repeat(np.arange(users), k)),
                "rank": np.tile(np.arange(1, k + 1), users),
                "item_id": item_ids.gather(lists.ravel()),
                "score": -np.sort(-rng.random((users, k)), axis=1).ravel(),
            }
        ).write_parquet(folder / f"model{model}.parquet")
    moment = pl.Series([1_400_000_000_000_000]).cast(pl.Datetime("us", "UTC"))[0]
    truth = pl.DataFrame({"user_id": user_ids, "item_id": item_ids.gather(wanted)})
    truth.write_parquet(folder / "truth.parquet")
    events = 8 * users
    past = pl.DataFrame(
        {
            "user_id": user_ids.gather(rng.integers(users, size=events)),
            "item_id": item_ids.gather((items * rng.random(events) ** 2).astype(int)),
            "timestamp": pl.Series(rng.integers(13 * 10**14, 14 * 10**14, events)).cast(
                pl.Datetime("us", "UTC")
            ),
            "rating": rng.integers(1, 6, events).astype(float),
        }
    )
    about = pl.DataFrame(
        {
            "item_id": item_ids,
            "categories": [["Video Games", f"P{at % 15}", f"K{at % 60}"] for at in range(items)],
            "price": rng.random(items) * 60,
        }
    )
    vectors = rng.normal(size=(items, 384)).astype(np.float32)

    def whole() -> Report:
        return evaluate(
            truth.with_columns(timestamp=moment),
            {f"model{at}": pl.read_parquet(folder / f"model{at}.parquet") for at in range(models)},
            catalogue=Catalogue.of(about, vectors),
            past=past,
        )

    return whole, (folder / "model0.parquet", folder / "truth.parquet")


def by_aisle(run: Path, truth: Path) -> Callable[[], dict[str, float]]:
    """From files to checked tables; then to the means."""
    wanted = check_truth(read_truth(truth))
    rows = check_run(read_run(run), wanted, "run")

    def means() -> dict[str, float]:
        seen = judge(rows, wanted, depth=max(CUT_OFFS))
        return {
            f"{name}@{k}": float(USER_METRICS[name](seen, k).mean()) for name in METRICS for k in CUT_OFFS
        }

    return means


def by_ranx(run: Path, truth: Path) -> Callable[[], dict[str, float]]:
    """The same by ranx."""
    ids = {"user_id": object, "item_id": object}  # not the strings of pandas 3
    judged = (
        pl.read_parquet(truth)
        .select("user_id", "item_id", relevance=pl.lit(1, pl.Int64))
        .to_pandas()
        .astype(ids)
    )
    rows = pl.read_parquet(run).select("user_id", "item_id", "score").to_pandas().astype(ids)
    qrels = ranx.Qrels.from_df(judged, "user_id", "item_id", "relevance")
    ranked = ranx.Run.from_df(rows, "user_id", "item_id", "score")
    names = [f"{name}@{k}" for name in METRICS for k in CUT_OFFS]
    return lambda: {
        name: float(value)
        for name, value in ranx.evaluate(qrels, ranked, names, make_comparable=True).items()
    }


def by_ir_measures(run: Path, truth: Path) -> Callable[[], dict[str, float]]:
    """The same by ir-measures, which asks pytrec_eval."""
    qrels = (
        pl.read_parquet(truth)
        .select(query_id="user_id", doc_id="item_id", relevance=pl.lit(1, pl.Int64))
        .to_pandas()
    )
    rows = pl.read_parquet(run).select(query_id="user_id", doc_id="item_id", score="score").to_pandas()
    wanted = {THEIRS[name] @ k: f"{name}@{k}" for name in METRICS for k in CUT_OFFS}
    return lambda: {
        wanted[measure]: value
        for measure, value in ir_measures.calc_aggregate([*wanted], qrels, rows).items()
    }


LIBRARIES = {"aisle": by_aisle, "ranx": by_ranx, "ir-measures": by_ir_measures}


def compare(files: Files, repeats: int) -> None:
    """Times of the three on one run, and their ratios to ours."""
    with tempfile.TemporaryDirectory() as place:
        _, small = planted(Path(place), 20, 200, 20, 1)
        for library in LIBRARIES.values():
            library(*small)()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in LIBRARIES}
    found: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for name, library in LIBRARIES.items():
            started = time.perf_counter()
            means = library(*files)
            read = time.perf_counter()
            found[name] = means()
            times[name].append((read - started, time.perf_counter() - read))
    for name, values in found.items():
        apart = max(abs(values[measure] - value) for measure, value in found["aisle"].items())
        assert apart < 1e-9, f"{name} finds other values, by {apart}"
    middle = {
        name: [median(column) for column in zip(*seconds, strict=True)] for name, seconds in times.items()
    }
    ours = middle["aisle"]
    print("| library | reading, s | measuring, s | measuring, x ours | both, x ours |\n|---|---|---|---|---|")
    for name, (reading, measuring) in middle.items():
        ratios = f"{measuring / ours[1]:.1f} | {(reading + measuring) / sum(ours):.1f}"
        print(f"| {name} | {reading:.2f} | {measuring:.2f} | {ratios} |")


def main(
    folder: Annotated[Path | None, typer.Argument(help="a folder that `aisle run --out` wrote")] = None,
    users: Annotated[int, typer.Option(help="of planted lists")] = USERS,
    items: Annotated[int, typer.Option(help="of planted lists")] = ITEMS,
    k: Annotated[int, typer.Option(help="of planted lists")] = K,
    models: Annotated[int, typer.Option(help="runs with planted lists")] = 2,
    repeats: Annotated[int, typer.Option(help="times are medians of so many")] = 3,
) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as place:
        files_in = Path(place)
        whole, files = of_folder(folder, files_in) if folder else planted(files_in, users, items, k, models)
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            report = whole()
            seconds.append(time.perf_counter() - started)
        rows = sum(counts.rows for counts in report.runs.values())
        measures = len(next(iter(report.models.values())))
        print(f"{os.cpu_count()} cores, median of {repeats}")
        print("| models | users | rows | measures | slices | comparisons | seconds | s a model |")
        print("|---|---|---|---|---|---|---|---|")
        total = median(seconds)
        print(
            f"| {len(report.models)} | {report.protocol['users']:,} | {rows:,} | {measures} "
            f"| {len(report.slices)} | {len(report.comparisons)} | {total:.1f} "
            f"| {total / len(report.models):.1f} |\n"
        )
        compare(files, repeats)


if __name__ == "__main__":
    typer.run(main)
