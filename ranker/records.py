"""Histories and candidates as people give them: ids, or records with more to say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.data.schema import EVENTS, ITEMS
from aisle.data.visitors import events_of, items_of

Given = str | Mapping[str, Any]
"""An item's id, or a record with `item_id` and what else is known."""

ABOUT_ITEMS = tuple(name for name in ITEMS if name != "item_id")


def item_id(one: Given) -> str:
    """Id of a history's or a list's entry.

    >>> item_id("B01"), item_id({"item_id": "B02", "title": "green tea"})
    ('B01', 'B02')

    Raises:
        InputError: it is neither an id nor a record with one.
    """
    found = one if isinstance(one, str) else one.get("item_id") if isinstance(one, Mapping) else None
    if not isinstance(found, str) or not found:
        raise InputError(
            "an item_id, or a record with one", repr(one)[:80], 'write "B01" or {"item_id": "B01", ...}'
        )
    return found


def entries(given: Sequence[Given]) -> Sequence[Given]:
    """A history or a list as it is.

    Raises:
        InputError: it is one id, or one record, and no list of them.
    """
    if isinstance(given, str | Mapping):
        raise InputError("a list of item ids or records", repr(given)[:80], "put it in brackets: [...]")
    return given


def describes(one: Given) -> bool:
    """Whether an entry says anything of its item but the id."""
    return isinstance(one, Mapping) and any(one.get(name) is not None for name in ABOUT_ITEMS)


def heard(history: Sequence[Given], others: Sequence[Given], items: Ids) -> list[Given]:
    """The entries of a history that count: of items in the catalogue, and of those that a record describes.

    Args:
        history: oldest first.
        others: entries that may describe the same items.
        items: the catalogue.
    """
    told = {item_id(one) for one in (*history, *others) if describes(one)}
    return [one for one in history if (name := item_id(one)) in items or name in told]


def distinct(ids: Iterable[str]) -> list[str]:
    """Each id once, where it first comes.

    >>> distinct(["b", "a", "b"])
    ['b', 'a']
    """
    return list(dict.fromkeys(ids))


def history_events(history: Sequence[Given], user: str, default_kind: str) -> list[dict[str, Any]]:
    """Canonical events of one user, oldest first; of a record, the columns of events count.

    Where an entry has no time, all stay in the order given, and no time counts.

    Raises:
        InputError: an entry has no item_id.
    """
    timed = all(isinstance(one, Mapping) and one.get("timestamp") is not None for one in history)
    other = ("user_id", "item_id", "position", *(() if timed else ("timestamp",)))
    known = [name for name in EVENTS if name not in other]
    events = []
    for position, one in enumerate(history):
        about = one if isinstance(one, Mapping) else {}
        record = {name: about[name] for name in known if about.get(name) is not None}
        events.append(
            {"kind": default_kind, **record, "user_id": user, "item_id": item_id(one), "position": position}
        )
    return events


def events_table(events: Sequence[Mapping[str, Any]], default_kind: str) -> pl.DataFrame:
    """The same as a canonical table.

    Raises:
        InputError: a column holds something else than it should.
    """
    try:
        table = pl.DataFrame(list(events), schema=_schema(events))
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise InputError(
            "events in the canonical form", str(error).splitlines()[0], "aisle.data.schema lists the types"
        ) from error
    return events_of(table, default_kind)


def unknown_items(entries: Iterable[Given], items: Ids) -> pl.DataFrame | None:
    """Canonical rows of the items that are not in the catalogue; None without any.

    Of an item there more than once, the first record that describes it counts.

    Raises:
        InputError: a record says something in another type than it should.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in entries:
        name = item_id(one)
        if name not in items and len(found.get(name, {})) < 2:
            about = one if isinstance(one, Mapping) else {}
            told = {key: about[key] for key in ABOUT_ITEMS if about.get(key) is not None}
            found[name] = {"item_id": name, **told}
    if not found:
        return None
    try:
        table = pl.DataFrame(list(found.values()), schema=ITEMS)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise InputError(
            "items in the canonical form", str(error).splitlines()[0], "aisle.data.schema lists the types"
        ) from error
    return items_of(table)


def _schema(events: Sequence[Mapping[str, Any]]) -> dict[str, pl.DataType]:
    """Types of the columns that the events have, or that a table without events needs."""
    names = {name for event in events for name in event} | {"user_id", "item_id", "kind", "position"}
    return {name: dtype for name, dtype in EVENTS.items() if name in names}
