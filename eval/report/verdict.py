"""The report in a sentence. "Better" and "worse" are said only where a test allows them."""

from aisle.eval.report.schema import Report


def verdict(report: Report) -> str:
    """How the best of our models compares with the best baseline on the primary measure."""
    contest = report.contest()
    if contest is None:
        model, estimates = next(iter(report.models.items()))
        value = estimates[report.primary].value
        return f"{model} reaches {report.primary} {value:.4f}; there is nothing to compare."
    model, other = contest
    one, two = (report.models[name][report.primary].value for name in contest)
    figures = f"{report.primary} {one:.4f} against {two:.4f}"
    rival = (
        f"{other}, the best baseline" if set(report.ours) & {model} and other not in report.ours else other
    )
    test = report.comparison(model, other, report.primary)
    if test is None:
        return f"{model} and {rival}: {figures}. No test was made on this measure."
    if test.outcome == "undecided":
        return f"No difference shown between {model} and {rival}: {figures}."
    relative = f" ({test.difference / two:+.1%})" if two > 0 else ""
    return f"{model} is {test.outcome} than {rival}: {figures}{relative}."


def evidence(report: Report) -> str:
    """The interval and the test behind the verdict; empty where there was no test."""
    contest = report.contest()
    test = contest and report.comparison(*contest, report.primary)
    if not test:
        return ""
    redrawn = "users and seeds" if {test.model, test.other} & set(report.seeds) else "users"
    also = "" if test.p_bootstrap_holm is None else f", of the bootstrap test {test.p_bootstrap_holm:.4f}"
    return (
        f"Difference {test.difference:+.4f}, {report.method.confidence:.0%} interval {test.low:+.4f} to "
        f"{test.high:+.4f} (paired bootstrap over {redrawn}, {report.method.resamples} resamples); paired "
        f"permutation test p = {test.p:.4f}, {test.p_holm:.4f} after Holm's correction over "
        f"{len(report.comparisons)} comparisons{also}."
    )
