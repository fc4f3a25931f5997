"""The cross-encoder in a world where the words of a candidate say what its features do not."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from worlds import THINGS, write_prepared

from aisle.data.prepared import Prepared
from aisle.data.settings import TextSettings
from aisle.data.text import render_items
from aisle.ranker.cross_encoder.order import best_pairs, reordered
from aisle.ranker.cross_encoder.reader import CrossEncoder, fit
from aisle.ranker.cross_encoder.settings import CrossEncoderSettings
from aisle.ranker.features import Features
from aisle.ranker.lists import Lists
from aisle.ranker.pairs import LabelledLists
from aisle.ranker.settings import RankerSettings
from aisle.ranker.train import learn_to_read
from aisle.retriever.settings import EncoderSettings

USERS, SIZE = 56, 6
COLOURS = ("red", "green", "blue", "black", "white", "golden")
SETTINGS = CrossEncoderSettings(
    enabled=True,
    encoder=EncoderSettings(max_tokens=32, precision="fp32"),
    depth=SIZE,
    negatives=3,
    held_out=0.3,
    learning_rate=1e-4,
    head_learning_rate=1e-2,
    round_steps=10,
    max_rounds=2,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    items = [
        {"item_id": f"{thing}-{colour}", "title": f"{colour} {thing}"}
        for thing in THINGS
        for colour in COLOURS
    ]
    about = {"kind": "purchase", "position": 0}
    parts = {
        "train": [
            {**about, "user_id": f"u{user:03}", "item_id": f"{THINGS[(user + 1) % 4]}-red"}
            for user in range(USERS)
        ],
        "validation": [],
        "test": [],
    }
    return write_prepared(tmp_path_factory.mktemp("golden") / "shop", items, parts)


def golden_lists() -> tuple[LabelledLists, Features, np.ndarray]:
    """Each list holds a thing in all colours; the golden one is relevant. Scores and features are noise."""
    rng = np.random.default_rng(0)
    items = np.concatenate([SIZE * (user % 4) + rng.permutation(SIZE) for user in range(USERS)])
    noise = rng.normal(size=len(items)).astype(np.float32)
    offsets = SIZE * np.arange(USERS + 1)
    lists = Lists(np.arange(USERS), offsets, items.astype(np.int64), noise, {})
    labels = items % SIZE == SIZE - 1
    given = LabelledLists(lists, labels, np.ones(len(items), bool), np.ones(USERS, np.int64))
    return given, Features(("noise.a",), rng.normal(size=(len(items), 1)).astype(np.float32)), noise


@pytest.fixture(scope="module", params=["both", "text"])
def fitted(
    request: pytest.FixtureRequest, shop: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CrossEncoder, dict[str, float]]:
    given, features, first = golden_lists()
    texts = tuple(render_items(shop.items, TextSettings()))
    settings = SETTINGS.model_copy(update={"reads": request.param})
    folder = tmp_path_factory.mktemp(request.param)
    return fit(shop, given, features, first, texts, TextSettings(), settings, folder, seed=0)


def test_words_decide_where_features_do_not(
    fitted: tuple[CrossEncoder, dict[str, float]], shop: Prepared
) -> None:
    found, said = fitted
    assert found.weight > 0
    assert said["cross-encoder 1"] > 0.9 > said["cross-encoder 0"]
    given, features, first = golden_lists()
    refined = found.refined(shop, given.lists, features, first).reshape(USERS, SIZE)
    golden = given.labels.reshape(USERS, SIZE).argmax(1)
    assert (refined.argmax(1) == golden).mean() > 0.9
    assert np.array_equal(np.sort(refined, 1), np.sort(first.reshape(USERS, SIZE), 1))


def test_it_reads_the_same_from_disk(
    fitted: tuple[CrossEncoder, dict[str, float]], shop: Prepared, tmp_path: Path
) -> None:
    found, _ = fitted
    given, features, first = golden_lists()
    pairs = np.arange(24)
    found.save(tmp_path / "cross_encoder")
    again = CrossEncoder.load(tmp_path / "cross_encoder")
    assert again.weight == found.weight
    said = found.read(shop, given.lists, features, first, pairs)
    assert again.read(shop, given.lists, features, first, pairs) == pytest.approx(said, abs=1e-4)
    other = replace(features, values=features.values + 3)
    same = np.allclose(found.read(shop, given.lists, other, first, pairs), said, atol=1e-5)
    assert same == (found.settings.reads == "text")


def test_the_best_are_found_and_dealt_out_anew() -> None:
    scores = np.array([1, 3, 2, 9, 8], np.float32)
    owner = np.array([0, 0, 0, 1, 1])
    pairs = best_pairs(scores, owner, 2)
    assert pairs.tolist() == [1, 2, 3, 4]
    assert reordered(scores, owner, pairs, np.array([0, 1, 5, 4], np.float32)).tolist() == [1, 2, 3, 9, 8]


@dataclass(frozen=True)
class Reader:
    """Stands for a trained cross-encoder."""

    items: tuple[str, ...]


def test_reviews_of_the_labelled_events_are_no_text_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item without a title is described by reviews: those of the labels describe it only afterwards."""
    review = {"item_id": "nameless", "kind": "review", "rating": 5.0}
    said = {
        "train": [{**review, "user_id": "u1", "position": 0, "text": "said before"}],
        "validation": [{**review, "user_id": "u2", "position": 0, "text": "said by the label"}],
        "test": [],
    }
    parts = {"train": said["train"], "validation": [], "test": []}
    items = [{"item_id": "nameless"}]
    earlier = write_prepared(tmp_path / "earlier", items, parts)
    today = write_prepared(tmp_path / "today", items, said)
    learned: list[str] = []

    def fit_at_once(*args: object, **_: object) -> tuple[Reader, dict[str, float]]:
        learned.extend(args[4])
        return Reader(args[4]), {}

    monkeypatch.setattr("aisle.ranker.train.cross_encoder.fit", fit_at_once)
    given, features, first = golden_lists()
    recipe = RankerSettings(cross_encoder=SETTINGS)
    reader, _ = learn_to_read(today, earlier, given, features, first, TextSettings(), recipe, tmp_path, 0)
    assert "said before" in learned[0]
    assert "label" not in learned[0]
    assert "label" in reader.items[0]
