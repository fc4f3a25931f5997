"""Training of all sources, and of what weighs them: on validation first, then on all but the test."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from aisle.data.prepared import BEFORE, Part, Prepared
from aisle.data.settings import TextSettings
from aisle.retriever import processes
from aisle.retriever.arithmetic import keep_freed_memory
from aisle.retriever.cooccurrence import CoOccurrence, CoOccurrenceSettings, Pairs
from aisle.retriever.fit import Fit, Job
from aisle.retriever.model import Model, save
from aisle.retriever.settings import RetrieverSettings, TowerKind
from aisle.retriever.similarity import TextSimilarity
from aisle.retriever.sources import CO_OCCURRENCE, TEXT_SIMILARITY, Sources
from aisle.retriever.weights import choose_co_occurrence, choose_decay, choose_weights

TWO_TOWER = "two_tower"
"""Name of the main towers."""


def train(
    prepared: Prepared, text: TextSettings, settings: RetrieverSettings, out: Path, *, seed: int
) -> None:
    """Train the sources and write `out/model/` and `out/curve.jsonl`.

    What else is in `out` afterwards (checkpoints, vectors of texts) is for a run that continues a killed one.

    First on train: each tower with early stopping on validation, and there the settings of co-occurrence and
    the weights of all sources are chosen. Then, with `settings.refit`, all of them anew on train +
    validation, the towers for as many epochs. Continues from the checkpoints that a killed run left in
    `out`. Equal seeds give equal models.

    Raises:
        InputError: nothing to train on, or the loss is no longer finite.
    """
    keep_freed_memory()
    job = Job(prepared, text, settings, out, seed)
    kinds = tower_names(settings.towers)
    searched = {name: job.search(name, kind, at) for at, (name, kind) in enumerate(kinds.items())}
    co_occurrence = None
    if settings.co_occurrence:
        co_occurrence = processes.share(partial(choose_co_occurrence, prepared, job.users, seed))
    before = BEFORE["validation"]
    texts = job.item_text(before) if settings.text_similarity else None
    decay = None
    if texts is not None:
        vectors = texts.vectors.numpy()
        decay = processes.share(partial(choose_decay, prepared, job.users, vectors, seed))
    weights = processes.share(
        lambda: choose_weights(prepared, _sources(job, searched, decay, co_occurrence, before), seed)
    )
    final, parts = searched, before
    if settings.refit:
        parts = BEFORE["test"]
        final = {
            name: job.refit(name, kind, at, searched[name].epochs)
            for at, (name, kind) in enumerate(kinds.items())
        }
    if not processes.is_first():
        return
    item_text, sources = job.item_text(parts), _sources(job, final, decay, co_occurrence, parts)
    model = Model(
        kinds=kinds,
        towers=sources.towers,
        temperatures=sources.temperatures,
        similarity=sources.similarity,
        co_occurrence=sources.co_occurrence,
        weights=weights,
        priors=weights.priors(job.users.histories(*parts), len(prepared.item_ids), timed=prepared.timed),
        settings=settings,
        reads=text if settings.reads_histories else None,
        items=prepared.item_ids.values,
        text=None if item_text is None else item_text.vectors,
        about={
            "seed": seed,
            "epochs": {name: fit.epochs for name, fit in searched.items()},
            "refit": settings.refit,
            TEXT_SIMILARITY: decay,
            CO_OCCURRENCE: co_occurrence and asdict(co_occurrence),
            "texts": None if item_text is None else item_text.digest,
        },
    )
    rows = [{"tower": name, "phase": "search", **row} for name, fit in searched.items() for row in fit.curve]
    if settings.refit:
        rows += [{"tower": name, "phase": "refit", **row} for name, fit in final.items() for row in fit.curve]
    (out / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save(model, out / "model")


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


def _sources(
    job: Job,
    fits: Mapping[str, Fit],
    decay: float | None,
    co_occurrence: CoOccurrenceSettings | None,
    parts: tuple[Part, ...],
) -> Sources:
    """The sources as trained on `parts`."""
    texts = None if decay is None else job.item_text(parts)
    similarity = None if texts is None or decay is None else TextSimilarity(texts.vectors.numpy(), decay)
    similar = None
    if co_occurrence is not None:
        pairs = Pairs(job.users.histories(*parts), len(job.prepared.item_ids))
        similar = CoOccurrence.fit(pairs, co_occurrence)
    towers = {name: fit.towers for name, fit in fits.items()}
    temperatures = {name: tower.temperature().item() for name, tower in towers.items()}
    return Sources.of(towers, temperatures, similarity, similar, job.users)
