"""Numbers of items that do not come from events: joined to candidates by item."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aisle.ranker.lists import Floats


@dataclass(frozen=True)
class ItemColumns:
    """A number for each item, by name (`group.what`).

    Attributes:
        values: float32 (items), by name.
        new: that of an item which came later and of which nothing is known, by name.
    """

    values: Mapping[str, Floats]
    new: Mapping[str, float]

    def longer(self, more: int) -> "ItemColumns":
        """The same with items behind its own, of which nothing is known."""
        return ItemColumns(
            {
                name: np.concatenate([values, np.full(more, self.new[name], np.float32)])
                for name, values in self.values.items()
            },
            self.new,
        )
