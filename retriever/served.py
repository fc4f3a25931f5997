"""A trained model over an index that is served: the items of today, as `aisle index rebuild` found them."""

import logging

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.prepared import Prepared
from aisle.data.visitors import Longer, items_of
from aisle.index.base import NONE
from aisle.index.errors import IndexFault
from aisle.index.renumbered import Renumbered
from aisle.index.settings import IndexSettings
from aisle.index.store import Stored
from aisle.retriever.additions import with_texts
from aisle.retriever.candidates import Retriever, encoder_of
from aisle.retriever.model import Model

LOG = logging.getLogger(__name__)


def serving(shop: Prepared, model: Model, stored: Stored, settings: IndexSettings) -> Retriever:
    """A retriever that finds the items of a stored index, and those alone.

    Items that the index has and the shop has not come behind the shop's; histories may name them. Items that
    the index no longer has are still read in histories.

    Args:
        shop: that the model was trained on.
        model: that made the index's vectors.
        stored: the index.
        settings: where to search.

    Raises:
        InputError: the model reads no texts.
        IndexFault: the index was made with another language model, or without keeping vectors of texts.
    """
    wanted = encoder_of(model)
    if wanted not in ("", stored.description.encoder):
        raise IndexFault(
            f"vectors of the language model {wanted[:12]}",
            f"vectors of {stored.description.encoder[:12] or 'none'}",
            "rebuild it with this run: `aisle index rebuild --run`",
        )
    texts = stored.texts
    if texts is None:
        found = f"none in {stored.folder}"
        raise IndexFault("an index with vectors of texts", found, "`aisle index rebuild --run`")
    held = stored.rows

    def said(new: NDArray[np.bool_]) -> list[str] | None:
        found = stored.said(held[new])
        if found is None:
            LOG.warning(
                "%s keeps no texts: the words of %d new items are not known until it is rebuilt",
                *(stored.folder.name, int(new.sum())),
            )
        return found

    longer, places = with_texts(model, stored.ids.series().gather(held), texts[held], said)
    more = items_of(pl.DataFrame({"item_id": longer.items[len(model.items) :]}))
    rows = np.full(len(stored.index), NONE, np.int64)
    rows[held] = places
    index = Renumbered(stored.index, rows, len(longer.items))
    retriever = Retriever(Longer.of(shop, more), longer, index, settings)
    return retriever if index.held.all() else retriever.allowing(index.held)


def texts_of(stored: Stored, ids: pl.Series) -> list[str]:
    """Texts of some items of a stored index; "" for each where it keeps none."""
    held = stored.rows
    there = pl.DataFrame({"item_id": stored.ids.series().gather(held), "row": held})
    rows = ids.to_frame("item_id").join(there, on="item_id", how="left", maintain_order="left")["row"]
    found = stored.said(rows.to_numpy())
    return [""] * len(ids) if found is None else found
