"""What was known before the tested part."""

from dataclasses import dataclass

import polars as pl

from aisle.eval.catalogue import Catalogue
from aisle.eval.events import events_of


@dataclass(frozen=True)
class Known:
    """What was known before the tested part; None where it is not given.

    Attributes:
        events: canonical events of the past.
        catalogue: what is known of the items.
        asked: user_id, timestamp: when each user was tested.
    """

    events: pl.DataFrame | None = None
    catalogue: Catalogue | None = None
    asked: pl.DataFrame | None = None

    @classmethod
    def of(
        cls, past: pl.DataFrame | None, truth: pl.DataFrame, catalogue: Catalogue | None = None
    ) -> "Known":
        """What anybody's tables say: events of the past, and the truth with its timestamps, if it has any.

        Raises:
            InputError: a timestamp is neither a date nor a whole number.
        """
        events = None if past is None else events_of(past, "past").collect()
        if "timestamp" not in truth.columns:
            return cls(events, catalogue)
        return cls(events, catalogue, events_of(truth, "truth").select("user_id", "timestamp").collect())

    def items(self, *columns: str) -> pl.DataFrame | None:
        """`item_id` and `columns` of the catalogue; None unless it has all of them."""
        if self.catalogue is None or self.catalogue.items is None:
            return None
        if not all(self.catalogue.has(column) for column in columns):
            return None
        return self.catalogue.items.select("item_id", *columns)
