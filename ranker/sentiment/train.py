"""Training of the classifier of reviews."""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import get_linear_schedule_with_warmup, set_seed

from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.ranker.sentiment.classifier import Facts, SentimentClassifier
from aisle.ranker.sentiment.labels import Labelled
from aisle.ranker.sentiment.mixture import fit_mixture
from aisle.ranker.sentiment.ngrams import fit_ngrams
from aisle.ranker.sentiment.quality import measure
from aisle.ranker.sentiment.reader import ReviewReader
from aisle.ranker.sentiment.settings import SentimentSettings
from aisle.retriever.arithmetic import device, keep_freed_memory
from aisle.retriever.encoder import Encoder
from aisle.retriever.engine.pieces import Ids
from aisle.retriever.finetune.adapters import freeze
from aisle.retriever.sampler import EpochSampler
from aisle.retriever.vocabulary import coverage

LOG = logging.getLogger(__name__)

UNKNOWN_LIMIT = 0.05
"""Share of unknown tokens from which on the language model does not know the language of the reviews."""


def train(
    reviews: Labelled, held: Labelled, settings: SentimentSettings, *, seed: int
) -> SentimentClassifier:
    """Fine-tune the language model, fit the n-grams, and mix both on validation.

    The upper layers of the language model and a new layer of classes learn from at most `reviews_per_class`
    reviews of each class, drawn at random; the n-grams from all. How frequent the classes really are is
    learned by the mixture, on validation.

    Args:
        reviews: to learn from.
        held: reviews of the same classes, to choose on.
        settings: of the training.
        seed: of everything random.

    Raises:
        InputError: the language model cannot be read, or the loss is no longer finite.
    """
    keep_freed_memory()
    set_seed(seed)
    encoder = Encoder.load(settings.encoder.model_copy(update={"precision": "fp32"}), device())
    encoder.settings = settings.encoder
    _warn_of_unknown(encoder, reviews)
    freeze(encoder.model, settings.frozen_layers, "ranker.sentiment.frozen_layers")
    reader = ReviewReader(encoder, len(reviews.classes), settings.overlap).to(device())
    _fine_tune(reader, drawn(reviews, settings.reviews_per_class, seed), settings, seed)
    ngrams = fit_ngrams(reviews.texts, reviews.labels, (held.texts, held.labels), settings.ngrams)
    mixture = fit_mixture(reader.score(held.texts), ngrams.logits(held.texts), held.labels)
    facts = Facts(
        classes=reviews.classes,
        polarities=reviews.polarities,
        mixture=mixture,
        settings=settings,
        ngrams=ngrams.settings,
        seed=seed,
        reviews={"train": len(reviews), "validation": len(held)},
    )
    return SentimentClassifier(reader, ngrams, facts)


def measured(classifier: SentimentClassifier, test: Labelled) -> SentimentClassifier:
    """The classifier with what it reaches on reviews that had no part in its training."""
    found = measure(classifier.probabilities(test.texts), test.labels)
    reviews = {**classifier.facts.reviews, "test": len(test)}
    facts = classifier.facts.model_copy(update={"measured": found, "reviews": reviews})
    return SentimentClassifier(classifier.reader, classifier.ngrams, facts)


def drawn(reviews: Labelled, most: int, seed: int) -> Labelled:
    """At most `most` reviews of each class, drawn at random."""
    random = np.random.default_rng(seed)
    rows = [
        random.permutation(np.flatnonzero(reviews.labels == label))[:most]
        for label in range(len(reviews.classes))
    ]
    return reviews.take(np.concatenate(rows))


def _fine_tune(reader: ReviewReader, reviews: Labelled, settings: SentimentSettings, seed: int) -> None:
    """AdamW at two rates, which rise and fall on straight lines; all arguments of the loop are settings."""
    windows = reader.windows(reviews.texts)
    shares = np.bincount(reviews.labels, minlength=len(reviews.classes)) / len(reviews)
    with torch.no_grad():
        reader.head.weight.zero_()
        reader.head.bias.copy_(torch.from_numpy(np.log(shares)))
    body = [weights for weights in reader.body.parameters() if weights.requires_grad]
    groups = [
        {"params": body, "lr": settings.learning_rate},
        {"params": reader.head.parameters(), "lr": settings.head_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(reviews) // settings.batch_size)
    warmup = int(settings.warmup_share * steps)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, steps)  # type: ignore[no-untyped-call]
    labels = torch.from_numpy(reviews.labels).to(device())
    reader.train()
    with meter("fine-tuning on reviews", steps) as progress:
        for rows in _batches(windows, settings, seed):
            random = np.random.default_rng((seed, int(progress.done)))
            chosen = [_some(windows[row], settings.windows, random) for row in rows]
            loss = nn.functional.cross_entropy(reader(reader.collate(chosen)), labels[rows])
            if not torch.isfinite(loss):
                found = f"{loss.item()} in step {int(progress.done)}"
                raise InputError("a finite training loss", found, "lower ranker.sentiment.learning_rate")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(body, 1.0)
            optimizer.step()
            schedule.step()
            progress.advance()


def _batches(windows: list[list[Ids]], settings: SentimentSettings, seed: int) -> Iterator[NDArray[np.int64]]:
    """Rows of each step: reviews of similar length together, in random order, epoch after epoch."""
    lengths = [sum(len(window) for window in review[: settings.windows]) for review in windows]
    sampler = EpochSampler(settings.batch_size, lengths, seed)
    for epoch in range(settings.epochs):
        sampler.set_epoch(epoch)
        order = np.fromiter(sampler, np.int64, len(sampler))
        yield from np.split(order, range(settings.batch_size, len(order), settings.batch_size))


def _some(review: list[Ids], most: int, random: np.random.Generator) -> list[Ids]:
    """All windows of a review, or `most` of them, drawn at random, in their order."""
    if len(review) <= most:
        return review
    return [review[place] for place in np.sort(random.choice(len(review), most, replace=False))]


def _warn_of_unknown(encoder: Encoder, reviews: Labelled) -> None:
    unknown = coverage(encoder.tokenizer, reviews.texts[:500]).unknown
    if unknown > UNKNOWN_LIMIT:
        LOG.warning(
            "sentiment: %.0f%% of the tokens of the reviews are unknown to %s; pre-train a model on them "
            "(`aisle pretrain`, retriever.pretrain.from_scratch) and name its folder",
            100 * unknown,
            encoder.settings.model,
        )
