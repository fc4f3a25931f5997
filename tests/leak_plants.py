"""One leak of each kind, planted into a clean world."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import polars as pl
from leak_world import START, clean

from aisle.data.schema import EVENTS
from aisle.eval.leaks import Material


def late_in_train() -> Material:
    """An event of the test month in train."""
    world = clean(strategy="time")
    late = world.parts["test"].head(1).with_columns(user_id=pl.lit("u999"))
    return world.more("train", late).material()


def later_than_its_test() -> Material:
    """Users whose train holds what they did after the tested event."""
    world = clean()
    late = (
        world.parts["test"]
        .head(3)
        .with_columns(pl.col("timestamp") + timedelta(days=1), item_id=world.items["item_id"][:3])
    )
    return world.more("train", late).material()


def by_position() -> Material:
    """The same where the order alone is known."""
    world = clean()
    numbered = {
        name: part.with_columns(
            timestamp=pl.lit(None, EVENTS["timestamp"]), position=pl.col("timestamp").dt.timestamp("ms")
        )
        for name, part in world.parts.items()
    }
    swapped = numbered | {
        "train": numbered["test"],
        "test": numbered["train"].unique("user_id", keep="first", maintain_order=True),
    }
    return replace(world, parts=swapped).material()


def trained_on_tested_users() -> Material:
    """A split by users, one of whom is in two parts."""
    world = clean(strategy="users")
    return world.more(
        "train", world.parts["test"].head(1).with_columns(pl.col("timestamp") - timedelta(days=99))
    ).material()


def several_left_out() -> Material:
    """Leave one out that takes two."""
    world = clean()
    return (
        world.more("test", world.parts["validation"].head(5))
        .with_part("validation", world.parts["validation"].tail(-5))
        .material()
    )


def copied_events() -> Material:
    """Tested events that were not taken out of train."""
    world = clean()
    return world.more("train", world.parts["test"].head(4)).material()


def tuned_on_test() -> Material:
    """A validation part that holds tested events."""
    world = clean()
    return world.with_part("validation", world.parts["test"]).material()


def pairs_in_train() -> Material:
    """Files without any times, where train was not cut."""
    world = clean()
    everything = pl.concat(world.parts.values()).select("user_id", "item_id")
    return Material.of_files(everything, world.parts["test"].select("user_id", "item_id"))


def second_accounts() -> Material:
    """Three users who are there twice: the whole of them is trained on."""
    world = clean()
    whole = pl.concat(world.parts.values()).filter(pl.col("user_id") < "u003")
    return world.more("train", whole.with_columns(pl.col("user_id") + "_2")).material()


def reviews_in_item_texts() -> Material:
    """Item texts made of all reviews."""
    world = clean()
    said = (
        world.parts["test"]
        .group_by("item_id")
        .agg(pl.col("text").drop_nulls().str.to_uppercase().str.join("\n "))
    )
    texts = world.items.join(said, on="item_id", how="left").select(
        "item_id", text=pl.concat_str("title", "text", separator="  ", ignore_nulls=True)
    )
    return world.material(texts=lambda: texts)


def reviews_in_the_corpus() -> Material:
    """A language model trained on all reviews."""
    world = clean()
    said = pl.concat(world.parts.values())["text"].drop_nulls()
    return world.material(corpus=[f"Review: {text}" for text in said])


def counted(what: pl.Expr, of: str = "all") -> pl.DataFrame:
    """The catalogue of the clean world with a number that was computed from all events."""
    world = clean()
    events = pl.concat(world.parts.values()).group_by("item_id").agg(number=what)
    return world.items.join(events, on="item_id", how="left", maintain_order="left")


def future_count() -> Material:
    """How often an item was bought, the test included."""
    return clean().material(items=counted(pl.len()))


def future_log_count() -> Material:
    """The same, as models like it."""
    return clean().material(items=counted(pl.len().log1p()))


def future_stars() -> Material:
    """Mean stars, the test included, rounded as shops do."""
    return clean().material(items=counted(pl.col("rating").mean().round(1)))


def future_attribute() -> Material:
    """Number of ratings, as text among the attributes of the catalogue."""
    items = counted(pl.col("rating").count().cast(pl.String))
    named = pl.struct(name=pl.lit("rating_number"), value=pl.col("number"))
    return clean().material(items=items.select("item_id", attributes=pl.concat_list(named)))


def with_features(of: str, number: pl.Expr, past_alone: bool = False) -> Material:
    """Files of a split by time with a number of each user or item in all of their events in train."""
    world = clean(strategy="time")
    known = pl.concat([world.parts["train"], world.parts["validation"]])
    source = known if past_alone else pl.concat(world.parts.values())
    told = source.group_by(of).agg(number=number)
    return Material.of_files(known.join(told, on=of), world.parts["test"], strategy="time")


def users_of(number: pl.Expr, past_alone: bool = False) -> Material:
    """The same in a table of the users."""
    world = clean(strategy="time")
    known = pl.concat([world.parts["train"], world.parts["validation"]])
    source = known if past_alone else pl.concat(world.parts.values())
    users = source.group_by("user_id").agg(number=number)
    return Material.of_files(known, world.parts["test"], strategy="time", users=users)


def future_count_of_users() -> Material:
    """How much a user bought, the test included."""
    return users_of(pl.len())


def future_stars_of_users() -> Material:
    """Mean stars that a user gave, the test included."""
    return users_of(pl.col("rating").mean())


def future_recency_of_users() -> Material:
    """Whole days since the last event, the test included."""
    return users_of((START + timedelta(days=400) - pl.col("timestamp").max()).dt.total_days())


def future_last_event_of_users() -> Material:
    """The date of the last event, the test included."""
    return users_of(pl.col("timestamp").max())


def future_count_in_events() -> Material:
    """How often the item of an event was bought, the test included."""
    return with_features("item_id", pl.len())


def future_count_of_users_in_events() -> Material:
    """How much the user of an event bought, the test included, as models like it."""
    return with_features("user_id", pl.len().log1p())


def followed(column: pl.Expr) -> Material:
    """Files of a clean world whose train knows something about each user's next event."""
    world = clean()
    events = pl.concat(world.parts.values()).sort("user_id", "timestamp").with_columns(known=column)
    tested = world.parts["test"].select("user_id", "item_id")
    known = events.join(tested, on=["user_id", "item_id"], how="anti")
    return Material.of_files(known, world.parts["test"], strategy="leave_one_out")


def next_items() -> Material:
    """The item that a user takes next, on each row."""
    return followed(pl.col("item_id").shift(-1).over("user_id"))


def next_moments() -> Material:
    """Hours until the next event."""
    gap = pl.col("timestamp").shift(-1).over("user_id") - pl.col("timestamp")
    return followed(gap.dt.total_seconds() / 3600)


def renamed(order: list[str]) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Gives items their place in `order` as an id."""
    ids = {item: f"i{place}" for place, item in enumerate(order)}
    return lambda frame: frame.with_columns(pl.col("item_id").replace_strict(ids))


def with_ids(order: list[str]) -> Material:
    """The clean world with its items numbered: those of `order` first."""
    world = clean()
    rename = renamed(order + sorted(set(world.items["item_id"]) - set(order)))
    parts = {name: rename(part) for name, part in world.parts.items()}
    return replace(world, items=rename(world.items), parts=parts).material()


def ids_in_order_of_sessions() -> Material:
    """Items numbered as they stand at the ends of sessions, the tested one behind the one before."""
    events = pl.concat(clean().parts.values()).sort("user_id", "timestamp")
    ends = events.filter(pl.int_range(pl.len()).reverse().over("user_id") < 2)
    return with_ids(ends["item_id"].unique(maintain_order=True).to_list())


def by_popularity() -> list[str]:
    """Items of the clean world by their number of events, tested ones included."""
    events = pl.concat(clean().parts.values())
    return events["item_id"].value_counts().sort("count", "item_id", descending=True)["item_id"].to_list()


def ids_by_popularity() -> Material:
    """Items numbered by how often they were bought, the test included."""
    return with_ids(by_popularity())


def catalogue_by_popularity() -> Material:
    """A catalogue that stands in that order."""
    order = pl.DataFrame({"item_id": by_popularity()})
    items = clean().items
    behind = items.join(order, on="item_id", how="anti")
    first = order.join(items, on="item_id", maintain_order="left")
    return clean().material(items=pl.concat([first, behind]))


def one_item_wanted_by_most() -> Material:
    """Tested users were chosen who bought one of the most popular items."""
    world = clean()
    popular = (
        pl.concat([world.parts["train"], world.parts["validation"]])["item_id"]
        .value_counts(sort=True)["item_id"]
        .head(10)
    )
    kept = world.parts["test"].filter(
        pl.col("item_id").is_in(popular.implode()) | (pl.col("user_id") < "u005")
    )
    return world.with_part("test", kept).material()


def answers_first() -> Material:
    """A catalogue of tested items, with others added behind them."""
    world = clean()
    wanted = (
        world.parts["test"]["item_id"]
        .value_counts()
        .sort("count", "item_id", descending=True)["item_id"]
        .head(10)
    )
    first = pl.DataFrame({"item_id": wanted})
    items = pl.concat(
        [first.join(world.items, on="item_id"), world.items.join(first, on="item_id", how="anti")]
    )
    past = {
        name: world.parts[name].filter(~pl.col("item_id").is_in(wanted.implode()))
        for name in ("train", "validation")
    }
    return replace(world, items=items, parts=world.parts | past).material()


PLANTED = {
    late_in_train: "time order",
    later_than_its_test: "time order",
    by_position: "time order",
    trained_on_tested_users: "split shape",
    several_left_out: "split shape",
    copied_events: "duplicates",
    tuned_on_test: "duplicates",
    pairs_in_train: "known pairs",
    second_accounts: "copied users",
    reviews_in_item_texts: "training text",
    reviews_in_the_corpus: "training text",
    future_count: "future features",
    future_log_count: "future features",
    future_stars: "future features",
    future_attribute: "future features",
    future_count_of_users: "future features",
    future_stars_of_users: "future features",
    future_recency_of_users: "future features",
    future_last_event_of_users: "future features",
    future_count_in_events: "future features",
    future_count_of_users_in_events: "future features",
    next_items: "next event",
    next_moments: "next event",
    ids_in_order_of_sessions: "item order",
    ids_by_popularity: "item order",
    catalogue_by_popularity: "item order",
    one_item_wanted_by_most: "trivial baselines",
    answers_first: "trivial baselines",
}
