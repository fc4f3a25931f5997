"""A run held against its truth: who is judged, and what was hit where."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.errors import InputError
from aisle.data.ids import Ids, Rows
from aisle.data.ragged import offsets_of_owners
from aisle.eval.catalogue import Catalogue
from aisle.eval.judged import Judged
from aisle.eval.lists import Lists
from aisle.eval.profiles import Profiles
from aisle.eval.truth import Gains, Truth, changes

SORTED_AT_ONCE = 1 << 16
"""Lines in a block that is searched for repeats (512 KiB)."""


def judge(
    run: pl.DataFrame,
    truth: Truth,
    *,
    depth: int,
    catalogue: Catalogue | None = None,
    profiles: Profiles | None = None,
    cut_offs: Sequence[int] = (),
) -> Judged:
    """Rank the items of a checked run (:func:`aisle.eval.runs.check_run`) and mark the relevant ones.

    The score alone decides the rank, from large to small. Among items of one user with equal scores the less
    relevant come first, so that a tie never helps; among equally relevant ones the order of the rows stays.

    Args:
        depth: ranks kept of every list, for the metrics over whole lists; hits are kept at any rank.
        catalogue: what is known of the items.
        profiles: what the users of the truth cared for before, in the categories of the catalogue.
        cut_offs: at which metrics will be asked for; the depth is at least the largest.

    Raises:
        InputError: the same item twice for one user, or more distinct items than the catalogue has.
    """
    users, strangers = _user_rows(run["user_id"], truth.users)
    if (users < 0).any():
        run, users = run.filter(pl.Series(users >= 0)), users[users >= 0]
    items = run["item_id"].unique(maintain_order=True)
    listed = run["item_id"].cast(pl.Enum(items)).to_physical().to_numpy().astype(np.int64)
    scores = run["score"].to_numpy()
    order = _order(users, scores)
    if order is not None:
        users, listed, scores = users[order], listed[order], scores[order]
    keys = users * len(items) + listed
    offsets = offsets_of_owners(users, len(truth))
    _each_item_once(keys, offsets, truth, items)
    hits, pairs = _hits(keys, truth, items)
    ends = hits
    tied = np.append(False, (scores[1:] == scores[:-1]) & (users[1:] == users[:-1]))[: len(users)]
    if tied.any():
        hits, pairs, ends = _ties_against(tied, listed, hits, pairs, truth.gains)
    owners = users[hits]
    return Judged(
        truth,
        hit_users=owners,
        hit_pairs=pairs,
        hit_items=listed[hits],
        hit_ranks=hits - offsets[owners] + 1,
        hit_ends=ends - offsets[owners] + 1,
        items=items,
        whole=Lists(offsets, listed).first(depth),
        catalogue=catalogue,
        rows=None if catalogue is None else _rows(items, catalogue),
        profiles=profiles,
        strangers=strangers,
        cut_offs=cut_offs,
    )


def _user_rows(ids: pl.Series, users: Ids) -> tuple[Rows, int]:
    """Row of the user of each line, int64, -1 for one who is not in `users`, and the number of those."""
    starts = changes(ids)
    heads = ids.gather(starts).to_frame("id").select("id", row=users.code("id").fill_null(-1))
    strangers = heads.filter(pl.col("row") < 0)["id"].n_unique()
    return np.repeat(heads["row"].to_numpy(), np.diff(starts, append=len(ids))), strangers


def _order(users: Rows, scores: NDArray[np.float64]) -> Rows | None:
    """Order by user, then from the largest score down; None where the lines stand so already."""
    again = users[1:] == users[:-1]
    starts = np.append(0, np.flatnonzero(~again) + 1)[: len(users)]
    heads = users[starts]
    by = np.argsort(heads, kind="stable")
    together = (heads[by][1:] != heads[by][:-1]).all()
    if together and (scores[1:] <= scores[:-1])[again].all():
        if (by[1:] > by[:-1]).all():
            return None
        return Lists(np.append(starts, len(users)), np.arange(len(users))).of(by).items
    lines = pl.DataFrame({"user": users, "score": scores + 0.0})  # -0.0 and 0.0 are a tie
    order = lines.select(pl.arg_sort_by("user", "score", descending=[False, True], maintain_order=True))
    return order.to_series().to_numpy().astype(np.int64)


def _each_item_once(keys: Rows, offsets: Rows, truth: Truth, items: pl.Series) -> None:
    """Refuse a list that holds an item twice; sorted in blocks of users that fit the processor's cache."""
    first = 0
    while first < len(truth):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + SORTED_AT_ONCE)) - 1)
        block = np.sort(keys[offsets[first] : offsets[last]])
        repeated = block[1:][block[1:] == block[:-1]]
        if len(repeated):
            user, item = divmod(int(repeated[0]), len(items))
            raise InputError(
                "each item at most once for a user",
                f"{len(repeated)} or more repeats, such as item {items[item]!r} of user "
                f"{truth.users.values[user]!r}",
                "keep the best row of each user and item",
            )
        first = last


def _hits(keys: Rows, truth: Truth, items: pl.Series) -> tuple[Rows, Rows]:
    """Lines that hold a relevant item, ascending, and the pair that each of them hits."""
    codes = pl.DataFrame({"item_id": items, "item": np.arange(len(items))})
    wanted = (
        truth.frame.with_row_index("pair")
        .join(codes, on="item_id")
        .select("pair", key=pl.col("user") * len(items) + pl.col("item"))
    )
    found = (
        pl.DataFrame({"key": keys})
        .with_row_index("line")
        .join(wanted, on="key", how="inner")
        .sort("line")
        .select(pl.col("line", "pair").cast(pl.Int64))
    )
    return found["line"].to_numpy(), found["pair"].to_numpy()


def _ties_against(
    tied: NDArray[np.bool_], listed: Rows, hits: Rows, pairs: Rows, gains: Gains
) -> tuple[Rows, Rows, Rows]:
    """Put the hits behind the other items of their score, the most relevant last.

    Args:
        tied: whether a line has the score of the line before, bool (n_lines).
        listed: items of the lines; changed.

    Returns:
        hits and pairs as in :func:`_hits`, and the last line of each hit's score.
    """
    group = np.cumsum(~tied) - 1
    starts = np.flatnonzero(~tied)
    last = np.append(starts[1:], len(tied)) - 1
    of_hits = group[hits]
    concerned = np.zeros(len(starts), bool)
    concerned[of_hits[last[of_hits] > starts[of_hits]]] = True
    lines = np.flatnonzero(concerned[group])
    gain = np.zeros(len(tied))
    gain[hits] = gains[pairs]
    order = lines[np.lexsort((gain[lines], group[lines]))]
    listed[lines] = listed[order]
    place = np.arange(len(tied))
    place[order] = lines
    moved = place[hits]
    by_line = np.argsort(moved)
    return moved[by_line], pairs[by_line], last[of_hits][by_line]


def _rows(items: pl.Series, catalogue: Catalogue) -> Rows | None:
    rows = catalogue.rows(items)
    if rows is None and len(items) > catalogue.size:
        raise InputError(
            f"at most {catalogue.size} distinct items, the size of the catalogue",
            f"{len(items)} distinct items in the run",
            "pass the number of items in the whole catalogue",
        )
    if rows is not None and len(rows) and (rows < 0).all():
        assert catalogue.ids is not None
        known = f"the catalogue's look like {catalogue.ids.values[0]!r}" if catalogue.size else "it is empty"
        raise InputError(
            "a catalogue that holds items of the run",
            f"none of {len(items)} items, which look like {items[0]!r}; {known}",
            "check that run and catalogue write ids alike",
        )
    return rows
