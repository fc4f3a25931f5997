"""Two evaluations side by side, as one HTML file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from aisle.eval.changes import Change
from aisle.eval.metrics.measure import parse
from aisle.eval.report.compare import headline, main_change, outcome
from aisle.eval.report.page import render
from aisle.eval.report.plots import Bar, Dot, Group, Line, bars, dots, lines
from aisle.eval.report.schema import Report
from aisle.eval.report.sections.background import duration, flat
from aisle.eval.report.sections.curves import ACCURACY
from aisle.eval.report.sections.figure import Figure, Grid
from aisle.eval.report.sections.slices import kind_of, measure_of
from aisle.eval.report.words import PLAIN


def compare_html(before: Report, after: Report, changes: Sequence[Change]) -> str:
    """The whole page, well-formed as :func:`aisle.eval.report.page.render` makes it.

    Args:
        before: of the first run.
        after: of the second, under the same protocol.
        changes: of both (:func:`aisle.eval.changes.changes`).
    """
    change = main_change(before, changes)
    level = f"{before.method.confidence:.0%}"
    return render(
        "compare.html.jinja",
        dataset=before.protocol.get("dataset"),
        headline=headline(before, changes),
        change=change,
        level=level,
        method=before.method,
        users=before.protocol.get("users"),
        n_tests=sum(one.test is not None for one in changes),
        key=[("ours", "after"), ("rival", "before")],
        differences=list(_differences(before, changes, level)),
        all_changes=_table(changes),
        curves=list(_curves(before, after, change.model)),
        slices=list(_slices(before, after, change.model, level)),
        causes=list(_causes(before, after)),
        warnings=[f"{name}: {one}" for name, one in _warnings(before, after)],
        fingerprint=before.protocol.get("fingerprint"),
    )


def _differences(before: Report, changes: Sequence[Change], level: str) -> Iterator[Figure]:
    """One plot a tested measure: after minus before of every model."""
    main = main_change(before, changes).model
    for measure in before.tested():
        here = [change for change in changes if change.measure == measure]
        if not here:
            continue
        rows = [
            Dot(
                change.model,
                change.difference,
                change.test.low if change.test else None,
                change.test.high if change.test else None,
                "ours" if change.model == main else "part" if change.model in before.ours else "other",
            )
            for change in sorted(here, key=lambda change: -change.difference)
        ]
        axis = "after minus before" + (f", {level} intervals" if any(one.test for one in here) else "")
        svg = dots(rows, name=f"{measure}, after minus before", axis=axis, zero=True)
        yield Figure(measure, svg, [_table(here)])


def _table(changes: Sequence[Change]) -> Grid:
    rows = [
        [
            change.model,
            change.measure,
            f"{change.before:.4f}",
            f"{change.after:.4f}",
            f"{change.difference:+.4f}",
            f"{change.test.low:+.4f} to {change.test.high:+.4f}" if change.test else "",
            f"{change.test.p_holm:.4f}" if change.test else "",
            f"{change.users.risen:,} / {change.users.fallen:,}" if change.users else "",
            outcome(change),
        ]
        for change in changes
    ]
    columns = [
        "model",
        "measure",
        "before",
        "after",
        "change",
        "interval",
        "p, Holm",
        "users up / down",
        "after is",
    ]
    return Grid("", columns, rows)


def _curves(before: Report, after: Report, model: str) -> Iterator[Figure]:
    """Each metric of accuracy of a model by cut-off, before and after."""
    one, other = before.models[model], after.models[model]
    primary = parse(before.primary).metric
    for metric in dict.fromkeys([primary, *ACCURACY]):
        shown = [name for name in one if parse(name).metric == metric and name in other]
        if len(shown) < 2:
            continue
        ks = [parse(name).k for name in shown]
        series = []
        for name, role, found in (("before", "rival", one), ("after", "ours", other)):
            chosen = [found[measure] for measure in shown]
            low = [estimate.low for estimate in chosen if estimate.low is not None]
            high = [estimate.high for estimate in chosen if estimate.high is not None]
            values = [estimate.value for estimate in chosen]
            series.append(Line(name, ks, values, "ours" if role == "ours" else "rival", low, high, end=name))
        rows = [[measure, f"{one[measure].value:.4f}", f"{other[measure].value:.4f}"] for measure in shown]
        svg = lines(series, name=f"{metric} of {model} by cut-off", axis="k, length of the list", log=True)
        yield Figure(metric, svg, [Grid("", ["measure", "before", "after"], rows)], PLAIN.get(metric, ""))


def _slices(before: Report, after: Report, model: str, level: str) -> Iterator[Figure]:
    """Parts of the truth of which both reports tell."""
    shared = [name for name in before.slices if name in after.slices]
    if not shared:
        return
    measure = measure_of(before)
    kinds: dict[str, list[str]] = {}
    for name in shared:
        kinds.setdefault(kind_of(name), []).append(name)
    for kind, names in kinds.items():
        groups, rows = [], []
        for name in names:
            one, other = (report.slices[name].models[model].get(measure) for report in (before, after))
            if one is None or other is None:
                continue
            users = f"{before.slices[name].users:,} users"
            pair = [
                Bar("after", other.value, other.low, other.high, "ours"),
                Bar("before", one.value, one.low, one.high, "rival"),
            ]
            groups.append(Group(name.partition(":")[2].strip() or name, users, pair))
            rows.append([name, users, f"{one.value:.4f}", f"{other.value:.4f}"])
        if groups:
            svg = bars(groups, name=f"{measure} by {kind}", axis=f"{measure}, {level} intervals")
            yield Figure(kind, svg, [Grid("", ["part", "users", "before", "after"], rows)])


def _causes(before: Report, after: Report) -> Iterator[Grid]:
    """What was different between the runs."""
    settings = _differing(before.settings, after.settings)
    if settings:
        yield Grid("Settings", ["key", "before", "after"], settings, text=True)
    versions = _differing(dict(before.versions), dict(after.versions))
    if versions:
        yield Grid("Versions", ["what", "before", "after"], versions, text=True)
    counts = _differing(before.counts, after.counts)
    if counts:
        yield Grid("Counts", ["what", "before", "after"], counts, text=True)
    names = [name for name in after.timings if name in before.timings]
    times = [[name, duration(before.timings[name]), duration(after.timings[name])] for name in names]
    if times:
        yield Grid("Time", ["stage or model", "before", "after"], times)


def _differing(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> list[list[str]]:
    """Keys whose values differ, with both values as they are shown."""
    first, second = dict(flat(one)), dict(flat(other))
    keys = dict.fromkeys([*first, *second])
    return [
        [key, first.get(key, "–"), second.get(key, "–")] for key in keys if first.get(key) != second.get(key)
    ]


def _warnings(before: Report, after: Report) -> Iterator[tuple[str, Any]]:
    both = [one for one in before.warnings if one in after.warnings]
    yield from (("both", one) for one in both)
    yield from (("before", one) for one in before.warnings if one not in both)
    yield from (("after", one) for one in after.warnings if one not in both)
