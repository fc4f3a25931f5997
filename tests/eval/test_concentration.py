"""How much of the places popular items take, counted by hand."""

import polars as pl
import pytest

from aisle.eval.catalogue import Catalogue
from aisle.eval.concentration import SHARES, Popular
from aisle.eval.evaluate import evaluate
from aisle.eval.settings import EvaluateSettings

ITEMS = pl.DataFrame({"item_id": [f"i{place}" for place in range(10)], "events": [5, 9, 7, *[1] * 7]})
"""i1 is the most popular, then i2, i0, and the rest in their order."""
QUICK = EvaluateSettings(
    k=(1, 2), metrics=("recall",), primary="recall@2", tested=("recall@2",), resamples=100, permutations=100
)


def shares(**known: list[float]) -> dict[str, dict[float, float]]:
    return {name: dict(zip(SHARES, values, strict=True)) for name, values in known.items()}


def test_places_are_counted_down_to_the_cut_off_and_strangers_are_the_least_popular():
    truth = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["i1", "i9"]})
    run = pl.DataFrame(
        {
            "user_id": ["u", "u", "u", "v", "v"],
            "item_id": ["i1", "i0", "i9", "i2", "stranger"],
            "score": [3.0, 2.0, 1.0, 2.0, 1.0],
        }
    )
    found = evaluate(truth, {"m": run}, catalogue=Catalogue.of(ITEMS), settings=QUICK).popularity
    assert found is not None
    assert found.k == 2
    curves = shares(wanted=found.wanted, m=found.models["m"])
    assert [curves["m"][share] for share in (0.01, 0.1, 0.2, 0.3, 0.9, 1.0)] == [
        1 / 4,
        1 / 4,
        2 / 4,
        3 / 4,
        3 / 4,
        1,
    ]
    assert [curves["wanted"][share] for share in (0.1, 0.9, 1.0)] == [1 / 2, 1 / 2, 1]


@pytest.mark.parametrize("catalogue", [None, Catalogue(10), Catalogue.of(ITEMS.select("item_id"))])
def test_nothing_is_said_where_popularity_is_unknown(catalogue):
    assert Popular.of(catalogue) is None


def test_a_run_without_results_takes_no_places():
    truth = pl.DataFrame({"user_id": ["u"], "item_id": ["i1"]})
    empty = pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String, "score": pl.Float64})
    found = evaluate(truth, {"m": empty}, catalogue=Catalogue.of(ITEMS), settings=QUICK).popularity
    assert found is not None
    assert found.models["m"] == [0.0] * len(SHARES)
