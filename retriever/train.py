"""Training of all sources, and of what weighs them: on validation first, then on all but the test."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.settings import TextSettings
from aisle.retriever import processes
from aisle.retriever.arithmetic import keep_freed_memory
from aisle.retriever.cooccurrence import CoOccurrenceSettings, Pairs, co_occurrence
from aisle.retriever.fit import Fit, Job, claim
from aisle.retriever.model import Model, save, words_column
from aisle.retriever.neighbours import Neighbours
from aisle.retriever.reporting import reporters
from aisle.retriever.rounds import EachRound, Rounds
from aisle.retriever.settings import RetrieverSettings, TowerKind
from aisle.retriever.similarity import TextSimilarity
from aisle.retriever.sources import CO_OCCURRENCE, WORDS, Sources
from aisle.retriever.weights import (
    FUSED,
    Weights,
    choose_co_occurrence,
    choose_decay,
    choose_weights,
    choose_words,
)
from aisle.retriever.words import neighbours, similar_words

TWO_TOWER = "two_tower"
"""Name of the main towers."""


def train(
    prepared: Prepared,
    text: TextSettings,
    settings: RetrieverSettings,
    out: Path,
    *,
    seed: int,
    logs: Path | None = None,
) -> None:
    """Train the sources and write `out/model/` and `out/curve.jsonl`.

    What else is in `out` afterwards (checkpoints, vectors of texts) is for a run that continues a killed one.

    First on train: each tower with early stopping on validation, and there the settings of co-occurrence and
    the weights of all sources are chosen. Then, with `settings.refit`, all of them anew on train +
    validation, the towers for as many epochs. Continues from the checkpoints that a killed run left in
    `out`. Equal seeds give equal models, up to the order in which threads add.

    Args:
        prepared: the shop.
        text: templates.
        settings: the recipe.
        out: existing folder.
        seed: of everything random.
        logs: for what `settings.report_to` writes; `out/logs` unless told.

    Raises:
        InputError: nothing to train on, the loss is no longer finite, or `out` holds trainings of another
            recipe.
    """
    job = Job(
        prepared, text, settings, out, seed, partial(reporters, settings.report_to, logs or out / "logs")
    )
    searched = _search(job)
    weights = searched.weights
    kinds = tower_names(settings.towers)
    final, parts = searched.fits, BEFORE["validation"]
    if settings.refit:
        parts = BEFORE["test"]
        final = {
            name: job.refit(name, kind, at, searched.fits[name].epochs)
            for at, (name, kind) in enumerate(kinds.items())
        }
    if not processes.is_first():
        return
    item_text, words = job.item_text(parts), job.item_words(parts)
    sources = _sources(job, final, searched.chosen, parts, words)
    model = Model(
        kinds=kinds,
        towers=sources.towers,
        temperatures=sources.temperatures,
        similarity=sources.similarity,
        neighbours=sources.neighbours,
        weights=weights,
        priors=weights.priors(job.users.histories(*parts), len(prepared.item_ids), timed=prepared.timed),
        settings=settings,
        reads=text if settings.reads_histories else None,
        items=prepared.item_ids.values,
        text=None if item_text is None else item_text.vectors,
        words=None if words is None else words_column(words),
        trained=len(prepared.item_ids),
        about={
            "seed": seed,
            "epochs": {name: fit.epochs for name, fit in searched.fits.items()},
            "refit": settings.refit,
            **asdict(searched.chosen),
            "texts": None if item_text is None else item_text.digest,
        },
    )
    rows = [
        {"tower": name, "phase": "search", **row} for name, fit in searched.fits.items() for row in fit.curve
    ]
    if settings.refit:
        rows += [{"tower": name, "phase": "refit", **row} for name, fit in final.items() for row in fit.curve]
    (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save(model, out / "model")


def validate(
    prepared: Prepared,
    text: TextSettings,
    settings: RetrieverSettings,
    out: Path,
    *,
    seed: int,
    each_round: EachRound,
) -> float:
    """ndcg@10 on validation of all sources together, as :func:`train` has it before the refit.

    The test part is not read.

    Args:
        prepared: the shop.
        text: templates.
        settings: the recipe.
        out: existing folder, for checkpoints and vectors.
        seed: of everything random.
        each_round: told the number of each round of the main towers, from 1 on, and their ndcg@10; an error
            ends the training.

    Raises:
        InputError: as :func:`train`.
    """
    main = f"search {TWO_TOWER}"
    job = Job(prepared, text, settings, out, seed, lambda name: [Rounds(each_round)] if name == main else [])
    return _search(job).weights.validation[FUSED]


def tower_names(kinds: tuple[TowerKind, ...]) -> dict[str, TowerKind]:
    """A name for each tower: the first is the main one, the others are named by their kind.

    >>> tower_names(("hybrid", "ids", "ids"))
    {'two_tower': 'hybrid', 'two_tower_ids': 'ids', 'two_tower_ids_2': 'ids'}
    """
    names: dict[str, TowerKind] = {TWO_TOWER: kinds[0]}
    for at, kind in enumerate(kinds[1:], 1):
        same = kinds[1:at].count(kind)
        names[f"{TWO_TOWER}_{kind}" + (f"_{same + 1}" if same else "")] = kind
    return names


@dataclass(frozen=True)
class _Chosen:
    """What validation decides about each source that is not trained; None where it is no source.

    Attributes:
        text_similarity: decay of the similarity of texts.
        co_occurrence: settings.
        words: decay of shared words.
    """

    text_similarity: float | None
    co_occurrence: CoOccurrenceSettings | None
    words: float | None


@dataclass(frozen=True)
class _Searched:
    """All that validation decides.

    Attributes:
        fits: the best round of each tower, by name.
        chosen: about the other sources.
        weights: of all sources.
    """

    fits: dict[str, Fit]
    chosen: _Chosen
    weights: Weights


def _search(job: Job) -> _Searched:
    """Train on train, and decide on validation."""
    keep_freed_memory()
    if processes.is_first():
        claim(job)
    kinds = tower_names(job.settings.towers)
    fits = {name: job.search(name, kind, at) for at, (name, kind) in enumerate(kinds.items())}
    shop, before = (job.prepared, job.users), BEFORE["validation"]
    together = None
    if job.settings.co_occurrence:
        together = processes.share(partial(choose_co_occurrence, *shop, job.seed))
    with processes.first_alone():
        texts = job.item_text(before) if job.settings.text_similarity else None
    decay = None
    if texts is not None:
        decay = processes.share(partial(choose_decay, *shop, texts.vectors.numpy(), job.seed))
    words = job.item_words(before)
    of_words = None
    if words is not None:
        of_words = processes.share(lambda: choose_words(*shop, similar_words(words), job.seed))
    chosen = _Chosen(decay, together, of_words)
    weights = processes.share(
        lambda: choose_weights(job.prepared, _sources(job, fits, chosen, before, words), job.seed)
    )
    return _Searched(fits, chosen, weights)


def _sources(
    job: Job,
    fits: Mapping[str, Fit],
    chosen: _Chosen,
    parts: tuple[Part, ...],
    words: list[list[str]] | None,
) -> Sources:
    """The sources as trained on `parts`; `words` are those of the items' texts, as of then."""
    decay = chosen.text_similarity
    texts = None if decay is None else job.item_text(parts)
    similarity = None if texts is None or decay is None else TextSimilarity(texts.vectors.numpy(), decay)
    pointing: dict[str, Neighbours] = {}
    if chosen.co_occurrence is not None:
        pairs = Pairs(job.users.histories(*parts), len(job.prepared.item_ids))
        pointing[CO_OCCURRENCE] = co_occurrence(pairs, chosen.co_occurrence)
    if words is not None and chosen.words is not None:
        pointing[WORDS] = neighbours(similar_words(words), chosen.words)
    towers = {name: fit.towers for name, fit in fits.items()}
    temperatures = {name: tower.temperature().item() for name, tower in towers.items()}
    return Sources.of(towers, temperatures, similarity, pointing, job.users)
