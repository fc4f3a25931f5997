"""Shopping queries: ndcg@10 of BM25, a language model as it came, and fine-tuned on other queries.

    python benchmarks/search_esci.py search-esci --out runs/esci

Judgements are exact 100, substitute 10, complement 1, irrelevant 0: the gains of the Shopping Queries Data
Set (Reddy et al. 2022) times 100. Two tasks: to order a query's judged products, and to find them in the
whole catalogue, where what nobody judged counts as irrelevant. Every figure of a trained model or a chosen
setting is of queries that had no part in it: five folds. How long to fine-tune is chosen on a fifth of the
training queries of each fold, held out for that; then the model is tuned anew on all of them. A killed job
goes on where it was.
"""

import gzip
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import bm25s
import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray
from scipy import sparse

from aisle.data.words import WORDS
from aisle.eval.evaluate import evaluate
from aisle.eval.settings import EvaluateSettings

FOLDS = 5
WEIGHTS = [step / 10 for step in range(11)]
EXACT = 100.0
MAX_TOKENS = 48
TRAINING_TOKENS = 32
RECIPE = {
    "learning_rate": 1e-4,
    "temperature": 0.05,
    "frozen_layers": 4,
    "batch_size": 32,
    "round_steps": 15,
    "max_rounds": 10,
    "patience": 3,
    "warmup_steps": 5,
}
HARD = 1

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Search:
    """Queries, products and what was judged.

    Attributes:
        queries: texts.
        products: ids.
        short: title and brand of each product.
        long: the same with colour and bullet points.
        judged: query and product row, gain; int64, int64, float64 (n).
    """

    queries: list[str]
    products: list[str]
    short: list[str]
    long: list[str]
    judged: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

    @classmethod
    def read(cls, folder: Path) -> "Search":
        """Read judgments.json.gz and products.ndjson.gz."""
        with gzip.open(folder / "products.ndjson.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        ids = [row["index"]["_id"] for row in rows[::2]]
        records = rows[1::2]
        with gzip.open(folder / "judgments.json.gz", "rt", encoding="utf-8") as file:
            judgments = json.load(file)["judgmentRatings"]
        place = {product: row for row, product in enumerate(ids)}
        judged = [
            (query, place[one["docId"]], float(one["rating"]))
            for query, found in enumerate(judgments)
            for one in found["ratings"]
        ]
        queries, products, gains = zip(*judged, strict=True)
        return cls(
            [found["query"] for found in judgments],
            ids,
            [_joined(record, "title", "brand") for record in records],
            [_joined(record, "title", "brand", "color", "bullet_points") for record in records],
            (np.array(queries), np.array(products), np.array(gains)),
        )

    def truth(self) -> pl.DataFrame:
        """As aisle.eval reads it."""
        queries, products, gains = self.judged
        return self._frame(queries, products, relevance=gains)

    def run(self, scores: Scores, *, whole: bool) -> pl.DataFrame:
        """A run from the scores of all products, float32 (queries, products)."""
        if not whole:
            queries, products, _ = self.judged
            return self._frame(queries, products, score=scores[queries, products].astype(np.float64))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :100]
        queries = np.repeat(np.arange(len(scores)), best.shape[1])
        return self._frame(queries, best.ravel(), score=scores[queries, best.ravel()].astype(np.float64))

    def _frame(
        self, queries: NDArray[np.int64], products: NDArray[np.int64], **columns: object
    ) -> pl.DataFrame:
        ids = pl.Series(self.products).gather(products)
        return pl.DataFrame({"user_id": [f"q{query:03}" for query in queries], "item_id": ids, **columns})


def _joined(record: dict[str, str | None], *fields: str) -> str:
    return ". ".join(" ".join(value.split()) for field in fields if (value := record.get(field)))


def bm25(search: Search, texts: list[str]) -> Scores:
    """BM25 (Lucene's variant, k1 1.5, b .75) of every product for every query."""
    words = bm25s.tokenize(texts, token_pattern=WORDS, stopwords="en", show_progress=False)
    index = bm25s.BM25(method="lucene")
    index.index(words, show_progress=False)
    asked = bm25s.tokenize(
        search.queries, token_pattern=WORDS, stopwords="en", show_progress=False, return_ids=False
    )
    scores = np.zeros((len(search.queries), len(texts)), np.float32)
    for query, found in enumerate(asked):
        known = [word for word in found if word in words.vocab]
        if known:
            scores[query] = index.get_scores(known)
    return scores


def ndcg_of(search: Search, scores: Scores, chosen: NDArray[np.int64], *, whole: bool) -> float:
    """Mean ndcg@10 of some queries."""
    named = [f"q{query:03}" for query in chosen]
    truth = search.truth().filter(pl.col("user_id").is_in(named))
    settings = EvaluateSettings(metrics=("ndcg",), k=(10,), tested=(), resamples=100)
    report = evaluate(truth, {"model": search.run(scores, whole=whole)}, settings=settings)
    return report.models["model"]["ndcg@10"].value


def standard(scores: Scores, search: Search) -> Scores:
    """Scores of each query with mean 0 and deviation 1 over its judged products."""
    queries, products, _ = search.judged
    found = np.empty_like(scores)
    for query in range(len(scores)):
        own = scores[query, products[queries == query]]
        found[query] = (scores[query] - own.mean()) / (own.std() + 1e-9)
    return found


def training_pairs(search: Search, chosen: NDArray[np.int64], seed: int):
    """A query with its exact products; what was judged less for it is hard to tell from them."""
    from aisle.retriever.finetune.pairs import Pairs, chances

    queries, products, gains = search.judged
    own = np.isin(queries, chosen)
    exact = own & (gains == EXACT)
    n = len(search.queries)
    draw = np.random.default_rng(seed)
    hard = np.full((int(exact.sum()), HARD), -1)
    for row, query in enumerate(queries[exact]):
        lesser = products[(queries == query) & (gains < EXACT)]
        if len(lesser):
            hard[row] = n + draw.choice(lesser, HARD)
    members = np.concatenate([n + products[exact], chosen])
    groups = np.concatenate([queries[exact], chosen])
    ones = np.ones(len(members), np.float32)
    return Pairs(
        [*search.queries, *search.short],
        queries[exact],
        n + products[exact],
        chances(queries[exact], products[exact], 1.0, 0.0),
        sparse.csr_array((ones, (members, groups)), (n + len(search.products), n)),
        hard,
    )


def encoded(encoder, search: Search, queries: NDArray[np.int64], *, whole: bool) -> Scores:
    """Cosines of some queries with the products that they are to be compared with; -2 elsewhere."""
    asked, products, _ = search.judged
    rows = np.arange(len(search.products)) if whole else np.unique(products[np.isin(asked, queries)])
    scores = np.full((len(search.queries), len(search.products)), -2, np.float32)
    vectors = encoder.encode([search.short[row] for row in rows])
    scores[np.ix_(queries, rows)] = encoder.encode([search.queries[row] for row in queries]) @ vectors.T
    return scores


def kept(path: Path, make) -> Scores:
    """What `make` returns, read from `path` where an earlier job left it."""
    if not path.is_file():
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, make())
        unfinished.replace(path)
    return np.load(path)


def main(
    data: Annotated[Path, typer.Argument(help="folder with judgments.json.gz and products.ndjson.gz")],
    out: Annotated[Path, typer.Option(help="where vectors and checkpoints are kept")],
    seed: int = 0,
    whole: Annotated[bool, typer.Option(help="fine-tuned models also search the whole catalogue")] = False,
) -> None:
    """Print a table for each task."""
    from aisle.retriever.arithmetic import device
    from aisle.retriever.encoder import Encoder
    from aisle.retriever.finetune.settings import FinetuneSettings
    from aisle.retriever.finetune.train import tune
    from aisle.retriever.settings import EncoderSettings

    out.mkdir(parents=True, exist_ok=True)
    search = Search.read(data)
    everyone = np.arange(len(search.queries))
    folds = np.array_split(np.random.default_rng(seed).permutation(everyone), FOLDS)
    words = {"short": bm25(search, search.short), "long": bm25(search, search.long)}
    untouched = kept(
        out / "untouched.npy",
        lambda: encoded(
            Encoder.load(EncoderSettings(max_tokens=MAX_TOKENS), device()), search, everyone, whole=True
        ),
    )

    def fine_tuned(fold: int) -> Scores:
        training = np.random.default_rng([seed, fold]).permutation(np.setdiff1d(everyone, folds[fold]))
        held_out = training[::FOLDS]
        folder = out / f"fold{fold}"

        def validated(encoder: Encoder) -> float:
            return ndcg_of(search, encoded(encoder, search, held_out, whole=False), held_out, whole=False)

        def tuned_on(
            queries: NDArray[np.int64], name: str, validation=None, **changes
        ) -> tuple[Encoder, int]:
            encoder = Encoder.load(EncoderSettings(max_tokens=TRAINING_TOKENS, precision="fp32"), device())
            settings = FinetuneSettings(**(RECIPE | changes))
            pairs = training_pairs(search, queries, seed)
            done = tune(
                encoder, pairs, settings, folder / name, precision="auto", seed=seed, validation=validation
            )
            return encoder, done.steps

        _, steps = tuned_on(np.setdiff1d(training, held_out), "search", validated)
        print(f"fold {fold + 1}: {steps} steps are best on the {len(held_out)} queries held out", flush=True)
        if not steps:
            return untouched
        encoder, _ = tuned_on(training, "refit", max_rounds=steps // RECIPE["round_steps"])
        encoder.save(folder / "model")
        reader = Encoder.load(EncoderSettings(model=str(folder / "model"), max_tokens=MAX_TOKENS), device())
        return encoded(reader, search, folds[fold], whole=whole)

    tuned = np.full_like(untouched, -2)
    for fold, test in enumerate(folds):
        path = out / f"tuned{fold}{'_whole' if whole else ''}.npy"
        tuned[test] = kept(path, partial(fine_tuned, fold))[test]
        print(f"fold {fold + 1} of {FOLDS} is done", flush=True)
    for task in (False, True):
        runs = fused(search, folds, words, untouched, tuned, with_tuned=whole or not task, whole=task)
        show(search, runs, whole=task, seed=seed)


def fused(
    search: Search,
    folds: list[NDArray[np.int64]],
    words: dict[str, Scores],
    untouched: Scores,
    tuned: Scores,
    *,
    with_tuned: bool,
    whole: bool,
) -> dict[str, Scores]:
    """Scores of every model; a test fold's BM25 text and weights are those best on the other folds."""
    best = {name: np.empty_like(untouched) for name in ("bm25", "bm25 + untouched", "bm25 + fine-tuned")}
    normal = {name: standard(scores, search) for name, scores in words.items()}
    close, closer = standard(untouched, search), standard(tuned, search)
    for test in folds:
        training = np.setdiff1d(np.arange(len(untouched)), test)
        text = max(words, key=lambda name: ndcg_of(search, words[name], training, whole=whole))
        best["bm25"][test] = words[text][test]
        mixes = {weight: (1 - weight) * normal[text] + weight * close for weight in WEIGHTS}
        weight = max(mixes, key=lambda one: ndcg_of(search, mixes[one], training, whole=whole))
        best["bm25 + untouched"][test] = mixes[weight][test]
        best["bm25 + fine-tuned"][test] = ((1 - weight) * normal[text] + weight * closer)[test]
        print(f"{'catalogue' if whole else 'judged'}: BM25 over {text} texts, weight of the encoder {weight}")
    runs = {"untouched": untouched, "fine-tuned": tuned, **best}
    return runs if with_tuned else {name: run for name, run in runs.items() if "fine-tuned" not in name}


def show(search: Search, runs: dict[str, Scores], *, whole: bool, seed: int) -> None:
    """A table of ndcg@10 with intervals, and the paired differences."""
    settings = EvaluateSettings(metrics=("ndcg",), k=(10,), tested=("ndcg@10",), primary="ndcg@10")
    report = evaluate(
        search.truth(),
        {name: search.run(scores, whole=whole) for name, scores in runs.items()},
        settings=settings,
        seed=seed,
        ours=["fine-tuned"] if "fine-tuned" in runs else [],
    )
    print(f"\n{'the whole catalogue' if whole else 'the judged products of each query'}\n")
    print("| model | ndcg@10 | 95% interval |\n|---|---|---|")
    for name, found in sorted(report.models.items(), key=lambda one: -one[1]["ndcg@10"].value):
        one = found["ndcg@10"]
        print(f"| {name} | {one.value:.4f} | {one.low:.4f} to {one.high:.4f} |")
    print("\n| difference of ndcg@10 | | 95% interval, paired | after Holm's correction |\n|---|---|---|---|")
    for pair in report.comparisons:
        interval = f"{pair.low:+.4f} to {pair.high:+.4f}"
        print(f"| {pair.model} - {pair.other} | {pair.difference:+.4f} | {interval} | {pair.outcome} |")


if __name__ == "__main__":
    typer.run(main)
