"""Team-draft interleaving: against the algorithm as it is printed, and on users with a known preference."""

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.eval.online import interleaving
from aisle.eval.online.buckets import hashed
from aisle.eval.online.interleaving import preference, team_draft


def as_printed(a: list[str], b: list[str], k: int, coin: list[int]) -> list[tuple[str, str]]:
    """Figure 3 of Radlinski et al. 2008, one step after the other; a coin of 0 is for `a`."""
    shown: list[tuple[str, str]] = []
    while len(shown) < k:
        taken = [item for item, _ in shown]
        left = {
            "a": [item for item in a if item not in taken],
            "b": [item for item in b if item not in taken],
        }
        if not left["a"] or not left["b"]:
            break
        picks = {team: sum(one == team for _, one in shown) for team in "ab"}
        first = picks["a"] < picks["b"] or (picks["a"] == picks["b"] and coin[len(shown)] == 0)
        team = "a" if first else "b"
        shown.append((left[team][0], team))
    return shown


def random_runs(users: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    runs = []
    for _ in range(2):
        rows = [
            (f"u{user}", f"i{item}", float(rng.random()))
            for user in range(users)
            for item in rng.choice(12, rng.integers(1, 9), replace=False)
        ]
        runs.append(pl.DataFrame(rows, schema=["user_id", "item_id", "score"], orient="row"))
    return runs[0], runs[1]


@pytest.mark.parametrize("k", [1, 4, 20])
def test_lists_are_those_of_the_paper(k: int) -> None:
    a, b = random_runs(60, seed=k)
    found = team_draft(a, b, k=k, salt="test")
    for (user,), rows in found.group_by("user_id"):
        lists = [
            run.filter(pl.col("user_id") == user).sort("score", descending=True)["item_id"].to_list()
            for run in (a, b)
        ]
        coins = [int(hashed([str(user)], f"test/{rank}")[0] & 1) for rank in range(1, k + 1)]
        assert rows.select("item_id", "team").rows() == as_printed(*lists, k, coins)
        assert rows["rank"].to_list() == list(range(1, len(rows) + 1))
    assert found["user_id"].n_unique() == 60


def test_users_in_blocks_get_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_runs(30, seed=3)
    whole = team_draft(a, b, k=4, salt="x")
    monkeypatch.setattr(interleaving, "BLOCK", 7 * 4**2)
    assert team_draft(a, b, k=4, salt="x").equals(whole)


def test_the_same_test_gives_the_same_lists_and_another_gives_others() -> None:
    a, b = random_runs(40, seed=0)
    assert team_draft(a, b, k=4, salt="x").equals(team_draft(a.reverse(), b.reverse(), k=4, salt="x"))
    assert not team_draft(a, b, k=4, salt="x").equals(team_draft(a, b, k=4, salt="y"))


def clicked(lists: pl.DataFrame, wanted: str) -> pl.DataFrame:
    return lists.with_columns(clicked=pl.col("item_id") == wanted)


def test_equal_rankings_are_not_told_apart() -> None:
    same = pl.DataFrame(
        {
            "user_id": np.repeat([f"u{user}" for user in range(2000)], 4),
            "item_id": ["w", "x", "y", "z"] * 2000,
        }
    ).with_columns(rank=pl.Series([1, 2, 3, 4] * 2000))
    found = preference(clicked(team_draft(same, same, k=4, salt="fair"), "w"))
    assert found.a + found.b == 2000
    assert abs(found.a - 1000) < 4 * 2000**0.5 / 2
    assert found.p > 0.001


def test_a_planted_preference_is_found() -> None:
    users = [f"u{user}" for user in range(200)]
    good = pl.DataFrame({"user_id": users * 3, "item_id": ["w"] * 200 + ["x"] * 200 + ["y"] * 200})
    good = good.with_columns(rank=pl.Series([1] * 200 + [2] * 200 + [3] * 200))
    poor = good.with_columns(item_id=pl.Series(["y"] * 200 + ["x"] * 200 + ["v"] * 200))
    found = preference(clicked(team_draft(good, poor, k=2, salt="s"), "w"))
    assert (found.a, found.b, found.ties) == (200, 0, 0)
    assert found.share.value == 0.5
    assert found.p == pytest.approx(2 * 0.5**200)
    turned = preference(clicked(team_draft(poor, good, k=2, salt="s"), "w"))
    assert (turned.a, turned.share.value) == (0, -0.5)


def test_lists_of_a_user_count_together() -> None:
    rows = [
        ("u", 1, "a", True),
        ("u", 2, "a", True),
        ("u", 3, "b", True),
        ("v", 4, "b", True),
        ("w", 5, "a", False),
    ]
    clicks = pl.DataFrame(rows, schema=["user_id", "list_id", "team", "clicked"], orient="row")
    found = preference(clicks)
    assert (found.lists, found.a, found.b, found.ties) == (5, 2, 2, 1)
    signs = [1 / 3, -1, 0]
    assert found.share.value == pytest.approx(sum(signs) / 3 / 2)
    assert found.share.error == pytest.approx(np.std(signs, ddof=1) / 2 / 3**0.5)
    assert found.p == 1.0


def test_bad_input() -> None:
    a, b = random_runs(3, seed=0)
    with pytest.raises(InputError, match="k = 0"):
        team_draft(a, b, k=0, salt="s")
    with pytest.raises(InputError, match="two runs for the same users"):
        team_draft(a, b.with_columns(pl.col("user_id") + " again"), k=2, salt="s")
    with pytest.raises(InputError, match="finite scores in run 'b'"):
        team_draft(a, b.with_columns(score=pl.lit(float("nan"))), k=2, salt="s")
    with pytest.raises(InputError, match="each item at most once for a user in run 'a'"):
        team_draft(pl.concat([a, a.head(1)]), b, k=2, salt="s")
    assert team_draft(a, b, k=10**6, salt="s").equals(team_draft(a, b, k=len(a) + len(b), salt="s"))
    with pytest.raises(InputError, match="a column 'score' in run 'b'"):
        team_draft(a, b.drop("score"), k=2, salt="s")
    lists = team_draft(a, b, k=2, salt="s")
    with pytest.raises(InputError, match="a column 'clicked'"):
        preference(lists)
    with pytest.raises(InputError, match="teams"):
        preference(lists.with_columns(team=pl.lit("c"), clicked=pl.lit(True)))
    with pytest.raises(InputError, match="clicked as true or false"):
        preference(lists.with_columns(clicked=pl.lit("perhaps")))
    with pytest.raises(InputError, match="two users or more"):
        preference(lists.filter(pl.col("user_id") == "u0").with_columns(clicked=pl.lit(True)))
