"""Reviews: the classifier of aisle against TF-IDF and logistic regression, on the same split.

    python benchmarks/sentiment.py DATA --out runs/sentiment [--only NAME ...] [--reviews 10000]

DATA holds datafiniti-reviews, amazon-instruments-2014 and chinese-reviews. Labels: of the first two, one
and two stars against four and five; of the third, as given. Equal texts are in one part only; a tenth of
the reviews is for validation, a fifth for the test, every class by its share. The rival: TF-IDF (sublinear)
of words and pairs of words, in Chinese of one to three characters, its regularisation chosen on validation.
Printed: accuracy and macro-F1 of the likeliest class, AUC, expected calibration error (15 bins), and the
paired difference with a 95% bootstrap interval over reviews. The language model and the n-grams of aisle's
classifier are printed alone, too. For Chinese a small language model is trained from scratch on training
reviews alone, its tokenizer too.

Probabilities are kept in --out; a killed job goes on with the data set it was at.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from aisle.ranker.sentiment.labels import Labelled, from_labels, from_stars
from aisle.ranker.sentiment.quality import MEASURES
from aisle.ranker.sentiment.settings import LabelSettings, SentimentSettings
from aisle.retriever.settings import EncoderSettings, PretrainSettings

SEED = 0
RESAMPLES = 1000
STRENGTHS = (1, 3, 10, 30, 100)
CHINESE = "chinese-reviews"
RECIPES = {
    "datafiniti-reviews": {"frozen_layers": 3, "reviews_per_class": 700, "epochs": 2},
    "amazon-instruments-2014": {"frozen_layers": 3, "reviews_per_class": 700, "epochs": 2},
    CHINESE: {
        "frozen_layers": 0, "reviews_per_class": 25_000, "epochs": 3, "batch_size": 32, "learning_rate": 1e-3,
    },
}  # fmt: skip


def reviews(data: Path, name: str) -> Labelled:
    """A data set, as text and class."""
    settings = LabelSettings()
    if name == CHINESE:
        table = pl.read_csv(data / name / "online_shopping_10_cats.csv.gz").drop_nulls("review")
        return from_labels(table["review"], table["label"], settings)
    columns = {
        "datafiniti-reviews": ("reviews_title", "reviews_text", "reviews_rating"),
        "amazon-instruments-2014": ("summary", "reviewText", "overall"),
    }
    title, text, stars = columns[name]
    table = pl.read_csv(data / name / "reviews.csv.gz", infer_schema=False)
    words = pl.concat_str(pl.col(title).fill_null(""), pl.col(text).fill_null(""), separator=". ")
    table = table.select(words.alias("text"), stars=pl.col(stars).cast(pl.Float64, strict=False))
    return from_stars(table["text"], table["stars"], settings)


def rival(train: Labelled, held: Labelled, test: Labelled, name: str) -> np.ndarray:
    """Probabilities of TF-IDF and logistic regression."""
    grams = {"analyzer": "char", "ngram_range": (1, 3)} if name == CHINESE else {"ngram_range": (1, 2)}
    words = TfidfVectorizer(min_df=2, sublinear_tf=True, **grams)
    x, x_held, x_test = (
        words.fit_transform(train.texts),
        words.transform(held.texts),
        words.transform(test.texts),
    )
    models = [LogisticRegression(C=c, max_iter=500).fit(x, train.labels) for c in STRENGTHS]
    best = min(models, key=lambda model: log_loss(held.labels, model.predict_proba(x_held)))
    return best.predict_proba(x_test)


def classifier(
    train: Labelled, held: Labelled, test: Labelled, name: str, out: Path
) -> dict[str, np.ndarray]:
    """Probabilities of aisle's classifier, and of its two parts alone."""
    from aisle.ranker.sentiment.train import train as fit
    from aisle.retriever.pretrain import pretrain

    encoder = EncoderSettings(max_tokens=160)
    if name == CHINESE:
        folder = out / "pretrained"
        if not (folder / "model" / "modules.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            own = PretrainSettings(
                from_scratch=True, vocabulary_size=6000, layers=2, hidden=128, steps=3000, batch_size=32,
                round_steps=500, warmup_steps=100, learning_rate=1e-3, held_out_texts=200,
            )  # fmt: skip
            pretrain(train.texts, EncoderSettings(max_tokens=64), own, folder, seed=SEED)
        encoder = EncoderSettings(max_tokens=160, model=str(folder / "model"))
    fitted = fit(train, held, SentimentSettings(encoder=encoder, **RECIPES[name]), seed=SEED)
    fitted.save(out / name)
    read, counted = fitted.reader.score(test.texts), fitted.ngrams.logits(test.texts)
    return {
        "aisle": fitted.facts.mixture.probabilities(read, counted),
        "aisle, language model alone": softmax(read.astype(np.float64), axis=1),
        "aisle, n-grams alone": softmax(counted.astype(np.float64), axis=1),
    }


def table(name: str, labels: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """Print figures, differences and their intervals."""
    random = np.random.default_rng(SEED)
    draws = [random.integers(len(labels), size=len(labels)) for _ in range(RESAMPLES)]
    for measure, of in MEASURES.items():
        base = np.array([of(found["tf-idf"][rows], labels[rows]) for rows in draws])
        for model, probabilities in found.items():
            value = of(probabilities, labels)
            line = f"| {name} | {measure} | {model} | {value:.4f} |"
            if model == "aisle":
                ours = np.array([of(probabilities[rows], labels[rows]) for rows in draws])
                low, high = np.quantile(ours - base, (0.025, 0.975))
                line += f" {value - of(found['tf-idf'], labels):+.4f} ({low:+.4f} to {high:+.4f}) |"
            print(line, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/sentiment"))
    parser.add_argument("--only", choices=list(RECIPES), nargs="*", default=list(RECIPES))
    parser.add_argument("--reviews", type=int, help="of a data set at most, drawn at random [default: all]")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        labelled = reviews(options.data, name)
        order = np.random.default_rng(SEED).permutation(len(labelled))
        if options.reviews is not None and options.reviews < len(labelled):
            labelled = labelled.take(order[: options.reviews])
        train, held, test = labelled.parts(0.1, 0.2, SEED)
        counts = np.bincount(test.labels)
        print(
            f"{name}: {len(train)} to learn from, {len(held)} to choose on, {len(test)} in the test {counts}"
        )
        kept = options.out / f"{name}.npz"
        if not kept.is_file():
            started = time.monotonic()
            found = {"tf-idf": rival(train, held, test, name)}
            between = time.monotonic()
            found |= classifier(train, held, test, name, options.out)
            np.savez(options.out / "part.npz", **found)
            (options.out / "part.npz").replace(kept)
            print(
                f"seconds: tf-idf {between - started:.0f}, aisle {time.monotonic() - between:.0f}", flush=True
            )
        table(name, test.labels, dict(np.load(kept)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
