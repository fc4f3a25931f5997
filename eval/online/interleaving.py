"""Two rankings in one list, and which of them the clicks prefer: team-draft interleaving.

Each user compares both rankings within one list, which takes far fewer users than a test in which each sees
one of them. It says which ranking people prefer, and not how much more they buy.
Source: Radlinski, Kurup and Joachims 2008, "How Does Clickthrough Data Reflect Retrieval Quality?", section
3.3.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from aisle.data.errors import InputError
from aisle.eval.online.buckets import hashed
from aisle.eval.online.estimate import Estimate
from aisle.eval.runs import check_alone, id_kind, require_columns

TEAMS = ("a", "b")
NOBODY = -1

BLOCK = 1 << 24
"""Truth values in one block of the draft: items of a list against items taken, for some users at once."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Preference:
    """Which ranking the clicks prefer.

    Attributes:
        lists: that were shown.
        a, b: lists with more clicks on items of that team.
        ties: lists with as many clicks on both, or none.
        share: of `a` among all lists, ties counting one half, minus one half: above 0, `a` is preferred.
            Users are the independent units.
        p: two-sided sign test over users: as many prefer one as the other.
    """

    lists: int
    a: int
    b: int
    ties: int
    share: Estimate
    p: float


def team_draft(a: pl.DataFrame, b: pl.DataFrame, *, k: int, salt: str) -> pl.DataFrame:
    """One list a user: user_id, rank from 1, item_id and team ("a" or "b"), at most `k` rows a user.

    The team with fewer items picks; where both have as many, a coin decides. It picks its best item that is
    not in the list. Coins are hashes of `salt/rank/user_id`, so that the same call gives the same lists. When
    one team has no item left,
    the list ends: longer it would hold items that nothing competes with.

    Args:
        a: user_id, item_id and score or rank, one run.
        b: the other one; users that only one of both has are left out.
        k: length of a list.
        salt: name of the test.

    Raises:
        InputError: a run cannot be used, `k` is below 1, or the runs have no user in common.
    """
    if k < 1:
        raise InputError("lists of one item or more", f"k = {k}", "ask for k >= 1")
    runs = [_ordered(run, name) for run, name in ((a, "a"), (b, "b"))]
    users = (
        runs[0]
        .select("user_id")
        .unique()
        .join(runs[1].select("user_id").unique(), on="user_id")
        .sort("user_id")
    )
    if not len(users):
        raise InputError(
            "two runs for the same users",
            f"ids like {runs[0]['user_id'].first()!r} and {runs[1]['user_id'].first()!r}",
            "make both for the same users",
        )
    k = min(k, sum(int(run["user_id"].unique_counts().to_numpy().max()) for run in runs))  # none is longer
    items = pl.concat(run.select("item_id") for run in runs).unique().sort("item_id")["item_id"]
    first, second = (_lists(run, users["user_id"], items, k) for run in runs)
    coins = np.stack([hashed(users["user_id"], f"{salt}/{rank}") & 1 for rank in range(1, k + 1)], axis=1)
    step = max(1, BLOCK // k**2)
    blocks = [slice(start, start + step) for start in range(0, len(users), step)]
    drafted = [_draft(first[block], second[block], coins[block]) for block in blocks]
    shown, teams = (np.concatenate(parts) for parts in zip(*drafted, strict=True))
    user, rank = np.nonzero(shown != NOBODY)
    return pl.DataFrame(
        {
            "user_id": users["user_id"].gather(user),
            "rank": rank.astype(np.int64) + 1,
            "item_id": items.gather(shown[user, rank]),
            "team": pl.Series(TEAMS).gather(teams[user, rank]),
        }
    )


def preference(clicks: pl.DataFrame) -> Preference:
    """Who is preferred, from lists that were shown and what was clicked.

    Args:
        clicks: one row a shown item: user_id, team and clicked (true or false, or a number of clicks);
            list_id where a user had several lists.

    A list counts for the team whose items have more clicks. Lists of a user count together in the sign test.

    Raises:
        InputError: a column is missing, a team is neither "a" nor "b", or fewer than two users.
    """
    require_columns(clicks, "user_id", "team", "clicked", what="table of clicks")
    id_kind(clicks, "user_id", "table of clicks")
    teams = clicks["team"].cast(pl.String).unique().to_list()
    if strange := [str(team) for team in teams if team not in TEAMS]:
        raise InputError('teams "a" and "b"', f"{strange[0]!r}", "take the column `team` of the lists")
    counted = clicks["clicked"].cast(pl.Float64, strict=False)
    if counted.null_count() or not counted.is_finite().all() or (counted < 0).any():
        raise InputError(
            "clicked as true or false, or a number", "others", "write false where nothing happened"
        )
    key = ["user_id", "list_id"] if "list_id" in clicks.columns else ["user_id"]
    signs = (
        clicks.with_columns(points=counted * pl.when(pl.col("team") == "a").then(1.0).otherwise(-1.0))
        .group_by(key)
        .agg(sign=pl.col("points").sum().sign())
    )
    users = signs.group_by("user_id").agg(sign=pl.col("sign").mean())["sign"]
    if len(users) < 2:
        raise InputError("lists of two users or more", f"{len(users)}", "show more lists before asking")
    wins, losses = int((users > 0).sum()), int((users < 0).sum())
    deviation = float(np.std(users.to_numpy(), ddof=1)) / 2
    return Preference(
        lists=len(signs),
        a=int((signs["sign"] > 0).sum()),
        b=int((signs["sign"] < 0).sum()),
        ties=int((signs["sign"] == 0).sum()),
        share=Estimate(float(users.to_numpy().mean()) / 2, deviation / len(users) ** 0.5, len(users) - 1),
        p=float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
    )


def _ordered(run: pl.DataFrame, name: str) -> pl.DataFrame:
    return check_alone(run, name).sort("user_id", "score", "item_id", descending=[False, True, False])


def _lists(run: pl.DataFrame, users: pl.Series, items: pl.Series, k: int) -> Rows:
    """The k best items of each user, int64 (n_users, k): rows of `items`, and `NOBODY` behind the end."""
    found = (
        run.join(users.to_frame().with_row_index("user"), on="user_id", maintain_order="left")
        .join(items.to_frame().with_row_index("item"), on="item_id", maintain_order="left")
        .with_columns(place=pl.int_range(pl.len()).over("user"))
        .filter(pl.col("place") < k)
    )
    lists = np.full((len(users), k), NOBODY)
    lists[found["user"].to_numpy(), found["place"].to_numpy()] = found["item"].to_numpy()
    return lists


def _draft(a: Rows, b: Rows, coins: Rows) -> tuple[Rows, Rows]:
    """Items and teams (0 for `a`) of the lists of all users at once, int64 (n_users, k)."""
    n_users, k = coins.shape
    lists, everybody = np.stack([a, b]), np.arange(n_users)
    shown, teams = np.full((2, n_users, k), NOBODY)
    picks, ended = np.zeros((2, n_users), np.int64), np.zeros(n_users, bool)
    for place in range(k):
        team = np.where(picks[0] == picks[1], coins[:, place], (picks[1] < picks[0]).astype(np.int64))
        best = np.stack([_untaken(one, shown[:, :place]) for one in lists])
        ended |= (best == NOBODY).any(axis=0)
        picked = best[team, everybody]
        shown[~ended, place] = picked[~ended]
        teams[~ended, place] = team[~ended]
        picks[team, everybody] += 1
    return shown, teams


def _untaken(lists: Rows, taken: Rows) -> Rows:
    """The best item of each list that is not taken, `NOBODY` where none is left: int64 (n_users,)."""
    free = (lists != NOBODY) & ~(lists[:, :, None] == taken[:, None, :]).any(axis=2)
    first = free.argmax(axis=1)
    found = lists[np.arange(len(lists)), first]
    return np.where(free.any(axis=1), found, NOBODY)
