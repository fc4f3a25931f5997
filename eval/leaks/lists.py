"""Runs that know what they should not: seen items returned, answers in every list, tested items alone."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from aisle.eval.judged import Judged
from aisle.eval.leaks.finding import Finding
from aisle.eval.leaks.material import EXAMPLES, Material

NAME = "lists of runs"

USERS = 50
"""Fewer users show nothing."""

SHORT = 0.2
"""A list of at most this share of the catalogue cannot hold every answer by itself."""

ALL = 0.995
"""Share of the wanted items that are found at any rank, if lists were made around them."""

DISTINCT, OUTSIDE = 100, 0.3
"""Distinct items returned, at least, and share of the catalogue that nobody wanted, at least."""


def check_lists(name: str, judged: Judged, material: Material) -> Iterator[Finding]:
    """What is wrong with the lists of one run."""
    yield from _seen(name, judged, material)
    if len(judged.truth) < USERS or not len(judged.lists.items):
        return
    yield from _answers_in_all(name, judged, material)
    yield from _tested_alone(name, judged, material)


def _seen(name: str, judged: Judged, material: Material) -> Iterator[Finding]:
    """Hits on pairs of user and item that were known already."""
    known = material.seen if material.masked else material.known
    if not len(known):
        return
    hits = judged.truth.frame[judged.hit_pairs]
    found = pl.DataFrame(
        {"user_id": judged.truth.users.values.gather(hits["user"]), "item_id": hits["item_id"]}
    ).join(known, on=["user_id", "item_id"], how="semi")
    if len(found):
        masked = "although seen items are masked" if material.masked else "which copying the past would do"
        yield _finding(
            "leak" if material.masked else "suspicion",
            f"{len(found)} of {len(hits)} hits of {name} are items that the user had before, {masked}.",
            [f"user {user}, item {item}" for user, item in found.head(EXAMPLES).rows()],
            "leave what users have seen out of the run, or say that repeats count and compare with copying",
        )


def _answers_in_all(name: str, judged: Judged, material: Material) -> Iterator[Finding]:
    """Short lists that hold every answer were made by adding it."""
    longest = int(judged.lists.sizes.max())
    hits = int(np.count_nonzero(judged.hit_ranks <= longest))
    found = hits / max(1, len(judged.truth.frame))
    returned = len(judged.items)
    if found >= ALL and longest <= SHORT * material.catalogue.n_unique() and returned > 2 * longest:
        yield _finding(
            "leak",
            f"Lists of {name} hold {found:.1%} of all that users wanted in {longest} places, of "
            f"{material.catalogue.n_unique()} items: they seem to be samples with the answer added.",
            [f"{hits} of {len(judged.truth.frame)} wanted items returned at some rank"],
            "rank all items; values over samples are not comparable with any others",
        )


def _tested_alone(name: str, judged: Judged, material: Material) -> Iterator[Finding]:
    """Many different items, none of which nobody wanted: candidates were taken from the answers."""
    wanted = judged.truth.frame["item_id"].unique()
    size = material.catalogue.n_unique()
    unwanted = judged.items.filter(~judged.items.is_in(wanted.implode()))
    many = len(judged.items) >= max(DISTINCT, len(wanted) / 2)
    if many and not len(unwanted) and size - len(wanted) >= OUTSIDE * size:
        yield _finding(
            "leak",
            f"All {len(judged.items)} items that {name} returns are among the {len(wanted)} that somebody "
            f"wanted, of a catalogue of {size}: its candidates seem to be the tested items.",
            [f"{size - len(wanted)} items that nobody wanted are never returned"],
            "take candidates from the whole catalogue",
        )


def _finding(severity: str, what: str, evidence: list[str], fix: str) -> Finding:
    return Finding.model_validate(
        {"check": NAME, "severity": severity, "what": what, "evidence": evidence, "fix": fix}
    )
