"""Where a report's numbers come from: counts, timings, settings, versions and protocol as plain tables."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import orjson
from pydantic import JsonValue

from aisle.eval.report.schema import Report


class Grid(NamedTuple):
    """A table of the page: its first column names the rows."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    align: str = ""
    open: bool = False


def counts(report: Report) -> list[Grid]:
    """Rows in, kept and rejected by reason; parts of the split; whatever else was counted."""
    tables = [
        (name, table)
        for name, table in report.counts.items()
        if isinstance(table, dict) and {"rows_in", "kept", "rejected"} <= set(table)
    ]
    shown = [_rows(name, table) for name, table in tables]
    done = {name for name, _ in tables}
    for key, caption, first in (("parts", "Parts of the split", "part"), ("files", "Files", "file")):
        rows = _keyed(report.counts.get(key), first)
        if rows:
            shown.append(_matrix(caption, first, rows))
            done.add(key)
    rest = {key: value for key, value in report.counts.items() if key not in done}
    if rest:
        shown.append(Grid("Other counts", ["what", "count"], list(_flat(rest)), "wrap"))
    return shown


def background(report: Report) -> list[Grid]:
    """Protocol, timings, runs, settings and versions; those that are empty are left out."""
    runs: dict[str, JsonValue] = {name: run.model_dump() for name, run in report.runs.items()}
    settings = {**report.settings, "method": report.method.model_dump()}
    grids = [
        Grid("Protocol", ["what", "value"], list(_flat(report.protocol)), "wrap", open=True),
        Grid(
            "Timings",
            ["stage", "seconds"],
            [[name, f"{s:,.1f}"] for name, s in report.timings.items()],
            open=True,
        ),
        Grid(
            "Peak memory",
            ["stage", "MiB"],
            [[name, f"{size / 2**20:,.0f}"] for name, size in report.peak_memory.items()],
        ),
        _matrix("Runs", "model", runs),
        Grid("Settings", ["key", "value"], list(_flat(settings)), "wrap"),
        Grid(
            "Versions",
            ["what", "version"],
            [[name, value] for name, value in report.versions.items()],
            "wrap",
        ),
    ]
    return [grid for grid in grids if grid.rows]


def epochs(report: Report) -> Grid:
    """The learning curve, one row an epoch."""
    columns = list(dict.fromkeys(key for row in report.learning_curve for key in row))
    rows = [[_text(row.get(column)) for column in columns] for row in report.learning_curve]
    return Grid("Learning curve", columns, rows)


def _rows(name: str, table: Mapping[str, JsonValue]) -> Grid:
    rejected = table["rejected"] if isinstance(table["rejected"], dict) else {}
    repaired = table.get("repaired")
    rows = [["in", _text(table["rows_in"])], ["kept", _text(table["kept"])]]
    rows += [[f"rejected: {reason}", _text(count)] for reason, count in rejected.items()]
    if isinstance(repaired, dict):
        rows += [[f"kept, repaired: {column}", _text(count)] for column, count in repaired.items()]
    return Grid(f"Rows of {name}", ["", "rows"], rows)


def _keyed(value: JsonValue, first: str) -> dict[str, JsonValue]:
    """Objects by name: those of an object of objects, or those of a list by what they hold under `first`."""
    if isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values()):
        return value
    if isinstance(value, list) and all(isinstance(entry, dict) and first in entry for entry in value):
        return {
            str(entry[first]): {key: cell for key, cell in entry.items() if key != first}
            for entry in value
            if isinstance(entry, dict)
        }
    return {}


def _matrix(caption: str, first: str, rows: Mapping[str, JsonValue]) -> Grid:
    columns = list(dict.fromkeys(key for row in rows.values() if isinstance(row, dict) for key in row))
    cells = [
        [name, *(_text(row.get(column)) for column in columns)]
        for name, row in rows.items()
        if isinstance(row, dict)
    ]
    return Grid(caption, [first, *(column.replace("_", " ") for column in columns)], cells)


def _flat(tree: Mapping[str, JsonValue], prefix: str = "") -> Iterator[list[str]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield [f"{prefix}{key}", _text(value)]


def _text(value: JsonValue) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(entry, str | int | float) for entry in value):
        return ", ".join(map(str, value)) or "none"
    return orjson.dumps(value).decode()
