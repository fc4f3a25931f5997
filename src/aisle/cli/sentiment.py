"""Verbs about reviews: train a classifier, score with it, see what has moved."""

from datetime import UTC, datetime, timedelta
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


@verb(app)
def feedback(
    reviews: Annotated[
        Path, typer.Option("--reviews", help="Parquet file that `aisle sentiment score` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for feedback.json, .parquet and .html.")],
    moment: Annotated[
        datetime | None,
        typer.Option("--moment", help="Held to be now, UTC [default: behind the last review]."),
    ] = None,
    aspects: Annotated[
        Path | None,
        typer.Option("--aspects", help="TOML of aspects [default: those of any shop, and found ones]."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Classifier for sentences [default: as their reviews].")
    ] = None,
    items: Annotated[
        Path | None, typer.Option("--items", help="Parquet with item_id and title, for names.")
    ] = None,
    config: Config = None,
    set_: Set = None,
) -> Answer:
    """Show which items and aspects buyers are more or less pleased with than before, and what they say."""
    import polars as pl

    from aisle.data.errors import InputError
    from aisle.ranker.sentiment.aspects import as_toml, find_aspects, read_aspects
    from aisle.ranker.sentiment.feedback import feedback as moved_since
    from aisle.ranker.sentiment.mentions import aspect_table, mentions
    from aisle.ranker.sentiment.page import write_feedback
    from aisle.ranker.sentiment.reviews import read_scored

    settings = settings_of(config, set_).ranker.sentiment
    table = read_scored(reviews)
    last = table["time"].max()
    if not isinstance(last, datetime):
        raise InputError(
            "reviews with times", f"none in {reviews}", "name the column: aisle sentiment score --time"
        )
    now = last + timedelta(microseconds=1) if moment is None else moment.replace(tzinfo=UTC)
    past = table.filter(pl.col("time") < now)
    known = read_aspects(aspects)
    if aspects is None:
        known = find_aspects(past["text"].drop_nulls().to_list(), known, settings.aspects)
    classifier = None
    if model is not None:
        from aisle.ranker.sentiment.classifier import SentimentClassifier

        classifier = SentimentClassifier.load(model)
    found = mentions(past, known, classifier)
    moved = moved_since(past, found, now, settings.feedback)
    titles: dict[str, str] = {}
    if items is not None:
        titles = dict(pl.read_parquet(items, columns=["item_id", "title"]).drop_nulls().iter_rows())
    overall = aspect_table(found, settings.aspects, by=())
    of_items = aspect_table(found, settings.aspects)
    paths = write_feedback(moved, overall, of_items, titles, now, settings.feedback, out)
    (out / "aspects.toml").write_text(as_toml(known), encoding="utf-8")
    beyond = moved.filter("moved")
    worse = beyond.filter(pl.col("change") < 0).height
    said = (
        f"{moved.height:,} items and aspects tested: {worse} got worse, {beyond.height - worse} got better",
        f"aspects, for editing: {out / 'aspects.toml'}",
        f"report: {paths['feedback.html']}",
    )
    facts = {"files": paths, "tested": moved.height, "worse": worse, "better": beyond.height - worse}
    return Answer(facts, [*said])


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
