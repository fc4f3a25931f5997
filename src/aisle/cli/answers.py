"""What verbs answer about stages and reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.eval.report import Report
    from aisle.stage import Done

WARNINGS = 5
"""Warnings that are printed, besides leaks; the report has all."""


def facts_of(done: Mapping[str, "Done"]) -> dict[str, Any]:
    """How each of some stages went, for machines."""
    return {"stages": {name: one.facts() for name, one in done.items()}}


def stage_answer(out: Path, done: "Done") -> Answer:
    """How one stage went."""
    from aisle.summary import of_stage

    return Answer({"out": str(out), **facts_of({done.manifest.stage: done})}, of_stage(done))


def report_answer(folder: Path) -> Answer:
    """The tables of a report, and where it is."""
    from aisle.eval.report import Report, tables

    report = Report.read(folder)
    paths = {"json": str(folder / "report.json"), "html": str(folder / "report.html")}
    models = {
        model: {measure: estimate.model_dump() for measure, estimate in found.items()}
        for model, found in report.models.items()
    }
    facts = {
        "report": paths,
        "models": models,
        "warnings": report.warnings,
        "leaks": None if report.leaks is None else report.leaks.model_dump(mode="json"),
        "fingerprint": report.protocol.get("fingerprint"),
    }
    return Answer(facts, [*tables(report), *warned(report), f"report: {paths['html']}"])


def warned(report: "Report") -> list[str]:
    """Leaks, then the first of what else a reader has to know before trusting the values."""
    leaks = [warning for warning in report.warnings if warning.startswith(("Leak", "Suspicion"))]
    others = [warning for warning in report.warnings if warning not in leaks]
    shown = [*leaks, *others[:WARNINGS]]
    more = [f"{len(others) - WARNINGS} more warnings in the report"] if len(others) > WARNINGS else []
    return [*(f"warning: {warning}" for warning in shown), *more]
