"""Items and histories as text."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from pydantic import ValidationError

from aisle.data.schema import EVENTS, ITEMS
from aisle.data.settings import HistoryTemplates, TextSettings
from aisle.data.text import render_history, render_item, render_items

DEFAULT = TextSettings()
SHAMPOO = {
    "item_id": "s",
    "title": "Mild Shampoo, 5.05 oz.",
    "description": "For dry\n\n hair ",
    "brand": "Acme",
    "categories": ["Beauty", "Hair", "Hair Care", "Dry Hair"],
    "price": 3.5,
    "attributes": [{"name": "color", "value": "clear"}, {"name": "rank", "value": "12"}],
}


def words(text: str) -> int:
    return len(text.split())


def catalogue(*records: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{"item_id": str(row), **record} for row, record in enumerate(records)], schema=ITEMS)


def test_a_template_may_hold_a_per_cent_sign() -> None:
    own = TextSettings(item=("{title}, 100% {brand}%s", "50%"), item_separator=" ")
    assert render_item({"title": "Tea", "brand": "Ac%me"}, own) == "Tea, 100% Ac%me%s 50%"


def event(kind: str, item: str | None = None, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(EVENTS) | {"user_id": "u", "kind": kind, "item_id": item} | values


# items


def test_all_fields_title_first() -> None:
    assert render_item(SHAMPOO, DEFAULT) == (
        "Mild Shampoo, 5.05 oz. Acme. Beauty > Hair Care > Dry Hair. For dry hair. color: clear"
    )


@pytest.mark.parametrize("missing", ["title", "description", "brand", "categories", "price", "attributes"])
@pytest.mark.parametrize("nothing", [None, "", " \t "])
def test_a_missing_field_leaves_no_trace(missing: str, nothing: str | None) -> None:
    value = nothing if missing in ("title", "description", "brand") else None
    text = render_item(SHAMPOO | {missing: value}, DEFAULT)
    shown = ["Mild Shampoo, 5.05 oz", "Acme", "Beauty > Hair Care > Dry Hair", "For dry hair", "color: clear"]
    del_at = {"title": 0, "brand": 1, "categories": 2, "description": 3, "attributes": 4}.get(missing)
    assert text == ". ".join(part for at, part in enumerate(shown) if at != del_at)


def test_nothing_known_is_no_text() -> None:
    assert render_item({}, DEFAULT) == ""
    assert render_item({}, TextSettings(item=("Product:", "{title}"))) == ""
    assert render_items(catalogue({}, SHAMPOO), DEFAULT) == ["", render_item(SHAMPOO, DEFAULT)]
    assert render_items(pl.DataFrame({"item_id": ["a"]}), DEFAULT) == [""]
    assert render_items(catalogue().clear(), DEFAULT) == []


def test_categories_do_not_repeat_the_title_or_narrower_levels() -> None:
    record = {"title": "Acme nail polish", "brand": "ACME", "categories": ["Nails", "Nail Polish", "Gel"]}
    assert render_item(record, DEFAULT) == "Acme nail polish. Nails > Gel"
    assert render_item({"categories": ["Gift", "Gift Cards", "Gift Cards", "&"]}, DEFAULT) == "Gift Cards"
    assert render_item({"categories": list("abcde")}, TextSettings(category_levels=2)) == "d > e"


def test_attributes_that_say_nothing_in_words_are_not_shown() -> None:
    pairs = {"size": "big", "avg_rating": "4.3", "image": "https://x.y/z", "new": "True", "blurb": "b" * 81}
    attributes = [{"name": name, "value": value} for name, value in pairs.items()]
    attributes += [{"name": "empty", "value": None}, {"name": "fit", "value": "slim"}]
    assert render_item({"attributes": attributes}, DEFAULT) == "size: big, fit: slim"
    assert render_item({"attributes": attributes}, TextSettings(max_attributes=1)) == "size: big"
    named = TextSettings(item=("rated {attributes.avg_rating}", "{attributes.none}"))
    assert render_item({"attributes": attributes}, named) == "rated 4.3"


def test_own_template() -> None:
    own = TextSettings(item=("{title} {{new}}", "by {brand}", "for {price}"), item_separator=" | ")
    assert render_item(SHAMPOO, own) == "Mild Shampoo, 5.05 oz. {new} | by Acme | for 3.50"
    assert render_item({"title": "T"}, own) == "T {new}"


@pytest.mark.parametrize(
    "parts", [("{titel}",), ("{}",), ("plain",), (), ("{title", ""), ("{title!r}",), ("{title}", "")]
)
def test_a_wrong_template_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        TextSettings(item=parts)
    with pytest.raises(ValidationError):
        HistoryTemplates(view=parts)


def test_a_huge_description_costs_nothing() -> None:
    huge = catalogue({"title": "T", "description": "word " * 200_000})
    (text,) = render_items(huge, TextSettings(max_chars=20))
    assert text == "T. word word word wo"
    assert render_item(huge.row(0, named=True), TextSettings(max_chars=20)) == text


field = st.none() | st.text(alphabet="aB é.中 \n>|{}", max_size=12)
record = st.fixed_dictionaries(
    {
        "title": field,
        "description": field,
        "brand": field,
        "categories": st.none() | st.lists(st.sampled_from(["A", "a b", "B", "中", ""]), max_size=4),
        "price": st.none() | st.floats(0.01, 100),
        "attributes": st.none()
        | st.lists(st.fixed_dictionaries({"name": field, "value": field}), max_size=3),
    }
)


@budget(max_examples=60, deadline=None)
@given(st.lists(record, min_size=1, max_size=5))
def test_the_fast_path_equals_one_by_one(records: list[dict[str, Any]]) -> None:
    chosen = TextSettings(max_chars=30, item=(*DEFAULT.item, "{price}", "{attributes.a}"))
    for settings in (chosen, TextSettings(max_chars=30, item=("{title}", "{brand}"))):
        texts = render_items(catalogue(*records), settings)
        assert texts == [render_item(each, settings) for each in records]
        for text in texts:
            assert len(text) <= 30
            assert "None" not in text
            assert text == " ".join(text.split())


# items known by their reviews only


def reviews(*rows: tuple[str, int, str | None]) -> pl.DataFrame:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        [event("review", item, timestamp=start + timedelta(days=day), text=text) for item, day, text in rows],
        schema=EVENTS,
    )


def test_an_item_without_text_speaks_through_its_reviews() -> None:
    said = reviews(
        ("0", 1, "good  strings"),
        ("0", 2, "bright strings"),
        ("0", 3, "good strings"),
        ("0", 4, "ok"),
        ("0", 5, None),
        ("0", 6, " "),
        ("1", 1, "never shown"),
        ("2", 1, "old long review that goes on"),
        ("2", 2, "new long review that goes on"),
        ("9", 1, "of no item here"),
    )
    items = catalogue({"brand": "Acme"}, {"title": "Pick"}, {"title": " ", "description": ""})
    assert render_items(items, TextSettings(review_chars=20, max_reviews=2), said) == [
        "Acme. bright strings good strings",  # distinct, the longer before the shorter
        "Pick",
        "new long review that old long review that",  # both fill the excerpt: the newer first
    ]
    assert render_items(items, DEFAULT) == ["Acme", "Pick", ""]


def test_real_items_known_by_reviews_only(shared_data: Path) -> None:
    table = pl.read_csv(shared_data / "amazon-instruments-2014" / "reviews.csv.gz", infer_schema=False)
    events = table.select(
        user_id="reviewerID",
        item_id="asin",
        kind=pl.lit("review").cast(EVENTS["kind"]),
        timestamp=pl.from_epoch(pl.col("unixReviewTime").cast(pl.Int64)).cast(EVENTS["timestamp"]),
        position=pl.lit(None, pl.Int64),
        text=pl.concat_str("summary", "reviewText", separator=". ", ignore_nulls=True),
    )
    items = events.select(pl.col("item_id").unique().sort())
    texts = render_items(items, DEFAULT, events)
    assert len(texts) == 900
    assert min(map(len, texts)) >= 500
    assert max(map(len, texts)) <= DEFAULT.max_chars
    assert texts == render_items(items, DEFAULT, events)


# histories

TEXTS = {"a": "Apple. Fruit", "b": "Brush", "long": "l" * 500, "blank": ""}


def history(*events: dict[str, Any], tokens: int = 100, **settings: Any) -> str:
    return render_history(events, TEXTS.__getitem__, TextSettings(history_tokens=tokens, **settings), words)


def test_kinds_are_told_apart_newest_first() -> None:
    text = history(
        event("search", text="red  apple"),
        event("view", "a"),
        event("click", "b"),
        event("cart", "a"),
        event("purchase", "a", quantity=2.0, price=3.0),
        event("review", "a", rating=2.0, text="smelled odd"),
    )
    assert text == (
        'reviewed Apple. Fruit (2 of 5 stars) "smelled odd"; bought Apple. Fruit; '
        "added to cart Apple. Fruit; "
        'clicked Brush; viewed Apple. Fruit; searched "red apple"'
    )


def test_unknown_parts_of_an_event_leave_no_trace() -> None:
    assert history(event("review", "b", text="nice")) == 'reviewed Brush "nice"'
    assert history(event("review", "b", rating=4.5)) == "reviewed Brush (4.5 of 5 stars)"
    assert history(event("review", "blank", text="nice")) == 'reviewed "nice"'
    assert history(event("view", "blank"), event("search"), event("view", "b")) == "viewed Brush"
    assert history() == ""


def test_the_budget_is_kept_and_the_last_entry_cut() -> None:
    events = [event("search", text="one two three four"), event("view", "b"), event("purchase", "a")]
    whole = 'bought Apple. Fruit; viewed Brush; searched "one two three four"'
    assert history(*events, tokens=words(whole)) == whole
    assert history(*events, tokens=8) == 'bought Apple. Fruit; viewed Brush; searched "one two'
    assert history(*events, tokens=6) == "bought Apple. Fruit; viewed Brush"  # "searched" alone says nothing
    assert history(*events, tokens=5) == "bought Apple. Fruit; viewed Brush"
    assert history(*events, tokens=4) == "bought Apple. Fruit"
    assert history(*events, tokens=2) == "bought Apple."
    assert history(*events, tokens=1) == ""


def test_a_text_without_spaces_is_cut_by_characters() -> None:
    events = [event("search", text="洗发水很好用")]
    cut = render_history(events, TEXTS.__getitem__, TextSettings(history_tokens=12), len)
    assert cut == 'searched "洗发'


def test_long_texts_do_not_eat_the_history() -> None:
    text = history(event("view", "long"), event("search", text="s" * 10**6))
    assert text == f'searched "{"s" * 160}"; viewed {"l" * 120}'


def test_own_history_template() -> None:
    own = HistoryTemplates(purchase=("{quantity} x {item}", "at {price}"))
    text = history(
        event("purchase", "b", quantity=2.0, price=3.0), event("purchase", "b", price=3.0), history=own
    )
    assert text == "at 3.00; 2 x Brush at 3.00"


@budget(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["view", "review", "search"]), max_size=8), st.integers(1, 30))
def test_never_over_budget_and_a_prefix_of_the_whole(kinds: list[str], tokens: int) -> None:
    events = [event(kind, "a", rating=3.0, text="it is fine") for kind in kinds]
    cut, whole = history(*events, tokens=tokens), history(*events, tokens=10_000)
    assert words(cut) <= tokens
    assert whole.startswith(cut)
    assert cut == whole or tokens - words(cut) <= 2
