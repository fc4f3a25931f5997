"""Runs and truth, checked: what a recommender returned, and what the users wanted.

run
    =======  =======================  ==========================================================
    user_id  text or whole numbers
    item_id  text or whole numbers
    score    finite number            larger is better; it alone decides the order
    rank     whole number from 1      optional; must agree with the score, and stands in for it
    =======  =======================  ==========================================================

truth
    =========  =====================  ==========================================================
    user_id    text or whole numbers
    item_id    text or whole numbers
    relevance  number >= 0            optional, else 1; 0 is judged not relevant
    =========  =====================  ==========================================================

Other columns are not looked at. A user of the truth whom the run leaves out scores 0; a user of the run
who is not in the truth is ignored. Both are counted.
"""

import difflib

import polars as pl

from aisle.data.errors import InputError
from aisle.data.ids import Ids
from aisle.eval.truth import Truth, changes


def check_truth(frame: pl.DataFrame) -> Truth:
    """Read a truth table (see the module).

    Rows that repeat an earlier one are merged and counted. A user all of whose items have relevance 0
    stays, and scores 0, as in trec_eval.

    Raises:
        InputError: a column is missing, there are no rows, an id is null or of another type, a relevance
            is negative
            or not a number, one user and item have two relevances, or the rows are events of several kinds.
    """
    require_columns(frame, "user_id", "item_id", what="truth")
    if not len(frame):
        raise InputError(
            "a truth with relevant items", "no rows", "check that the held-out part is not empty"
        )
    if "kind" in frame.columns and frame["kind"].n_unique() > 1:
        kinds = ", ".join(sorted(frame["kind"].cast(pl.String).unique().drop_nulls()))
        raise InputError(
            "a truth of relevant items",
            f"events of several kinds: {kinds}",
            "keep the rows of the kind that makes an item relevant, such as purchase",
        )
    user_kind, item_kind = (id_kind(frame, column, "truth") for column in ("user_id", "item_id"))
    _numbers(frame, "relevance", "truth")
    gain = pl.col("relevance").cast(pl.Float64) if "relevance" in frame.columns else pl.lit(1.0)
    rows = frame.select(pl.col("user_id", "item_id").cast(pl.String), gain=gain)
    bad = rows.filter(pl.col("gain").is_null() | ~pl.col("gain").is_finite() | (pl.col("gain") < 0))
    if len(bad):
        raise InputError(
            "relevances that are finite and not negative",
            f"{len(bad)} others, such as {bad['gain'][0]} for user {bad['user_id'][0]!r}",
            "give items that are not relevant the relevance 0, or leave them out",
        )
    distinct = rows.unique()
    twice = distinct.filter(pl.struct("user_id", "item_id").is_duplicated())
    if len(twice):
        raise InputError(
            "one relevance for a user and an item",
            f"several for user {twice['user_id'][0]!r} and item {twice['item_id'][0]!r}",
            "decide on one",
        )
    users = Ids(distinct["user_id"].unique().sort())
    relevant = (
        distinct.filter(pl.col("gain") > 0)
        .select("item_id", "gain", user=users.code("user_id"))
        .sort("user", "gain", "item_id", descending=[False, True, False])
    )
    return Truth(users, relevant, user_kind, item_kind, repeats=len(rows) - len(distinct))


def check_run(frame: pl.DataFrame, truth: Truth, name: str) -> pl.DataFrame:
    """A run as user_id String, item_id String, score Float64, in the order of its rows.

    Raises:
        InputError: a column is missing, an id is null or written in another way than in the truth, a
            score is null
            or not finite, ranks and scores disagree, or no user of the truth occurs in a run that has rows.
    """
    what = f"run {name!r}"
    require_columns(frame, "user_id", "item_id", what=what)
    for column in ("user_id", "item_id"):
        check_ids(frame, column, truth, what)
    run = check_scores(frame, what)
    starts = changes(run["user_id"])
    if len(run) and not run["user_id"].gather(starts).is_in(truth.users.values.implode()).any():
        raise InputError(
            "a run for users of the truth",
            f"none in {what}: its ids look like {run['user_id'][0]!r}, not {truth.users.values[0]!r}",
            "check that run and truth come from the same prepared data",
        )
    return run


def check_scores(frame: pl.DataFrame, what: str) -> pl.DataFrame:
    """A run that nobody's truth is needed for, as user_id String, item_id String, score Float64.

    Raises:
        InputError: a column is missing, an id or a score is null, a score is not finite, or ranks and scores
            disagree.
    """
    require_columns(frame, "user_id", "item_id", what=what)
    if "score" not in frame.columns and "rank" not in frame.columns:
        require_columns(frame, "score", what=what)
    for column in ("user_id", "item_id"):
        id_kind(frame, column, what)
    _numbers(frame, "score", what)
    if "rank" in frame.columns:
        _ranks(frame, what)
    score = pl.col("score") if "score" in frame.columns else -pl.col("rank").cast(pl.Int64)
    run = frame.select(
        pl.col("user_id", "item_id").cast(pl.String),
        score=score.cast(pl.Float64),
        rank=pl.col("rank").cast(pl.Int64) if "rank" in frame.columns else pl.lit(0, pl.Int64),
    )
    if run["score"].null_count() or not run["score"].is_finite().all():
        bad = run.filter(pl.col("score").is_null() | ~pl.col("score").is_finite())
        raise InputError(
            f"finite scores in {what}",
            f"{len(bad)} null, NaN or infinite, such as {bad['score'][0]} for user {bad['user_id'][0]!r}",
            "leave these rows out, or give them a finite score",
        )
    if "rank" in frame.columns and "score" in frame.columns:
        _ranks_agree(run, what)
    return run.drop("rank")


def check_alone(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """:func:`check_scores`, where no pair of user and item may be there twice.

    Raises:
        InputError: one is, or what :func:`check_scores` raises.
    """
    what = f"run {name!r}"
    run = check_scores(frame, what)
    again = run.filter(pl.struct("user_id", "item_id").is_duplicated())
    if len(again):
        raise InputError(
            f"each item at most once for a user in {what}",
            f"{len(again)} rows that are not alone, such as item {again['item_id'][0]!r} of user "
            f"{again['user_id'][0]!r}",
            "keep the best row of each user and item",
        )
    return run


def check_past(frame: pl.DataFrame, truth: Truth) -> None:
    """Nothing, if what was known before can be held against the truth.

    Raises:
        InputError: a column is missing, a user is null, or ids are written in another way than in the truth.
    """
    require_columns(frame, "user_id", "item_id", what="train")
    for column in ("user_id", "item_id"):
        check_ids(frame.filter(pl.col("item_id").is_not_null()), column, truth, "train")


def check_ids(frame: pl.DataFrame, column: str, truth: Truth, what: str) -> None:
    """Nothing, if a table writes the ids of a column as the truth does.

    Raises:
        InputError: the column is missing, has nulls or another type, or is text here and numbers there.
    """
    require_columns(frame, column, what=what)
    expected = {"user_id": truth.user_kind, "item_id": truth.item_kind}[column]
    found = id_kind(frame, column, what)
    if found != expected and len(frame):
        raise InputError(
            f"{column} as {expected}, as in the truth",
            f"{found} in {what}",
            f"write the ids of {what} and the truth as the same type",
        )


def require_columns(frame: pl.DataFrame, *columns: str, what: str) -> None:
    """Nothing, if `what` has all of these columns.

    Raises:
        InputError: one is missing; names the nearest other.
    """
    for column in columns:
        if column not in frame.columns:
            near = difflib.get_close_matches(column, frame.columns, 1, cutoff=0.5)
            hint = f"rename {near[0]!r} to {column!r}" if near else f"add the column {column!r}"
            raise InputError(
                f"a column {column!r} in the {what}" if what == "truth" else f"a column {column!r} in {what}",
                f"columns {', '.join(frame.columns) or 'none'}",
                hint,
            )


def id_kind(frame: pl.DataFrame, column: str, what: str) -> str:
    """How `what` writes the ids of a column: "text" or "whole numbers".

    Raises:
        InputError: a null, or another type.
    """
    ids = frame[column]
    if ids.null_count():
        raise InputError(
            f"a {column} in every row", f"{ids.null_count()} null in {what}", "leave out rows without one"
        )
    if isinstance(ids.dtype, pl.String | pl.Categorical | pl.Enum):
        return "text"
    if ids.dtype.is_integer():
        return "whole numbers"
    raise InputError(f"{column} as text or whole numbers", f"{ids.dtype} in {what}", "write the ids as text")


def _numbers(frame: pl.DataFrame, column: str, what: str) -> None:
    kind = frame.schema.get(column, pl.Float64())
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
        raise InputError(f"numbers as {column} in {what}", f"{kind}", f"write {column} as numbers")


def _ranks(frame: pl.DataFrame, what: str) -> None:
    _numbers(frame, "rank", what)
    bad = frame.filter(
        pl.col("rank").is_null() | (pl.col("rank") < 1) | (pl.col("rank").cast(pl.Float64) % 1 != 0)
    )
    if len(bad):
        raise InputError(
            f"ranks in {what} that are whole numbers from 1",
            f"{len(bad)} others, such as {bad['rank'][0]} for user {bad['user_id'][0]!r}",
            "count from 1, or drop the column rank where there is a score",
        )


def _ranks_agree(run: pl.DataFrame, what: str) -> None:
    again = pl.col("user_id") == pl.col("user_id").shift()
    in_order = run.select((~again | (pl.col("rank") >= pl.col("rank").shift())).all()).item()
    users = run["user_id"].gather(changes(run["user_id"]))
    if not in_order or users.is_duplicated().any():
        run = run.sort("user_id", "rank", maintain_order=True)
    wrong = run.filter((pl.col("score") > pl.col("score").shift()) & again)
    if len(wrong):
        raise InputError(
            f"ranks in {what} that follow the scores, large scores first",
            f"a score that rises with the rank in {len(wrong)} rows, such as rank {wrong['rank'][0]} of user "
            f"{wrong['user_id'][0]!r}",
            "negate the scores if small ones are good; drop the column rank if it is out of date",
        )
