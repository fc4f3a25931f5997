"""The whole job: planted shops with known counts, real sets, and input that cannot be used."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aisle.data import prepare as job
from aisle.data.counts import Counts
from aisle.data.errors import InputError
from aisle.data.prepare import prepare, prepare_shop
from aisle.data.prepared import Prepared
from aisle.data.readers import FileReport, RawShop
from aisle.data.schema import EVENTS, ITEMS, KIND
from aisle.data.settings import CleanSettings, DataSettings, SplitSettings
from aisle.data.shop import generate_shop

START = datetime(2024, 1, 1, tzinfo=UTC)
TRACE = {"source": pl.String(), "row": pl.Int64(), "problem": pl.String()}
PARTS = ("train", "validation", "test")


def shop_of(items: list[dict[str, object]], events: list[dict[str, object]]) -> RawShop:
    """What readers would hand on for two files."""

    def table(name: str, rows: list[dict[str, object]], schema: pl.Schema) -> pl.LazyFrame:
        traced = [
            {**row, "source": f"{name}.jsonl", "row": number} for number, row in enumerate(rows, start=1)
        ]
        return pl.DataFrame(traced, schema={**schema, **TRACE}).lazy()

    reports = [
        FileReport("items.jsonl", "test", "items", len(items)),
        FileReport("events.jsonl", "test", "events", len(events)),
    ]
    return RawShop(table("items", items, ITEMS), table("events", events, EVENTS), reports)


def bought(user: str, item: str | None, day: int, **more: object) -> dict[str, object]:
    """A purchase some days after START."""
    moment = START + timedelta(days=day)
    return {"user_id": user, "item_id": item, "kind": "purchase", "timestamp": moment, **more}


DIRTY_ITEMS = [
    {"item_id": "i0", "title": "Red &amp; blue mug", "price": -3.0, "categories": ["Home", "Home"]},
    {"item_id": "i1", "title": "Green mug", "price": 4.5},
    {"item_id": "i1", "title": "Green mug", "price": 4.5, "brand": "Ton"},
    {"item_id": None, "title": "Nobody's mug"},
    {"item_id": "cold", "title": "Never sold"},
]
DIRTY_EVENTS = [
    bought("ann", "i0", 0),
    bought("bob", "i1", 1, rating=11.0),
    bought("ann", "i1", 2, price=1e9),
    bought("ann", "i1", 2),
    bought("bob", "i0", 3, kind="review", text="Fine <b>mug</b>", rating=5.0),
    bought("bob", "i0", 3, kind="review", text="Fine <b>mug</b>", rating=5.0),
    bought("bob", "i1", 36_500),
    bought("ann", "ghost", 4),
    {"problem": "not JSON"},
    bought("ann", "i0", 5, kind="view"),
    bought("ann", "i1", 6),
    bought("bob", None, 7),
    bought("bob", "i1", 8),
]
BY_USER = DataSettings(split=SplitSettings(strategy="leave_one_out"))


def test_every_row_of_a_dirty_shop_is_counted(tmp_path):
    counts = prepare_shop(shop_of(DIRTY_ITEMS, DIRTY_EVENTS), tmp_path, BY_USER)
    assert counts.items.model_dump() == {
        "rows_in": 5,
        "kept": 3,
        "rejected": {"duplicate item": 1, "no item id": 1},
        "repaired": {"title": 1, "categories": 1, "price": 1},
    }
    assert counts.events.model_dump() == {
        "rows_in": 13,
        "kept": 7,
        "rejected": {
            "date in the future": 1,
            "duplicate event": 1,
            "duplicate review": 1,
            "no item id": 1,
            "not JSON": 1,
            "rating outside 0 to 5": 1,
        },
        "repaired": {"text": 1, "price": 1},
    }
    for table in (counts.items, counts.events):
        assert table.rows_in == table.kept + sum(table.rejected.values())
    assert (counts.users, counts.catalogue, counts.items_without_record) == (2, 3 + 1, 1)
    assert counts.users_below_3_targets == 1
    assert (counts.order, counts.target_kinds, counts.cuts) == ("time", ("purchase",), None)
    assert Counts.model_validate_json((tmp_path / "counts.json").read_text()) == counts


def test_rejects_keep_what_was_dropped(tmp_path):
    prepare_shop(shop_of(DIRTY_ITEMS, DIRTY_EVENTS), tmp_path, BY_USER)
    rejects = pl.read_parquet(tmp_path / "rejects.parquet")
    assert rejects.select("table", "source", "row", "reason").rows() == [
        ("items", "items.jsonl", 2, "duplicate item"),
        ("items", "items.jsonl", 4, "no item id"),
        ("events", "events.jsonl", 2, "rating outside 0 to 5"),
        ("events", "events.jsonl", 4, "duplicate event"),
        ("events", "events.jsonl", 6, "duplicate review"),
        ("events", "events.jsonl", 7, "date in the future"),
        ("events", "events.jsonl", 9, "not JSON"),
        ("events", "events.jsonl", 12, "no item id"),
    ]
    record = json.loads(rejects["record"][4])
    assert record == dict.fromkeys(EVENTS) | {
        "user_id": "bob",
        "item_id": "i0",
        "kind": "review",
        "timestamp": "2024-01-04T00:00:00+00:00",
        "rating": 5.0,
        "text": "Fine <b>mug</b>",
    }


def test_the_folder_is_what_later_stages_read(tmp_path):
    prepare_shop(shop_of(DIRTY_ITEMS, DIRTY_EVENTS), tmp_path, BY_USER)
    shop = Prepared(tmp_path)
    assert shop.items.schema == ITEMS
    assert shop.items["item_id"].to_list() == ["i0", "i1", "cold", "ghost"]
    assert shop.items["title"].to_list() == ["Red & blue mug", "Green mug", "Never sold", None]
    assert shop.items["categories"].to_list() == [["Home"], None, None, None]
    assert shop.items["price"].to_list() == [None, 4.5, None, None]
    events = pl.read_parquet(tmp_path / "events.parquet")
    assert events.schema == EVENTS
    assert events["kind"].dtype == KIND
    assert events["text"].drop_nulls().to_list() == ["Fine mug"]
    assert list(shop.user_ids.values) == ["ann", "bob"]
    parts = {part: shop.events(part).select("user_id", "item_id").collect().rows() for part in PARTS}
    # ann bought i0, i1, ghost and i1; her look at i0 belongs to what it led to. bob bought once.
    assert parts == {
        "train": [("ann", "i0"), ("ann", "i1"), ("bob", "i0"), ("bob", "i1")],
        "validation": [("ann", "ghost")],
        "test": [("ann", "i0"), ("ann", "i1")],
    }
    assert shop.truth("test").rows() == [("ann", "i1")]
    assert shop.histories("train").items_of(0).tolist() == [0, 1]


def test_parts_are_counted_with_what_is_new_in_them(tmp_path):
    events = [
        bought(user, item, day) for day, (user, item) in enumerate(["ax", "ay", "bx", "cz", "dw", "cz", "eq"])
    ]
    events.append({**bought("e", None, 7), "kind": "search", "text": "mug"})
    settings = DataSettings(split=SplitSettings(strategy="time", test_fraction=0.3, validation_fraction=0.3))
    counts = prepare_shop(shop_of([], events), tmp_path, settings)
    keys = ("events", "targets", "users", "items", "new_users", "new_items")
    assert {part: tuple(getattr(size, key) for key in keys) for part, size in counts.parts.items()} == {
        "train": (3, 3, 2, 2, 2, 2),  # ax ay bx
        "validation": (2, 2, 2, 2, 2, 2),  # cz dw
        "test": (3, 2, 2, 2, 1, 1),  # cz eq and the search of e
    }
    assert counts.cuts == {"validation": START + timedelta(days=3), "test": START + timedelta(days=5)}
    assert counts.items_without_record == counts.catalogue == 5


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_small_batches_change_nothing(batch, tmp_path, monkeypatch):
    shop = shop_of(DIRTY_ITEMS, DIRTY_EVENTS)
    once = prepare_shop(shop, tmp_path / "once", BY_USER)
    monkeypatch.setattr(job, "BATCH", batch)
    monkeypatch.setattr("aisle.data.tables.ROW_GROUP", batch)
    assert prepare_shop(shop, tmp_path / "often", BY_USER) == once
    assert_same_folder(tmp_path / "once", tmp_path / "often")


def assert_same_folder(one: Path, other: Path) -> None:
    """The same tables, row by row, and the same counts."""
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert len(files) == 3 + 3 + 1
    for file in files:
        if file.suffix == ".parquet":
            assert pl.read_parquet(one / file).equals(pl.read_parquet(other / file)), file
        else:
            assert (one / file).read_text() == (other / file).read_text()


def test_ties_keep_the_order_of_the_input(tmp_path):
    events = [bought("ann", f"i{n}", 0) for n in (3, 1, 2, 0)]
    prepare_shop(shop_of([], events), tmp_path, BY_USER)
    shop = Prepared(tmp_path)
    items = {part: shop.events(part).collect()["item_id"].to_list() for part in PARTS}
    assert items == {"train": ["i3", "i1"], "validation": ["i2"], "test": ["i0"]}


def test_the_order_of_rows_becomes_a_position(tmp_path):
    events = [
        {**bought(user, "i", 0), "item_id": f"i{n}", "timestamp": None} for n, user in enumerate("abaabb")
    ]
    counts = prepare_shop(shop_of([], events), tmp_path, DataSettings())
    assert counts.split.strategy == "leave_one_out"
    kept = pl.read_parquet(tmp_path / "events.parquet")
    assert kept.select("user_id", "position").rows() == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]


def test_a_date_among_positions_does_not_reach_the_order(tmp_path):
    events = [{**bought("a", f"i{n}", 0), "timestamp": None, "position": n} for n in range(4)]
    events[1]["timestamp"] = START
    prepare_shop(shop_of([], events), tmp_path, DataSettings())
    kept = pl.read_parquet(tmp_path / "events.parquet")
    assert kept["timestamp"].null_count() == len(events)
    assert kept["position"].to_list() == [0, 1, 2, 3]


def test_the_k_core_empties_the_catalogue_too(tmp_path):
    events = [
        bought(user, item, day) for day, (user, item) in enumerate(["ax", "ay", "bx", "by", "ax", "bz", "cx"])
    ]
    clean = CleanSettings(min_user_events=2, min_item_events=2)
    settings = DataSettings(clean=clean, split=SplitSettings(strategy="ratio"))
    counts = prepare_shop(shop_of([{"item_id": i} for i in "xyzw"], events), tmp_path, settings)
    assert counts.events.rejected == {"item with fewer than 2 events": 1, "user with fewer than 2 events": 1}
    assert counts.items.rejected == {"item with fewer than 2 events": 2}
    assert Prepared(tmp_path).items["item_id"].to_list() == ["x", "y"]


@pytest.mark.parametrize(
    ("shop", "says"),
    [
        (RawShop(None, None, []), "no events at all"),
        (shop_of([], []), "no events at all"),
        (shop_of([{"item_id": "a"}], []), "no events at all"),
        (
            shop_of([], [bought("a", None, 0), bought("b", None, 0), bought("a", "i", 0, rating=6.0)]),
            "all 3 rejected: 2 for 'no item id', 1 for 'rating outside 0 to 5'",
        ),
        (shop_of([], [bought("a", "i", 0), bought("a", "j", 1)]), "2 target events at 2 moments"),
        (
            shop_of([], [{**bought("a", "i", 0), "kind": "search", "text": "mug", "item_id": None}]),
            "only search",
        ),
    ],
)
def test_input_that_cannot_be_used_says_why(shop, says, tmp_path):
    with pytest.raises(InputError) as error:
        prepare_shop(shop, tmp_path, DataSettings())
    assert says in error.value.found
    assert not (tmp_path / "counts.json").exists()


@pytest.mark.parametrize(
    ("split", "days", "says"),
    [
        (SplitSettings(strategy="time"), [0, 1, 1, 1], "4 target events at 2 moments"),
        (SplitSettings(strategy="time", target_kinds=("review",)), [0, 1, 2], "only purchase"),
        (SplitSettings(strategy="ratio"), [0, 1], "users with 2 at most"),
        (SplitSettings(strategy="leave_one_out"), [0, 1], "users with 2 at most"),
    ],
)
def test_a_split_that_leaves_a_part_without_targets_is_refused(split, days, says, tmp_path):
    shop = shop_of([], [bought("a", f"i{n}", day) for n, day in enumerate(days)])
    with pytest.raises(InputError) as error:
        prepare_shop(shop, tmp_path, DataSettings(split=split))
    assert says in error.value.found
    assert not (tmp_path / "counts.json").exists()


@pytest.mark.parametrize("strategy", ["time", "ratio", "leave_one_out"])
@pytest.mark.parametrize(("test", "validation"), [(0.01, 0.98), (0.98, 0.01)])
@pytest.mark.parametrize("days", [[0, 1] + [2] * 9, [0] * 9 + [1, 2], [0] + [1] * 9 + [2]])
def test_every_part_has_targets_whatever_the_fractions(strategy, test, validation, days, tmp_path):
    split = SplitSettings(strategy=strategy, test_fraction=test, validation_fraction=validation)
    views = [bought("b", "v", day, kind="view") for day in range(5)]
    shop = shop_of([], [bought("a", f"i{n}", day) for n, day in enumerate(days)] + views)
    counts = prepare_shop(shop, tmp_path, DataSettings(split=split))
    assert min(counts.parts[part].targets for part in PARTS) >= 1
    assert all(len(Prepared(tmp_path).truth(part)) for part in PARTS)


def test_one_user_is_enough(tmp_path):
    shop = shop_of([], [bought("a", f"i{n}", n) for n in range(3)])
    counts = prepare_shop(shop, tmp_path, BY_USER)
    assert (counts.users, counts.parts["test"].targets) == (1, 1)


def test_a_failed_job_leaves_no_mark_of_an_earlier_one(tmp_path):
    prepare_shop(shop_of(DIRTY_ITEMS, DIRTY_EVENTS), tmp_path, BY_USER)
    with pytest.raises(InputError):
        prepare_shop(shop_of([], []), tmp_path, BY_USER)
    with pytest.raises(InputError, match=r"no counts\.json"):
        Prepared(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/aisle")):
        with pytest.raises(InputError) as error:
            prepare(tmp_path, out, DataSettings())
        assert str(out) in error.value.found


def test_input_that_changes_between_the_passes_is_noticed(tmp_path):
    shop = shop_of([], [bought("a", f"i{n}", n) for n in range(5)])
    frames = job._with_reasons(job.batches(shop, "events", "test"), pl.Series([None] * 4, dtype=pl.String))
    with pytest.raises(RuntimeError, match="5 rows, the first 4"):
        list(frames)


def test_files_become_a_shop(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    lines = [
        {
            "reviewerID": user,
            "asin": f"p{n}",
            "overall": 5.0,
            "unixReviewTime": 1_500_000_000 + n,
            "reviewText": "ok",
        }
        for n in range(4)
        for user in "ab"
    ]
    (raw / "reviews.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    counts = prepare(raw, tmp_path / "out", DataSettings())
    assert (counts.events.rows_in, counts.events.kept, counts.users) == (8, 8, 2)
    assert [file.rows for file in counts.files] == [8]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "counts.json",
        "events.parquet",
        "items.parquet",
        "rejects.parquet",
        "split",
    ]


def test_the_dirt_of_the_embedded_shop_is_found_to_the_row(tmp_path):
    generate_shop(tmp_path / "shop", users=300, items=200, dirt=0.02)
    planted = json.loads((tmp_path / "shop" / "truth" / "dirt.json").read_text())
    catalogue, log, reviews = planted["catalogue"], planted["behaviour"], planted["reviews"]
    counts = prepare(tmp_path / "shop" / "raw", tmp_path / "out", DataSettings())
    assert counts.items.rejected == {"duplicate item": catalogue["duplicate"]}
    assert counts.items.repaired == {
        "price": catalogue["price_minus_3"] + catalogue["price_1e9"],
        "title": catalogue["html"],
    }
    assert counts.events.rejected == {
        "date in the future": log["date_2099"] + reviews["date_2099"],
        "duplicate event": log["duplicate"],
        "rating outside 0 to 5": reviews["rating_11"],
        "duplicate review": reviews["duplicate"],
    }
    assert counts.events.repaired == {"price": log["price_minus_3"], "text": reviews["html"]}


@pytest.mark.parametrize(
    ("folder", "users", "items", "events"),
    [
        ("amazon-office-2014", 4_905, 2_420, 53_258),
        ("amazon-games-2018", 50_546, 16_859, 440_264),
    ],
)
def test_benchmark_sets_stay_as_given(folder, users, items, events, shared_data, tmp_path):
    counts = prepare(shared_data / folder, tmp_path, DataSettings())
    assert counts.events.rejected == counts.items.rejected == {}
    assert (counts.users, counts.catalogue, counts.events.kept) == (users, items, events)
    assert counts.items_without_record == 0
    assert counts.parts["test"].events == counts.parts["validation"].events == users
    assert counts.users_below_3_targets == 0


@pytest.mark.parametrize(
    "folder", ["amazon-mixed-2023", "amazon-giftcards-2018", "amazon-instruments-2014", "datafiniti-reviews"]
)
def test_real_sets_lose_no_user_to_the_machine_rule(folder, shared_data, tmp_path):
    counts = prepare(shared_data / folder, tmp_path, DataSettings())
    assert "user active like a machine" not in counts.events.rejected
    assert counts.events.rows_in == counts.events.kept + sum(counts.events.rejected.values())
    assert sum(part.events for part in counts.parts.values()) == counts.events.kept
    assert counts.split.strategy == "time"


def test_the_same_input_gives_the_same_tables(shared_data, tmp_path):
    source = shared_data / "amazon-giftcards-2018"
    prepare(source, tmp_path / "one", DataSettings())
    prepare(source, tmp_path / "two", DataSettings())
    assert_same_folder(tmp_path / "one", tmp_path / "two")
