"""What users type into the search box: words of what they want."""

import numpy as np
import polars as pl

from aisle.data.shop.catalogue import Catalogue, Rows
from aisle.data.shop.departments import FEATURES, NOUNS
from aisle.data.shop.draws import Keys, below, child, uniform
from aisle.data.shop.styles import STYLES
from aisle.data.shop.tastes import Tastes
from aisle.data.shop.visits import Visits


def search_words(
    catalogue: Catalogue, tastes: Tastes, visits: Visits, best: Rows, searching: Rows, user_keys: Keys
) -> pl.Series:
    """Words of the searches on the visits `searching`, String (searches).

    A noun of the leaf, the user's own word for it, after one of: the feature that the user wants, an
    adjective or colour of the style that the user likes most, or the brand that the user is loyal to (if it
    is the brand of the visit's `best` product).
    """
    user, leaf, keys = visits.user[searching], visits.leaf[searching], child(visits.keys[searching], 40)
    style = tastes.style[user, visits.period[searching]].argmax(axis=1)
    brand = catalogue.brand[best[searching]]
    coloured = np.array([each.coloured for each in catalogue.leaves])[leaf]

    features = [word for each in catalogue.leaves for word in each.features]
    adjectives = [word for each in STYLES for word in each.adjectives]
    colours = [word for each in STYLES for word in each.colours]
    adjective_at = len(features)
    colour_at = adjective_at + len(adjectives)
    brand_at = colour_at + len(colours)
    vocabulary = pl.Series([*features, *adjectives, *colours, *catalogue.brands.names], dtype=pl.String)

    pick, within = uniform(child(keys, 0)), child(keys, 1)
    word = leaf * FEATURES + tastes.wanted(user, leaf)
    word = np.where(pick > 0.6, adjective_at + 5 * style + below(within, 5), word)
    word = np.where((pick > 0.75) & coloured, colour_at + 4 * style + below(within, 4), word)
    word = np.where((pick > 0.85) & tastes.loyal(user, brand), brand_at + brand, word)

    nouns = pl.Series([word for each in catalogue.leaves for word in each.nouns], dtype=pl.String)
    noun = leaf * NOUNS + below(child(user_keys[user], leaf), NOUNS)
    parts = pl.DataFrame({"word": vocabulary.gather(word), "noun": nouns.gather(noun)})
    return parts.select(pl.concat_str("word", "noun", separator=" ").str.to_lowercase()).to_series()
