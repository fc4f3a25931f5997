"""The classifier of reviews: a fine-tuned language model and n-grams, in one calibrated answer.

A folder holds

    model/                  the language model, as sentence-transformers reads it
    classifier.safetensors  the layer that gives classes, and the n-grams' weights
    classifier.json         classes, mixture, settings, what it was measured on; written last, with checksums
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.numpy import load_file, save_file

from aisle.checksum import file_sha256
from aisle.data.errors import InputError
from aisle.durable import write_whole
from aisle.ranker.sentiment.mixture import Mixture
from aisle.ranker.sentiment.ngrams import NGrams
from aisle.ranker.sentiment.reader import ReviewReader
from aisle.ranker.sentiment.settings import NGramSettings, SentimentSettings
from aisle.retriever.arithmetic import device
from aisle.retriever.encoder import Encoder

FACTS = "classifier.json"
ARRAYS = "classifier.safetensors"


class Facts(BaseModel):
    """`classifier.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...]
    polarities: tuple[float, ...] = Field(description="of the classes, 0 to 1")
    mixture: Mixture
    settings: SentimentSettings
    ngrams: NGramSettings
    seed: int
    reviews: dict[str, int] = Field(description="how many it learned from, was chosen on and measured on")
    measured: dict[str, float] = Field(default={}, description="on reviews that had no part in the training")
    checksums: dict[str, str] = Field(default={}, description="SHA-256 of every other file")


class SentimentClassifier:
    """Probabilities of the classes of reviews, and one polarity from 0 to 1."""

    def __init__(self, reader: ReviewReader, ngrams: NGrams, facts: Facts) -> None:
        self.reader = reader
        self.ngrams = ngrams
        self.facts = facts

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, from the least pleased to the most."""
        return self.facts.classes

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Of each class, float64 (texts, classes); each row sums to 1. Equal texts are read once."""
        place: dict[str, int] = {}
        rows = np.array([place.setdefault(text, len(place)) for text in texts], np.int64)
        distinct = list(place)
        if not distinct:
            return np.zeros((0, len(self.classes)))
        read, counted = self.reader.score(distinct), self.ngrams.logits(distinct)
        return self.facts.mixture.probabilities(read, counted)[rows]

    def polarity(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How pleased each reviewer is, 0 to 1: the expected polarity of the class, float64 (texts)."""
        return self.polarity_of(self.probabilities(texts))

    def polarity_of(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The expected polarity under probabilities (n, classes), float64 (n)."""
        return np.asarray(probabilities @ np.array(self.facts.polarities))

    def save(self, folder: Path) -> None:
        """Write the classifier into `folder`; what is there under the same names is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).unlink(missing_ok=True)
        self.reader.encoder.save(folder / "model")
        head = {name: value.detach().cpu().numpy() for name, value in self.reader.head.state_dict().items()}
        arrays = {f"head.{name}": value for name, value in head.items()}
        counted = {name: getattr(self.ngrams, name) for name in ("columns", "idf", "weights", "bias")}
        arrays |= {f"ngrams.{name}": np.ascontiguousarray(value) for name, value in counted.items()}
        save_file(arrays, folder / ARRAYS)
        files = [folder / ARRAYS, *(path for path in (folder / "model").rglob("*") if path.is_file())]
        sums = {path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(files)}
        facts = self.facts.model_copy(update={"checksums": sums})
        write_whole(folder / FACTS, facts.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "SentimentClassifier":
        """Read a classifier that :meth:`save` wrote.

        Raises:
            InputError: it is not there, not whole, or a file is not as it was written.
        """
        advice = "train one with `aisle sentiment train`"
        try:
            facts = Facts.model_validate_json((folder / FACTS).read_bytes())
        except OSError as error:
            raise InputError(
                "a folder with a classifier of reviews", f"no {FACTS} in {folder}", advice
            ) from error
        except ValidationError as error:
            raise InputError(f"a whole {FACTS}", f"{folder}: {error.errors()[0]['msg']}", advice) from error
        for name, expected in facts.checksums.items():
            path = folder / name
            if not path.is_file() or file_sha256(path) != expected:
                found = f"{path} has changed" if path.is_file() else f"{path} is missing"
                raise InputError("a classifier as it was written", found, advice)
        arrays = load_file(folder / ARRAYS)
        encoder_settings = facts.settings.encoder.model_copy(
            update={"model": str((folder / "model").resolve()), "pooling": "auto"}
        )
        place = device()
        encoder = Encoder.load(encoder_settings, place)
        reader = ReviewReader(encoder, len(facts.classes), facts.settings.overlap).to(place)
        heads = {name.removeprefix("head."): arrays[name] for name in arrays if name.startswith("head.")}
        reader.head.load_state_dict({name: torch.from_numpy(value) for name, value in heads.items()})
        idf, weights, bias = (arrays[f"ngrams.{name}"] for name in ("idf", "weights", "bias"))
        columns = arrays.get("ngrams.columns", np.arange(len(idf), dtype=np.int32))  # older ones have all
        return cls(reader, NGrams(facts.ngrams, columns, idf, weights, bias), facts)
