"""A run as a policy over the candidates of a log."""

import polars as pl

from aisle.data.errors import InputError
from aisle.eval.online.logs import check_target, has_candidates
from aisle.eval.runs import check_alone


def greedy(log: pl.DataFrame, run: pl.DataFrame) -> pl.DataFrame:
    """The log with the `target` of a policy that shows its best candidate in slot 1, the next in slot 2, ...

    Args:
        log: as :func:`aisle.eval.online.logs.check_log` returns it, with all candidates.
        run: user_id, item_id and score, or rank; a candidate that it leaves out comes after all others.

    Of equal scores, the one whose item_id comes first is shown first.

    Raises:
        InputError: the run cannot be used, the log holds shown candidates alone, a request has fewer scored
            candidates than slots, or the policy would show what the log could not.
    """
    if not has_candidates(log):
        raise InputError(
            "a log with all candidates, to choose among", "shown ones alone", "log what was not shown, too"
        )
    scores = check_alone(run, "of the policy")
    candidates = log.unique(["request_id", "item_id"]).select("request_id", "user_id", "item_id")
    ranked = (
        candidates.join(scores, on=["user_id", "item_id"])
        .sort("request_id", "score", "item_id", descending=[False, True, False])
        .with_columns(slot=pl.int_range(1, pl.len() + 1).over("request_id"))
        .select("request_id", "slot", "item_id", target=pl.lit(1.0))
    )
    asked = log.select("request_id", "slot").unique()
    missing = asked.join(ranked, on=["request_id", "slot"], how="anti").sort("request_id", "slot")
    if len(missing):
        raise InputError(
            "a run with scores for as many candidates of each request as it has slots",
            f"too few for {len(missing):,} of {len(asked):,} slots, such as request "
            f"{missing['request_id'][0]!r}, "
            f"slot {missing['slot'][0]}",
            "score the candidates of the log, for the users of the log",
        )
    target = log.drop("target", strict=False).join(
        ranked, on=["request_id", "slot", "item_id"], how="left", maintain_order="left"
    )
    target = target.with_columns(pl.col("target").fill_null(0.0))
    check_target(target, whole=True)
    return target
