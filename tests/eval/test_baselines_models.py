"""Each baseline against a slow oracle, or against arithmetic."""

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import pytest
from implicit.nearest_neighbours import BM25Recommender
from pydantic import ValidationError
from scipy import sparse

from aisle.data.grid import search
from aisle.data.history import Histories
from aisle.data.ids import Ids
from aisle.data.schema import DAY
from aisle.data.words import WORDS
from aisle.eval.baselines import item_knn
from aisle.eval.baselines.factors import Als, LogisticMf
from aisle.eval.baselines.item_knn import ItemKnn, ItemKnnBm25
from aisle.eval.baselines.past import Past
from aisle.eval.baselines.popularity import Popularity, RecentPopularity
from aisle.eval.baselines.rank import rank
from aisle.eval.baselines.settings import AlsGrid, BaselineSettings, ItemKnnGrid
from aisle.eval.baselines.text_search import TextSearch
from aisle.eval.judging import judge
from aisle.eval.metrics.ndcg import ndcg
from aisle.eval.metrics.recall import recall
from aisle.eval.runs import check_truth


def past(*items: Sequence[int], texts: Sequence[str] = ("",) * 6, days: Sequence[float] = ()) -> Past:
    """One history a user, oldest first."""
    flat = np.array([item for each in items for item in each], np.int64)
    return Past(
        Histories(
            offsets=np.cumsum([0, *map(len, items)], dtype=np.int64),
            items=flat,
            kinds=np.zeros(len(flat), np.int8),
            times=(np.array(days) * DAY).astype(np.int64) if days else np.arange(len(flat)),
        ),
        texts,
        timed=bool(days),
    )


def random_past(seed: int, users: int = 30, items: int = 12) -> Past:
    random = np.random.default_rng(seed)
    return past(
        *(random.integers(0, items, random.integers(0, 9)) for _ in range(users)), texts=("",) * items
    )


def everyone(past: Past) -> Any:
    return np.arange(len(past.histories))


def test_weights_fall_with_each_step_back_and_repeats_add_up() -> None:
    weights = past([3, 1, 3], [], [2]).weighted(0.5).toarray()
    assert weights.tolist() == [[0, 0.5, 0, 1 + 0.25, 0, 0], [0] * 6, [0, 0, 1, 0, 0, 0]]
    assert past([3, 1, 3]).weighted(0).toarray().tolist() == [[0, 0, 0, 1, 0, 0]]
    assert past([3, 1, 3], [2]).counts.toarray().tolist() == [[0, 1, 0, 2, 0, 0], [0, 0, 1, 0, 0, 0]]


def test_popularity_counts_events() -> None:
    assert Popularity().fit(past([3, 1], [3]), seed=0, threads=1).scores(np.array([1])).tolist() == [
        [0, 1, 0, 2, 0, 0]
    ]


def test_an_event_counts_half_after_each_half_life() -> None:
    recent = RecentPopularity(half_life=2).fit(past([0, 0, 1], [1], days=[0, 4, 4, 3]), seed=0, threads=1)
    assert recent.scores(np.array([0]))[0] == pytest.approx(
        [2 ** (-4 / 2) + 1, 1 + 2 ** (-1 / 2), 0, 0, 0, 0]
    )


def test_events_before_the_window_do_not_count() -> None:
    world = past([0, 0, 1], [1], days=[0, 4, 4, 3])
    recent = RecentPopularity(half_life=2, window=1).fit(world, seed=0, threads=1)
    assert recent.scores(np.array([0]))[0] == pytest.approx([1, 1 + 2 ** (-1 / 2), 0, 0, 0, 0])


def test_logistic_mf_tells_two_groups_apart() -> None:
    world = past(*[[0, 1, 2]] * 9, *[[3, 4, 5]] * 9, [0, 1], [])
    model = LogisticMf(factors=4, neg_prop=3).fit(world, seed=0, threads=1)
    scores = model.scores(everyone(world))
    assert scores[18, 2] > scores[18, 3:].max()
    assert not scores[19].any()


@pytest.mark.parametrize("seed", range(5))
def test_item_knn_equals_plain_loops(seed: int) -> None:
    world = random_past(seed)
    model = ItemKnn(shrink=3, decay=0.7, neighbours=100).fit(world, seed=0, threads=1)
    had = [set(world.histories.items_of(user)) for user in everyone(world)]
    count = [sum(item in each for each in had) for item in range(world.n_items)]
    expected = np.zeros((len(had), world.n_items))
    for user in everyone(world):
        for back, old in enumerate(reversed(world.histories.items_of(user))):
            for item in range(world.n_items):
                both = sum(item in each and old in each for each in had)
                expected[user, item] += 0.7**back * both / (sqrt(count[item]) * sqrt(count[old]) + 3)
    np.testing.assert_allclose(model.scores(everyone(world)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("pairs", [1, 40])
def test_blocks_of_items_change_nothing(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    world = random_past(3)
    whole = ItemKnn(neighbours=4).fit(world, seed=0, threads=1)
    monkeypatch.setattr(item_knn, "_PAIRS_AT_ONCE", pairs)
    blocks = ItemKnn(neighbours=4).fit(world, seed=0, threads=1)
    assert (whole.similar != blocks.similar).nnz == 0
    assert np.diff(whole.similar.indptr).max() == 4


def test_the_most_similar_items_stay_and_ties_go_to_the_smaller_row() -> None:
    world = past([0, 1], [0, 1], [0, 2], [0, 3])
    similar = ItemKnn(shrink=0, neighbours=3).fit(world, seed=0, threads=1).similar.toarray()
    # cosines of item 0: 4 / 4 with itself, 2 / sqrt(4 * 2) with 1, 1 / sqrt(4 * 1) with 2 and with 3
    assert similar[0] == pytest.approx([1, 2 / sqrt(4 * 2), 1 / sqrt(4 * 1), 0, 0, 0])


@pytest.mark.parametrize("seed", range(3))
def test_bm25_similarities_are_those_of_implicit(seed: int) -> None:
    world = random_past(seed)
    ours = ItemKnnBm25(k1=1.5, b=0.6, neighbours=100).fit(world, seed=0, threads=1).similar.toarray()
    theirs = BM25Recommender(K=100, K1=1.5, B=0.6, num_threads=1)
    theirs.fit(sparse.csr_matrix(world.counts), show_progress=False)
    np.testing.assert_allclose(ours, theirs.similarity.toarray(), rtol=1e-5, atol=1e-6)


TEXTS = ("red mild shampoo", "mild soap", "red red brush", "", "温和洗发水", "the 洗手液")


def test_text_search_equals_bm25s_query_by_query() -> None:
    world = past([0], [1, 2], [4], [3], texts=TEXTS)
    scores = TextSearch(k1=1.2, b=0.5, decay=0).fit(world, seed=0, threads=1).scores(everyone(world))
    words = bm25s.tokenize(list(TEXTS), token_pattern=WORDS, return_ids=False, show_progress=False)
    plain = bm25s.BM25(k1=1.2, b=0.5, method="lucene")
    plain.index(words, show_progress=False)
    for user, last in enumerate([0, 2, 4]):
        np.testing.assert_allclose(scores[user], plain.get_scores(words[last]), rtol=1e-5)
    assert not scores[3].any()  # the last item has no text
    assert scores[2, 5] > 0  # one character in common
    assert scores[0].argmax() == 0


def test_text_search_adds_up_a_fading_history() -> None:
    world = past([0, 1], [0], [1], texts=TEXTS)
    both, older, newer = TextSearch(decay=0.25).fit(world, seed=0, threads=1).scores(everyone(world))
    np.testing.assert_allclose(both, newer + 0.25 * older, rtol=1e-5)


@pytest.mark.parametrize("texts", [("",) * 6, ("the", "a", "", "!", "", "")])
def test_texts_without_words_score_nothing(texts: Sequence[str]) -> None:
    assert not TextSearch().fit(past([0, 1], texts=texts), seed=0, threads=1).scores(np.array([0])).any()


def test_als_scores_are_least_squares() -> None:
    # at the optimum each user vector solves (Y'CY + regularization I) x = Y'Cp, Hu et al. (4)
    world = random_past(1)
    model = Als(factors=3, regularization=0.5, alpha=5, iterations=200).fit(world, seed=0, threads=1)
    for user in range(5):
        counts = world.counts[[user]].toarray()[0]
        weights = np.where(counts > 0, 5 * counts, 1.0)
        gram = (model.items.T * weights) @ model.items + 0.5 * np.eye(3)
        wanted = (model.items.T * weights) @ (counts > 0)
        np.testing.assert_allclose(model.users[user], np.linalg.solve(gram, wanted), atol=2e-2)


def test_unknown_items_follow_behind_known_ones_by_popularity() -> None:
    world = past([0, 1], [2, 3], [2], [5])
    users, items = Ids(list("abcd")), Ids(list("012345"))
    nothing = past([], [], [], []).histories
    model = ItemKnn().fit(world, seed=0, threads=1)
    run = rank(model, world, np.array([0]), nothing, 6, users=users, items=items)
    assert run["item_id"].to_list() == ["0", "1", "2", "3", "5", "4"]  # 0 and 1 tie; 4 is new
    assert (run["score"] > 0).to_list() == [True, True, False, False, False, False]


def test_a_grid_is_searched_axis_by_axis() -> None:
    grid = ItemKnnGrid(shrink=(1, 2), decay=(0.5, 0.7), neighbours=(3, 4, 5))
    asked = []

    def value(point: dict[str, float]) -> float:
        asked.append(tuple(point.values()))
        return {(1, 0.5, 3): 1, (2, 0.5, 3): 3, (2, 0.7, 3): 2, (2, 0.5, 4): 4, (2, 0.5, 5): 4}[asked[-1]]

    found = search(grid.axes(), value, passes=1)
    assert (found.point, found.value) == ({"shrink": 2, "decay": 0.5, "neighbours": 4}, 4)
    assert len(asked) == len(set(asked)) == found.tried == 5
    assert search(BaselineSettings().popularity.axes(), value, passes=3) == ({}, None, 0, 0, True)
    assert search({"a": (7,)}, value, passes=3) == ({"a": 7}, None, 0, 0, True)


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"factors": ()}, {"factors": (0,)}, {"alpha": (-1,)}, {"factor": (1,)}):
        with pytest.raises(ValidationError):
            AlsGrid.model_validate(wrong)
    with pytest.raises(ValidationError):
        BaselineSettings.model_validate({"names": ["slim"]})


def test_settings_do_not_load_the_models() -> None:
    code = (
        "import sys, aisle.eval.baselines.settings; print({'implicit', 'bm25s', 'scipy'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


@pytest.mark.slow
def test_beauty_item_knn_reaches_its_known_figures(shared_data: Path) -> None:
    """Leave one out, shrinkage 20, decay .8, train and validation: recall .080 and ndcg .047 at 10."""
    with gzip.open(shared_data / "amazon-beauty-2014" / "sequences.jsonl.gz") as lines:
        sequences = {row["user"]: row["items"] for row in map(json.loads, lines)}
    items = Ids(sorted({item for each in sequences.values() for item in each}))
    users = Ids(list(sequences))
    world = past(*(items.rows(each[:-1]) for each in sequences.values()), texts=[""] * len(items))
    model = ItemKnn(shrink=20, decay=0.8).fit(world, seed=0, threads=1)
    run = rank(model, world, everyone(world), world.histories, 10, users=users, items=items)
    truth = {"user_id": list(sequences), "item_id": [each[-1] for each in sequences.values()]}
    judged = judge(run, check_truth(type(run)(truth)), depth=10)
    assert recall(judged, 10).mean() == pytest.approx(0.080, abs=0.0015)
    assert ndcg(judged, 10).mean() == pytest.approx(0.047, abs=0.0015)
