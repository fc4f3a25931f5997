"""Text as shops hold it to plain text: entities, tags, broken encodings, control characters, blanks."""

import html
import re
from collections.abc import Callable

import ftfy
import polars as pl

TAGS = (
    "a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|colgroup|dd|del|div|dl|dt|em|"
    "fieldset|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|legend|"
    "li|link|main|map|mark|meta|nav|noscript|object|ol|option|p|param|picture|pre|q|s|samp|section|select|small|"
    "source|span|strike|strong|sub|sup|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|var|video|wbr"
)
"""Tags of HTML; anything else between angle brackets (`List<String>`, `<3`) is the shop's own words."""

INLINE = (
    "a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var|wbr"
)
"""Tags that may stand within a word; all others part words."""

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
HIDDEN = r"(?is)<script\b[^>]*>.*?</\s*script\s*>|<style\b[^>]*>.*?</\s*style\s*>|<!--.*?-->"
INLINE_TAG = rf"(?i)</?(?:{INLINE})(?:\s[^<>]*)?/?>"
TAG = rf"(?i)</?(?:{TAGS})(?:\s[^<>]*)?/?>"
MOJIBAKE = r"[ÂÃâåæçèéðÐÑ][\u{80}-\u{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
"""A lead byte of UTF-8 and a following one, both read as Latin-1 or Windows-1252."""
INVISIBLE = r"[\u{AD}\u{200B}\u{200E}\u{200F}\u{202A}-\u{202E}\u{2060}\u{FEFF}]|[^\P{Cc}\s]"
"""Control characters, and marks that are not seen; the joiners that emoji and some scripts need stay."""

PAGE_SCRIPT = r"new Date\(\)\)?\.getTime\(\)"
"""In a title: the page's script came where the title should be (a known fault of Amazon's 2018 metadata)."""


ODD = r"[^ -~]|[&<]|  |^ | $|^$"
"""What a text without any of it has nothing to repair: printable ASCII, no tag, no entity, single blanks."""


def repair(texts: pl.Series, *, one_line: bool = True) -> pl.Series:
    """Plain text, NFC, on one line or with single line breaks; null where nothing is left.

    >>> texts = pl.Series(["Salt &amp;amp; Pepper<br>Mill", "5&#34; <b>pan</b>", "I <3 cafÃ©s", " \\t"])
    >>> repair(texts).to_list()
    ['Salt & Pepper Mill', '5" pan', 'I <3 cafés', None]
    >>> repair(pl.Series(["Good.<br /><br />Heavy,  though. "]), one_line=False).to_list()
    ['Good.\\nHeavy, though.']
    """
    rows = texts.str.contains(ODD).fill_null(False).arg_true()
    if not len(rows):
        return texts
    return texts.clone().scatter(rows, repaired(texts.gather(rows), one_line=one_line))  # writes in place


def repaired(texts: pl.Series, *, one_line: bool) -> pl.Series:
    """What :func:`repair` says, of each text without asking whether it needs it."""
    texts = _where(texts, MOJIBAKE, ftfy.fix_encoding)
    texts = _where(texts, ENTITY.pattern, unescape)
    text = pl.col("text")
    plain = text.str.replace_all(HIDDEN, " ").str.replace_all(INLINE_TAG, "").str.replace_all(TAG, "\n")
    plain = pl.when(text.str.contains("<", literal=True)).then(plain).otherwise(text)
    plain = plain.str.replace_all(INVISIBLE, "").str.normalize("NFC")
    if one_line:
        plain = plain.str.replace_all(r"\s+", " ").str.strip_chars()
    else:
        plain = plain.str.replace_all(r"\s*\n\s*", "\n").str.replace_all(r"[^\S\n]+", " ").str.strip_chars()
    filled = pl.when(plain != "").then(plain).alias(texts.name)
    return texts.to_frame("text").select(filled).to_series()


def repair_lists(lists: pl.Series) -> pl.Series:
    """The same for each text of a list: no blanks, no repeats, null where nothing is left."""
    rows = lists.rename("text").to_frame().with_row_index("row")
    texts = rows.explode("text").drop_nulls()
    texts = texts.with_columns(repair(texts["text"])).drop_nulls().unique(maintain_order=True)
    return _regroup(rows, texts.group_by("row", maintain_order=True).agg("text"), lists.name)


def repair_attributes(attributes: pl.Series) -> pl.Series:
    """The same for names and values of attributes, ATTRIBUTES: those that lose one of the two leave."""
    rows = attributes.rename("text").to_frame().with_row_index("row")
    pairs = rows.explode("text").drop_nulls().unnest("text")
    pairs = pairs.with_columns(repair(pairs["name"]), repair(pairs["value"])).drop_nulls()
    pairs = pairs.unique(maintain_order=True).select("row", text=pl.struct("name", "value"))
    return _regroup(rows, pairs.group_by("row", maintain_order=True).agg("text"), attributes.name)


def repair_titles(titles: pl.Series) -> pl.Series:
    """The same, without titles that are a page's script."""
    script = titles.str.contains(PAGE_SCRIPT).fill_null(False)
    return repair(
        titles.to_frame("text").select(pl.when(~script).then("text").alias(titles.name)).to_series()
    )


def _regroup(rows: pl.DataFrame, lists: pl.DataFrame, name: str) -> pl.Series:
    """The column `text` of `lists` at the rows of `rows`, null where it has none."""
    return rows.select("row").join(lists, on="row", how="left", maintain_order="left")["text"].rename(name)


def unescape(text: str) -> str:
    """Characters for entities that end in a semicolon, also where they were escaped up to three times.

    >>> unescape("A &amp;amp; B, &copy 2020, ?a=1&amp=2")
    'A & B, &copy 2020, ?a=1&amp=2'
    """
    for _ in range(3):
        plain = ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if plain == text:
            break
        text = plain
    return text


def _where(texts: pl.Series, pattern: str, repair_one: Callable[[str], str]) -> pl.Series:
    """Calls `repair_one` on the texts that match `pattern` only: it runs in Python."""
    rows = texts.str.contains(pattern).fill_null(False).arg_true()
    if not len(rows):
        return texts
    repaired = pl.Series([repair_one(text) for text in texts.gather(rows)], dtype=pl.String)
    return texts.clone().scatter(rows, repaired)  # scatter writes in place
