"""Who is who in a report: the judged model, its parts, the one it is held against, and the rest."""

from aisle.eval.report.plots import Role
from aisle.eval.report.published import published
from aisle.eval.report.schema import Report


def role_of(report: Report, model: str) -> Role:
    """Role of a model; where no model is ours, the first one is judged."""
    contest = report.contest()
    judged = contest[0] if contest else next(iter(report.ours), next(iter(report.models)))
    if model == judged:
        return "ours"
    if contest is not None and model == contest[1]:
        return "rival"
    return "part" if model in report.ours else "other"


def leading(report: Report) -> list[str]:
    """Models of plots that show few: the judged one, the next of ours, the one it is held against."""
    contest = report.contest()
    if contest is None:
        return report.ranking()[:1]
    parts = [model for model in report.ours if role_of(report, model) == "part"]
    return [contest[0], *parts[:1], contest[1]]


def key(report: Report) -> list[tuple[str, str]]:
    """Roles of a report and what they stand for."""
    names: dict[str, list[str]] = {}
    for model in report.ranking():
        names.setdefault(role_of(report, model), []).append(model)
    contest = report.contest()
    found = [("ours", names["ours"][0])]
    if "part" in names:
        found.append(("part", f"its parts: {', '.join(names['part'])}"))
    if contest is not None:
        title = "best baseline" if report.ours and contest[1] not in report.ours else "runner-up"
        found.append(("rival", f"{contest[1]}, the {title}"))
    if "other" in names:
        found.append(("other", "other models"))
    if any(published(report.protocol, measure) for measure in report.tested()):
        found.append(("published", "published elsewhere"))
    return found


def measures(report: Report) -> list[str]:
    """All measures, in the order of the report."""
    return list(next(iter(report.models.values())))
