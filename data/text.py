"""Items and histories as text for language models.

A text is made from a *template*: parts with named fields (`"by {brand}"`). A part with an unknown field is
left out whole, so that missing values leave no trace: no "None", no dangling separator. See docs/text.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from string import Formatter
from typing import Any

import polars as pl

from aisle.data.history import event_time
from aisle.data.settings import TextSettings

_WORD = re.compile(r"\w+")
_ROWS_AT_ONCE = 65_536
_COLUMNS = ("title", "description", "brand", "categories", "price", "attributes", "reviews")


def render_items(
    items: pl.DataFrame, settings: TextSettings, reviews: pl.LazyFrame | pl.DataFrame | None = None
) -> list[str]:
    """Texts of all items, one per row of `items`, in row order; "" for an item about which nothing is known.

    Args:
        items: canonical items; missing columns count as unknown.
        settings: templates and limits.
        reviews: canonical events of the past. Items with neither title nor description are described by
            what their reviews say (field `{reviews}`). Later events must not be in here: they would leak.
    """
    if reviews is not None:
        words = _review_words(items, reviews, settings)
        items = items.join(words, on="item_id", how="left", maintain_order="left")
    template = "".join(settings.item)
    columns = [name for name in _COLUMNS if name in items.columns]
    if "{attributes" not in template:  # slow to take apart
        columns = [name for name in columns if name != "attributes"]
    items = items.select("item_id", *columns)
    texts: list[str] = []
    for rows in items.iter_slices(_ROWS_AT_ONCE):
        short = rows.with_columns(pl.selectors.string().str.slice(0, settings.max_chars))
        names = short.columns
        values = zip(*(short[name].to_list() for name in names), strict=True)
        texts.extend(render_item(dict(zip(names, row, strict=True)), settings) for row in values)
    return texts


def render_item(record: Mapping[str, Any], settings: TextSettings) -> str:
    """Text of one item, at most `settings.max_chars` characters.

    Args:
        record: canonical item columns, any of them missing or None; `reviews` may hold words of its reviews.
        settings: templates and limits.
    """
    text = _fill(settings.item, _item_fields(record, settings), settings.item_separator)
    return text[: settings.max_chars].rstrip()


def render_history(
    events: Sequence[Mapping[str, Any]],
    item_texts: Callable[[str], str],
    settings: TextSettings,
    count_tokens: Callable[[str], int],
) -> str:
    """Text of one user's history, newest event first, of at most `settings.history_tokens` tokens.

    Entries are kept whole until the budget is full; the last one is cut, if more than its opening words fit.

    Args:
        events: canonical events of one user, oldest first.
        item_texts: text of an item by its item_id ("" if unknown).
        settings: templates and limits.
        count_tokens: tokens of a text, without the special tokens of the model.
    """
    text = ""
    for event in reversed(events):
        parts = getattr(settings.history, event["kind"])
        entry = _fill(parts, _event_fields(event, item_texts, settings), " ")
        if not entry:
            continue
        before = text + settings.history_separator if text else ""
        if count_tokens(before + entry) > settings.history_tokens:
            opening = before + _opening(parts[0])
            return _cut(before + entry, opening, settings.history_tokens, count_tokens) or text
        text = before + entry
    return text


def _cut(text: str, opening: str, budget: int, count_tokens: Callable[[str], int]) -> str:
    """The longest beginning of `text` within `budget` tokens, of whole words where there are spaces.

    "" if no more than `opening` fits.
    """
    fits, too_long = len(opening), len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if count_tokens(text[:middle]) <= budget:
            fits = middle
        else:
            too_long = middle
    cut = text[:fits]
    if text[fits : fits + 1].isalnum() and " " in cut[len(opening) :].lstrip():
        cut = cut.rpartition(" ")[0]
    cut = cut.rstrip()
    return cut if len(cut) > len(opening) and count_tokens(cut) <= budget else ""


def _fill(parts: Sequence[str], values: Mapping[str, str], separator: str) -> str:
    """The template `parts` with `values`; parts with an unknown field are left out, and "" if all are.

    A part's closing punctuation gives way to a separator that is more than a space.
    """
    texts, known = [], False
    for literals, fields in map(_parse, parts):
        said = tuple(map(values.get, fields))
        if all(said):
            known = known or bool(fields)
            texts.append(literals % said)
    if not known:
        return ""
    if separator.strip():
        texts = [text.rstrip(".,;:|/ ") for text in texts[:-1]] + texts[-1:]
    return separator.join(texts)


@lru_cache
def _parse(part: str) -> tuple[str, tuple[str, ...]]:
    """A part with `%s` where a field is, as `%` fills it, and the fields."""
    pieces = list(Formatter().parse(part))
    literals = [literal.replace("%", "%%") + ("%s" if field else "") for literal, field, _, _ in pieces]
    return "".join(literals), tuple(field for _, field, _, _ in pieces if field is not None)


def _opening(part: str) -> str:
    """What stands before the first field of a part."""
    return next((literal for literal, _, _, _ in Formatter().parse(part)), "")


def _item_fields(record: Mapping[str, Any], settings: TextSettings) -> dict[str, str]:
    """Fields of the item template; "" or missing where unknown."""
    cap = settings.max_chars
    title, description = _clean(record.get("title"), cap), _clean(record.get("description"), cap)
    said = set(_WORD.findall(title.lower()))
    brand = _clean(record.get("brand"), cap)
    path = [label for label, words in _path(tuple(record.get("categories") or ())) if not words <= said]
    fields = {
        "title": title,
        "description": description,
        "brand": "" if said.issuperset(_WORD.findall(brand.lower())) else brand,
        "categories": settings.category_separator.join(path[-settings.category_levels :]),
        "reviews": "" if title or description else _clean(record.get("reviews"), cap),
    }
    if record.get("price") is not None:
        fields["price"] = f"{record['price']:.2f}"
    if pairs := record.get("attributes"):
        fields |= _attribute_fields(pairs, settings)
    return fields


def _attribute_fields(pairs: Sequence[Mapping[str, Any]], settings: TextSettings) -> dict[str, str]:
    """The field of each attribute, and `attributes`: those that say something in words."""
    fields: dict[str, str] = {}
    told = []
    for pair in pairs:
        name, value = _clean(pair["name"], settings.max_chars), _clean(pair["value"], settings.max_chars)
        if not name or not value:
            continue
        fields.setdefault(f"attributes.{name}", value)
        flag = value.lower() in ("true", "false", "none", "nan")
        if len(value) <= settings.attribute_chars and not flag and "://" not in value and _has_letter(value):
            told.append(f"{name}: {value}")
    fields["attributes"] = ", ".join(told[: settings.max_attributes])
    return fields


def _event_fields(
    event: Mapping[str, Any], item_texts: Callable[[str], str], settings: TextSettings
) -> dict[str, str]:
    """Fields of the history templates; "" or missing where unknown."""
    fields = {"text": _clean(event.get("text"), settings.review_chars)}
    if event.get("item_id") is not None:
        fields["item"] = _clean(item_texts(event["item_id"]), settings.history_item_chars)
    for name in ("rating", "price", "quantity"):
        if event.get(name) is not None:
            fields[name] = f"{event[name]:g}" if name != "price" else f"{event[name]:.2f}"
    return fields


@lru_cache(maxsize=65_536)
def _path(categories: tuple[str | None, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Levels of a category path with their words, but not levels that only repeat words of narrower ones."""
    kept: list[tuple[str, frozenset[str]]] = []
    said: set[str] = set()
    for category in reversed(categories):
        label = _clean(category, 200)
        words = frozenset(_WORD.findall(label.lower()))
        if not words <= said:
            kept.append((label, words))
            said |= words
    return tuple(reversed(kept))


def _clean(text: str | None, chars: int) -> str:
    """At most `chars` characters of `text`, on one line."""
    return " ".join(text[:chars].split()) if text else ""


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)


def _review_words(
    items: pl.DataFrame, reviews: pl.LazyFrame | pl.DataFrame, settings: TextSettings
) -> pl.DataFrame:
    """What reviewers say about the items that have neither title nor description: (item_id, reviews).

    The beginnings (there a review is summed up) of `max_reviews` distinct reviews; those that fill
    `review_chars` before shorter ones, then newer before older ones.
    """
    blank = [pl.col(name).fill_null("").str.strip_chars() == "" for name in ("title", "description")]
    nameless = items.filter(*(test for test in blank if test.meta.root_names()[0] in items.columns))
    length = pl.col("text").str.len_chars()
    most = settings.review_chars
    beginning = pl.col("text").str.slice(0, most + 1).str.replace(r"\s\S*$", "").str.slice(0, most)
    quoted = pl.when(length > most).then(beginning).otherwise(pl.col("text"))
    return (
        reviews.lazy()
        .with_row_index("row")
        .filter(pl.col("text").is_not_null())
        .join(nameless.lazy(), on="item_id", how="semi")
        .select(
            "item_id",
            "row",
            quoted=quoted.str.replace_all(r"\s+", " ").str.strip_chars(),
            length=pl.min_horizontal(length, most),
            time=event_time(),
        )
        .filter(pl.col("quoted") != "")
        .sort("item_id", "length", "time", "row", descending=[False, True, True, True])
        .unique(["item_id", "quoted"], keep="first", maintain_order=True)
        .group_by("item_id")
        .agg(reviews=pl.col("quoted").head(settings.max_reviews).str.join(" "))
        .collect()
    )
