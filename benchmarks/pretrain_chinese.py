"""Pre-training on Chinese shop reviews: a vocabulary of their own against the English one of MiniLM.

    python benchmarks/pretrain_chinese.py DATA --out runs/chinese [--texts 8000] [--steps 300]

DATA is the folder chinese-reviews (online_shopping_10_cats.csv.gz: cat, label, review). Prints, for each
language model, before and after pre-training on reviews that no probe sees:

- tokens of a text and the share of unknown ones;
- bits for a hidden character: masked words are single Chinese characters in both vocabularies, so that the
  same is predicted. An unknown token is cheap to predict and says nothing; it is charged the bits that name
  one of the distinct characters of the reviews. Words of other scripts count by their characters;
- the accuracy of a linear probe for the label (logistic regression on frozen vectors, 5 folds, C by inner
  folds), with a 95% bootstrap interval over reviews; the same over TF-IDF of characters comes first.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from transformers import set_seed

from aisle.retriever.language_model import LanguageModel, new_model, read_language_model
from aisle.retriever.masking import IGNORED, Examples, chunks
from aisle.retriever.perplexity import Perplexity
from aisle.retriever.pretrain import pretrain
from aisle.retriever.settings import EncoderSettings, PretrainSettings
from aisle.retriever.vocabulary import coverage

FILE = "online_shopping_10_cats.csv.gz"
ENCODER = EncoderSettings(max_tokens=96, precision="fp32")
SEED = 0


def bits(model: LanguageModel, texts: list[str], alphabet: int) -> float:
    """Bits for a hidden character of `texts`, unknown ones charged log2(alphabet) each."""
    tokenizer = model.tokenizer
    examples = Examples(chunks(tokenizer, texts, ENCODER.max_tokens, "masked"), model.padding)
    measure = Perplexity(examples, model.masking(PretrainSettings()), 16, SEED)
    nats, unknown, characters = 0.0, 0, 0
    for batch, losses in measure.losses(model.model.eval()):
        nats += float(losses.sum())
        for token in batch["labels"][batch["labels"] != IGNORED].tolist():
            unknown += token == tokenizer.unk_token_id
            characters += len(tokenizer.convert_ids_to_tokens(token).removeprefix("##"))
        characters -= (len(tokenizer.unk_token or "") - 1) * int(
            (batch["labels"] == tokenizer.unk_token_id).sum()
        )
    return (nats / math.log(2) + unknown * math.log2(alphabet)) / characters


def probe(features: object, labels: np.ndarray, classifier: object) -> tuple[float, float, float]:
    """Accuracy over 5 folds, and the bounds of its 95% interval."""
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    right = cross_val_predict(classifier, features, labels, cv=folds) == labels
    draws = np.random.default_rng(SEED).choice(right, (1000, len(right))).mean(1)
    return float(right.mean()), *np.quantile(draws, (0.025, 0.975)).tolist()


def classifier() -> LogisticRegressionCV:
    """Logistic regression, its strength chosen within the folds it learns from."""
    return LogisticRegressionCV(Cs=[0.1, 1, 10, 100], cv=3, max_iter=300, random_state=SEED, l1_ratios=(0.0,))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/chinese"))
    parser.add_argument("--texts", type=int, default=8_000, help="reviews to pre-train on")
    parser.add_argument("--probe", type=int, default=1_200, help="labelled reviews, read by no pre-training")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument(
        "--minilm-steps", type=int, default=30, help="steps of MiniLM, slower by its 30,522 words"
    )
    options = parser.parse_args()

    table = pl.read_csv(options.data / FILE).drop_nulls().unique("review", maintain_order=True)
    table = table.sample(fraction=1.0, shuffle=True, seed=SEED)
    labelled, rest = table.head(options.probe), table.slice(options.probe)
    texts, held = rest["review"].head(options.texts).to_list(), rest["review"].tail(200).to_list()
    alphabet = len({character for text in texts for character in text})
    labels = labelled["label"].to_numpy()
    print(f"reviews: {len(texts)} to learn from, {len(held)} for bits, {len(labels)} for probes; {alphabet=}")

    words = make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2), classifier())
    print("model, tokens/text, unknown, bits/character, accuracy, low, high, seconds of training")
    found = probe(labelled["review"].to_numpy(), labels, words)
    print("tf-idf of characters and pairs,,,," + ",".join(f" {value:.3f}" for value in found))

    minilm = PretrainSettings(steps=options.minilm_steps, batch_size=32, round_steps=20, warmup_steps=10)
    own = PretrainSettings(
        from_scratch=True, vocabulary_size=6000, layers=2, hidden=128, steps=options.steps, batch_size=32,
        round_steps=100, warmup_steps=40, learning_rate=1e-3,
    )  # fmt: skip
    set_seed(SEED)
    starts = {"MiniLM": (minilm, read_language_model(ENCODER)), "own": (own, new_model(texts, own, "mean"))}
    for name, (settings, start) in starts.items():
        for when in ("before", "after"):
            started = time.monotonic()
            if when == "after":
                folder = options.out / name
                folder.mkdir(parents=True, exist_ok=True)
                start = pretrain(texts, ENCODER, settings, folder, seed=SEED)
            seconds = time.monotonic() - started
            seen, measured = coverage(start.tokenizer, held), bits(start, held, alphabet)
            score = probe(start.encoder(ENCODER).encode(labelled["review"].to_list()), labels, classifier())
            facts = f"{name} {when}, {seen.tokens:.1f}, {seen.unknown:.3f}, {measured:.2f},"
            print(facts + ",".join(f" {value:.3f}" for value in score) + f", {seconds:.0f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
