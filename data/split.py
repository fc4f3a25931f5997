"""Events into train, validation and test."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import polars as pl

from aisle.data.clean.events import Order
from aisle.data.errors import InputError
from aisle.data.schema import KINDS, TARGET_PREFERENCE, Kind
from aisle.data.settings import SplitSettings

PARTS = ("train", "validation", "test")
PART = pl.Enum(PARTS)


@dataclass(frozen=True)
class Cuts:
    """First moments of validation and test in a time split, microseconds since 1970."""

    validation: int
    test: int

    def dates(self) -> dict[str, datetime]:
        """The same as dates."""
        return {
            part: datetime.fromtimestamp(getattr(self, part) / 1e6, UTC) for part in ("validation", "test")
        }


@dataclass(frozen=True)
class Split:
    """Events as train, validation and test.

    Attributes:
        parts: PART (n_events).
        targets: whether each event makes its item relevant, Boolean (n_events).
        strategy: never "auto".
        target_kinds: kinds of the targets.
        seen_kinds: kinds of events that take an item out of a user's results.
        cuts: of a time split.
    """

    parts: pl.Series
    targets: pl.Series
    strategy: Literal["leave_one_out", "time", "ratio"]
    target_kinds: tuple[Kind, ...]
    seen_kinds: tuple[Kind, ...]
    cuts: Cuts | None = None


def split_events(events: pl.DataFrame, order: Order, settings: SplitSettings) -> Split:
    """Splits by the strategy that is set, or by the one that fits the order.

    Args:
        events: columns user, kind (position in `KINDS`) and time, sorted as histories are: by user and time,
            ties in the order of the input.
        order: what `time` is.
        settings: strategy, fractions and kinds.

    Raises:
        InputError: nothing can be recommended, or nothing could be tested.
    """
    held = [KINDS[code] for code in events["kind"].unique().sort()]
    wanted = target_kinds(held, settings)
    targets = events["kind"].is_in([KINDS.index(kind) for kind in wanted]).rename("target")
    keyed = events.with_columns(targets)
    strategy = settings.strategy
    if strategy == "auto":
        strategy = "time" if order == "time" else "leave_one_out"
    cuts = None
    if strategy != "time":
        parts = split_users(keyed, settings, strategy)
    elif order == "time":
        parts, cuts = split_time(keyed, settings)
    else:
        raise InputError(
            "events with dates for a split by time",
            "events whose order alone is known",
            "set split.strategy to leave_one_out or ratio",
        )
    return Split(parts, targets, strategy, wanted, settings.seen_kinds or wanted, cuts)


def target_kinds(held: Collection[Kind], settings: SplitSettings) -> tuple[Kind, ...]:
    """Kinds of events that make an item relevant: as set, else the first of `TARGET_PREFERENCE` in `held`.

    Raises:
        InputError: the data holds none of them.
    """
    wanted = settings.target_kinds or TARGET_PREFERENCE
    found = [kind for kind in wanted if kind in held]
    if not found:
        raise InputError(
            f"events of a kind that can be recommended for ({', '.join(wanted)})",
            f"only {', '.join(kind for kind in KINDS if kind in held)}",
            "set split.target_kinds to kinds that the data holds, or add such events",
        )
    return tuple(found) if settings.target_kinds else (found[0],)


def split_users(
    events: pl.DataFrame, settings: SplitSettings, strategy: Literal["leave_one_out", "ratio"]
) -> pl.Series:
    """Parts by the place of each event in its user's history, PART (n_events).

    Of a user's n target events t1 ... tn, the last n_test make test and the n_validation before them make
    validation. `leave_one_out` (protocol S3: Zhou et al., S3-Rec, CIKM 2020) takes one for each; `ratio`
    takes the fractions of n, rounded down, at least one. An event of another kind goes where the next target
    goes (after the last one: test), so that a look at the test item moments before buying it is not history.
    Users with fewer than three targets are all train.

    >>> events = pl.DataFrame({
    ...     "user":   [1, 1, 1, 1, 1, 1, 2, 2],
    ...     "time":   [1, 2, 3, 4, 5, 6, 1, 2],
    ...     "target": [True, False, True, True, False, True, True, True],
    ... })
    >>> parts = split_users(events, SplitSettings(), "leave_one_out")
    >>> for (user, time, target), part in zip(events.rows(), parts):
    ...     print(user, time, "target" if target else "look  ", part)
    1 1 target train
    1 2 look   train
    1 3 target train
    1 4 target validation
    1 5 look   test
    1 6 target test
    2 1 target train
    2 2 target train

    Args:
        events: columns user (integer) and target (Boolean), in the order of histories: sorted by user, then
            time, ties in the order of the input.
        settings: the fractions.
        strategy: which of the two.

    Raises:
        InputError: no user has three target events.
    """
    n = pl.col("target").sum().over("user").cast(pl.Int64)
    if strategy == "leave_one_out":
        n_test = n_validation = pl.lit(1)
    else:
        n_test = pl.min_horizontal(_share(n, settings.test_fraction), n - 2)
        n_validation = pl.min_horizontal(_share(n, settings.validation_fraction), n - n_test - 1)
    before = pl.col("target").cum_sum().over("user").cast(pl.Int64) - pl.col("target")
    parts = events.select(
        pl.when(n < 3)
        .then(pl.lit("train"))
        .when(before >= n - n_test)
        .then(pl.lit("test"))
        .when(before >= n - n_test - n_validation)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
        .cast(PART)
        .alias("part")
    ).to_series()
    if not (parts == "test").any():
        most = events.select(n.max()).item()
        raise InputError(
            "a user with three target events at least, for train, validation and test",
            f"users with {most} at most",
            "add events, set split.target_kinds to a more frequent kind, or split.strategy to time",
        )
    return parts


def split_time(events: pl.DataFrame, settings: SplitSettings) -> tuple[pl.Series, Cuts]:
    """Parts by two moments that hold for all users, PART (n_events), and the moments.

    Test begins with the last `test_fraction` of the target events (rounded down, at least one), validation
    with the last `validation_fraction` of all target events that come before test. What happened at the first
    moment of a part belongs to that part, whatever its kind, so a tie never straddles a cut.

    >>> events = pl.DataFrame({
    ...     "time":   [10, 20, 30, 30, 40, 40, 50],
    ...     "target": [True, True, False, True, False, True, True],
    ... })
    >>> parts, cuts = split_time(events, SplitSettings(test_fraction=0.2, validation_fraction=0.4))
    >>> for (time, target), part in zip(events.rows(), parts):
    ...     print(time, "target" if target else "look  ", part)
    10 target train
    20 target train
    30 look   validation
    30 target validation
    40 look   validation
    40 target validation
    50 target test
    >>> cuts
    Cuts(validation=30, test=50)

    Args:
        events: columns time (Int64) and target (Boolean), in any order.
        settings: the fractions.

    Raises:
        InputError: the target events do not fall on three different moments.
    """
    times = np.sort(events["time"].filter(events["target"]).to_numpy())
    n = len(times)
    moments = np.unique(times)
    if len(moments) < 3:
        raise InputError(
            "target events at three moments at least, for train, validation and test",
            f"{n} target events at {len(moments)} moments",
            "set split.strategy to leave_one_out or ratio",
        )
    test = max(times[n - share(n, settings.test_fraction)], moments[2])
    earlier = times[times < test]
    at = len(earlier) - min(share(n, settings.validation_fraction), len(earlier))
    cuts = Cuts(validation=int(max(earlier[at], moments[1])), test=int(test))
    time = pl.col("time")
    parts = events.select(
        pl.when(time >= cuts.test)
        .then(pl.lit("test"))
        .when(time >= cuts.validation)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
        .cast(PART)
        .alias("part")
    )
    return parts.to_series(), cuts


def share(n: int, fraction: float) -> int:
    """How many of `n` events `fraction` of them is: rounded down, at least one.

    >>> share(30, 0.1), share(29, 0.1), share(3, 0.1)
    (3, 2, 1)
    """
    return max(1, int(n * fraction + 1e-9))


def _share(n: pl.Expr, fraction: float) -> pl.Expr:
    return pl.max_horizontal((n * fraction + 1e-9).floor().cast(pl.Int64), pl.lit(1))
