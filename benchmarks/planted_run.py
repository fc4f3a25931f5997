"""A run of any size without training: random towers and co-occurrence, an index, and users' events."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from scipy import sparse

from aisle.data.prepared import Prepared
from aisle.data.schema import EVENTS, ITEMS
from aisle.data.settings import TextSettings
from aisle.data.tables import TableWriter
from aisle.index.settings import IndexSettings
from aisle.retriever.candidates import build_index
from aisle.retriever.fusion import Fusion, ShareWeight
from aisle.retriever.model import Model, build, save
from aisle.retriever.neighbours import Neighbours
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.sources import CO_OCCURRENCE
from aisle.retriever.weights import FUSED, Weights
from aisle.stage import Folders, Stage
from aisle.stages import Workshop

NEIGHBOURS = 50
"""Items that each item occurs together with."""

DECAY = 0.65
"""Of co-occurrence, a step back in the history."""

EVENTS_EACH = 10
"""Events of a user, on average."""

AT_ONCE = 100_000


def planted_run(out: Path, items: int, dim: int = 64) -> None:
    """Write `prepare`, `train` and `index` of a shop with random taste; what is there is kept.

    Args:
        out: folder of the run.
        items: in the catalogue.
        dim: of the sequence tower, which has two layers.
    """
    out.mkdir(parents=True, exist_ok=True)
    workshop = Workshop(out)
    about = {"items": items, "dim": dim}
    steps: dict[str, tuple[tuple[str, ...], Callable[[Folders], None]]] = {
        "prepare": ((), lambda folders: _shop(folders.out, items)),
        "train": (
            ("prepare",),
            lambda folders: _model(folders.inputs["prepare"], folders.out / "model", dim),
        ),
        "index": (("prepare", "train"), _index),
    }
    for name, (reads, work) in steps.items():
        settings = about | {"text": TextSettings().model_dump(mode="json")}
        workshop.run(Stage(name, work, reads=reads, settings=settings))


def write_users(path: Path, users: int, items: int, seed: int = 0) -> None:
    """Write events of users, in no order: `EVENTS_EACH` for each on average, popular items more often."""
    rng = np.random.default_rng(seed)
    total = users * EVENTS_EACH
    with TableWriter(path, EVENTS) as table:
        for start in range(0, total, AT_ONCE):
            some = min(AT_ONCE, total - start)
            columns = {
                "user_id": _ids("u", rng.integers(users, size=some)),
                "item_id": _ids("i", np.floor(items * rng.random(some) ** 2).astype(np.int64)),
                "kind": pl.Series(["purchase"] * some, dtype=EVENTS["kind"]),
                "timestamp": pl.Series((1_700_000_000 + rng.integers(10**7, size=some)) * 10**6),
            }
            frame = pl.DataFrame(columns).cast({"timestamp": EVENTS["timestamp"]})
            absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame]
            table.append(frame.with_columns(absent).select(EVENTS.names()))


def _ids(letter: str, numbers: np.ndarray) -> pl.Series:
    return pl.select(pl.format(f"{letter}{{}}", pl.lit(pl.Series(numbers)))).to_series()


def _shop(out: Path, items: int) -> None:
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in ITEMS.items() if name != "item_id"]
    ids = _ids("i", np.arange(items)).alias("item_id")
    ids.to_frame().with_columns(absent).write_parquet(out / "items.parquet")
    (out / "split").mkdir(exist_ok=True)
    for name in ("events", "split/train", "split/validation", "split/test"):
        pl.DataFrame(schema=EVENTS).write_parquet(out / f"{name}.parquet")
    kinds = {"target_kinds": ["purchase"], "seen_kinds": ["purchase"], "order": "time"}
    (out / "counts.json").write_text(json.dumps(kinds))


def _model(shop: Path, out: Path, dim: int) -> None:
    prepared = Prepared(shop)
    items = len(prepared.item_ids)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    settings = RetrieverSettings(dim=dim, towers=("ids",), inputs=(), text_similarity=False, words=False)
    tower = build(settings, "ids", None, torch.ones(items, dtype=torch.bool), 0).eval()
    columns = rng.integers(items, size=(items, NEIGHBOURS))
    offsets = NEIGHBOURS * np.arange(items + 1)
    values = rng.random(items * NEIGHBOURS, np.float32)
    similar = sparse.csr_array((values, columns.ravel(), offsets), (items, items))
    similar.sum_duplicates()
    fusion = Fusion((1.0,), (ShareWeight(0.5),))
    model = Model(
        kinds={"two_tower": "ids"},
        towers={"two_tower": tower},
        temperatures={"two_tower": 0.07},
        similarity=None,
        neighbours={CO_OCCURRENCE: Neighbours(similar, DECAY)},
        weights=Weights(
            fusion, {"two_tower": Fusion((1.0,)), CO_OCCURRENCE: Fusion((), (ShareWeight(1.0),))}, {}
        ),
        priors={name: np.zeros(items, np.float32) for name in (FUSED, "two_tower", CO_OCCURRENCE)},
        settings=settings,
        reads=None,
        items=prepared.item_ids.values,
        text=None,
        words=None,
        trained=items,
        about={"text_similarity": None, "texts": None},
    )
    save(model, out)


def _index(folders: Folders) -> None:
    shop, model = folders.inputs["prepare"], folders.inputs["train"] / "model"
    build_index(Prepared(shop), model, folders.out, IndexSettings())
