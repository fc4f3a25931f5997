"""A figure of the page: a plot, what to see in it, and the tables behind it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from aisle.eval.report.schema import Comparison, Estimate


class Estimates(NamedTuple):
    """A table of models and measures.

    Attributes:
        caption: what it says.
        measures: its columns.
        models: name, role, estimates.
        part: the part of the truth that it is about; empty for the whole.
    """

    caption: str
    measures: Sequence[str]
    models: Sequence[tuple[str, str, Mapping[str, Estimate]]]
    part: str = ""
    kind: str = "estimates"


class Grid(NamedTuple):
    """A table of words and figures as they are shown; its first column names the rows.

    Attributes:
        caption: what it says.
        columns: their names.
        rows: cells.
        text: columns after the first that hold words.
        bars: for each row the length of a bar beside its first figure, 0 to 1; empty where there are none.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: bool = False
    bars: Sequence[float] = ()
    kind: str = "grid"


class Tests(NamedTuple):
    """A table of comparisons; `model` heads the first column, and is empty where each row names its own."""

    caption: str
    model: str
    comparisons: Sequence[Comparison]
    kind: str = "tests"


class Figure(NamedTuple):
    """One plot.

    Attributes:
        title: its heading.
        svg: the plot.
        tables: what is behind it, folded.
        note: a sentence below the heading.
        key: roles and what they stand for, where the section has no key of its own.
    """

    title: str
    svg: Markup
    tables: Sequence[Estimates | Grid | Tests]
    note: str = ""
    key: Sequence[tuple[str, str]] = ()
