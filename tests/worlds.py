"""Planted worlds: small shops whose right recommendations are known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import torch

from aisle.data.prepared import BEFORE, Prepared
from aisle.data.schema import EVENTS, ITEMS
from aisle.retriever.model import load
from aisle.retriever.users import users_of

COLOURS = ("red", "green", "blue", "black", "white", "golden")
CUT = datetime(2024, 5, 1, tzinfo=UTC)
THINGS = ("lipstick", "nail polish", "shampoo", "perfume")


def circle_shop(folder: Path, users: int = 160, seed: int = 0) -> Prepared:
    """A shop where each user walks a circle of six items: what comes next is certain.

    The circle of a user is one kind of thing in six colours; its last two purchases are validation and test.
    """
    rng = np.random.default_rng(seed)
    items = [
        {"item_id": f"{thing}-{colour}", "title": f"{colour} {thing}", "categories": ["Beauty", thing]}
        for thing in THINGS
        for colour in COLOURS
    ]
    parts: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for user in range(users):
        thing, start = user % len(THINGS), int(rng.integers(len(COLOURS)))
        steps = int(rng.integers(3, len(COLOURS)))
        for step in range(steps):
            colour = COLOURS[(start + step) % len(COLOURS)]
            part = "test" if step == steps - 1 else "validation" if step == steps - 2 else "train"
            parts[part].append(
                {
                    "user_id": f"u{user:04}",
                    "item_id": f"{THINGS[thing]}-{colour}",
                    "kind": "purchase",
                    "position": step,
                }
            )
    return write_prepared(folder, items, parts)


def signal_shop(folder: Path, signal: str, users: int = 300, seed: int = 0) -> Prepared:
    """A shop where the last item says half of what comes next, and the `signal`, which is random, the rest.

    Eight stations stand in a circle, each with an item for day and one for night. Users go from station to
    station; which of its two items they take is decided by

    - ratings: the stars of the event before; only the order of events is known;
    - gaps: the time between the two events before;
    - recency: the time since the event before.

    The last two events of a user are validation and test. Under recency the parts are cut by time instead:
    the last event of each user is in the first minutes of validation, or of test.
    """
    rng = np.random.default_rng(seed)
    items = [{"item_id": f"{station}{half}"} for station in range(8) for half in ("day", "night")]
    parts: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for user in range(users):
        steps = int(rng.integers(4, 8))
        start = int(rng.integers(8))
        night = rng.random(steps) < 0.5
        takes = night if signal == "recency" else np.roll(night, 1)
        hours = np.where(night, 700, 6) * rng.uniform(0.8, 1.2, steps)
        end = rng.uniform(0, 0.1) + 0.2 * (user % 2)
        since_end = np.cumsum(hours[::-1])[::-1] - hours
        for step in range(steps):
            event: dict[str, object] = {
                "user_id": f"u{user:04}",
                "item_id": f"{(start + step) % 8}{'night' if takes[step] else 'day'}",
                "kind": "purchase",
            }
            if signal == "ratings":
                event |= {"position": step, "rating": 5.0 if night[step] else 1.0}
            else:
                event["timestamp"] = CUT + timedelta(hours=end - since_end[step])
            part = {steps - 1: "test", steps - 2: "validation"}.get(step, "train")
            if signal == "recency":
                part = "train" if step < steps - 1 else ("validation", "test")[user % 2]
            parts[part].append(event)
    counts: dict[str, object] = {} if signal == "ratings" else {"order": "time"}
    if signal == "recency":
        counts["cuts"] = {"validation": str(CUT), "test": str(CUT + timedelta(hours=0.2))}
    return write_prepared(folder, items, parts, **counts)


def write_prepared(
    folder: Path, items: list[dict], parts: dict[str, list[dict]], **counts: object
) -> Prepared:
    """Write a prepared shop from canonical records; purchases are what counts and what is seen."""
    (folder / "split").mkdir(parents=True)
    pl.DataFrame(items, schema=ITEMS, strict=False).write_parquet(folder / "items.parquet")
    for part, events in parts.items():
        pl.DataFrame(events, schema=EVENTS).write_parquet(folder / "split" / f"{part}.parquet")
    facts = {"target_kinds": ["purchase"], "seen_kinds": ["purchase"], "order": "position", **counts}
    (folder / "counts.json").write_text(json.dumps(facts))
    return Prepared(folder)


def asking_shop(folder: Path, users: int = 300, seed: int = 0) -> Prepared:
    """A shop where what comes next is said by the last item and the words of a search together.

    Eight stations stand in a circle; users go from one to the next, and before each purchase they search for
    "gold" or for "iron", and buy that one of the station's two items. The search is the last thing that
    they did before validation and test.
    """
    rng = np.random.default_rng(seed)
    metals = ("gold", "iron")
    items = [
        {"item_id": f"{at}{metal}", "title": f"{metal} thing of {at}"} for at in range(8) for metal in metals
    ]
    parts: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for user in range(users):
        start, steps = int(rng.integers(8)), int(rng.integers(4, 8))
        for step in range(steps):
            metal = metals[int(rng.integers(2))]
            places = {steps - 1: ("validation", "test"), steps - 2: ("train", "validation")}
            before, at = places.get(step, ("train", "train"))
            about = {"user_id": f"u{user:04}"}
            parts[before].append({**about, "kind": "search", "text": metal, "position": 2 * step})
            item = f"{(start + step) % 8}{metal}"
            parts[at].append({**about, "kind": "purchase", "item_id": item, "position": 2 * step + 1})
    return write_prepared(folder, items, parts)


def best_item_rate(prepared: Prepared, model: Path) -> float:
    """Share of test pairs whose item the main towers score highest of all items, seen ones included."""
    trained = load(model)
    truth = prepared.truth("test")
    users = users_of(prepared, trained.reads, trained.settings, None, model.parent / "vectors")
    rows = prepared.user_ids.rows(truth["user_id"])
    with torch.inference_mode():
        towers = trained.towers["two_tower"]
        queries = users.vectors(towers, rows, *BEFORE["test"])
        best = (queries @ towers.item_vectors().T).argmax(1).numpy()
    return float((prepared.item_ids.values.gather(best) == truth["item_id"]).mean())
