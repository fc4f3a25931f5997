"""The catalogue as the shop lists it: titles, descriptions and bullet points."""

import numpy as np
import polars as pl

from aisle.data.shop.catalogue import Catalogue
from aisle.data.shop.departments import ASPECTS, NOUNS
from aisle.data.shop.draws import below, child, root
from aisle.data.shop.styles import MODELS, OPENINGS, SIZES, STYLES, USES


def list_products(catalogue: Catalogue, seed: int) -> pl.DataFrame:
    """One row a product in the columns of Amazon's 2018 metadata, in the order of the ids.

    Columns: asin, title, brand, price ("$1,299.00") String; description, category, feature List[String].
    """
    rows = [_product(catalogue, row, picks) for row, picks in enumerate(_picks(len(catalogue), seed))]
    schema = {
        "asin": pl.String(),
        "title": pl.String(),
        "description": pl.List(pl.String()),
        "brand": pl.String(),
        "category": pl.List(pl.String()),
        "price": pl.String(),
        "feature": pl.List(pl.String()),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("asin")


_CHOICES = {
    "adjective": 5,
    "colour": 4,
    "noun": NOUNS,
    "size": len(SIZES),
    "model": len(MODELS),
    "number": 90,
    "form": 3,
    "opening": len(OPENINGS),
    "use": len(USES),
    "aspect": ASPECTS,
    "sentence": 4,
    "second": 4,
}


def _picks(n: int, seed: int) -> list[dict[str, int]]:
    keys = child(root(seed, "listing"), np.arange(n))
    columns = [below(child(keys, i), size).tolist() for i, size in enumerate(_CHOICES.values())]
    return [dict(zip(_CHOICES, row, strict=True)) for row in zip(*columns, strict=True)]


def _product(catalogue: Catalogue, row: int, picks: dict[str, int]) -> tuple[object, ...]:
    leaf = catalogue.leaves[catalogue.leaf[row]]
    style, accent = STYLES[catalogue.style[row]], STYLES[catalogue.accent[row]]
    brand = catalogue.brands.names[catalogue.brand[row]]
    feature = leaf.features[catalogue.feature[row]]
    adjective, colour = style.adjectives[picks["adjective"]], style.colours[picks["colour"]]
    model = f"{MODELS[picks['model']]} {10 * (picks['number'] + 10)}"
    noun, size = leaf.nouns[picks["noun"]], SIZES[picks["size"]]
    aspect, other = leaf.aspects[picks["aspect"]], leaf.aspects[(picks["aspect"] + 1) % ASPECTS]
    words = {
        "noun": noun,
        "brand": brand,
        "feature": feature,
        "model": model,
        "aspect": aspect,
        "other": other,
    }
    looks = (colour, size) if leaf.coloured else (size,)
    title = (
        f"{brand} {model} {adjective} {noun}, {', '.join((feature, *looks))}",
        f"{brand} {adjective} {feature} {noun} {model} ({', '.join(looks)})",
        f"{adjective} {noun} {model} by {brand}, {', '.join((feature, *looks))}",
    )[picks["form"]]
    description = [
        OPENINGS[picks["opening"]].format(**words),
        style.sentences[picks["sentence"]],
        USES[picks["use"]].format(**words),
    ]
    if accent is not style:
        description.append(accent.sentences[picks["second"]])
    bullets = [f"Type: {feature}", f"Style: {adjective}", f"Size: {size}"]
    if leaf.coloured:
        bullets.append(f"Colour: {colour}")
    return (
        catalogue.ids[row],
        title[0].upper() + title[1:],
        description,
        brand,
        [leaf.department, leaf.shelf, leaf.name],
        f"${catalogue.price[row]:,.2f}",
        bullets,
    )
