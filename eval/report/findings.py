"""What a report comes to, in a few plain sentences, each with what can be done.

"Better" and "worse" are said only where a test allows them.
"""

from collections.abc import Iterator
from math import ceil
from statistics import NormalDist
from typing import Literal, NamedTuple

from aisle.eval.metrics.measure import parse
from aisle.eval.report.schema import Comparison, Report
from aisle.eval.report.sections.roles import measures
from aisle.eval.report.sections.slices import measure_of, test_of
from aisle.eval.report.sections.spread import of_tenth

Tone = Literal["good", "bad", "open", "note"]

POWER = 0.84
"""Standard errors beyond what a test needs, for it to reject four times of five."""

MOST = 4
"""Parts that a sentence names."""

FEW = 30
"""Users below which a part of the truth says little."""


class Finding(NamedTuple):
    """One sentence or two.

    Attributes:
        tone: whether it is good news, bad news, not decided, or neither.
        head: the news.
        text: what it means and what can be done.
        section: of the page that shows it.
    """

    tone: Tone
    head: str
    text: str
    section: str


def findings(report: Report) -> list[Finding]:
    """Most important first."""
    found = (_leaks, _contest, _parts, _ceiling, _slices, _popularity, _calibration, _customers)
    return [finding for make in found for finding in make(report)]


def smallest_shown(test: Comparison, report: Report) -> float:
    """The difference from which on one like this is shown, among all comparisons of the report.

    The standard error is read from the interval; the level is that of the first step of Holm's correction.
    """
    return _errors(report) * _error(test, report)


def users_needed(test: Comparison, report: Report) -> int | None:
    """Users with whom a difference of this size would be shown four times of five; None where nobody can say.

    The standard error of the difference falls with the root of the users.
    """
    users, error = report.protocol.get("users"), _error(test, report)
    if not isinstance(users, int) or not test.difference or not error:
        return None
    return ceil(users * ((_errors(report) + POWER) * error / test.difference) ** 2)


def _error(test: Comparison, report: Report) -> float:
    """Standard error of a difference."""
    return (test.high - test.low) / (2 * NormalDist().inv_cdf((1 + report.method.confidence) / 2))


def _errors(report: Report) -> float:
    """Standard errors from 0 that a test needs to reject among all comparisons."""
    return NormalDist().inv_cdf(1 - (1 - report.method.confidence) / (2 * len(report.comparisons)))


def _leaks(report: Report) -> Iterator[Finding]:
    found = report.leaks.findings if report.leaks else []
    leaks = sum(one.severity == "leak" for one in found)
    if leaks:
        head = f"Do not trust these figures: {leaks} {'leak was' if leaks == 1 else 'leaks were'} found."
        yield Finding("bad", head, f"{found[0].what} What to do: {found[0].fix}.", "leaks")
    elif found:
        head = f"{len(found)} {'thing' if len(found) == 1 else 'things'} here may be too good to be true."
        yield Finding("open", head, f"{found[0].what} What to do: {found[0].fix}.", "leaks")


def _contest(report: Report) -> Iterator[Finding]:
    contest = report.contest()
    test = contest and report.comparison(*contest, report.primary)
    if not contest or not test:
        return
    model, other = contest
    if test.outcome == "better":
        text = f"Put {model} before a part of your users next: a test of both online says what that is worth."
        yield Finding("good", f"{model} has earned a trial.", text, "tests")
    elif test.outcome == "worse":
        text = f"Stay with {other}. Where {model} loses is below: by part of the users, and user by user."
        yield Finding("bad", f"{model} is not ready.", text, "tests")
    else:
        smallest, tests = smallest_shown(test, report), len(report.comparisons)
        text = f"With these users, differences below about {smallest:.4f} cannot be told from chance among "
        text += f"{tests:,} comparison{'s' * (tests > 1)}."
        needed = users_needed(test, report)
        users = report.protocol.get("users")
        if needed is not None and isinstance(users, int) and needed > users:
            text += f" To show one of {abs(test.difference):.4f} takes about {_round(needed)} users; "
            text += f"here are {users:,}. Fewer models in the report take fewer, too."
        yield Finding("open", f"Do not choose between {model} and {other} by these figures.", text, "tests")


def _parts(report: Report) -> Iterator[Finding]:
    contest = report.contest()
    if contest is None:
        return
    judged = contest[0]
    tests = [
        test
        for model in report.ours
        if model != judged and (test := report.comparison(judged, model, report.primary))
    ]
    by_outcome = {
        outcome: [test.other for test in tests if test.outcome == outcome]
        for outcome in ("better", "worse", "undecided")
    }
    if by_outcome["worse"]:
        names = _list(by_outcome["worse"])
        yield Finding(
            "bad", f"{judged} is worse than {names}, of which it is made.", f"Use {names} alone.", "tests"
        )
    elif by_outcome["undecided"]:
        names = _list(by_outcome["undecided"])
        text = "Where one of these is cheaper to run, nothing here speaks against it."
        yield Finding(
            "open", f"No difference shown between {judged} and {names}, of which it is made.", text, "tests"
        )
    elif by_outcome["better"]:
        names = _list(by_outcome["better"])
        head = f"{judged} is better than each of {names}, of which it is made."
        yield Finding("good", head, "Putting them together pays.", "tests")


def _ceiling(report: Report) -> Iterator[Finding]:
    """How much of what is wanted the lists hold, and how much of that stands at the top."""
    contest = report.contest()
    model = contest[0] if contest else report.ranking()[0]
    recalls = {parse(name).k: name for name in measures(report) if parse(name).metric == "recall"}
    k = parse(report.primary).k
    if k not in recalls or max(recalls) <= k:
        return
    deep = max(recalls)
    top, whole = (report.models[model][recalls[at]].value for at in (k, deep))
    if not whole:
        return
    order, retrieval = whole - top, 1 - whole
    text = f"The first {k} places hold {top:.0%}. A perfect order of these lists would win "
    text += f"{100 * order:.0f} points, a retrieval that misses nothing another {100 * retrieval:.0f}."
    yield Finding("note", f"Lists of {deep} hold {whole:.0%} of what users wanted.", text, "curves")


def _slices(report: Report) -> Iterator[Finding]:
    """Parts on which the judged model loses; and parts whose whole interval lies below that of all users."""
    if not report.slices:
        return
    tests = [(name, test) for name, part in report.slices.items() if (test := test_of(report, part))]
    lost = [name for name, test in tests if test.outcome == "worse"]
    if lost:
        text = f"There {tests[0][1].other} should stay, or {tests[0][1].model} has to learn."
        yield Finding("bad", f"{tests[0][1].model} is worse for {_list(lost[:MOST])}.", text, "slices")
    won = [name for name, test in tests if test.outcome == "better"]
    if won and len(won) < len(tests):
        head = f"{tests[0][1].model} is better for {_list(won[:MOST])}."
        text = f"On {len(tests) - len(won)} of {len(tests)} parts the tests do not say so."
        yield Finding("good", head, text, "slices")
    yield from _least(report)


def _least(report: Report) -> Iterator[Finding]:
    contest = report.contest()
    model = contest[0] if contest else report.ranking()[0]
    measure = measure_of(report)
    overall = report.models[model][measure]
    low = []
    for name, part in report.slices.items():
        here = part.models[model][measure]
        if (
            here.high is not None
            and overall.low is not None
            and here.high < overall.low
            and part.users >= FEW
        ):
            low.append((here.value, name, part.users))
    if low:
        value, name, users = min(low)
        more = f" Also low: {_list([other for _, other, _ in sorted(low)[1:MOST]])}." if len(low) > 1 else ""
        text = f"{measure} is {value:.4f} there ({users:,} users), and {overall.value:.4f} over all.{more}"
        yield Finding("note", f"{model} finds least for {name}.", text, "slices")


def _popularity(report: Report) -> Iterator[Finding]:
    found = report.popularity
    contest = report.contest()
    model = contest[0] if contest else report.ranking()[0]
    if found is None or model not in found.models:
        return
    shown, wanted = of_tenth(found.models[model], found), of_tenth(found.wanted, found)
    head = f"The most popular tenth of the catalogue takes {shown:.0%} of the first {found.k} places."
    text = f"Users wanted it in {wanted:.0%} of the cases."
    coverage = report.models[model].get(f"coverage@{found.k}")
    if coverage is not None:
        text += f" {coverage.value:.0%} of the catalogue is shown to anybody at all."
    if shown > wanted + 0.1:
        text += " The tail is hidden from users who want it: look at items that are never shown."
    yield Finding("note", head, text, "spread")


def _calibration(report: Report) -> Iterator[Finding]:
    found = report.calibration
    if found is not None:
        head = (
            f"Probabilities of {found.model} are off by {100 * found.error:.2f} percentage points on average."
        )
        yield Finding(
            "note", head, "Where the dots leave the dashed line, do not compute with them.", "calibration"
        )


def _customers(report: Report) -> Iterator[Finding]:
    found = report.customers
    if found is None or not found.tested:
        return
    if found.worse or found.better:
        head = (
            f"Buyers' opinion of {found.worse} items and aspects got worse lately, of {found.better} better."
        )
        text = f"Of {found.tested:,} that were tested. The sentences that say why are below."
        yield Finding("bad" if found.worse else "good", head, text, "customers")
    else:
        head = f"No opinion of buyers has moved beyond chance, of {found.tested:,} that were tested."
        yield Finding("note", head, "", "customers")


def _list(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _round(number: int) -> str:
    """Two digits of a number that is not known better."""
    digits = max(len(str(number)) - 2, 0)
    return f"{round(number, -digits):,}"
