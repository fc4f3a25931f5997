"""Words of tested events in what models read."""

from collections.abc import Iterator

import polars as pl

from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import Check, Material

SNIPPET = 60
"""Characters of a review by which it is known again: its beginning."""

SHORTEST = 40
"""A shorter review says what others say, too."""

BLOCK = 1 << 20
"""Characters of texts that are searched at once."""


def _find(material: Material) -> Iterator[Finding]:
    """Reviews of tested events in the texts of their items, or in other texts that a model was trained on.

    A review that was written before, word for word, gives nothing away.
    """
    written = _snippets(material.parts["test"])
    before = pl.concat([material.parts["train"], material.parts["validation"]])
    reviews = written.join(_snippets(before), on=["item_id", "snippet"], how="anti").collect()
    if not len(reviews):
        return
    if material.texts is not None:
        texts = material.texts().select("item_id", text=_plain(pl.col("text")))
        found = reviews.join(texts, on="item_id").filter(
            pl.col("text").str.contains(pl.col("snippet"), literal=True)
        )
        if len(found):
            yield TEXTS.finding(
                "leak",
                f"{len(found)} reviews of tested events stand in the texts of their items.",
                [f"item {item}: {snippet}…" for item, snippet in found.select("item_id", "snippet").rows()],
                "write texts of items from reviews of the past alone, and from a catalogue of that moment",
            )
    if material.corpus is not None:
        everywhere = _snippets(before.with_columns(item_id=pl.lit("")))
        fresh = reviews.join(everywhere.collect(), on="snippet", how="anti")["snippet"].unique().sort()
        told = _told(material.corpus, fresh)
        if len(told):
            yield TEXTS.finding(
                "leak",
                f"{len(told)} reviews of tested events stand in the text that a model was trained on.",
                [f"{snippet}…" for snippet in told],
                "train language models on events of the training part alone",
            )


def _snippets(events: pl.LazyFrame) -> pl.LazyFrame:
    text = _plain(pl.col("text"))
    return (
        events.filter(pl.col("item_id").is_not_null(), pl.col("text").is_not_null())
        .select("item_id", snippet=text.str.slice(0, SNIPPET))
        .filter(pl.col("snippet").str.len_chars() >= SHORTEST)
        .unique()
    )


def _plain(text: pl.Expr) -> pl.Expr:
    """Text in small letters, with single spaces."""
    return text.str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()


def _told(corpus: "list[str] | tuple[str, ...] | object", snippets: pl.Series) -> list[str]:
    """Those of `snippets` that occur in any text of the corpus."""
    if not len(snippets):
        return []
    found: set[str] = set()
    texts = pl.Series(corpus, dtype=pl.String)  # type: ignore[arg-type]
    for start in range(0, len(texts), BLOCK):
        block = pl.DataFrame({"text": texts[start : start + BLOCK]}).select(_plain(pl.col("text")))
        each = block["text"].str.extract_many(snippets.implode(), overlapping=True).explode().drop_nulls()
        found.update(each)
    return sorted(found)


def _lacks(material: Material) -> str | None:
    if material.texts is None and material.corpus is None:
        return "texts of items"
    return None if material.worded else "tested events with words"


TEXTS = Check("training text", _find, _lacks)
