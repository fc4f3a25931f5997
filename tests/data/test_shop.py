"""The embedded shop on disk: equal bytes from equal settings, whole or not at all, readable, dirt counted."""

import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from aisle.data.errors import InputError
from aisle.data.prepare import prepare
from aisle.data.readers.shop import read_shop
from aisle.data.schema import of_kinds
from aisle.data.settings import DataSettings
from aisle.data.shop import generate, generate_shop, oracle
from aisle.data.shop.dirt import LOG, spoil
from aisle.data.shop.draws import child, root
from aisle.data.shop.settings import DAYS, START


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with much dirt."""
    out = tmp_path_factory.mktemp("shops") / "dirty"
    generate_shop(out, users=1500, items=300, seed=5, dirt=0.02)
    return out


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shops") / "clean"
    generate_shop(out, users=1500, items=300, seed=5, dirt=0)
    return out


def json_lines(path: Path) -> pl.DataFrame:
    return pl.read_ndjson(gzip.decompress(path.read_bytes()), infer_schema_length=None)


def test_equal_settings_give_equal_bytes_whatever_the_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "PART", 200)
    for name, chunk in (("a", 4096), ("b", 4096), ("c", 37), ("d", 1000)):
        generate_shop(tmp_path / name, users=450, items=60, seed=1, dirt=0.01, chunk=chunk)
    found = contents(tmp_path / "a")
    assert sorted(found) == [
        "raw/behaviour-00000.parquet",
        "raw/behaviour-00001.parquet",
        "raw/behaviour-00002.parquet",
        "raw/mapping.toml",
        "raw/meta_Shop.json.gz",
        "raw/reviews_Shop.json.gz",
        "truth/dirt.json",
        "truth/items.parquet",
        "truth/oracle.parquet",
        "truth/parameters.json",
        "truth/tastes.parquet",
    ]
    assert contents(tmp_path / "b") == contents(tmp_path / "c") == contents(tmp_path / "d") == found
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate_shop(tmp_path / str(seed), users=50, items=30, seed=seed)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert {name for name in one if one[name] == two[name]} <= {"raw/mapping.toml", "truth/dirt.json"}


def test_the_same_shop_is_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()  # an empty folder may be there
    generate_shop(tmp_path / "shop", users=20, items=10)
    monkeypatch.setattr(generate, "_write", lambda *_: pytest.fail("made again"))
    generate_shop(tmp_path / "shop", users=20, items=10)


def test_other_things_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(InputError, match="other things"):
        generate_shop(tmp_path, users=20, items=10)
    with pytest.raises(InputError, match="a file"):
        generate_shop(tmp_path / "thesis.txt", users=20, items=10)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_shop_in_the_folder_is_refused(tmp_path: Path) -> None:
    generate_shop(tmp_path / "shop", users=20, items=10, seed=1)
    before = contents(tmp_path / "shop")
    with pytest.raises(InputError, match="another shop, with seed 1"):
        generate_shop(tmp_path / "shop", users=20, items=10, seed=2)
    assert contents(tmp_path / "shop") == before
    parameters = tmp_path / "shop/truth/parameters.json"
    parameters.write_text(parameters.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(InputError, match="version 0"):
        generate_shop(tmp_path / "shop", users=20, items=10, seed=1)


def test_nothing_half_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the machine stops here")

    with monkeypatch.context() as broken:
        broken.setattr(generate, "write_truth", fail)
        with pytest.raises(RuntimeError):
            generate_shop(tmp_path / "shop", users=20, items=10)
    assert not (tmp_path / "shop").exists()
    assert not (tmp_path / ".shop.partial").exists()
    (tmp_path / ".shop.partial").mkdir()  # as a killed process leaves it
    (tmp_path / ".shop.partial" / "junk").touch()
    generate_shop(tmp_path / "shop", users=20, items=10)
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == ["raw", "truth"]


def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(generate, "write_truth", full)
    with pytest.raises(InputError, match="No space left"):
        generate_shop(tmp_path / "shop", users=20, items=10)
    assert [path.name for path in tmp_path.iterdir()] == [".shop.lock"]


def test_a_chunk_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chunk 0"):
        generate_shop(tmp_path / "shop", users=20, items=10, chunk=0)


def test_two_processes_make_one_shop(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", MEASURE, str(tmp_path / "shop"), "2000"]) for _ in "ab"
    ]
    assert [child.wait(120) for child in children] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".shop.lock", "shop"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can be written"):
        generate_shop(tmp_path / "file" / "shop", users=20, items=10)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc on this system")
@pytest.mark.timeout(20)
def test_a_folder_where_no_lock_can_be_made() -> None:
    with pytest.raises(InputError, match="a folder that can be written, with space in it: /proc"):
        generate_shop(Path("/proc/nope"), users=20, items=10)


@pytest.mark.parametrize(
    "wrong", [{"users": 0}, {"items": 0}, {"dirt": 0.5}, {"events_per_user": 1}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        generate_shop(tmp_path / "shop", **({"users": 20, "items": 10} | wrong))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("users", "items"), [(1, 1), (3, 2), (2, 500)])
def test_tiny_shops_work(users: int, items: int, tmp_path: Path) -> None:
    generate_shop(tmp_path / "shop", users=users, items=items, truth_users=1)
    shop = read_shop(tmp_path / "shop" / "raw", mapping=None, work=tmp_path)
    assert [file.note for file in shop.files if file.reader is None] == []
    assert pl.read_parquet(tmp_path / "shop/raw/behaviour-00000.parquet")["visitor"].n_unique() == users
    assert pl.read_parquet(tmp_path / "shop/truth/oracle.parquet")["user_id"].unique().to_list() == [
        "U0000000"
    ]


def test_truth_of_nobody(tmp_path: Path) -> None:
    generate_shop(tmp_path / "shop", users=5, items=20, truth_users=0)
    assert len(pl.read_parquet(tmp_path / "shop/truth/oracle.parquet")) == 0
    assert len(pl.read_parquet(tmp_path / "shop/truth/tastes.parquet")) == 0


def test_planted_dirt_is_what_the_truth_counts(dirty: Path) -> None:
    counts = json.loads((dirty / "truth/dirt.json").read_text())
    end = START.timestamp() + 86_400 * DAYS
    log = pl.read_parquet(dirty / "raw/behaviour-*.parquet")
    assert counts["behaviour"] == {
        "price_minus_3": (log["shown_price"] == -3).sum(),
        "date_2099": (log["at"] > 1000 * end).sum(),
        "duplicate": len(log) - log.n_unique(),
        "rows": len(log),
    }
    reviews = json_lines(dirty / "raw/reviews_Shop.json.gz")
    assert counts["reviews"] == {
        "rating_11": (reviews["overall"] == 11).sum(),
        "date_2099": (reviews["unixReviewTime"] > end).sum(),
        "html": reviews["reviewText"].str.contains("<p>", literal=True).sum(),
        "duplicate": len(reviews) - reviews.n_unique(),
        "rows": len(reviews),
    }
    products = json_lines(dirty / "raw/meta_Shop.json.gz")
    assert counts["catalogue"] == {
        "price_minus_3": (products["price"] == "$-3.00").sum(),
        "price_1e9": (products["price"] == "$1,000,000,000.00").sum(),
        "html": products["title"].str.contains("<p>", literal=True).sum(),
        "duplicate": len(products) - products["asin"].n_unique(),
        "rows": len(products),
    }
    expected = 0.02 * len(log)
    assert expected * 0.8 < counts["behaviour"]["duplicate"] < expected * 1.2
    assert min(value for kinds in counts.values() for value in kinds.values()) > 0


def test_a_clean_shop_has_no_dirt(clean: Path) -> None:
    counts = json.loads((clean / "truth/dirt.json").read_text())
    assert {value for kinds in counts.values() for name, value in kinds.items() if name != "rows"} == {0}
    log = pl.read_parquet(clean / "raw/behaviour-*.parquet")
    assert log["shown_price"].min() > 0  # type: ignore[operator]
    assert log["at"].is_sorted()
    assert log.n_unique() == len(log)


def test_dirt_changes_nothing_else(clean: Path, dirty: Path) -> None:
    """Every row of the clean shop is in the dirty one, spoilt at most in one place."""
    key = ["visitor", "sku", "action", "words"]
    frames = [pl.read_parquet(shop / "raw/behaviour-*.parquet") for shop in (clean, dirty)]
    tallies = [frame.unique().group_by(key).len().sort(key) for frame in frames]
    assert tallies[0].equals(tallies[1])


def test_spoiling_is_exact() -> None:
    rows = pl.DataFrame({"at": range(10_000), "shown_price": [1.0, None] * 5000})
    keys = child(root(0, "test"), rows["at"].to_numpy())
    spoilt, counts = spoil(rows, LOG, keys, 0.03)
    assert spoilt["shown_price"].eq(-3).sum() == counts["price_minus_3"]
    assert counts["price_minus_3"] == pytest.approx(0.03 * 5000, rel=0.3)
    assert counts["date_2099"] == pytest.approx(0.03 * 10_000, rel=0.2)
    assert counts["rows"] == len(spoilt) == len(rows) + counts["duplicate"]
    assert spoil(rows, LOG, keys, 0.0)[0].equals(rows)


def test_the_readers_take_it(clean: Path, tmp_path: Path) -> None:
    shop = read_shop(clean / "raw", mapping=None, work=tmp_path)
    assert shop.items is not None
    assert shop.events is not None
    items, events = shop.items.collect(), shop.events.collect()
    assert items["problem"].null_count() == len(items) == 300
    assert events["problem"].null_count() == len(events)
    log = pl.read_parquet(clean / "raw/behaviour-*.parquet")
    names = {"look": "view", "basket": "cart", "order": "purchase", "lookup": "search"}
    planted = {names[action]: count for action, count in log["action"].value_counts().rows()}
    planted["review"] = json.loads((clean / "truth/dirt.json").read_text())["reviews"]["rows"]
    assert dict(events["kind"].cast(pl.String).value_counts().rows()) == planted
    for column in ("title", "description", "brand", "categories", "price"):
        assert items[column].null_count() == 0, column
    truth = pl.read_parquet(clean / "truth/items.parquet")
    both = items.join(truth, on="item_id")
    assert len(both) == 300
    assert both["price"].to_list() == pytest.approx(both["price_right"].to_list())
    assert (both["categories"].list.last() == both["leaf"]).all()
    searches = events.filter(of_kinds(["search"]))
    assert searches["item_id"].null_count() == len(searches)
    assert searches["text"].null_count() == 0
    times = events["timestamp"]
    assert times.null_count() == 0
    assert START <= times.min() < times.max()  # type: ignore[operator]
    assert times.max().year < 2025  # type: ignore[union-attr]


def test_oracle_of_any_user_is_what_is_written(clean: Path) -> None:
    written = pl.read_parquet(clean / "truth/oracle.parquet")
    assert written.columns == ["user_id", "rank", "item_id", "score"]
    users = ["U0000900", "U0000003"]
    for user, found in oracle(clean, users).group_by("user_id", maintain_order=True):
        assert found.equals(written.filter(pl.col("user_id") == user[0]))
    with pytest.raises(InputError, match="a shop of version"):
        oracle(clean / "raw", users)


MEASURE = """
import resource, sys
from pathlib import Path
from aisle.data.shop import generate_shop
generate_shop(Path(sys.argv[1]), users=int(sys.argv[2]), items=2000, events_per_user=5, truth_users=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("many", [49_152, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_users(many: int, tmp_path: Path) -> None:
    peaks = []
    for users in (generate.PART, many):
        command = [sys.executable, "-c", MEASURE, str(tmp_path / str(users)), str(users)]
        environment = os.environ | {"POLARS_MAX_THREADS": "1"}
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, env=environment).stdout))
    assert peaks[1] < 1.25 * peaks[0]


def test_cleaning_finds_exactly_the_planted_dirt(dirty: Path, tmp_path: Path) -> None:
    prepare(dirty / "raw", tmp_path / "prepared", DataSettings())
    found = json.loads((tmp_path / "prepared/counts.json").read_text())
    planted = json.loads((dirty / "truth/dirt.json").read_text())
    log, reviews, products = planted["behaviour"], planted["reviews"], planted["catalogue"]
    assert found["events"]["rows_in"] == log["rows"] + reviews["rows"]
    assert found["events"]["rejected"] == {
        "date in the future": log["date_2099"] + reviews["date_2099"],
        "duplicate event": log["duplicate"],
        "duplicate review": reviews["duplicate"],
        "rating outside 0 to 5": reviews["rating_11"],
    }
    assert found["events"]["repaired"] == {"price": log["price_minus_3"], "text": reviews["html"]}
    assert found["items"]["rows_in"] == products["rows"]
    assert sum(found["items"]["rejected"].values()) == products["duplicate"]
    assert found["items"]["repaired"] == {
        "price": products["price_minus_3"] + products["price_1e9"],
        "title": products["html"],
    }
