"""Candidate logs: what a shop could have shown, with which probability, and what came of what it showed.

    ==========  ===========================  ==========================================================
    request_id  text or whole numbers        one occasion to show something
    item_id     text or whole numbers        a candidate
    propensity  number from 0 to 1           probability with which the shop showed it in this slot
    reward      number                       what came of it; read only where it was shown
    shown       true or false                true for one candidate of each request and slot; if there is no
                                             such column, every row was shown and other candidates are unknown
    user_id     text or whole numbers        optional; the requests of a user are not independent
    slot        whole number from 1          optional, else there is one
    target      number from 0 to 1           optional: probability with which another policy would show it
    expected    number                       optional: the reward that a model expects if it is shown
    ==========  ===========================  ==========================================================

Propensities are written down when something is shown, and never rebuilt afterwards. `expected` comes from a
model that has not seen this log, or from one fitted on other users of it.
"""

from pathlib import Path

import polars as pl

from aisle.data.errors import InputError
from aisle.eval.files import read_parquet
from aisle.eval.runs import id_kind, require_columns

TOLERANCE = 1e-3
"""How far the probabilities of a slot may be from a sum of 1: logs often have float32, or few digits."""

WHAT = "candidate log"
KEY = ("request_id", "slot", "item_id")


def read_log(path: Path) -> pl.DataFrame:
    """A candidate log from a Parquet file, checked as :func:`check_log` does.

    Raises:
        InputError: it cannot be read, or used.
    """
    return check_log(read_parquet(path))


def check_log(frame: pl.DataFrame) -> pl.DataFrame:
    """A candidate log in one form: ids as text, `user_id`, `slot` and `shown` always there, sorted.

    Without `user_id`, every request is a user of its own. Of rows that were not shown, `reward` is null.

    Raises:
        InputError: a column is missing or of another type, a row is there twice, a request and slot show none
            or several candidates, what was shown has no reward or the propensity 0, a probability is outside
            0 to 1, or those of a slot do not sum to 1.
    """
    require_columns(frame, "request_id", "item_id", "propensity", "reward", what=WHAT)
    if not len(frame):
        raise InputError(f"a {WHAT} with rows", "none", "check what wrote it")
    for column in ("request_id", "item_id", *(["user_id"] if "user_id" in frame.columns else [])):
        id_kind(frame, column, WHAT)
    log = frame.select(
        pl.col("request_id", "item_id").cast(pl.String),
        (pl.col("user_id") if "user_id" in frame.columns else pl.col("request_id"))
        .cast(pl.String)
        .alias("user_id"),
        (_typed(frame, "slot", pl.Int64()) if "slot" in frame.columns else pl.lit(1, pl.Int64)).alias("slot"),
        (_typed(frame, "shown", pl.Boolean()) if "shown" in frame.columns else pl.lit(True)).alias("shown"),
        *(
            _typed(frame, name, pl.Float64())
            for name in ("propensity", "reward", "target", "expected")
            if name in frame.columns
        ),
    ).with_columns(reward=pl.when("shown").then("reward"))
    _rows(log)
    _slots(log)
    _outcomes(log)
    _probabilities(log, "propensity", whole="shown" in frame.columns)
    if "target" in log.columns:
        check_target(log, whole="shown" in frame.columns)
    return log.sort(*KEY)


def check_target(log: pl.DataFrame, *, whole: bool) -> None:
    """Probabilities of another policy are probabilities, and none is for what the log could never show.

    Args:
        log: with propensity and target.
        whole: all candidates are there, so that probabilities sum to 1.

    Raises:
        InputError: they are not, or one is.
    """
    _probabilities(log, "target", whole=whole)
    unseen = log.filter((pl.col("target") > 0) & (pl.col("propensity") == 0))
    if len(unseen):
        raise InputError(
            "a log that shows, now and then, whatever the other policy would show",
            f"{len(unseen):,} candidates with a target above 0 and the propensity 0, such as {_row(unseen)}",
            "let the shop explore (a propensity above 0 for every candidate), or change the other policy",
        )


def has_candidates(log: pl.DataFrame) -> bool:
    """Whether the log holds what was not shown, too."""
    return not bool(log["shown"].all())


def _typed(frame: pl.DataFrame, column: str, kind: pl.DataType) -> pl.Expr:
    found = frame[column].dtype
    right = {
        pl.Int64(): found.is_integer(),
        pl.Float64(): found.is_numeric() or found == pl.Boolean,
        pl.Boolean(): found == pl.Boolean,
    }[kind]
    if not right:
        wanted = {pl.Int64(): "whole numbers", pl.Float64(): "numbers", pl.Boolean(): "true or false"}[kind]
        raise InputError(f"{column} as {wanted}", f"{found} in the {WHAT}", "write it with that type")
    return pl.col(column).cast(kind)


def _rows(log: pl.DataFrame) -> None:
    never_null = [name for name in log.columns if name != "reward"]
    wrong = log.filter(pl.any_horizontal(pl.col(never_null).is_null()))
    if len(wrong):
        empty = next(name for name in never_null if wrong[name][0] is None)
        raise InputError(
            f"a {empty} in every row", f"{len(wrong):,} rows with nulls, such as {_row(wrong)}", "fill it"
        )
    twice = log.filter(pl.struct(*KEY).is_duplicated())
    if len(twice):
        raise InputError(
            "each candidate once in a request and slot",
            f"twice: {_row(twice)}",
            "merge the rows of a candidate",
        )
    owners = log.group_by("request_id").agg(pl.col("user_id").n_unique()).filter(pl.col("user_id") > 1)
    if len(owners):
        raise InputError(
            "one user of a request",
            f"several in {len(owners):,} requests, such as {owners['request_id'][0]!r}",
            "give requests of different users different ids",
        )


def _outcomes(log: pl.DataFrame) -> None:
    lost = log.filter(pl.col("shown") & ~pl.col("reward").is_finite().fill_null(False))
    if len(lost):
        raise InputError(
            "a finite reward of whatever was shown",
            f"{len(lost):,} rows without, such as {_row(lost)}",
            "write 0 where nothing came of it; leave out requests whose outcome is unknown",
        )
    if "expected" in log.columns and len(wild := log.filter(~pl.col("expected").is_finite())):
        raise InputError(
            "finite expected rewards",
            f"{len(wild):,} others, such as {_row(wild)}",
            "drop the column `expected`, or correct the model",
        )


def _slots(log: pl.DataFrame) -> None:
    low = log["slot"].min()
    if not isinstance(low, int) or low < 1:
        raise InputError("slots from 1", f"{low!s}", "count slots from the top, the first is 1")
    shown = log.group_by("request_id", "slot").agg(pl.col("shown").sum(), pl.col("item_id").first())
    wrong = shown.filter(pl.col("shown") != 1)
    if len(wrong):
        raise InputError(
            "one candidate shown in each request and slot",
            f"{wrong['shown'][0]} in request {wrong['request_id'][0]!r}, slot {wrong['slot'][0]} "
            f"(and so in {len(wrong):,} of {len(shown):,})",
            "set `shown` for the one that was; a list takes a column `slot`",
        )
    never = log.filter(pl.col("shown") & (pl.col("propensity") <= 0))
    if len(never):
        raise InputError(
            "propensities above 0 of what was shown",
            f"{len(never):,} others, such as {_row(never)}",
            "write down the probability with which the shop drew it",
        )


def _probabilities(log: pl.DataFrame, column: str, *, whole: bool) -> None:
    outside = log.filter(~pl.col(column).is_between(0, 1))
    if len(outside):
        raise InputError(
            f"{column} from 0 to 1",
            f"{outside[column][0]!s} for {_row(outside)} (and {len(outside) - 1:,} more)",
            "write probabilities, not scores or percents",
        )
    if not whole:
        return
    sums = log.group_by("request_id", "slot").agg(pl.col(column).sum())
    wrong = sums.filter((pl.col(column) - 1).abs() > TOLERANCE)
    if len(wrong):
        raise InputError(
            f"a {column} of each request and slot that sums to 1",
            f"{wrong[column][0]:.4f} in request {wrong['request_id'][0]!r}, slot {wrong['slot'][0]} "
            f"(and so in {len(wrong):,} of {len(sums):,})",
            "log every candidate, those with small probabilities too; without the column `shown` only shown "
            "ones are "
            "expected",
        )


def _row(rows: pl.DataFrame) -> str:
    request, slot, item = rows.select(KEY).row(0)
    return f"request {request!r}, slot {slot}, item {item!r}"
