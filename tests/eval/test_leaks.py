"""Every planted leak is reported by the check that is for it, and clean data by none."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from aisle.cli import app
from aisle.data.prepare import prepare
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.schema import EVENTS
from aisle.data.settings import DataSettings, SplitSettings
from aisle.data.text import render_items
from aisle.eval.evaluate import evaluate
from aisle.eval.judged import judge
from aisle.eval.leaks import CHECKS, Leaks, Material, check_leaks, check_lists
from aisle.eval.runs import check_run, check_truth
from aisle.eval.settings import EvaluateSettings

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


@pytest.mark.parametrize("strategy", ["leave_one_out", "time", "users"])
@pytest.mark.parametrize("seed", range(3))
def test_clean_worlds_have_no_findings(seed, strategy):
    found = check_leaks(clean(seed, strategy).material(corpus=["a text of the past"]))
    assert found.findings == []
    left_out = {"split shape": "a split by leave_one_out or by users"} if strategy == "time" else {}
    assert found.left_out == left_out
    assert {"lists of runs", *(check.name for check in CHECKS)} == {*found.checked, *found.left_out}


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
    ids_in_order_of_sessions: "item order",
    ids_by_popularity: "item order",
    catalogue_by_popularity: "item order",
    one_item_wanted_by_most: "trivial baselines",
    answers_first: "trivial baselines",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_every_planted_leak_is_reported(plant):
    found = check_leaks(plant())
    assert PLANTED[plant] in names(found)
    for finding in found.findings:
        assert finding.evidence
        assert finding.what.endswith(".")


@pytest.mark.parametrize("strategy", ["time", "leave_one_out", "ratio"])
def test_real_data_is_clean(shared_data: Path, tmp_path: Path, strategy):
    settings = DataSettings(split=SplitSettings(strategy=strategy))
    prepare(shared_data / "amazon-giftcards-2018", tmp_path, settings)
    shop = Prepared(tmp_path)

    def texts() -> pl.DataFrame:
        told = render_items(shop.items, settings.text, shop.reviews(*BEFORE["test"]))
        return pl.DataFrame({"item_id": shop.item_ids.values, "text": told})

    parts = {part: shop.events(part) for part in ("train", "validation", "test")}
    found = check_leaks(Material(parts, strategy, shop.target_kinds, items=shop.items, texts=texts))
    assert found.findings == []
    assert "training text" in found.checked
    everything = Material(
        parts,
        strategy,
        shop.target_kinds,
        corpus=shop.events("test").collect()["text"].drop_nulls().to_list(),
    )
    assert names(check_leaks(everything)) == {"training text"}


def run_of(lists: dict[str, list[str]]) -> pl.DataFrame:
    rows = [(user, item, -float(at)) for user, items in lists.items() for at, item in enumerate(items)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row")


def of_run(run: pl.DataFrame, material: Material, depth: int = 100) -> list[str]:
    truth = check_truth(material.pairs.select("user_id", "item_id"))
    judged = judge(check_run(run, truth, "mine"), truth, depth=depth)
    return [finding.what for finding in check_lists("mine", judged, material)]


def random_lists(world: World, size: int, seed: int = 0) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    ids = world.items["item_id"].to_numpy()
    return {
        user: rng.choice(ids, size, replace=False).tolist()
        for user in world.parts["test"]["user_id"].unique().sort()
    }


@pytest.mark.parametrize("masked", [True, False])
def test_hits_on_seen_items_are_reported(masked):
    world = clean()
    again = (
        world.parts["train"]
        .group_by("user_id", maintain_order=True)
        .first()
        .head(7)
        .with_columns(pl.col("timestamp") + timedelta(days=300))
    )
    again = again.select(world.parts["test"].columns)
    material = world.more("test", again).material(masked=masked, strategy=None)
    had = set(again["item_id"])
    lists = {
        user: [item for item in items if item not in had] for user, items in random_lists(world, 5).items()
    }
    assert of_run(run_of(lists), material) == []
    for user, item in again.select("user_id", "item_id").rows():
        lists[user] = [item, *(other for other in lists[user] if other != item)]
    (what,) = of_run(run_of(lists), material)
    assert what.startswith("7 of ")
    if masked:  # only what such an event takes out of the lists may not be in them
        kinds = world.parts["train"]["kind"].cast(pl.String).unique().to_list()
        assert of_run(run_of(lists), replace(material, seen_kinds=kinds)) == [what]
        assert "cart" not in kinds
        assert of_run(run_of(lists), replace(material, seen_kinds=["cart"])) == []


def test_samples_with_the_answer_added_are_reported():
    world = clean()
    lists = random_lists(world, 20)
    assert of_run(run_of(lists), world.material()) == []
    for user, item in world.parts["test"].select("user_id", "item_id").rows():
        lists[user] = list(dict.fromkeys([*lists[user], item]))
    (what,) = of_run(run_of(lists), world.material())
    assert "samples with the answer added" in what
    everything = run_of(random_lists(world, ITEMS))
    assert of_run(everything, world.material(), depth=20) == []


def test_candidates_taken_from_the_answers_are_reported():
    world = clean()
    wanted = world.parts["test"]["item_id"].unique().sort().to_list()
    rng = np.random.default_rng(0)
    lists = {user: rng.choice(wanted, 20, replace=False).tolist() for user in random_lists(world, 1)}
    (what,) = of_run(run_of(lists), world.material())
    assert "its candidates seem to be the tested items" in what


def test_the_report_holds_what_was_found():
    world = clean()
    truth = world.parts["test"].select("user_id", "item_id")
    runs = {"mine": run_of(random_lists(world, 20))}
    quick = EvaluateSettings(k=(10,), metrics=("recall", "ndcg"), resamples=100, permutations=100)
    report = evaluate(truth, runs, material=world.material(), settings=quick)
    assert report.leaks is not None
    assert report.leaks.findings == []
    assert "known pairs" in report.leaks.checked
    leaky = evaluate(truth, runs, material=copied_events(), settings=quick)
    assert leaky.leaks is not None
    assert [finding.check for finding in leaky.leaks.findings] == ["time order", "duplicates"]
    assert any("lie in train, too" in warning for warning in leaky.warnings)
    assert evaluate(truth, runs, settings=quick).leaks is None


def test_files_are_checked_by_one_command(tmp_path: Path):
    world = clean()
    known = pl.concat([world.parts["train"], world.parts["validation"]])
    tables = {
        "train": pl.concat([known, world.parts["test"].head(9)]),
        "truth": world.parts["test"],
        "items": world.items,
        "mine": run_of(random_lists(world, 20)),
    }
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    files = {name: tmp_path / f"{name}.parquet" for name in tables}
    asked = ["evaluate", "--run", files["mine"], "--truth", files["truth"], "--items", files["items"]]
    asked += ["--train", files["train"], "--split", "leave_one_out", "--json"]
    answer = CliRunner().invoke(app, [str(word) for word in asked])
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    assert "duplicates" in {finding["check"] for finding in report["leaks"]["findings"]}
    assert report["protocol"]["split"] == "leave_one_out"
    refused = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path), "--train", str(files["train"])])
    assert refused.exit_code == 2
    assert "--train without --run" in refused.stderr
