"""Verbs about reviews: train a classifier, score with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli.options import Config, Seed, Set, settings_of
from aisle.cli.verb import Answer, verb

if TYPE_CHECKING:
    from aisle.ranker.sentiment.reviews import Columns

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What buyers say: a classifier of reviews, and what follows from it.",
)

Source = Annotated[
    Path,
    typer.Option("--data", help="Table of reviews (CSV, TSV, Parquet, JSON lines), or folder of a run."),
]
Text = Annotated[
    list[str] | None,
    typer.Option(
        "--text", help="Column with words; may be repeated, for a title and a text [default: text]."
    ),
]
Stars = Annotated[str | None, typer.Option("--stars", help="Column with stars, 0 to 5.")]
Item = Annotated[str | None, typer.Option("--item", help="Column with the item's id.")]
User = Annotated[str | None, typer.Option("--user", help="Column with the user's id.")]
Time = Annotated[str | None, typer.Option("--time", help="Column with the time of the review.")]


@verb(app)
def train(
    data: Source,
    out: Annotated[Path, typer.Option("--out", help="Folder for the classifier.")],
    text: Text = None,
    stars: Stars = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column with given classes, instead of --stars.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Hugging Face name or folder of a language model.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
) -> Answer:
    """Fine-tune a classifier on reviews; of a run, on those of its training part."""
    from aisle.ranker.sentiment.labels import from_labels, from_stars
    from aisle.ranker.sentiment.reviews import read_reviews
    from aisle.ranker.sentiment.train import measured
    from aisle.ranker.sentiment.train import train as fit

    named = [] if encoder is None else [f'ranker.sentiment.encoder.model="{encoder}"']
    chosen = settings_of(config, [*(set_ or []), *named], seed=seed)
    settings = chosen.ranker.sentiment
    reviews = read_reviews(data, _columns(text, stars, label), ["train"])
    if label is None:
        labelled = from_stars(reviews["text"], reviews["stars"], settings.labels)
    else:
        labelled = from_labels(reviews["text"], reviews["label"], settings.labels)
    learned, held, test = labelled.parts(settings.validation_share, settings.test_share, chosen.seed)
    classifier = measured(fit(learned, held, settings, seed=chosen.seed), test)
    classifier.save(out)
    facts = classifier.facts.model_dump(include={"classes", "reviews", "measured"})
    figures = ", ".join(f"{name} {value:.4f}" for name, value in classifier.facts.measured.items())
    lines = [
        f"{len(learned):,} reviews to learn from, {len(held):,} to choose on; classes: "
        + ", ".join(classifier.classes),
        f"on {len(test):,} others: {figures}",
        f"classifier: {out}",
    ]
    return Answer({"out": str(out), **facts}, [*lines])


@verb(app)
def score(
    data: Source,
    model: Annotated[Path, typer.Option("--model", help="Folder that `aisle sentiment train` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Parquet file for the scored reviews.")],
    text: Text = None,
    stars: Stars = None,
    item: Item = None,
    user: User = None,
    time: Time = None,
) -> Answer:
    """Say of each review how pleased the buyer was: probabilities of the classes, and a polarity."""
    from aisle.ranker.sentiment.classifier import SentimentClassifier
    from aisle.ranker.sentiment.reviews import read_reviews
    from aisle.ranker.sentiment.score import scored

    classifier = SentimentClassifier.load(model)
    columns = _columns(text, stars, None, item, user, time)
    reviews = read_reviews(data, columns, ["train", "validation", "test"])
    table = scored(reviews.drop("label"), classifier)
    out.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(out)
    read = table.height - table["text"].null_count()
    facts = {
        "out": str(out),
        "reviews": table.height,
        "read": read,
        "mean_polarity": table["polarity"].mean(),
    }
    said = f"{table.height:,} reviews, {read:,} of them with words; scores: {out}"
    return Answer(facts, [said])


def _columns(
    text: list[str] | None,
    stars: str | None,
    label: str | None,
    item: str | None = None,
    user: str | None = None,
    time: str | None = None,
) -> "Columns":
    from aisle.ranker.sentiment.reviews import Columns

    return Columns(tuple(text or ["text"]), stars, label, item, user, time)
