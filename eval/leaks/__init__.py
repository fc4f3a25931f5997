"""Leak checks that run by themselves: what would make measured values better than they will be in use.

One check a file, all over the same :class:`Material`; `lists.py` looks at the runs.
"""

from collections.abc import Sequence

from aisle.eval.leaks.copied_users import COPIED_USERS
from aisle.eval.leaks.duplicates import DUPLICATES
from aisle.eval.leaks.features import FEATURES
from aisle.eval.leaks.finding import Finding, Leaks
from aisle.eval.leaks.item_order import ITEM_ORDER
from aisle.eval.leaks.known_pairs import KNOWN_PAIRS
from aisle.eval.leaks.lists import NAME, check_lists
from aisle.eval.leaks.material import Check, Material, Strategy
from aisle.eval.leaks.next_event import NEXT_EVENT
from aisle.eval.leaks.split_shape import SPLIT_SHAPE
from aisle.eval.leaks.texts import TEXTS
from aisle.eval.leaks.time_order import TIME_ORDER
from aisle.eval.leaks.trivial import TRIVIAL

CHECKS: tuple[Check, ...] = (
    TIME_ORDER,
    SPLIT_SHAPE,
    KNOWN_PAIRS,
    DUPLICATES,
    COPIED_USERS,
    TEXTS,
    FEATURES,
    NEXT_EVENT,
    ITEM_ORDER,
    TRIVIAL,
)

__all__ = ["CHECKS", "Finding", "Leaks", "Material", "Strategy", "check_leaks", "check_lists"]


def check_leaks(material: Material, of_runs: Sequence[Finding] = ()) -> Leaks:
    """Make all checks of the data that it allows, and put them with what was found in the runs."""
    checked, left_out, findings = [NAME], {}, [*of_runs]
    for check in CHECKS:
        lacking = check.lacks(material)
        if lacking is not None:
            left_out[check.name] = lacking
            continue
        checked.append(check.name)
        findings.extend(check.find(material))
    return Leaks(
        checked=checked,
        left_out=left_out,
        findings=sorted(findings, key=lambda finding: finding.severity != "leak"),
    )
