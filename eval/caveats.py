"""What a reader has to know before trusting the values of a report."""

from collections.abc import Iterator, Mapping

import numpy as np

from aisle.eval.catalogue import Catalogue
from aisle.eval.leaks import Leaks
from aisle.eval.measuring import Measured
from aisle.eval.metrics.measure import NEEDS, is_known
from aisle.eval.profiles import Profiles
from aisle.eval.report.schema import Sampled
from aisle.eval.settings import EvaluateSettings
from aisle.eval.truth import Truth

WITHOUT = {
    "catalogue": "The catalogue was",
    "events": "The popularity of the items was",
    "vectors": "Vectors of the items were",
    "profiles": "Categories of the items, or the past of the users, were",
}
"""How a sentence begins that says what was not given."""

FEW = 30
"""Users below which intervals by percentiles hold the truth clearly less often than they say."""


def caveats(
    truth: Truth,
    measured: Mapping[str, Measured],
    settings: EvaluateSettings,
    catalogue: Catalogue | None,
    tests: int,
    leaks: Leaks | None = None,
    profiles: Profiles | None = None,
    sampled: Sampled | None = None,
) -> Iterator[str]:
    """Sentences, each about something that was left out, merged, ignored or cannot be decided.

    Args:
        tests: number of comparisons.
        leaks: what the leak checks found.
        profiles: what the users cared for before.
        sampled: metrics over samples, and what sampling does to them.
    """
    for finding in leaks.findings if leaks else ():
        yield f"{finding.severity.capitalize()} ({finding.check}): {finding.what}"
    without = int(np.count_nonzero(truth.relevant == 0))
    if without:
        yield f"{without} users have no relevant item in the truth and score 0 for every model."
    if len(truth) < FEW:
        yield (
            f"The truth has {len(truth)} users: intervals of so few are too narrow, and have no width where "
            "all of them score the same."
        )
    if truth.repeats:
        yield f"{truth.repeats} rows of the truth repeat an earlier one and were merged."
    for name, model in measured.items():
        counts = model.counts
        if counts.users_without_results:
            yield f"{name} leaves out {counts.users_without_results} of {len(truth)} users; they score 0."
        if counts.users_ignored:
            yield f"{name} has results for {counts.users_ignored} users outside the truth; they are ignored."
        if counts.longest < settings.k[-1]:
            deep = ", ".join(str(k) for k in settings.k if k > counts.longest)
            yield (
                f"{name} returns at most {counts.longest} items a user; at k = {deep} the places below "
                "count as misses."
            )
        if counts.items_outside:
            yield f"{name} returns {counts.items_outside} distinct items that are not in the catalogue."
    for need, about in WITHOUT.items():
        missing = [
            name
            for name in settings.metrics
            if NEEDS.get(name) == need and not is_known(name, catalogue, profiles)
        ]
        if missing:
            listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
            verb = "is" if len(missing) == 1 else "are"
            yield f"{about} not given: {listed} {verb} left out."
    yield from sampled.notes if sampled else ()
    if settings.sampled_negatives and catalogue is None:
        yield "The catalogue was not given: sampled metrics are left out."
    if tests and tests / (settings.permutations + 1) >= 1 - settings.confidence:
        yield f"{tests} comparisons are too many for {settings.permutations} permutations to decide any."
