"""Plots put values where they belong, and keep within their bounds."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from aisle.eval.report.plots import Bar, Bin, Dot, Group, Line, bars, dots, lines, reliability
from aisle.eval.report.plots.axes import Scale, percent, plain, ticks
from aisle.eval.report.plots.svg import WIDTH, width_of

SVG = "{http://www.w3.org/2000/svg}"


def inside(svg: str) -> ET.Element:
    """The drawing, after a look at what every drawing promises: all words and marks are within its width."""
    root = ET.fromstring(svg)
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, "0")) <= WIDTH
        if element.tag == f"{SVG}text":
            start = float(element.attrib["x"])
            wide = width_of(element.text or "")
            left = {"start": 0, "middle": wide / 2, "end": wide}[element.attrib["text-anchor"]]
            assert start - left >= -1, element.text
            assert start - left + wide <= WIDTH + 1, element.text
    return root


def marks(root: ET.Element, role: str, tag: str = "circle") -> list[ET.Element]:
    return [
        mark for group in root.iter(f"{SVG}g") if group.get("class") == role for mark in group.iter(SVG + tag)
    ]


def test_a_scale_maps_ends_to_ends_and_ratios_to_distances():
    assert [Scale(0, 10, 100, 200)(value) for value in (0, 5, 10, 11)] == [100, 150, 200, 200]
    log = Scale(1, 100, 0, 200, log=True)
    assert [round(log(value)) for value in (1, 10, 100)] == [0, 100, 200]
    assert Scale(3, 3, 0, 200)(3) == 100


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.031, 0.187, [0.05, 0.1, 0.15]),
        (-0.5, 0.4, [-0.4, -0.2, 0, 0.2, 0.4]),
        (0, 61.25, [0, 20, 40, 60]),
        (7, 7, [7]),
    ],
)
def test_ticks_are_round_and_few(low, high, expected):
    assert ticks(low, high, 5) == expected


def test_ticks_are_written_alike():
    assert [*map(plain([0, 0.05, 0.1]), [0, 0.05, 0.1])] == ["0.00", "0.05", "0.10"]
    assert [*map(plain([0, 2000]), [0, 2000])] == ["0", "2,000"]
    assert [*map(percent([0, 0.005]), [0, 0.005])] == ["0.0%", "0.5%"]


def test_dots_stand_in_proportion_and_published_ones_are_hollow():
    rows = [
        Dot("a", 0.3, 0.2, 0.4, "ours"),
        Dot("b", 0.2, None, None, "rival"),
        Dot("c", 0.1, None, None, "other"),
    ]
    root = inside(dots([*rows, Dot("d", 0.25, None, None, "published")], name="n", axis="m"))
    ours, rival, other = (float(marks(root, role)[0].attrib["cx"]) for role in ("ours", "rival", "other"))
    assert ours - rival == pytest.approx(rival - other, abs=0.2)
    reach = re.findall(r"[\d.]+", marks(root, "ours", "path")[0].attrib["d"])
    assert float(reach[2]) - float(reach[0]) == pytest.approx(2 * (ours - rival), abs=0.3)
    assert not marks(root, "published")
    assert marks(root, "published", "path")[0].get("class") == "hollow"
    assert "a: 0.3000, 0.2000 to 0.4000" in {title.text for title in root.iter(f"{SVG}title")}


def test_names_of_any_length_fit():
    long = "a model whose name is much longer than any name should be " * 2
    assert "…" in "".join(inside(dots([Dot(long, 0.3, 0.2, 0.4, "ours")], name="n", axis="m")).itertext())
    inside(dots([Dot("一个名字很长很长很长很长的模型", 0.3, 0.2, 0.4, "ours")], name="n", axis="m"))
    inside(lines([Line(long, [1, 2], [0, 1], "ours", end=long)], name="n", axis="k"))
    inside(bars([Group(long, long, [Bar("m", 0.5, 0.4, 0.6, "ours")])], name="n", axis="m"))


def test_names_at_the_ends_of_lines_do_not_meet():
    series = [Line(name, [1, 10], [0, 0.5], "ours", end=name) for name in "abcd"]
    root = inside(lines(series, name="n", axis="k", log=True))
    places = sorted(float(one.attrib["y"]) for one in root.iter(f"{SVG}text") if "end" in one.attrib["class"])
    assert len(places) == 4
    assert min(after - before for before, after in pairwise(places)) >= 12


def test_bars_begin_at_zero_and_are_as_long_as_their_values():
    rows = [
        Bar("one", 0.2, 0.1, 0.3, "ours"),
        Bar("two", 0.1, None, None, "rival"),
        Bar("three", 0.0, 0.0, 0.0, "part"),
    ]
    root = inside(bars([Group("new users", "12 users", rows)], name="n", axis="m"))
    one, two, three = (marks(root, role, "rect")[0] for role in ("ours", "rival", "part"))
    assert one.attrib["x"] == two.attrib["x"] == three.attrib["x"]
    assert float(one.attrib["width"]) == pytest.approx(2 * float(two.attrib["width"]), abs=0.2)
    assert float(three.attrib["width"]) == 1


def test_all_at_zero_is_drawn():
    inside(bars([Group("a", "", [Bar("m", 0.0, 0.0, 0.0, "ours")])], name="n", axis="m"))
    inside(dots([Dot("a", 0.0, 0.0, 0.0, "ours")], name="n", axis="m"))
    inside(lines([Line("a", [1], [0], "ours", [0], [0], end="a")], name="n", axis="k", log=True))


def test_reliability_is_square_about_its_diagonal():
    root = inside(reliability([Bin(900, 0.1, 0.1, 0.08, 0.12), Bin(30, 0.4, 0.5, 0.3, 0.7)], name="n"))
    few, many = sorted(marks(root, "ours"), key=lambda mark: float(mark.attrib["r"]))
    assert float(few.attrib["r"]) < float(many.attrib["r"])
    assert {title.text for title in root.iter(f"{SVG}title")} == {
        "said 10.0%, taken 10.0% of 900",
        "said 40.0%, taken 50.0% of 30",
    }
