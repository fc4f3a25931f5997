"""Plain tables for the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table


def grid(columns: list[str], rows: list[list[str]]) -> "Table":
    """Rows of text under their columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def frame_table(frame: "pl.DataFrame") -> "Table":
    """A frame, numbers with five digits."""
    rows = [[f"{cell:.5g}" if isinstance(cell, float) else str(cell) for cell in row] for row in frame.rows()]
    return grid(frame.columns, rows)


def span(interval: tuple[float, float] | None) -> str:
    """An interval of differences, or a dash."""
    return "-" if interval is None else f"{interval[0]:+.5g} to {interval[1]:+.5g}"
