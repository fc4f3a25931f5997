"""Prints what ranking gives and costs, from finished runs with a ranker.

python benchmarks/rank.py verdicts runs/office runs/beauty
python benchmarks/rank.py latency runs/office/ranker
python benchmarks/rank.py pairs runs/office
python benchmarks/rank.py reliability runs/office/ranker docs/ranker-reliability.svg
"""

import json
import resource
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def verdicts(
    folders: Annotated[list[Path], typer.Argument(help="folders of `aisle run`, evaluated")],
) -> None:
    """Retrieval alone against retrieve 100, rank: the paired difference over users, and what was chosen."""
    columns = ["data", "users", "retrieval R@10 / N@10", "ranked R@10 / N@10", "ratio of N@10"]
    columns += [
        "difference, N@10 (95%)",
        "after Holm's correction",
        "validation N@10: retrieval, ranked",
        "weight",
    ]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for folder in folders:
        report = json.loads((folder / "evaluate" / "report.json").read_text())
        config = json.loads((folder / "ranker" / "config.json").read_text())
        said, models = config["about"]["validation"], report["models"]
        pair = next(
            row
            for row in report["comparisons"]
            if row["measure"] == "ndcg@10" and {row["model"], row["other"]} == {"ranked", "fused"}
        )
        sign = 1 if pair["model"] == "ranked" else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        ratio = models["ranked"]["ndcg@10"]["value"] / models["fused"]["ndcg@10"]["value"]
        cells = [
            report["protocol"]["dataset"],
            f"{report['protocol']['users']:,}",
            figures(models["fused"]),
            figures(models["ranked"]),
            f"{ratio:.3f}",
            f"{sign * pair['difference']:+.4f} ({low:+.4f} to {high:+.4f})",
            outcome(pair, sign),
            f"{said['retrieval']:.4f}, {said['chosen']:.4f}",
            f"{config['blend']['weight']:g}",
        ]
        print("| " + " | ".join(cells) + " |")


@app.command()
def latency(
    folder: Annotated[Path, typer.Argument(help="a ranker's folder")],
    calls: Annotated[int, typer.Option(help="calls that are timed")] = 200,
    candidates: Annotated[int, typer.Option(help="of each call")] = 100,
) -> None:
    """Milliseconds of `Ranker.rank` for one user at a time, histories of 1 to 20 items; and memory."""
    from aisle.ranker import Ranker

    started = time.perf_counter()
    ranker = Ranker.load(folder)
    loaded = time.perf_counter() - started
    items = ranker.retriever.prepared.item_ids.values.to_list()
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(calls + 5):
        drawn = [items[row] for row in rng.choice(len(items), candidates + 20, replace=False)]
        history = drawn[candidates : candidates + int(rng.integers(1, 21))]
        started = time.perf_counter()
        ranker.rank(history, drawn[:candidates])
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.quantile(1000 * np.array(seconds[5:]), [0.5, 0.99])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        "| items | candidates | p50, ms | p99, ms | load, s | peak memory, MiB |\n|---|---|---|---|---|---|"
    )
    print(f"| {len(items):,} | {candidates} | {p50:.1f} | {p99:.1f} | {loaded:.1f} | {memory:,.0f} |")


@app.command()
def pairs(
    folder: Annotated[Path, typer.Argument(help="a folder of `aisle run`")],
    users: Annotated[int, typer.Option(help="whose ten best candidates are read")] = 30,
    rounds: Annotated[int, typer.Option(help="timings of each, in turn; the median counts")] = 3,
) -> None:
    """Pairs per second of our engine and of `CrossEncoder.predict`, with the same weights and texts.

    The head is fitted to the retriever's scores, so that scores differ as those of a trained one do.
    """
    from importlib.util import find_spec
    from statistics import median

    import polars as pl
    import torch
    from scipy.stats import kendalltau
    from sentence_transformers import CrossEncoder

    from aisle.data.prepared import Prepared
    from aisle.data.settings import TextSettings
    from aisle.ranker.cross_encoder.settings import CrossEncoderSettings
    from aisle.ranker.cross_encoder.texts import PairTexts, histories_of
    from aisle.ranker.lists import Lists
    from aisle.retriever.encoder import Encoder
    from aisle.retriever.engine.readers import SCORES_COSINE, Reader
    from aisle.retriever.engine.stream import Batch, Job, stream
    from aisle.retriever.locate import locate
    from aisle.retriever.texts import item_texts

    settings, shop = CrossEncoderSettings(), Prepared(folder / "prepare")
    table = pl.read_parquet(folder / "candidates" / "candidates.parquet").filter(pl.col("rank") <= 10)
    lists = Lists.of(table.head(10 * users), shop.user_ids, shop.item_ids)
    items = item_texts(shop, TextSettings(), "train", "validation")
    encoder = Encoder.load(settings.encoder.model_copy(update={"precision": "fp32"}))
    texts = PairTexts(encoder, histories_of(shop, lists.users, items, TextSettings(), encoder), items, lists)
    said = [(texts.histories[owner], items[row]) for owner, row in zip(lists.owner, lists.items, strict=True)]
    theirs = CrossEncoder(
        str(locate(settings.encoder.model)),
        num_labels=1,
        device="cpu",
        max_length=settings.encoder.max_tokens,
        activation_fn=torch.nn.Identity(),
    )
    model = theirs.model if hasattr(theirs.model, "bert") else theirs[0].model

    def read(precision: str, backend: str, head: Any) -> Any:
        reader = Reader(model.bert, precision, backend, SCORES_COSINE)  # type: ignore[arg-type]

        def compute(batch: Batch[int]) -> torch.Tensor:
            return head(model.bert.pooler(reader(batch.tokens)))

        place = torch.device("cpu")
        job = Job[int](texts.pieces, compute, place, encoder.budget, encoder.pad, settled=reader.settled)
        return lambda: np.concatenate(list(stream(range(len(said)), job)))

    def ours(precision: str, backend: str) -> Any:
        return read(precision, backend, lambda pooled: model.classifier(pooled).squeeze(-1))

    fit_head(model.classifier, read("fp32", "torch", lambda pooled: pooled)(), lists.scores)
    work = {"CrossEncoder.predict": lambda: theirs.predict(said, show_progress_bar=False)}
    for precision in ("fp32", "bf16", "auto"):
        work[f"torch, {precision}"] = ours(precision, "torch")
    for precision in ("bf16", "int8", "auto") if find_spec("openvino") else ():
        work[f"openvino, {precision}"] = ours(precision, "openvino")
    scores = {name: np.asarray(do()) for name, do in work.items()}
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            started = time.perf_counter()
            do()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: len(said) / median(taken) for name, taken in seconds.items()}
    sizes = texts.pieces(range(len(said))).lengths
    print(f"{len(said)} pairs of {sizes.mean():.0f} tokens\n")
    print("| way | pairs/s | ratio | Kendall's tau | within lists |\n|---|---|---|---|---|")
    exact = scores["CrossEncoder.predict"]
    owners = [lists.owner == owner for owner in np.unique(lists.owner)]
    for name, rate in rates.items():
        tau = kendalltau(exact, scores[name]).statistic
        within = np.nanmean([kendalltau(exact[own], scores[name][own]).statistic for own in owners])
        ratio = rate / rates["CrossEncoder.predict"]
        print(f"| {name} | {rate:.0f} | {ratio:.2f} | {tau:.4f} | {within:.4f} |")


def fit_head(head: Any, pooled: Any, wanted: Any) -> None:
    """Ridge regression of the retriever's scores on the pairs' vectors, as the classifier's weights."""
    import torch
    from sklearn.linear_model import Ridge

    target = (wanted - wanted.mean()) / wanted.std()
    found = Ridge(1.0).fit(pooled.astype(np.float64), target)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(found.coef_[None]).float())
        head.bias.fill_(float(found.intercept_))


@app.command()
def reliability(
    folder: Annotated[Path, typer.Argument(help="a ranker's folder")],
    out: Annotated[Path, typer.Argument(help="plot to write, SVG or PNG")],
) -> None:
    """Plot foretold probabilities against what happened, on users the calibration was not fitted on."""
    import matplotlib as mpl
    import polars as pl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aisle", "font.size": 9})
    table = pl.read_parquet(folder / "reliability.parquet").filter(pl.col("count") >= 50)
    figure = Figure(figsize=(4, 3.4), layout="constrained")
    axes = figure.subplots()
    predicted, observed = table["predicted"].to_numpy(), table["observed"].to_numpy()
    error = 1.96 * np.sqrt(observed * (1 - observed) / table["count"].to_numpy())
    axes.errorbar(predicted, observed, error, fmt="o", capsize=2)
    top = float(max(predicted.max(), (observed + error).max()))
    axes.plot([0, top], [0, top], color="grey", linewidth=0.8)
    axes.set(xlabel="foretold probability", ylabel="share of candidates that were taken")
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    whole = pl.read_parquet(folder / "reliability.parquet")
    off = (whole["predicted"] - whole["observed"]).abs() * whole["count"]
    print(f"expected calibration error {off.sum() / whole['count'].sum():.5f}")


def figures(model: dict[str, Any]) -> str:
    """Recall and ndcg of a model."""
    return f"{model['recall@10']['value']:.4f} / {model['ndcg@10']['value']:.4f}"


def outcome(pair: dict[str, Any], sign: int) -> str:
    """What the corrected test says of the ranker."""
    if pair["p_holm"] >= 0.05:
        return "no difference shown"
    return "better" if sign * pair["difference"] > 0 else "worse"


if __name__ == "__main__":
    app()
