"""One contract for all baselines, on a planted world with a known answer."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np
import polars as pl
import pytest

from aisle.data.errors import InputError
from aisle.data.grid import search
from aisle.data.history import Histories
from aisle.data.ids import Rows
from aisle.data.prepared import Part, Prepared
from aisle.data.schema import EVENTS, ITEMS
from aisle.eval.baselines import Baseline, run_baselines
from aisle.eval.baselines.past import Past
from aisle.eval.baselines.rank import rank
from aisle.eval.baselines.run import SCORERS
from aisle.eval.baselines.settings import BaselineSettings, Name
from aisle.eval.baselines.text_search import TextSearch
from aisle.eval.judging import judge
from aisle.eval.metrics.ndcg import ndcg
from aisle.eval.runs import check_truth

GROUP_ITEMS = 8
USERS = 24
TEXTS = [f"{word} number{item}" for word in ("kettle", "guitar") for item in range(GROUP_ITEMS)]
START = datetime(2024, 1, 1, tzinfo=UTC)


def event(user: str, item: int, day: int, kind: str = "purchase") -> dict[str, Any]:
    told = {"user_id": user, "item_id": f"i{item:02}", "kind": kind, "timestamp": START + timedelta(days=day)}
    return dict.fromkeys(EVENTS) | told


def group_of(user: str) -> range:
    """Item rows of a user's group."""
    first = GROUP_ITEMS * (int(user[1:]) % 2)
    return range(first, first + GROUP_ITEMS)


def write_world(
    folder: Path, extra: dict[str, list[dict[str, Any]]] | None = None, **counts: Any
) -> Prepared:
    """A shop where even users buy the first items and odd users the others.

    Each user buys five items of the group, then one in validation and one in the test. `extra` adds events to
    parts; user "x" has no past at all and buys item 3 in the test.
    """
    random = np.random.default_rng(1)
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    for number in range(USERS):
        user = f"u{number:02}"
        order = random.permutation(group_of(user))[:7]
        for day, item in enumerate(order):
            part = "train" if day < 5 else "validation" if day == 5 else "test"
            parts[part].append(event(user, int(item), day))
    parts["test"].append(event("x", 3, 6))
    (folder / "split").mkdir(parents=True)
    for part, rows in parts.items():
        rows += (extra or {}).get(part, [])
        pl.DataFrame(rows, schema=EVENTS).write_parquet(folder / "split" / f"{part}.parquet")
    items = [{"item_id": f"i{row:02}", "title": text} for row, text in enumerate(TEXTS)]
    pl.DataFrame(items, schema=ITEMS).write_parquet(folder / "items.parquet")
    told = {"target_kinds": ["purchase"], "seen_kinds": ["purchase"], "order": "time"} | counts
    (folder / "counts.json").write_text(json.dumps(told))
    return Prepared(folder)


NAMES: tuple[Name, ...] = get_args(Name)
PERSONAL = tuple(name for name in NAMES if "popularity" not in name)
SMALL = BaselineSettings.model_validate(
    {
        "threads": 1,
        "item_knn": {"shrink": (1,), "decay": (0.8, 1.0)},
        "item_knn_bm25": {"k1": (1.2,), "b": (0.75,), "decay": (0.8,)},
        "als": {"factors": (2,), "regularization": (0.1,), "alpha": (10, 40)},
        "bpr": {"factors": (4,), "regularization": (0.01,), "iterations": (200,)},
        "logistic_mf": {"factors": (2,), "regularization": (0.1,), "neg_prop": (5,), "learning_rate": (1.0,)},
    }
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return write_world(tmp_path_factory.mktemp("world") / "prepare")


def answers(world: Prepared, k: int = 3, seed: int = 0, **changed: Any) -> dict[str, Baseline]:
    settings = SMALL.model_copy(update=changed)
    found = run_baselines(world, lambda part: TEXTS, settings, part="test", k=k, seed=seed)
    return {each.name: each for each in found}


@pytest.fixture(scope="module")
def three(world: Prepared) -> dict[str, Baseline]:
    return answers(world)


@pytest.fixture(scope="module")
def everything(world: Prepared) -> dict[str, Baseline]:
    return answers(world, k=100)


def lists(baseline: Baseline) -> dict[str, list[int]]:
    """Item rows of each user's list."""
    run = baseline.run.group_by("user_id", maintain_order=True).agg(
        pl.col("item_id").str.slice(1).cast(pl.Int64)
    )
    return dict(run.iter_rows())


def bought(world: Prepared, user: str) -> set[int]:
    items = (
        world.past("test")
        .filter(pl.col("user_id") == user, pl.col("kind") == "purchase")
        .collect()["item_id"]
    )
    return {int(item[1:]) for item in items}


def test_all_names_are_run_in_order(three: dict[str, Baseline]) -> None:
    assert tuple(three) == NAMES == tuple(SCORERS)


@pytest.mark.parametrize("name", PERSONAL)
def test_it_finds_the_group_of_every_user(three: dict[str, Baseline], name: str) -> None:
    for user, items in lists(three[name]).items():
        if user != "x":
            # six of the group's eight items are bought: the two others come first
            assert set(items[:2]) <= set(group_of(user)), user


@pytest.mark.parametrize("name", NAMES)
def test_run_is_well_formed(world: Prepared, three: dict[str, Baseline], name: str) -> None:
    run = three[name].run
    assert run.schema == {"user_id": pl.String, "rank": pl.Int64, "item_id": pl.String, "score": pl.Float64}
    assert run["user_id"].n_unique() == USERS + 1
    for _, rows in run.group_by("user_id"):
        assert rows["rank"].to_list() == [1, 2, 3]
        assert rows["score"].is_sorted(descending=True)
        assert rows["item_id"].n_unique() == 3
    assert run["score"].is_finite().all()


@pytest.mark.parametrize("name", NAMES)
def test_seen_items_never_return_even_when_k_is_larger_than_the_rest(
    world: Prepared, everything: dict[str, Baseline], name: str
) -> None:
    for user, items in lists(everything[name]).items():
        seen = bought(world, user)
        assert set(items) == set(range(2 * GROUP_ITEMS)) - seen
        assert len(items) == 2 * GROUP_ITEMS - len(seen)


@pytest.mark.parametrize("name", NAMES)
def test_shorter_lists_begin_longer_ones(
    three: dict[str, Baseline], everything: dict[str, Baseline], name: str
) -> None:
    whole = lists(everything[name])
    assert all(items == whole[user][:3] for user, items in lists(three[name]).items())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "recent_popularity"])
def test_a_user_without_history_gets_the_popular_items(
    world: Prepared, everything: dict[str, Baseline], name: str
) -> None:
    counts = np.bincount(world.histories("train", "validation").items, minlength=2 * GROUP_ITEMS)
    popular = sorted(range(2 * GROUP_ITEMS), key=lambda item: (-counts[item], item))
    assert lists(everything[name])["x"] == popular


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_run(world: Prepared, three: dict[str, Baseline], name: Name) -> None:
    again = answers(world, names=(name,))[name]
    assert again.run.equals(three[name].run)
    assert again.settings == three[name].settings


def test_als_is_the_same_with_several_threads(world: Prepared, three: dict[str, Baseline]) -> None:
    assert lists(answers(world, names=("als",), threads=2)["als"]) == lists(three["als"])


def test_a_grid_is_searched(world: Prepared) -> None:
    settings = answers(world, names=("als",))["als"].settings
    assert settings["alpha"] in (10, 40)
    assert settings["points tried"] == 2
    assert (settings["passes"], settings["settled"]) in {(1, True), (2, True)}
    assert settings["tuning users"] == USERS
    assert 0 < float(str(settings["validation ndcg@10"])) <= 1


def test_the_point_that_validates_best_is_taken(world: Prepared) -> None:
    settings = BaselineSettings.model_validate(
        {"recent_popularity": {"half_life": (1000, 0.1)}, "threads": 1}
    )
    tried = {}
    for half_life in (1000, 0.1):
        one = {"recent_popularity": {"half_life": (half_life,)}}
        alone = run_baselines(
            world,
            lambda part: TEXTS,
            BaselineSettings.model_validate(one | {"names": ("recent_popularity",)}),
            part="validation",
            k=10,
            seed=0,
        )
        run = next(alone).run
        tried[half_life] = ndcg(judge(run, check_truth(world.truth("validation")), depth=10), 10).mean()
    assert len(set(tried.values())) == 2
    best = answers(world, names=("recent_popularity",), recent_popularity=settings.recent_popularity)
    chosen = best["recent_popularity"].settings
    assert chosen["half_life"] == max(tried, key=tried.__getitem__)
    assert chosen["validation ndcg@10"] == pytest.approx(max(tried.values()), abs=1e-12)


def test_tuning_reads_the_texts_of_the_past_of_validation_alone(world: Prepared) -> None:
    """A review in a text of the test's past names the item that validation asks for."""
    answers_in_texts = [f"{text} {text}" for text in TEXTS]
    asked: list[Part] = []

    def texts(part: Part) -> list[str]:
        asked.append(part)
        return TEXTS if part == "validation" else answers_in_texts

    class Reader(TextSearch):
        read: ClassVar[list[list[str]]] = []

        def fit(self, past: Past, *, seed: int, threads: int) -> Self:
            self.read.append(list(past.texts))
            return super().fit(past, seed=seed, threads=threads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCORERS, "bm25", Reader)
        settings = SMALL.model_copy(update={"names": ("bm25", "bm25")})
        list(run_baselines(world, texts, settings, part="test", k=3, seed=0))
    *tuned, last = Reader.read[: len(Reader.read) // 2]
    assert len(tuned) > 1
    assert all(read == TEXTS for read in tuned)
    assert last == answers_in_texts
    assert asked == ["validation", "test"]


def test_the_encoder_is_left_to_the_caller(world: Prepared) -> None:
    assert "encoder" in BaselineSettings().names
    assert "sasrec" not in BaselineSettings().names
    assert list(answers(world, names=("encoder", "sasrec", "popularity"))) == ["popularity"]


def test_axes_are_passed_over_until_nothing_changes() -> None:
    """y pays only once x is 2, and x = 3 only once y is 1: one pass stops short of both."""
    values = {(0, 0): 0, (2, 0): 1, (2, 1): 2, (3, 1): 3}
    axes = {"x": (0, 2, 3), "y": (0, 1)}
    tried = []

    def value(point: dict[str, int]) -> float:
        tried.append((point["x"], point["y"]))
        return values.get(tried[-1], -1)

    once = search(axes, value, passes=1)
    assert (once.point, once.passes, once.settled) == ({"x": 2, "y": 1}, 1, False)
    tried.clear()
    found = search(axes, value, passes=5)
    assert (found.point, found.value, found.passes, found.settled) == ({"x": 3, "y": 1}, 3, 3, True)
    assert len(tried) == len(set(tried)) == found.tried == 6


def test_all_are_tuned_under_one_budget_on_the_same_users(world: Prepared) -> None:
    found = run_baselines(
        world,
        lambda part: TEXTS,
        BaselineSettings(names=("recent_popularity", "item_knn", "bm25"), trials=7, threads=1),
        part="test",
        k=3,
        seed=0,
    )
    for each in found:
        said = [each.settings[key] for key in ("trials", "points tried", "tuning users")]
        assert said == [7, 7, USERS], each.name


@pytest.mark.parametrize("trials", [1, 4, 5, 6, 11, 12, 99])
def test_a_budget_is_used_up_or_the_grid_is(trials: int) -> None:
    axes = {"x": (0, 1, 2, 3), "y": (0, 1, 2)}
    tried: list[tuple[int, ...]] = []

    def value(point: dict[str, int]) -> float:
        tried.append(tuple(point.values()))
        return 9 if tried[-1] == (3, 2) else -sum(tried[-1])  # the ascent stays at (0, 0)

    found = search(axes, value, passes=3, trials=trials, seed=1)
    assert len(tried) == len(set(tried)) == found.tried == min(trials, 12)
    assert found.value == max(9 if point == (3, 2) else -sum(point) for point in tried)
    assert found.settled == (trials >= 12 or (trials > 6 and found.value == 0))
    assert tried[: min(trials, 6)] == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2)][: min(trials, 6)]


def test_only_a_sample_of_users_is_tuned_on(world: Prepared) -> None:
    assert answers(world, names=("als",), tuning_users=7)["als"].settings["tuning users"] == 7


def test_without_validation_the_first_point_is_taken(tmp_path: Path) -> None:
    world = write_world(tmp_path / "prepare")
    path = tmp_path / "prepare" / "split" / "validation.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    als = answers(world, names=("als",))["als"]
    assert (als.settings["alpha"], als.settings["points tried"]) == (10, 0)
    assert len(als.run) == 3 * (USERS + 1)


def test_looks_teach_when_validation_says_so(tmp_path: Path) -> None:
    # nobody's purchases say anything; looks at the next item do
    extra: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    plain = write_world(tmp_path / "plain")
    for part, day in (("validation", 4), ("test", 5)):
        for user, item in plain.truth(part).iter_rows():  # type: ignore[arg-type]
            before = "train" if part == "validation" else "validation"
            extra[before].append(event(user, int(item[1:]), day, "view"))
    world = write_world(tmp_path / "looks", extra)
    knn = answers(world, names=("item_knn",), k=1)["item_knn"]
    assert knn.settings["evidence"] == "all"
    truth = dict(world.truth("test").iter_rows())
    assert all(item == truth[user] for user, item in knn.run.select("user_id", "item_id").iter_rows())
    plainly = answers(world, names=("item_knn",), k=1, evidence=("target",))["item_knn"]
    assert plainly.settings["evidence"] == "target"
    assert not plainly.run.equals(knn.run)


def test_recent_popularity_needs_times(tmp_path: Path) -> None:
    world = write_world(tmp_path / "prepare", order="position")
    assert "recent_popularity" not in answers(world, names=("popularity", "recent_popularity"))


def test_seen_kinds_are_what_is_masked(tmp_path: Path) -> None:
    looked = [event("u00", item, 5, "view") for item in range(2 * GROUP_ITEMS)]
    world = write_world(tmp_path / "prepare", {"validation": looked}, seen_kinds=["view", "purchase"])
    assert "u00" not in lists(answers(world, names=("popularity",))["popularity"])


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_past_gives_the_popularity_list_of_nothing(tmp_path: Path, name: Name) -> None:
    world = write_world(tmp_path / "prepare")
    for part in ("train", "validation"):
        path = tmp_path / "prepare" / "split" / f"{part}.parquet"
        pl.read_parquet(path).clear().write_parquet(path)
    answer = answers(world, names=(name,))[name]
    assert all(items == [0, 1, 2] for items in lists(answer).values())


def test_wrong_input_is_refused(world: Prepared) -> None:
    with pytest.raises(InputError, match="one text for each of 16 items"):
        list(run_baselines(world, lambda part: TEXTS[1:], SMALL, part="test", k=3, seed=0))
    with pytest.raises(InputError, match="a part with a past"):
        list(run_baselines(world, lambda part: TEXTS, SMALL, part="train", k=3, seed=0))


def test_ties_are_broken_by_item_row(world: Prepared) -> None:
    class Tied:
        def fit(self, past: Past, *, seed: int, threads: int) -> "Tied":
            return self

        def scores(self, user_rows: Rows) -> Any:
            return np.tile(np.float32([1, 2] * GROUP_ITEMS), (len(user_rows), 1))

    past = Past(world.histories("train"), TEXTS, timed=True)
    seen = Histories.of(world.events("train").head(0), world.user_ids, world.item_ids)
    run = rank(Tied(), past, np.array([4, 0]), seen, 10, users=world.user_ids, items=world.item_ids)
    assert run["user_id"].to_list() == ["u04"] * 10 + ["u00"] * 10
    assert run["item_id"].to_list()[:10] == [f"i{row:02}" for row in (1, 3, 5, 7, 9, 11, 13, 15, 0, 2)]
