"""Where a report's numbers come from: counts, costs, settings, versions and protocol as plain tables."""

from collections.abc import Iterator, Mapping

import orjson
from pydantic import JsonValue

from aisle.eval.report.schema import Report
from aisle.eval.report.sections.figure import Grid


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
    in_protocol = {"split", "cuts", "target_kinds"}
    rest = {key: value for key, value in report.counts.items() if key not in done | in_protocol}
    if rest:
        shown.append(Grid("Other counts", ["what", "count"], list(flat(rest)), text=True))
    return shown


def costs(report: Report) -> list[Grid]:
    """Time and memory of each stage and model, with bars; none where nothing was measured."""
    seconds, memory = report.timings, report.peak_memory
    grids = []
    if seconds:
        longest = max(seconds.values()) or 1
        ordered = sorted(seconds, key=lambda name: -seconds[name])
        grids.append(
            Grid(
                f"Time, {duration(sum(seconds.values()))} together",
                ["stage or model", "time"],
                [[name, duration(seconds[name])] for name in ordered],
                bars=[seconds[name] / longest for name in ordered],
            )
        )
    if memory:
        largest = max(memory.values()) or 1
        grids.append(
            Grid(
                "Peak memory",
                ["stage", "MiB"],
                [[name, f"{size / 2**20:,.0f}"] for name, size in memory.items()],
                bars=[size / largest for size in memory.values()],
            )
        )
    return grids


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(0.375), duration(41.96), duration(812.25), duration(7500)
    ('0.38 s', '42.0 s', '13 min 32 s', '2 h 05 min')
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def background(report: Report) -> list[Grid]:
    """Protocol, runs, settings and versions; those that are empty are left out."""
    runs: dict[str, JsonValue] = {name: run.model_dump() for name, run in report.runs.items()}
    grids = [
        Grid("Protocol", ["what", "value"], list(flat(report.protocol)), text=True),
        _matrix("What the runs held", "model", runs),
        Grid("Intervals and tests", ["what", "value"], list(flat(report.method.model_dump())), text=True),
        *_settings(report.settings),
        Grid(
            "Versions",
            ["what", "version"],
            [[name, value] for name, value in report.versions.items()],
            text=True,
        ),
    ]
    return [grid for grid in grids if grid.rows]


def _settings(settings: Mapping[str, JsonValue]) -> Iterator[Grid]:
    """A table for each component; what stands alone comes first."""
    run = settings.get("run")
    groups: dict[str, JsonValue] = {key: value for key, value in settings.items() if key != "run"}
    if isinstance(run, dict):
        groups = {**run, **groups}
    alone = {key: value for key, value in groups.items() if not isinstance(value, dict)}
    if alone:
        yield Grid("Settings", ["key", "value"], list(flat(alone)), text=True)
    for name, group in groups.items():
        if isinstance(group, dict):
            yield Grid(f"Settings of {name}", ["key", "value"], list(flat(group)), text=True)


def _rows(name: str, table: Mapping[str, JsonValue]) -> Grid:
    rejected = table["rejected"] if isinstance(table["rejected"], dict) else {}
    repaired = table.get("repaired")
    rows = [["in", text_of(table["rows_in"])], ["kept", text_of(table["kept"])]]
    rows += [[f"rejected: {reason}", text_of(count)] for reason, count in rejected.items()]
    if isinstance(repaired, dict):
        rows += [[f"kept, repaired: {column}", text_of(count)] for column, count in repaired.items()]
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
        [name, *(text_of(row.get(column)) for column in columns)]
        for name, row in rows.items()
        if isinstance(row, dict)
    ]
    return Grid(caption, [first, *(column.replace("_", " ") for column in columns)], cells)


def flat(tree: Mapping[str, JsonValue], prefix: str = "") -> Iterator[list[str]]:
    """Leaves of a tree as rows of dotted key and value, as a table shows them."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield [f"{prefix}{key}", text_of(value)]


def text_of(value: JsonValue) -> str:
    """A value of JSON as a table shows it."""
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
