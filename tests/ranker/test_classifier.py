"""The classifier of reviews on a planted shop, where words say how pleased a buyer is."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from language_models import tiny_bert
from safetensors.numpy import load_file, save_file

from aisle.checksum import file_sha256
from aisle.data.errors import InputError
from aisle.ranker.sentiment.classifier import ARRAYS, FACTS, SentimentClassifier
from aisle.ranker.sentiment.labels import Labelled, from_labels, from_stars
from aisle.ranker.sentiment.mixture import fit_mixture
from aisle.ranker.sentiment.ngrams import NGrams, fit_ngrams, log_loss
from aisle.ranker.sentiment.quality import measure
from aisle.ranker.sentiment.reader import ReviewReader
from aisle.ranker.sentiment.reviews import Columns, table_reviews
from aisle.ranker.sentiment.score import scored
from aisle.ranker.sentiment.settings import LabelSettings, NGramSettings, SentimentSettings
from aisle.ranker.sentiment.train import drawn, measured, train
from aisle.retriever.encoder import Encoder
from aisle.retriever.settings import EncoderSettings

GOOD, BAD = ("lovely", "sturdy", "quick"), ("broken", "late", "flimsy")
PLAIN = ("the cup", "a lamp", "this shirt", "my kettle", "it came", "we use it")


def planted(count: int, seed: int = 0) -> pl.DataFrame:
    """Reviews in which one word of many tells the stars: 1, 2, 4 or 5."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        good = bool(rng.random() < 0.7)
        words = [*rng.choice(PLAIN, 4), str(rng.choice(GOOD if good else BAD)), *rng.choice(PLAIN, 3)]
        rows.append(
            (" ".join([*words, str(number)]), float(rng.integers(4, 6) if good else rng.integers(1, 3)))
        )
    return pl.DataFrame(rows, schema=["text", "stars"], orient="row")


def settings(folder: Path, **own: object) -> SentimentSettings:
    model = tiny_bert(folder / "bert", texts=[*GOOD, *BAD, *PLAIN])
    encoder = EncoderSettings(model=str(model), max_tokens=24, precision="fp32")
    given = {
        "frozen_layers": 0,
        "overlap": 4,
        "epochs": 10,
        "learning_rate": 5e-3,
        "head_learning_rate": 3e-2,
    }
    return SentimentSettings(encoder=encoder, **{**given, **own})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[SentimentClassifier, Labelled]:
    table = planted(400)
    labelled = from_stars(table["text"], table["stars"], LabelSettings())
    reviews, held, test = labelled.parts(0.2, 0.2, seed=0)
    return measured(train(reviews, held, settings(tmp_path_factory.mktemp("model")), seed=0), test), test


def test_it_learns_what_is_planted(trained) -> None:
    classifier, test = trained
    assert classifier.classes == ("negative", "positive")
    assert classifier.facts.measured["accuracy"] > 0.95
    assert classifier.facts.reviews == {"train": 240, "validation": 80, "test": 80}
    alone = log_loss(classifier.reader.score(test.texts), test.labels)
    assert alone < 0.3, "the language model has a part in it"


def test_probabilities_and_polarity(trained) -> None:
    classifier, _ = trained
    found = classifier.probabilities(["the cup lovely", "a lamp broken", "the cup lovely", ""])
    assert found.sum(1) == pytest.approx(np.ones(4))
    assert found[0].tolist() == found[2].tolist()
    polarity = classifier.polarity(["the cup lovely", "a lamp broken"])
    assert polarity == pytest.approx(found[:2, 1])
    assert polarity[0] > 0.8 > 0.2 > polarity[1]
    assert classifier.probabilities([]).shape == (0, 2)


def test_a_folder_gives_the_same_classifier(trained, tmp_path: Path) -> None:
    classifier, test = trained
    classifier.save(tmp_path / "saved")
    again = SentimentClassifier.load(tmp_path / "saved")
    texts = test.texts[:20]
    assert again.probabilities(texts) == pytest.approx(classifier.probabilities(texts), abs=1e-6)
    assert again.facts.measured == classifier.facts.measured
    damaged = tmp_path / "saved" / ARRAYS
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(InputError, match="has changed"):
        SentimentClassifier.load(tmp_path / "saved")
    (tmp_path / "saved" / FACTS).unlink()
    with pytest.raises(InputError, match=FACTS):
        SentimentClassifier.load(tmp_path / "saved")


def test_a_folder_from_before_columns_were_kept_loads(trained, tmp_path: Path) -> None:
    classifier, test = trained
    rows = test.texts[:20]
    counted = classifier.ngrams
    settings = counted.settings.model_copy(update={"features": 4096})
    every = np.arange(4096, dtype=np.int32)
    random = np.random.default_rng(0)
    idf, weights = random.random(4096), random.normal(size=(2, 4096))
    ngrams = NGrams(settings, every, idf.astype(np.float32), weights.astype(np.float32), counted.bias)
    before = SentimentClassifier(
        classifier.reader, ngrams, classifier.facts.model_copy(update={"ngrams": settings})
    )
    before.save(tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    del arrays["ngrams.columns"]
    save_file(arrays, tmp_path / ARRAYS)
    facts = json.loads((tmp_path / FACTS).read_bytes())
    facts["checksums"][ARRAYS] = file_sha256(tmp_path / ARRAYS)
    for kept in (facts["ngrams"], facts["settings"]["ngrams"]):
        del kept["least_reviews"]
    (tmp_path / FACTS).write_text(json.dumps(facts))
    again = SentimentClassifier.load(tmp_path)
    assert again.probabilities(rows) == pytest.approx(before.probabilities(rows), abs=1e-6)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ReviewReader:
    folder = tiny_bert(tmp_path_factory.mktemp("model") / "bert", texts=[*GOOD, *BAD, *PLAIN])
    encoder = Encoder.load(
        EncoderSettings(model=str(folder), max_tokens=16, batch_tokens=64, precision="fp32")
    )
    torch.manual_seed(0)
    return ReviewReader(encoder, 2, overlap=4)


def test_long_reviews_are_read_to_their_end(reader: ReviewReader) -> None:
    filler = " ".join(["the cup", "a lamp"] * 60)
    ends = reader.score([f"{filler} lovely", f"{filler} broken", filler])
    assert np.abs(ends[0] - ends[1]).max() > 1e-4
    (windows,) = reader.windows([filler])
    whole = reader.encoder.tokenizer(filler, add_special_tokens=False)["input_ids"]
    inner = [window[1:-1] for window in windows]
    joined = inner[0] + [token for window in inner[1:] for token in window[4:]]
    assert joined == whole, "every token is in a window, and windows have four in common"


def test_streamed_windows_equal_whole_reviews(reader: ReviewReader) -> None:
    texts = ["lovely", "the cup " * 40 + "broken", "", "a lamp " * 9]
    with torch.inference_mode():
        whole = reader.eval()(reader.collate(reader.windows(texts))).numpy()
    assert reader.score(texts) == pytest.approx(whole, abs=1e-5)


def test_the_mixture_trusts_who_is_right() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    right = np.stack([np.zeros(600), rng.normal(3 * (2 * labels - 1), 2)], 1).astype(np.float32)
    noise = np.stack([np.zeros(600), rng.normal(0, 2, 600)], 1).astype(np.float32)
    mixture = fit_mixture(right, noise, labels)
    assert mixture.language_model > 0.5
    assert abs(mixture.ngrams) < 0.1
    assert measure(mixture.probabilities(right, noise), labels)["calibration_error"] < 0.03


@pytest.mark.parametrize(
    ("texts", "analyzer"), [(("good cup", "bad cup"), "word"), (("好杯子", "坏杯子"), "char")]
)
def test_ngrams_follow_the_script(texts: tuple[str, str], analyzer: str) -> None:
    labels = np.array([1, 0] * 10)
    model = fit_ngrams(list(texts) * 10, labels, (texts, np.array([1, 0])), NGramSettings(features=512))
    assert model.settings.analyzer == analyzer
    assert model.logits(texts).argmax(1).tolist() == [1, 0]


def test_classes_from_stars() -> None:
    texts = pl.Series([f"text {number}" for number in range(60)])
    stars = pl.Series([float(number % 6) for number in range(60)])
    binary = from_stars(texts, stars, LabelSettings())
    assert binary.classes == ("negative", "positive")
    assert np.bincount(binary.labels).tolist() == [30, 20]  # 0, 1, 2 and 4, 5; three stars say neither
    each = from_stars(texts, stars, LabelSettings(classes="stars"))
    assert each.classes == ("0", "1", "2", "3", "4", "5")
    assert each.polarities == (0, 0, 0.25, 0.5, 0.75, 1)
    with pytest.raises(InputError, match="0 to 5"):
        from_stars(texts, stars + 5, LabelSettings())


def test_given_classes() -> None:
    texts = pl.Series([f"text {number}" for number in range(40)])
    given = from_labels(texts, pl.Series(["Negative", "Positive"] * 20), LabelSettings())
    assert given.classes == ("negative", "positive")
    with pytest.raises(InputError, match="meh"):
        from_labels(texts, pl.Series(["meh", "Positive"] * 20), LabelSettings())
    with pytest.raises(InputError, match="two classes"):
        from_labels(texts, pl.Series(["Positive"] * 40), LabelSettings())


def test_equal_texts_are_in_one_part_only() -> None:
    table = pl.concat([planted(100), planted(100)])
    labelled = from_stars(table["text"], table["stars"], LabelSettings())
    train_part, validation, test = labelled.parts(0.2, 0.2, seed=1)
    assert len(labelled) == 100
    assert sorted([*train_part.texts, *validation.texts, *test.texts]) == sorted(labelled.texts)
    assert all(set(part.labels.tolist()) == {0, 1} for part in (train_part, validation, test))


def test_the_language_model_reads_some_of_a_large_class() -> None:
    table = planted(100)
    labelled = from_stars(table["text"], table["stars"], LabelSettings())
    some = drawn(labelled, 10, seed=0)
    assert np.bincount(some.labels).tolist() == [10, 10]
    assert set(some.texts) <= set(labelled.texts)


def test_scored_reviews_keep_their_rows(trained) -> None:
    table = pl.DataFrame(
        {"id": ["a", "b", "c"], "title": ["lovely", "", "broken"], "body": ["the cup", None, "a lamp"]}
    )
    table = table.with_columns(when=pl.Series(["2024-01-01", "x", None]), stars=pl.Series([None, "4", "5"]))
    columns = Columns(("title", "body"), stars="stars", item_id="id", time="when")
    reviews = table_reviews(table, columns)
    assert reviews["text"].to_list() == ["lovely. the cup", None, "broken. a lamp"]
    assert reviews["time"].is_null().to_list() == [False, True, True]
    found = scored(reviews.drop("label"), trained[0])
    assert found["item_id"].to_list() == ["a", "b", "c"]
    assert found["polarity"][0] > 0.8
    assert (found["polarity"][1], found["p_positive"][1]) == (0.75, None)
    assert found["polarity"][2] < 0.2, "words count, not the stars beside them"
    with pytest.raises(InputError, match="nowhere"):
        table_reviews(table, Columns(("nowhere",)))
