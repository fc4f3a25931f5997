"""How lists are spread over the catalogue: who is shown, and how popular it was."""

from aisle.eval.report.plots import Line, lines
from aisle.eval.report.schema import Popularity, Report
from aisle.eval.report.sections.curves import DRAWN_LAST, beyond
from aisle.eval.report.sections.figure import Figure, Grid
from aisle.eval.report.sections.roles import role_of

TENTH = 0.1
"""Of the catalogue, its most popular items."""


def spread(report: Report) -> list[Figure]:
    """Popularity of what is shown, then every metric that is not one of accuracy."""
    found = report.popularity
    return [*([_concentration(report, found)] if found else []), *beyond(report)]


def of_tenth(shares: list[float], found: Popularity) -> float:
    """Share that the most popular tenth of the catalogue has."""
    return shares[min(range(len(found.catalogue)), key=lambda at: abs(found.catalogue[at] - TENTH))]


def _concentration(report: Report, found: Popularity) -> Figure:
    series = []
    for model in sorted(found.models, key=lambda model: DRAWN_LAST[role_of(report, model)]):
        role = role_of(report, model)
        end = model if role in ("ours", "rival") else ""
        series.append(Line(model, [0, *found.catalogue], [0, *found.models[model]], role, end=end))
    wanted = Line(
        "what users wanted", [0, *found.catalogue], [0, *found.wanted], "wanted", dashed=True, end="wanted"
    )
    svg = lines(
        [*series, wanted],
        name=f"Share of the first {found.k} places by popularity",
        axis="share of the catalogue, most popular first",
        shares=True,
    )
    rows = [["what users wanted", *(f"{share:.0%}" for share in found.wanted)]]
    rows += [[model, *(f"{share:.0%}" for share in found.models[model])] for model in report.ranking()]
    columns = ["most popular", *(f"{share:.0%}" for share in found.catalogue)]
    note = (
        f"Share of the first {found.k} places that popular items take. "
        "Above the dashed line: more than users want of them."
    )
    return Figure("popularity", svg, [Grid("", columns, rows)], note)
