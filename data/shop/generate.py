"""The embedded shop on disk: raw files as shops have them, and the planted truth beside them."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.exclusive import exclusive
from aisle.data.progress import meter
from aisle.data.shop import dirt
from aisle.data.shop.catalogue import Catalogue, Rows, make_catalogue
from aisle.data.shop.choices import make_choices
from aisle.data.shop.draws import child, root
from aisle.data.shop.listing import list_products
from aisle.data.shop.log import make_log
from aisle.data.shop.reviews import make_reviews
from aisle.data.shop.settings import PARAMETERS, ShopSettings, read_parameters, write_parameters
from aisle.data.shop.tastes import make_tastes
from aisle.data.shop.truth import write_truth
from aisle.data.shop.visits import make_visits

PART = 16_384
"""Users in one part of the log; within a part the log is in order of time."""


def generate_shop(
    out: Path,
    *,
    users: int,
    items: int,
    seed: int = 0,
    events_per_user: float = 30.0,
    dirt: float = 0.002,
    truth_users: int = 10_000,
    chunk: int = 4096,
) -> None:
    """Write a shop into `out`: `out/raw` for readers, `out/truth` for tests; docs/shop.md lists the files.

    Equal arguments give equal bytes, whatever the `chunk`. `out` appears when it is whole; if the same shop
    is there already, nothing is done.

    Args:
        out: a folder that is missing, empty, or holds the same shop.
        users: number of users, >= 1.
        items: number of products, >= 1.
        seed: seed of everything random.
        events_per_user: mean number of views, carts, purchases, searches and reviews of a user, 4 to 150.
        dirt: share of rows spoilt in each of several ways, 0 to 0.05.
        truth_users: users whose tastes and best items are written out; the first ones.
        chunk: users made at a time, which bounds memory.

    Raises:
        InputError: `out` holds something else, or cannot be written.
        pydantic.ValidationError: an argument out of its range.
    """
    settings = ShopSettings(
        users=users,
        items=items,
        seed=seed,
        events_per_user=events_per_user,
        dirt=dirt,
        truth_users=truth_users,
    )
    if chunk < 1:
        raise InputError("one user or more at a time", f"chunk {chunk}", "leave it at 4096")
    out = Path(out).absolute()
    if _is_there(out, settings):
        return
    try:
        with exclusive(out.with_name(f".{out.name}.lock"), out):
            if not _is_there(out, settings):
                _write_whole(out, settings, chunk)
    except OSError as error:
        raise InputError(
            f"a folder that can be written, with space in it: {out.parent}",
            str(error),
            "choose another --out",
        ) from error


def _is_there(out: Path, settings: ShopSettings) -> bool:
    """Whether `out` holds the shop that `settings` describe; refuses a folder that holds anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if out.is_dir() and (out / PARAMETERS).is_file():
        found = read_parameters(out)
        if found == settings:
            return True
        differing = ", ".join(
            f"{name} {value!r}" for name, value in found if value != getattr(settings, name)
        )
        raise InputError(
            f"an empty folder, or the same shop: {out}",
            f"another shop, with {differing}",
            "choose another --out, or remove the folder",
        )
    what = "a folder with other things in it" if out.is_dir() else "a file"
    raise InputError(f"an empty folder, or the same shop: {out}", what, "choose another --out")


def _write_whole(out: Path, settings: ShopSettings, chunk: int) -> None:
    """Write the shop beside `out` and move it there when it is whole."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, settings, chunk)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, settings: ShopSettings, chunk: int) -> None:
    raw, truth = folder / "raw", folder / "truth"
    raw.mkdir(parents=True)
    truth.mkdir()
    catalogue = make_catalogue(settings)
    counts = {"catalogue": _write_catalogue(raw, catalogue, settings)}
    counts |= _write_behaviour(raw, catalogue, settings, chunk)
    mapping = files("aisle.data.shop").joinpath("mapping.toml").read_bytes()
    (raw / "mapping.toml").write_bytes(mapping)
    write_truth(truth, catalogue, settings)
    (truth / "dirt.json").write_text(json.dumps(counts, indent=2) + "\n")
    write_parameters(folder, settings)


def _write_catalogue(raw: Path, catalogue: Catalogue, settings: ShopSettings) -> dict[str, int]:
    keys = child(root(settings.seed, "dirt catalogue"), np.arange(len(catalogue)))
    products = list_products(catalogue, settings.seed)
    products, counts = dirt.spoil(products, dirt.CATALOGUE, keys, settings.dirt)
    with (raw / "meta_Shop.json.gz").open("wb") as file, _gzipped(file) as stream:
        stream.write(products.write_ndjson().encode())
    return counts


def _write_behaviour(
    raw: Path, catalogue: Catalogue, settings: ShopSettings, chunk: int
) -> dict[str, dict[str, int]]:
    """Log and reviews, part by part."""
    log_counts, review_counts = Counter[str](), Counter[str]()
    with (
        (raw / "reviews_Shop.json.gz").open("wb") as file,
        _gzipped(file) as stream,
        meter("making the shop: users", settings.users) as progress,
    ):
        for part, start in enumerate(range(0, settings.users, PART)):
            end = min(start + PART, settings.users)
            log, reviews = [], []
            for numbers in _chunks(start, end, chunk):
                made = make_events(catalogue, numbers, settings)
                log.append(made[0])
                reviews.append(made[1])
                progress.advance(len(numbers))
            table, counts = _spoilt(
                pl.concat(log).sort("at", "visitor", "action", "sku"), "log", part, settings
            )
            log_counts.update(counts)
            table.write_parquet(raw / f"behaviour-{part:05d}.parquet", row_group_size=1 << 17)
            table, counts = _spoilt(
                pl.concat(reviews).sort("unixReviewTime", "reviewerID", "asin"), "reviews", part, settings
            )
            review_counts.update(counts)
            stream.write(table.write_ndjson().encode())
    if not review_counts["rows"]:
        (raw / "reviews_Shop.json.gz").unlink()
    return {"behaviour": dict(log_counts), "reviews": dict(review_counts)}


def make_events(
    catalogue: Catalogue, users: Rows, settings: ShopSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Log and reviews of the users with numbers `users`, clean (:func:`make_log`, :func:`make_reviews`)."""
    tastes = make_tastes(catalogue, users, settings.seed)
    visits = make_visits(catalogue, tastes, settings)
    choices = make_choices(catalogue, tastes, visits)
    return (
        make_log(catalogue, tastes, visits, choices, settings.seed),
        make_reviews(catalogue, tastes, visits, choices),
    )


def _chunks(start: int, end: int, size: int) -> Iterator[Rows]:
    for at in range(start, end, size):
        yield np.arange(at, min(at + size, end))


def _spoilt(
    table: pl.DataFrame, name: str, part: int, settings: ShopSettings
) -> tuple[pl.DataFrame, dict[str, int]]:
    keys = child(child(root(settings.seed, f"dirt {name}"), part), np.arange(len(table)))
    return dirt.spoil(table, dirt.LOG if name == "log" else dirt.REVIEWS, keys, settings.dirt)


def _gzipped(file: BinaryIO) -> gzip.GzipFile:
    """A gzip stream without name and time, so that equal content gives equal bytes."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=3, fileobj=file, mtime=0)
