"""Which categories users cared for before the truth, in shares."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from aisle.eval.catalogue import Catalogue
from aisle.eval.truth import Truth


@dataclass(frozen=True, eq=False)
class Profiles:
    """Shares of categories. An item deals out 1 among its categories; nothing else is weighted.

    Attributes:
        items: of the catalogue's items, float64 (n_items, n_categories); rows add up to 1, or are empty.
        shares: of the users' pasts, float64 (n_users, n_categories); the same.
    """

    items: sparse.csr_array
    shares: sparse.csr_array

    @classmethod
    def of(cls, past: pl.DataFrame, truth: Truth, catalogue: Catalogue) -> "Profiles":
        """Profiles of the users of a truth from events: user_id, item_id (null in events without item)."""
        listed = catalogue.column("categories").list.unique(maintain_order=True).fill_null([])
        names = listed.explode(empty_as_null=False).drop_nulls().unique(maintain_order=True)
        entries = (
            pl.DataFrame({"row": np.arange(catalogue.size), "name": listed})
            .explode("name", empty_as_null=False)
            .drop_nulls()
            .join(pl.DataFrame({"name": names, "at": np.arange(len(names))}), on="name")
        )
        rows, columns = entries["row"].to_numpy(), entries["at"].to_numpy()
        many = np.bincount(rows, minlength=catalogue.size)
        items = sparse.csr_array((1 / many[rows], (rows, columns)), (catalogue.size, len(names)))
        known = catalogue.ids
        assert known is not None
        pairs = (
            past.lazy()
            .select(user=truth.users.code("user_id"), item=known.code("item_id"))
            .drop_nulls()
            .collect()
        )
        taken = sparse.csr_array(
            (np.ones(len(pairs)), (pairs["user"].to_numpy(), pairs["item"].to_numpy())),
            (len(truth), catalogue.size),
        )
        sums: sparse.csr_array = sparse.csr_array(taken @ items)
        totals: NDArray[np.float64] = np.asarray(sums.sum(axis=1))
        return cls(items, sparse.csr_array(sparse.diags_array(1 / np.where(totals > 0, totals, 1)) @ sums))
