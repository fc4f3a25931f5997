"""What smaller and faster costs: neighbours that are still found, beside items per second and bytes an item.

python benchmarks/smaller.py ../shared/data/amazon-beauty-2014/items.jsonl.gz docs/smaller.svg

Neighbours are the ten items of largest cosine among all of the catalogue, by the whole language model in
float32; a way finds a share of them (recall@10). Encoders learn on 90% of the texts (`aisle distill`); the
items whose neighbours are looked for are among the others.
"""

import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

K = 10


def main(
    catalogue: Annotated[str, typer.Argument(help="a shop's items, as `aisle index rebuild` reads them")],
    out: Annotated[Path | None, typer.Argument(help="plot to write, SVG or PNG")] = None,
    most: Annotated[int, typer.Option(help="items, drawn at random")] = 12_000,
    asked: Annotated[int, typer.Option(help="items whose neighbours are looked for")] = 1000,
    timed: Annotated[int, typer.Option(help="texts that are timed, three times")] = 1000,
    epochs: Annotated[int, typer.Option(help="passes over the texts in which a smaller encoder learns")] = 10,
) -> None:
    """Print one table; plot recall against items per second."""
    from encode import loaded, reference, texts_of

    from aisle.retriever.smaller.distill import HELD_OUT, distill
    from aisle.retriever.smaller.settings import DistillSettings

    library = reference()
    texts = list(dict.fromkeys(texts_of(catalogue, most)))
    whole = loaded(library, precision="fp32")
    vectors = whole.encode(texts)
    new = np.random.default_rng(0).permutation(len(texts))[: max(1, int(HELD_OUT * len(texts)))]
    rows = new[:asked]  # not learned from: the draw of distill(..., seed=0)
    truth = neighbours(vectors, rows)
    print(f"{len(texts):,} items, neighbours of {len(rows):,}\n")
    print("| encoder | vectors | recall@10 | items/s encoded | bytes an item |\n|---|---|---|---|---|")
    points: list[tuple[str, float, float]] = []

    def tell(encoder: str, kept: str, recall: float, rate: float | None, size: float) -> None:
        speed = "" if rate is None else f"{rate:,.0f}"
        print(f"| {encoder} | {kept} | {recall:.3f} | {speed} | {size:,.0f} |")
        if rate is not None:
            points.append((encoder, rate, recall))

    drawn = texts[:timed]
    tell("all layers, fp32", "float32", 1.0, rate_of(whole, drawn), 4 * whole.dim)
    for kept, factory, size in (
        ("float16", "SQfp16", 2 * whole.dim),
        ("int8", "SQ8", whole.dim),
        ("a bit a number", "RaBitQ", whole.dim / 8 + 8),
        ("int8, 100 re-scored", "SQ8,RFlat", whole.dim),
        ("a bit a number, 100 re-scored", "RaBitQ,RFlat", whole.dim / 8 + 8),
    ):
        tell("", kept, recall_of(searched(vectors, rows, factory), truth), None, size)
    for size in (256, 128, 64):
        short = vectors[:, :size] / np.linalg.norm(vectors[:, :size], axis=1, keepdims=True)
        tell("", f"first {size} numbers", recall_of(neighbours(short, rows), truth), None, 4 * size)
        found = searched(vectors, rows, f"PCA{size},Flat")
        tell("", f"{size} principal components", recall_of(found, truth), None, 4 * size)
    ways: list[tuple[str, Any]] = [("all layers, auto", loaded(library))]
    if find_spec("openvino"):
        names = ("bf16", "int8")
        ways += [
            (f"all layers, openvino {name}", loaded(library, backend="openvino", precision=name))
            for name in names
        ]
    for layers in (3, 1, 0):
        settings = DistillSettings(layers=layers, epochs=epochs if not layers else max(1, epochs // 5))
        student = distill(whole, texts, settings, seed=0).encoder
        student.settings = student.settings.model_copy(update={"precision": "auto"})
        ways.append((f"{layers} of 6 layers, auto" if layers else "static", student))
    for name, encoder in ways:
        found = neighbours(encoder.encode(texts), rows)
        tell(name, "float32", recall_of(found, truth), rate_of(encoder, drawn), 4 * encoder.dim)
    if out is not None:
        plot(points, out)


def rate_of(encoder: Any, texts: list[str]) -> float:
    """Items per second, the median of three."""
    encoder.encode(texts[:64])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        encoder.encode(texts)
        seconds.append(time.perf_counter() - started)
    return len(texts) / median(seconds)


def neighbours(vectors: Any, rows: Any) -> Any:
    """The `K` items of largest product with each row's own, which is none of them."""
    products = vectors[rows] @ vectors.T
    products[np.arange(len(rows)), rows] = -np.inf
    return np.argpartition(-products, K, axis=1)[:, :K]


def searched(vectors: Any, rows: Any, factory: str) -> Any:
    """The same by an index of ours, given as a FAISS factory string, ten times as many scored again."""
    from aisle.index.kinds import build
    from aisle.index.settings import IndexSettings, SearchSettings

    settings = IndexSettings(kind=factory, device="cpu", search=SearchSettings(rescore=10))
    _, found = build(vectors, settings).search(vectors[rows], K, exclude=[np.array([row]) for row in rows])
    return found


def recall_of(found: Any, truth: Any) -> float:
    """Share of the true neighbours that were found."""
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))


def plot(points: list[tuple[str, float, float]], out: Path) -> None:
    """Recall against items per second."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aisle", "font.size": 9})
    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, rate, recall in points:
        axes.semilogx([rate], [recall], "o")
        axes.annotate(name, (rate, recall), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel="items/s", ylabel="recall@10 of the whole model's neighbours", ylim=(0, 1.05))
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


if __name__ == "__main__":
    typer.run(main)
