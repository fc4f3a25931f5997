"""What verbs answer about stages and reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.stage import Done


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
    return Answer({"report": paths, "models": models}, [*tables(report), f"report: {paths['html']}"])
