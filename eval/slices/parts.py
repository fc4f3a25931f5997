"""How users or pairs become parts of the truth."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from aisle.eval.truth import Part, Truth

Chosen = NDArray[np.bool_]
"""Whether each user, or each pair of user and relevant item, belongs to a part."""

Named = Iterator[tuple[str, Part]]
"""Parts with their names."""


def of_users(truth: Truth, names: Mapping[str, Chosen]) -> Named:
    """Parts of chosen users, bool (n_users), who keep all that they wanted.

    Parts without users are left out.
    """
    for name, chosen in names.items():
        if chosen.any():
            yield name, truth.part(chosen)


def of_pairs(truth: Truth, names: Mapping[str, Chosen]) -> Named:
    """Parts of chosen pairs, bool (n_pairs), and the users who have one.

    Whatever else these users wanted keeps its place in their lists and counts as not relevant. Parts without
    pairs are left out.
    """
    for name, chosen in names.items():
        if chosen.any():
            users = np.bincount(truth.owners[chosen], minlength=len(truth)) > 0
            yield name, truth.part(users, chosen)


def banded(
    values: NDArray[np.float64], bounds: Mapping[str, float], rest: str | None = None
) -> dict[str, Chosen]:
    """Values in bands: a name and the largest value that belongs to it, from small to large.

    Args:
        values: float64 (n), NaN where unknown.
        bounds: upper ends, ascending; a value on a bound belongs to the band below.
        rest: name of those that are NaN; None: they are in no band.

    >>> banded(np.array([1, 2, np.nan]), {"few": 1, "many": 9})["many"].tolist()
    [False, True, False]
    """
    places = np.searchsorted([*bounds.values()], values, side="left")
    found = {name: (places == at) & ~np.isnan(values) for at, name in enumerate(bounds)}
    return found if rest is None else {**found, rest: np.isnan(values)}
