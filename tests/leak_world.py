"""A clean shop whose parts a test may spoil, and lists for its users."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from aisle.data.schema import EVENTS
from aisle.eval.leaks import Leaks, Material

START = datetime(2024, 1, 1, tzinfo=UTC)


ITEMS, USERS = 300, 200


WORDS = (
    "the handle broke off after a week",
    "smells of lemon and a little of soap",
    "would buy it once more",
)


@dataclass(frozen=True)
class World:
    """A shop whose users have tastes, with parts that a test may spoil."""

    items: pl.DataFrame
    parts: dict[str, pl.DataFrame]
    strategy: str

    def material(self, **changed) -> Material:
        parts = {name: part.lazy() for name, part in self.parts.items()}
        texts = self.items.select("item_id", text="title")
        made = Material(parts, self.strategy, ("purchase",), items=self.items, texts=lambda: texts)
        return replace(made, **changed)

    def with_part(self, part: str, events: pl.DataFrame) -> "World":
        return replace(self, parts=self.parts | {part: events})

    def more(self, part: str, events: pl.DataFrame) -> "World":
        return self.with_part(part, pl.concat([self.parts[part], events]))


def clean(seed: int = 0, strategy: str = "leave_one_out") -> World:
    """Users of ten tastes buy from Zipf's shelves of their taste, never an item twice, and write reviews."""
    rng = np.random.default_rng(seed)
    ids = [f"B{number:06}" for number in rng.choice(10**6, ITEMS, replace=False)]
    popularity = rng.permutation(1 / np.arange(1, ITEMS + 1) ** 0.7)
    taste = rng.integers(10, size=ITEMS)
    rows = []
    for user in range(USERS):
        chances = popularity * np.where(taste == user % 10, 10, 1)
        bought = rng.choice(ITEMS, rng.integers(4, 12), replace=False, p=chances / chances.sum())
        days = np.sort(rng.choice(200, len(bought), replace=False))
        for item, day in zip(bought, days, strict=True):
            said = (
                f"{WORDS[rng.integers(3)]}, says number {rng.integers(10**9)}" if rng.random() < 0.5 else None
            )
            time = START + timedelta(days=int(day), seconds=int(rng.integers(86_000)))
            rows.append(
                (
                    f"u{user:03}",
                    ids[item],
                    "purchase",
                    time,
                    None,
                    float(rng.integers(1, 6)),
                    said,
                    None,
                    None,
                )
            )
    events = pl.DataFrame(rows, schema=EVENTS, orient="row").sort("user_id", "timestamp")
    back = pl.int_range(pl.len()).reverse().over("user_id")
    part = pl.when(back == 0).then(pl.lit("test")).when(back == 1).then(pl.lit("validation"))
    if strategy == "time":
        cuts = [START + timedelta(days=day) for day in (170, 185)]
        part = pl.when(pl.col("timestamp") >= cuts[1]).then(pl.lit("test"))
        part = part.when(pl.col("timestamp") >= cuts[0]).then(pl.lit("validation"))
    elif strategy == "users":
        number = pl.col("user_id").str.slice(1).cast(pl.Int64)
        part = pl.when(number % 5 == 0).then(pl.lit("test")).when(number % 5 == 1).then(pl.lit("validation"))
    events = events.with_columns(part=part.otherwise(pl.lit("train")))
    catalogue = pl.DataFrame(
        {
            "item_id": ids,
            "title": [
                f"thing {word} of {taste[row]}" for row, word in enumerate(rng.integers(10**6, size=ITEMS))
            ],
            "price": np.round(rng.lognormal(3, 1, ITEMS), 2),
            "pieces": rng.integers(1, 4, ITEMS),
        }
    )
    parts = {
        name: events.filter(pl.col("part") == name).drop("part") for name in ("train", "validation", "test")
    }
    return World(catalogue, parts, strategy)


def names(found: Leaks) -> set[str]:
    return {finding.check for finding in found.findings}


def run_of(lists: dict[str, list[str]]) -> pl.DataFrame:
    rows = [(user, item, -float(at)) for user, items in lists.items() for at, item in enumerate(items)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row")


def random_lists(world: World, size: int, seed: int = 0) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    ids = world.items["item_id"].to_numpy()
    return {
        user: rng.choice(ids, size, replace=False).tolist()
        for user in world.parts["test"]["user_id"].unique().sort()
    }
