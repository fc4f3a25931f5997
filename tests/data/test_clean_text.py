"""Texts of shops made plain, one kind of damage at a time, and whatever else may come."""

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.data.clean.text import repair, repair_attributes, repair_lists, repair_titles, repaired, unescape
from aisle.data.schema import ATTRIBUTES


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp;amp;amp; Jerry", "Tom & Jerry"),
        ("5&#34; x 7&#x22;", '5" x 7"'),
        ("it&#146;s", "it’s"),
        ("AT&T; R&D &copy 2020", "AT&T; R&D &copy 2020"),
        ("a&nbsp;b", "a b"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("<p>One</p><p class='x'>Two</p>", "One Two"),
        ("H<sub>2</sub>O", "H2O"),
        ("one<br/>two<BR >three", "one two three"),
        ("x <script type='a'>var i = '<b>';</script>y<style>p {}</style>", "x y"),
        ("a <!-- hidden --> b", "a b"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("I <3 it, List<String>", "I <3 it, List<String>"),
        ("tab\tline\r\nbreak\u00a0hard\u3000wide", "tab line break hard wide"),
        ("bell\x07 null\x00 soft\u00adhyphen\ufeff\u200b", "bell null softhyphen"),
        ("cafe\u0301", "café"),
        ("cafÃ© â€œquotedâ€\x9d", "café “quoted”"),
        ("Ãlgebra, Âge", "Ãlgebra, Âge"),
        ("手机壳　黑色", "手机壳 黑色"),
        ("👩‍👧 می‌خواهم", "👩‍👧 می‌خواهم"),
        ("", None),
        (" <br> ", None),
        (None, None),
    ],
)
def test_texts_become_plain(raw, plain):
    assert repair(pl.Series("x", [raw], dtype=pl.String)).to_list() == [plain]


def test_long_texts_keep_single_line_breaks():
    raw = pl.Series("x", ["Good. <br /><br/>\r\n Heavy,   though.<p>Buy\tit"])
    assert repair(raw, one_line=False).to_list() == ["Good.\nHeavy, though.\nBuy it"]
    assert repair(raw).to_list() == ["Good. Heavy, though. Buy it"]


def test_repair_leaves_its_input_and_the_name_alone():
    raw = pl.Series("title", ["a &amp; b", "c", None])
    assert repair(raw).name == "title"
    assert raw.to_list() == ["a &amp; b", "c", None]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("ab &<>;#3/\t\né\u0301\u200bÃ©~"), max_size=8), st.booleans())
def test_texts_that_look_plain_are_not_touched_for_a_reason(texts, one_line):
    series = pl.Series("x", texts, dtype=pl.String)
    assert repair(series, one_line=one_line).to_list() == repaired(series, one_line=one_line).to_list()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.text()), max_size=8), st.booleans())
def test_repaired_text_is_clean_whatever_came(texts, one_line):
    for text in repair(pl.Series("x", texts, dtype=pl.String), one_line=one_line):
        if text is not None:
            assert text
            assert text == text.strip()
            assert unicodedata.is_normalized("NFC", text)
            assert not any(unicodedata.category(char) == "Cc" for char in text.replace("\n", ""))
            assert "  " not in text
            assert "\n\n" not in text
            assert not (one_line and "\n" in text)


def test_unescape_stops():
    assert unescape("&" + "amp;" * 4 + "lt;") == "&amp;lt;"


def test_lists_lose_blanks_and_repeats():
    lists = pl.Series("categories", [["Health &amp; Care", " ", "Health & Care", "Soap"], [], None, ["<br>"]])
    assert repair_lists(lists).to_list() == [["Health & Care", "Soap"], None, None, None]


def test_attributes_are_repaired_and_lose_empty_ones():
    attributes = pl.Series(
        "attributes",
        [[{"name": "Size:", "value": "5&#34;"}, {"name": "Colour", "value": " "}], None, []],
        dtype=ATTRIBUTES,
    )
    assert repair_attributes(attributes).to_list() == [[{"name": "Size:", "value": '5"'}], None, None]


def test_titles_that_are_a_script_leave():
    titles = pl.Series(
        "title", ["var aPageStart = (new Date()).getTime();\nvar ue_t0=1", "Date palm &amp; time"]
    )
    assert repair_titles(titles).to_list() == [None, "Date palm & time"]
