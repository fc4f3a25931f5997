"""What the embedded shop sells: departments, shelves and leaf categories with their own words."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

FEATURES = 5
"""Features that a leaf offers; each product has one of them."""

NOUNS = 2
"""Words for the product of a leaf."""

ASPECTS = 4
"""What reviewers talk about in a leaf."""


class Leaf(NamedTuple):
    """A leaf category.

    Attributes:
        department: broadest category.
        shelf: category between department and leaf.
        name: narrowest category.
        coloured: whether colour and size are said of its products.
        nouns: `NOUNS` words for one product, the usual one first.
        features: `FEATURES` properties that set its products apart.
        aspects: `ASPECTS` things that reviews talk about.
        price: median price in dollars.
        peak: month in which demand is highest, 1 to 12; None if it is sold all year round.
    """

    department: str
    shelf: str
    name: str
    coloured: bool
    nouns: tuple[str, ...]
    features: tuple[str, ...]
    aspects: tuple[str, ...]
    price: float
    peak: int | None


def _leaf(department: str, shelf: str, line: str) -> Leaf:
    name, nouns, features, aspects, price, peak = (part.strip() for part in line.split("|"))
    return Leaf(
        department=department,
        shelf=shelf,
        name=name.removesuffix("*"),
        coloured=not name.endswith("*"),
        nouns=tuple(nouns.split("; ")),
        features=tuple(features.split("; ")),
        aspects=tuple(aspects.split("; ")),
        price=float(price),
        peak=int(peak) if peak else None,
    )


@cache
def leaves() -> tuple[Leaf, ...]:
    """All leaf categories, as `leaves.txt` lists them; those of one department are neighbours."""
    found, department, shelf = [], "", ""
    for line in files("aisle.data.shop").joinpath("leaves.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if "|" in line:
            found.append(_leaf(department, shelf, line))
        else:
            department, shelf = (part.strip() for part in line.split("/"))
    return tuple(found)
