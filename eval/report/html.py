"""The report as one HTML file."""

from typing import Any

from aisle.eval.report.findings import findings
from aisle.eval.report.page import render
from aisle.eval.report.schema import Report
from aisle.eval.report.sections.background import background, costs, counts
from aisle.eval.report.sections.calibration import calibration_figure
from aisle.eval.report.sections.curves import accuracy
from aisle.eval.report.sections.customers import customers_parts
from aisle.eval.report.sections.leaks import leak_parts, without_leaks
from aisle.eval.report.sections.learning import learning
from aisle.eval.report.sections.models import (
    at_cut_off,
    differences,
    duel,
    leaders,
    other_tests,
    sampled_metrics,
)
from aisle.eval.report.sections.roles import key
from aisle.eval.report.sections.seeds import by_seed
from aisle.eval.report.sections.slices import parts
from aisle.eval.report.sections.spread import spread
from aisle.eval.report.verdict import evidence, verdict


def html(report: Report) -> str:
    """The whole page; well-formed XML as well as HTML, so that any parser can read the figures back.

    Each measured number is in a `<data value="...">` with all its digits.
    """
    return render("report.html.jinja", **_parts(report))


def _parts(report: Report) -> dict[str, Any]:
    forest = differences(report)
    return {
        "dataset": report.protocol.get("dataset"),
        "verdict": verdict(report),
        "evidence": evidence(report),
        "facts": _facts(report),
        "findings": findings(report),
        "warnings": [
            warning
            for warning in without_leaks(report.warnings, report.leaks)
            if report.sampled is None or warning not in report.sampled.notes
        ],
        "leaks": leak_parts(report.leaks) if report.leaks else None,
        "duel": duel(report),
        "key": key(report),
        "level": f"{report.method.confidence:.0%}",
        "primary": report.primary,
        "leaders": [*leaders(report), *(figure for figure in (forest, by_seed(report)) if figure)],
        "all_metrics": at_cut_off(report),
        "other_tests": other_tests(report),
        "sampled": sampled_metrics(report),
        "n_tests": len(report.comparisons),
        "curves": accuracy(report),
        "slices": parts(report),
        "slices_tested": any(part.comparison for part in report.slices.values()),
        "spread": spread(report),
        "calibration": calibration_figure(report.calibration) if report.calibration else None,
        "examples": report.examples,
        "customers": customers_parts(report.customers) if report.customers else None,
        "learning": learning(report),
        "counts": counts(report),
        "costs": costs(report),
        "background": background(report),
        "fingerprint": report.protocol.get("fingerprint"),
    }


def _facts(report: Report) -> list[tuple[str, str]]:
    sizes = (
        ("users tested", "users"),
        ("items they wanted", "relevant"),
        ("items in the catalogue", "catalogue"),
    )
    found = [(name, report.protocol.get(key)) for name, key in sizes]
    facts = [(name, f"{size:,}") for name, size in found if isinstance(size, int)]
    return [*facts, ("models", str(len(report.models)))]
