"""Items per second of the engine beside `SentenceTransformer.encode`: same weights, same texts, same process.

python benchmarks/encode.py speed ../shared/data/amazon-beauty-2014/items.jsonl.gz
python benchmarks/encode.py seconds ../shared/data/amazon-beauty-2014/items.jsonl.gz
python benchmarks/encode.py batches ../shared/data/amazon-beauty-2014/items.jsonl.gz
python benchmarks/encode.py lengths ../shared/data/amazon-beauty-2014/items.jsonl.gz docs/encode.svg

All take turns, round after round; the median counts.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Catalogue = Annotated[str, typer.Argument(help="a shop's items, as `aisle index rebuild` reads them")]
Texts = Annotated[int, typer.Option(help="texts, drawn at random")]
Rounds = Annotated[int, typer.Option(help="timings of each, in turn")]

WAYS: list[dict[str, Any]] = [{"precision": "fp32"}, {"precision": "bf16"}, {"precision": "auto"}]
if find_spec("openvino"):
    WAYS += [{"backend": "openvino", "precision": name} for name in ("fp32", "bf16", "int8", "auto")]


@app.command()
def speed(catalogue: Catalogue, texts: Texts = 2000, rounds: Rounds = 3) -> None:
    """Items per second, and how far vectors are from those of sentence-transformers."""
    drawn, library = texts_of(catalogue, texts), reference()
    work: dict[str, Callable[[], Any]] = {"SentenceTransformer.encode": lambda: library.encode(drawn)}
    for way in WAYS:
        encoder = loaded(library, **way)
        work[name_of(way)] = lambda encoder=encoder: encoder.encode(drawn)  # type: ignore[misc]
    rates, results = in_turn(work, len(drawn), rounds)
    print(described(drawn, library))
    print("| way | chosen | items/s | ratio | mean cosine | least |\n|---|---|---|---|---|---|")
    exact = unit(results["SentenceTransformer.encode"])
    for name, rate in rates.items():
        cosines = (unit(results[name]) * exact).sum(1)
        ratio = rate / rates["SentenceTransformer.encode"]
        row = f"| {rate:,.0f} | {ratio:.2f} | {cosines.mean():.5f} | {cosines.min():.5f} |"
        print(f"| {name} | {CHOSEN.get(name, lambda: '')()} {row}")


@app.command()
def batches(catalogue: Catalogue, texts: Texts = 1000, rounds: Rounds = 3) -> None:
    """Items per second by tokens in a batch."""
    drawn, library = texts_of(catalogue, texts), reference()
    work: dict[str, Callable[[], Any]] = {}
    for way in [{}] + [{"backend": "openvino"}] * bool(find_spec("openvino")):
        for tokens in (512, 1024, 2048, 4096, 8192, 16384):
            encoder = loaded(library, batch_tokens=tokens, **way)
            work[f"{way.get('backend', 'torch')} | {tokens}"] = lambda encoder=encoder: encoder.encode(drawn)  # type: ignore[misc]
    rates, _ = in_turn(work, len(drawn), rounds)
    print(described(drawn, library))
    print("| backend | tokens in a batch | items/s |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} |")


@app.command()
def lengths(
    catalogue: Catalogue,
    out: Annotated[Path, typer.Argument(help="plot to write, SVG or PNG")],
    tokens: Annotated[int, typer.Option(help="tokens that are read at each length")] = 12_000,
    rounds: Rounds = 3,
) -> None:
    """Items per second against the length of texts, as a table and as a plot."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    library = reference()
    ways = [{"precision": "auto"}] + [{"precision": "auto", "backend": "openvino"}] * bool(
        find_spec("openvino")
    )
    encoders = {name_of(way): loaded(library, **way) for way in ways}
    names, places = ["SentenceTransformer.encode", *encoders], (8, 16, 32, 64, 128, 256)
    pool = texts_of(catalogue, 3000)
    found: dict[str, list[float]] = {name: [] for name in names}
    print("| tokens | " + " | ".join(names) + " |\n|---" + "|---" * len(names) + "|")
    for length in places:
        drawn = of_length(pool, library.tokenizer, length, tokens // length)
        work = {names[0]: lambda drawn=drawn: library.encode(drawn)} | {
            name: lambda drawn=drawn, encoder=encoder: encoder.encode(drawn)
            for name, encoder in encoders.items()
        }
        rates, _ = in_turn(work, len(drawn), rounds)
        for name, rate in rates.items():
            found[name].append(rate)
        print(f"| {length} | " + " | ".join(f"{rates[name]:,.0f}" for name in names) + " |")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aisle", "font.size": 9})
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    for name in names:
        axes.loglog(places, found[name], marker="o", label=name)
    axes.set(xlabel="tokens of a text", ylabel="items/s")
    axes.set_xticks(places, [str(place) for place in places])
    axes.legend()
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


@app.command()
def seconds(catalogue: Catalogue, texts: Texts = 1000, rounds: Rounds = 3) -> None:
    """Where the time goes, and how far that is from what the processor's matrix products allow."""
    import torch

    drawn, library = texts_of(catalogue, texts), reference()
    print(described(drawn, library))
    print(
        "| way | tokenize, s | model, s of all cores | of it products, s | all, s | cores in the model |"
        " padding | GFLOP/s | of the products' best |\n|---|---|---|---|---|---|---|---|---|"
    )
    best = {name: peak(name) for name in ("fp32", "bf16", "int8")}
    for way in WAYS:
        if way["precision"] == "auto":
            continue
        encoder = loaded(library, **way)
        encoder.encode(drawn[:64])
        rows = [measured(encoder, drawn) for _ in range(rounds)]
        tokenize, model, products, whole = (median(row[place] for row in rows) for place in range(4))
        ids = encoder.ids(drawn, encoder.settings.max_tokens)
        real, padded = sum(map(len, ids)), padding(encoder, ids)
        done = flops(library[0].model.config, [len(one) for one in ids]) / whole / 1e9
        print(
            f"| {name_of(way)} | {tokenize:.2f} | {model:.2f} | {products:.2f} | {whole:.2f} |"
            f" {model / whole:.2f} | {1 - real / padded:.1%} | {done:.0f} |"
            f" {done / best[way['precision']]:.0%} |"
        )
    said = ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in best.items())
    cores = torch.get_num_threads()
    print(f"\nBest matrix products (1024 x 384 by 384 x 1536, {cores} cores side by side): {said}.")


CHOSEN: dict[str, Callable[[], str]] = {}


def name_of(way: dict[str, Any]) -> str:
    """A way to encode, as a row of a table names it."""
    return f"{way.get('backend', 'torch')}, {way.get('precision', 'auto')}"


def texts_of(catalogue: str, count: int | None = None) -> list[str]:
    """Rendered items, drawn at random; all of them unless told."""
    from aisle.data.catalogue import read_catalogue
    from aisle.data.settings import DataSettings, TextSettings
    from aisle.data.text import render_items

    texts = render_items(read_catalogue(catalogue, DataSettings()).items, TextSettings())
    return [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:count]]


def of_length(texts: list[str], tokenizer: Any, length: int, count: int) -> list[str]:
    """Texts of just so many tokens, special ones included, put together from others."""
    ids = tokenizer(" ".join(texts), add_special_tokens=False, verbose=False)["input_ids"]
    size = length - tokenizer.num_special_tokens_to_add()
    starts = np.random.default_rng(1).integers(0, len(ids) - 4 * size, count)
    found = []
    for start in starts:  # decoding and reading again may join tokens: more are cut to the length
        text = tokenizer.decode(ids[start : start + 3 * size])
        offsets = tokenizer(text, return_offsets_mapping=True, verbose=False, add_special_tokens=False)
        found.append(text[: offsets["offset_mapping"][size - 1][1]])
    return found


def reference() -> Any:
    """sentence-transformers at its defaults."""
    from sentence_transformers import SentenceTransformer

    from aisle.retriever.locate import locate
    from aisle.retriever.settings import MINILM

    return SentenceTransformer(str(locate(MINILM)), device="cpu")


def loaded(library: Any, **own: Any) -> Any:
    """Our encoder, reading as many tokens of a text as the library's."""
    from aisle.retriever.encoder import Encoder
    from aisle.retriever.settings import EncoderSettings

    encoder = Encoder.load(EncoderSettings(max_tokens=library.max_seq_length, **own))
    CHOSEN[name_of(own)] = lambda: encoder.reader.precision
    return encoder


def in_turn(
    work: dict[str, Callable[[], Any]], items: int, rounds: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Items per second of each, the median of all rounds, and what each gave."""
    results = {name: do() for name, do in work.items()}  # what is loaded and settled at first use
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            started = time.perf_counter()
            do()
            taken[name].append(time.perf_counter() - started)
    return {name: items / median(found) for name, found in taken.items()}, results


def measured(encoder: Any, texts: list[str]) -> tuple[float, float, float, float]:
    """Seconds of tokenizing alone, of all cores in the model and its linear layers (torch), and of all."""
    from torch import nn

    from aisle.retriever.engine.packed import PackedLinear

    started = time.perf_counter()
    encoder.ids(texts, encoder.settings.max_tokens)
    tokenize = time.perf_counter() - started
    read, model, products = encoder.reader._read, list[float](), list[float]()
    watched: list[tuple[Any, str]] = []
    for layer in read.model.modules() if hasattr(read, "model") else ():
        if isinstance(layer, nn.Linear | PackedLinear):
            watched += [(layer, name) for name in ("forward", "plus") if hasattr(layer, name)]
    for layer, name in watched:
        setattr(layer, name, timed(getattr(layer, name), products))
    encoder.reader._read = timed(read, model)
    started = time.perf_counter()
    encoder.encode(texts)
    whole = time.perf_counter() - started
    encoder.reader._read = read
    for layer, name in watched:
        delattr(layer, name)
    return tokenize, sum(model), sum(products), whole


def timed(work: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The same work, which notes its seconds."""

    def do(*given: Any) -> Any:
        began = time.perf_counter()
        found = work(*given)
        spent.append(time.perf_counter() - began)
        return found

    return do


def padding(encoder: Any, ids: list[list[int]]) -> int:
    """Tokens of all batches, those that fill up included."""
    from aisle.retriever.engine.pieces import batches, windows

    total = 0
    for window in windows(range(len(ids))):
        sizes = np.array([len(ids[row]) for row in window])
        total += sum(int(sizes[rows].max()) * len(rows) for rows in batches(sizes, encoder.budget))
    return total


def flops(config: Any, sizes: list[int]) -> float:
    """Operations of texts of so many tokens: products with weights, and of tokens with each other."""
    hidden, inner = config.hidden_size, config.intermediate_size
    weights = 2 * (4 * hidden**2 + 2 * hidden * inner) * sum(sizes)
    return float(config.num_hidden_layers * (weights + 4 * hidden * sum(size**2 for size in sizes)))


def peak(precision: str) -> float:
    """GFLOP/s of torch's products of 1024 x 384 and 384 x 1536, one on each core at a time."""
    import torch

    from aisle.retriever.engine.lanes import Lanes

    sides = torch.randn(1024, 384), torch.randn(1536, 384)
    if precision == "int8":
        left, right = (side.mul(40).to(torch.int8) for side in sides)
    else:
        left, right = (side.to({"fp32": torch.float32, "bf16": torch.bfloat16}[precision]) for side in sides)

    def seconds(rounds: int) -> float:
        best = float("inf")
        with torch.inference_mode():
            for _ in range(rounds):
                started = time.perf_counter()
                if precision == "int8":
                    torch._int_mm(left, right.T)
                else:
                    torch.nn.functional.linear(left, right)
                best = min(best, time.perf_counter() - started)
        return best

    lanes = Lanes(torch.device("cpu"))
    waiting = [lanes.begin(seconds, 200) for _ in range(lanes.count)]
    rate = sum(2 * 1024 * 384 * 1536 / wait() / 1e9 for wait in waiting)
    lanes.end()
    return rate


def described(texts: list[str], library: Any) -> str:
    """How many texts, and how long."""
    sizes = [len(ids) for ids in library.tokenizer(texts, truncation=True, verbose=False)["input_ids"]]
    return f"{len(texts):,} texts of {np.mean(sizes):.1f} tokens on average, {max(sizes)} at most\n"


def unit(vectors: Any) -> Any:
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    app()
