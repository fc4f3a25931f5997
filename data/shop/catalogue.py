"""The products of the embedded shop, as numbers: what they are, how good, how wanted and when on sale."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.data.shop.departments import FEATURES, Leaf, leaves
from aisle.data.shop.draws import Floats, Keys, below, child, normal, root, uniform
from aisle.data.shop.settings import DAYS, ShopSettings
from aisle.data.shop.styles import BRAND_ENDS, BRAND_STARTS, STYLES

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

CATEGORY_SKEW = 0.5
"""Exponent of Zipf's law over the sizes of leaf categories."""

POPULARITY_SKEW = 0.9
"""Exponent of Zipf's law over the appeal of products within a leaf."""

OWN_STYLE = 0.65
"""Share of a brand's products that have the brand's style."""


@dataclass(frozen=True, slots=True)
class Brands:
    """Makers of products; each sells in one department.

    Attributes:
        names: one a brand, all different.
        offsets: brands of department `d` are `offsets[d]:offsets[d + 1]`, int64 (departments + 1).
        style: position in `STYLES`, int64 (brands).
        tier: how dear its products are, in standard deviations of the log price, float64 (brands).
        quality: mean quality of its products, float64 (brands).
    """

    names: tuple[str, ...]
    offsets: Rows
    style: Rows
    tier: Floats
    quality: Floats


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All products; those of one leaf category are neighbours, and `offsets` says where each leaf starts.

    Attributes:
        leaves: leaf categories that have products.
        department: number of the department of a leaf, int64 (leaves).
        demand: share of shoppers' interest in a leaf, sums to 1, float64 (leaves).
        companion: the leaf that a visit to a leaf often leads to, int64 (leaves).
        offsets: products of leaf `l` are `offsets[l]:offsets[l + 1]`, int64 (leaves + 1).
        brands: makers.
        ids: product ids, String (products).
        leaf: row in `leaves`, int64 (products).
        brand: row in `brands`, int64 (products).
        style: main style, position in `STYLES`, int64 (products).
        accent: second style, int64 (products).
        looks: both styles and some noise as a unit vector, float32 (products, styles).
        feature: position in the leaf's features, int64 (products).
        quality: standard normal, about, float64 (products).
        price: dollars, float64 (products).
        dearness: log price against the leaf's median, in standard deviations, float64 (products).
        appeal: share of a leaf's attention before taste, sums to 1 over a leaf, float64 (products).
        first_day: first day on sale, int64 (products).
        end_day: first day no longer on sale, int64 (products).
    """

    leaves: tuple[Leaf, ...]
    department: Rows
    demand: Floats
    companion: Rows
    offsets: Rows
    brands: Brands
    ids: pl.Series
    leaf: Rows
    brand: Rows
    style: Rows
    accent: Rows
    looks: Vectors
    feature: Rows
    quality: Floats
    price: Floats
    dearness: Floats
    appeal: Floats
    first_day: Rows
    end_day: Rows

    def __len__(self) -> int:
        return len(self.leaf)


def make_catalogue(settings: ShopSettings) -> Catalogue:
    """The products of the shop that `settings` describe."""
    n, seed = settings.items, settings.seed

    def keys(name: str) -> Keys:
        return child(root(seed, name), np.arange(n))

    chosen, sizes = _leaf_sizes(n, seed)
    departments = list(dict.fromkeys(leaf.department for leaf in chosen))
    department = np.array([departments.index(leaf.department) for leaf in chosen])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    leaf = np.repeat(np.arange(len(chosen)), sizes)

    brands = _brands(len(departments), n, seed)
    brand = _zipf_brand(brands, department[leaf], uniform(keys("product brand")))
    own = uniform(keys("product own style")) < OWN_STYLE
    style = np.where(own, brands.style[brand], below(keys("product style"), len(STYLES)))
    accent = below(keys("product accent"), len(STYLES))
    quality = 0.6 * brands.quality[brand] + 0.8 * normal(keys("product quality"))
    dearness = 0.6 * brands.tier[brand] + 0.8 * normal(keys("product price"))
    median = np.array([each.price for each in chosen])[leaf]
    first_day, end_day = _shelf_life(keys("product arrives"), keys("product leaves"), offsets[:-1])
    return Catalogue(
        leaves=chosen,
        department=department,
        demand=np.sqrt(sizes) / np.sqrt(sizes).sum(),
        companion=_companions(department),
        offsets=offsets,
        brands=brands,
        ids=_ids(keys("product id")),
        leaf=leaf,
        brand=brand,
        style=style,
        accent=accent,
        looks=_looks(style, accent, child(keys("product looks")[:, None], np.arange(len(STYLES)))),
        feature=below(keys("product feature"), FEATURES),
        quality=quality,
        price=np.maximum(np.round(median * np.exp(0.45 * dearness), 2), 0.5),
        dearness=dearness,
        appeal=_appeal(leaf, offsets, quality, keys("product rank")),
        first_day=first_day,
        end_day=end_day,
    )


def _leaf_sizes(n: int, seed: int) -> tuple[tuple[Leaf, ...], Rows]:
    """Leaves in use (a small shop has few) and how many of `n` products each holds, at least one."""
    every = leaves()
    count = min(len(every), max(1, n // 12))
    chosen = tuple(every[i * len(every) // count] for i in range(count))
    rank = np.argsort(np.argsort(child(root(seed, "leaf rank"), np.arange(count))))
    share = (1.0 + rank) ** -CATEGORY_SKEW
    ideal = share / share.sum() * (n - count)
    sizes = 1 + np.floor(ideal).astype(np.int64)
    short = n - int(sizes.sum())
    sizes[np.argsort(-(ideal % 1), kind="stable")[:short]] += 1
    return chosen, sizes


def _companions(department: Rows) -> Rows:
    """The next leaf of the same department, in a ring."""
    following = np.arange(1, len(department) + 1)
    starts = np.searchsorted(department, department)
    ends = np.append(department[1:] != department[:-1], True)
    return np.where(ends, starts, following)


def _brands(departments: int, n: int, seed: int) -> Brands:
    each = int(np.clip(round(np.sqrt(n) / 3), 3, 60))
    total = departments * each
    key = child(root(seed, "brand"), np.arange(total))
    pairs = [start + end for start in BRAND_STARTS for end in BRAND_ENDS]
    shuffled = np.argsort(child(root(seed, "brand name"), np.arange(len(pairs))))
    return Brands(
        names=tuple(pairs[i] for i in shuffled[:total]),
        offsets=np.arange(departments + 1) * each,
        style=below(child(key, 0), len(STYLES)),
        tier=normal(child(key, 1)),
        quality=normal(child(key, 2)),
    )


def _zipf_brand(brands: Brands, department: Rows, draw: Floats) -> Rows:
    """A brand of the product's department, the first ones more often."""
    each = int(brands.offsets[1])
    share = (1.0 + np.arange(each)) ** -0.7
    edges = np.cumsum(share)[:-1] / share.sum()
    return brands.offsets[department] + np.searchsorted(edges, draw)


def _looks(style: Rows, accent: Rows, noise: Keys) -> Vectors:
    vectors = 0.15 * normal(noise)
    rows = np.arange(len(style))
    vectors[rows, style] += 1.0
    vectors[rows, accent] += 0.4
    looks: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return looks


def _appeal(leaf: Rows, offsets: Rows, quality: Floats, rank_keys: Keys) -> Floats:
    order = np.lexsort((rank_keys, leaf))
    rank = np.empty(len(leaf), np.int64)
    rank[order] = np.arange(len(leaf)) - offsets[leaf[order]]
    weight = (1.0 + rank) ** -POPULARITY_SKEW * np.exp(0.25 * quality)
    return weight / np.add.reduceat(weight, offsets[:-1])[leaf]


def _shelf_life(arrives: Keys, leaves_: Keys, anchors: Rows) -> tuple[Rows, Rows]:
    """First day on sale and first day no longer; the `anchors`, one product a leaf, are always on sale."""
    late = uniform(child(arrives, 0)) < 0.45
    first = np.where(late, below(child(arrives, 1), int(0.95 * DAYS)), 0)
    leaving = uniform(child(leaves_, 0)) < 0.3
    end = first + 60 + (uniform(child(leaves_, 1)) * np.maximum(DAYS - first - 60, 1)).astype(np.int64)
    end = np.where(leaving, np.minimum(end, DAYS), DAYS)
    first[anchors], end[anchors] = 0, DAYS
    return first, end


def _ids(keys: Keys) -> pl.Series:
    """Ids that say nothing about the products' order."""
    numbers = np.argsort(np.argsort(keys))
    return pl.Series("item_id", [f"P{number:07d}" for number in numbers], dtype=pl.String)
