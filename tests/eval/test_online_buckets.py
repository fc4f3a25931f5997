"""Buckets and arms by hashing: golden values, even shares, and tests that do not disturb each other."""

import hashlib
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from aisle.data.errors import InputError
from aisle.eval.online.buckets import arms, buckets
from aisle.eval.online.experiment import Experiment, Metric, arms_of, assign

USERS = pl.Series([f"user-{number}" for number in range(40_000)])
RARE = 1e-4
"""p-value below which chance is not believed; the users are fixed, so that a test fails always or never."""


def experiment(name: str = "cards", **changes: object) -> Experiment:
    given: dict[str, object] = {
        "name": name,
        "arms": {"control": 1.0, "new": 1.0},
        "metric": Metric(kind="proportion", baseline=0.1, variance=0.09),
        "effect": 0.02,
        "alpha": 0.05,
        "power": 0.8,
        "looks": "any",
        "users": {"control": 1000, "new": 1000},
    }
    return Experiment.model_validate({**given, **changes})


def test_a_bucket_is_what_the_description_says() -> None:
    digits = hashlib.sha256("layer/ranking/Zoë".encode()).hexdigest()[:12]
    assert buckets(["Zoë"], "ranking").tolist() == [int(digits, 16) * 10_000 // 2**48]
    place = int(hashlib.sha256(b"test/cards/u1").hexdigest()[:12], 16) / 2**48
    assert arms(["u1"], "cards", [1, 1]).tolist() == [int(place >= 0.5)]
    assert arms(["u1"], "cards", [3, 1]).tolist() == [int(place >= 0.75)]


def test_buckets_are_even() -> None:
    counts = np.bincount(buckets(USERS, "ranking") // 100, minlength=100)
    assert stats.chisquare(counts).pvalue > RARE


def test_arms_have_their_shares() -> None:
    counts = np.bincount(arms(USERS, "cards", [8, 1, 1]), minlength=3)
    assert stats.chisquare(counts, len(USERS) * np.array([0.8, 0.1, 0.1])).pvalue > RARE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "cards", "layer": "x"}, {"name": "price", "layer": "y"}),
        ({"name": "cards"}, {"name": "price"}),
    ],
    ids=["two layers", "one layer, one after the other"],
)
def test_two_tests_are_independent(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = (arms_of(experiment(**which), USERS) for which in (one, other))
    table = [[((first == a) & (second == b)).sum() for b in ("control", "new")] for a in ("control", "new")]
    assert stats.chi2_contingency(table).pvalue > RARE


def test_arms_do_not_follow_buckets_even_under_one_name() -> None:
    found = arms_of(experiment("same", layer="same", last_bucket=4999), USERS).drop_nulls()
    assert abs((found == "new").mean() - 0.5) < 4 * 0.5 / len(found) ** 0.5


def test_tests_of_a_layer_share_no_user() -> None:
    one, other = experiment("one", last_bucket=2999), experiment("other", first_bucket=3000)
    found = assign([one, other], pl.DataFrame({"user_id": USERS}))
    assert sorted(found["user_id"]) == sorted(USERS)
    assert not found["user_id"].is_duplicated().any()
    share = (found["test"] == "one").mean()
    assert isinstance(share, float)
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / len(USERS)) ** 0.5


def test_whom_a_user_joins_does_not_depend_on_the_others() -> None:
    whole = assign([experiment()], pl.DataFrame({"user_id": USERS}))
    alone = assign([experiment()], pl.DataFrame({"user_id": [USERS[7], USERS[7]]}))
    assert alone.rows() == [row for row in whole.rows() if row[0] == USERS[7]]
    numbers = assign([experiment()], pl.DataFrame({"user_id": [12]}))
    assert numbers["user_id"].to_list() == ["12"]


def test_a_wider_test_keeps_its_users() -> None:
    small, large = (arms_of(experiment(last_bucket=last), USERS) for last in (999, 4999))
    inside = small.is_not_null()
    assert small.filter(inside).equals(large.filter(inside))


@pytest.mark.parametrize(("first", "last"), product([0, 2999], [2999, 9999]))
def test_tests_that_overlap_are_refused(first: int, last: int) -> None:
    pair = [experiment("one", last_bucket=2999), experiment("other", first_bucket=first, last_bucket=last)]
    with pytest.raises(InputError, match="share no bucket"):
        assign(pair, pl.DataFrame({"user_id": ["u"]}))


def test_bad_input() -> None:
    users = pl.DataFrame({"user_id": ["u"]})
    with pytest.raises(InputError, match="different names"):
        assign([experiment(layer="x"), experiment(layer="y")], users)
    with pytest.raises(InputError, match="a column 'user_id'"):
        assign([experiment()], users.rename({"user_id": "user"}))
    with pytest.raises(InputError, match="1 null"):
        assign([experiment()], pl.DataFrame({"user_id": ["u", None]}))
    for wrong in (
        {"arms": {"control": 1.0}, "users": {"control": 9}},
        {"arms": {"control": 1.0, "new": 0.0}},
        {"first_bucket": 5, "last_bucket": 4},
        {"users": {"control": 9, "old": 9}},
    ):
        with pytest.raises(ValueError, match=r"arms|bucket"):
            experiment(**wrong)
