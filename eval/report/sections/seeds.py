"""What another seed would have given: each seed of a model beside the mean of all."""

from aisle.eval.report.plots import Dot, dots
from aisle.eval.report.schema import Report
from aisle.eval.report.sections.figure import Figure, Grid
from aisle.eval.report.sections.roles import role_of


def by_seed(report: Report) -> Figure | None:
    """The primary measure of every seed, below its model's mean; None where every model was run once."""
    if not report.seeds:
        return None
    measure = report.primary
    several = [model for model in report.ranking() if model in report.seeds]
    rows = []
    for model in several:
        role, mean = role_of(report, model), report.models[model][measure]
        rows.append(Dot(f"{model}, mean", mean.value, mean.low, mean.high, role))
        rows += [
            Dot(f"{model}, seed {seed}", values[measure], None, None, role)
            for seed, values in report.seeds[model].items()
        ]
    level = f"{report.method.confidence:.0%}"
    svg = dots(rows, name=f"{measure} by seed", axis=f"{measure}, {level} interval of the mean")
    tested = report.tested()
    grid = Grid(
        "",
        ["model, seed", *tested],
        [
            [f"{model}, {seed}", *(f"{values[name]:.4f}" for name in tested)]
            for model in several
            for seed, values in report.seeds[model].items()
        ],
    )
    note = "A model under several seeds is the mean of them; its interval is of users and seeds."
    return Figure(f"{measure} by seed", svg, [grid], note)
