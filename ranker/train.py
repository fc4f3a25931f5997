"""The ranker's training: a retriever one step back, its candidates, features, scorers and their blend."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from aisle.data.errors import InputError
from aisle.data.prepared import BEFORE, Prepared
from aisle.data.schema import of_kinds
from aisle.data.settings import TextSettings
from aisle.index.exact import ExactIndex
from aisle.index.settings import IndexSettings
from aisle.ranker import blend
from aisle.ranker.alarm import warn_if_constant
from aisle.ranker.calibrated import calibrate
from aisle.ranker.calibration import Calibration
from aisle.ranker.columns import ItemColumns
from aisle.ranker.cross_encoder import reader as cross_encoder
from aisle.ranker.cross_encoder.reader import CrossEncoder
from aisle.ranker.crossfit import crossfit
from aisle.ranker.earlier import earlier
from aisle.ranker.features import Features, compute
from aisle.ranker.knowledge import Knowledge
from aisle.ranker.lists import Floats
from aisle.ranker.model import RankerModel
from aisle.ranker.pairs import PAST, LabelledLists, labelled_lists
from aisle.ranker.praise import FILE as PRAISE
from aisle.ranker.praise import praise
from aisle.ranker.reviewed import GROUP, sentiment_columns
from aisle.ranker.reviewers import Reviewers
from aisle.ranker.settings import RankerSettings
from aisle.ranker.student import FOLDER as STUDENT
from aisle.ranker.student import taught
from aisle.ranker.teaching import teach
from aisle.retriever import processes
from aisle.retriever.candidates import Retriever, sources_of
from aisle.retriever.encoder import Encoder
from aisle.retriever.model import Model, load, text_vectors
from aisle.retriever.processes import together
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.texts import digest, item_texts, kept_at, write_vectors
from aisle.retriever.train import train
from aisle.retriever.weights import FUSED

LOG = logging.getLogger(__name__)


def train_ranker(
    prepared: Prepared,
    retriever: Path,
    text: TextSettings,
    recipe: RetrieverSettings,
    settings: RankerSettings,
    work: Path,
    out: Path,
    *,
    seed: int,
) -> None:
    """Train a ranker on the validation part, and write it into `out`.

    The retriever of the run was trained on validation, too, so its scores of validation items are too good to
    learn from. A second one is trained by the same recipe on the shop one step back; its candidates are
    labelled with what users took in validation. The test part is not read.

    Args:
        prepared: the shop.
        retriever: folder of the run's trained retriever, whose candidates will be ranked.
        text: templates.
        recipe: of the second retriever.
        settings: of the ranker.
        work: existing folder for what a killed run goes on from.
        out: existing folder.
        seed: of everything random.

    Raises:
        InputError: the shop cannot be split once more, too little is left to learn from, or several processes
            are to train a cross-encoder.
    """
    if settings.cross_encoder.enabled and processes.count() > 1:
        raise InputError(
            "one process to train a cross-encoder",
            f"{processes.count()}",
            "run `aisle ranker` without torchrun, or unset ranker.cross_encoder.enabled",
        )
    shop = earlier(prepared, work / "earlier")
    recipe = recipe.model_copy(update={"refit": recipe.refit and settings.refit})
    model = _earlier_model(shop, retriever, text, recipe, work, seed)
    labels = prepared.events("validation").filter(of_kinds(prepared.target_kinds)).collect()
    given = labelled_lists(retriever_of(shop, model), labels, settings.pairs, seed=seed)
    histories = shop.histories(*PAST).merge_repeats(shop.target_kinds)
    known = Knowledge.of(shop, PAST, model)
    reviewed, reviewers = _reviewed(shop, settings)
    features = compute(given.lists, histories, known, reviewed.values, reviewers=reviewers)
    features = features.without(settings.left_out)
    fitted = crossfit(given, features, settings, seed=seed)
    mixed, said = choose_blend(given, fitted.held_out)
    warn_if_constant(mixed.ranker(fitted.held_out), given.lists.owner)
    held_out = mixed.scores(fitted.held_out, given.lists.scores)
    calibration, table = _calibrated(given, held_out)
    table.write_parquet(out / "reliability.parquet")
    teach(shop, given.lists, held_out, out / "teacher.parquet")
    praise(prepared).write_parquet(out / PRAISE)
    reader = None
    if settings.cross_encoder.enabled:
        at = work / "cross-encoder"
        reader, read = learn_to_read(prepared, shop, given, features, held_out, text, settings, at, seed)
        said |= read
    reviewed, reviewers = _reviewed(prepared, settings)
    ranker = RankerModel(
        scorers=fitted.scorers,
        blend=mixed,
        names=features.names,
        extra=reviewed,
        reviewers=reviewers,
        calibration=calibration,
        cross_encoder=reader,
        knowledge=Knowledge.of(prepared, PAST, load(retriever)),
        settings=settings,
        about={
            "seed": seed,
            "lists": len(given.lists),
            "lists with a relevant candidate": _taught(given),
            "learned from": "validation, with a retriever that was trained on train",
            "validation": said,
        },
    )
    if settings.student.enabled:
        said["student"] = write_student(ranker, shop, given, features, held_out, out / STUDENT, seed=seed)
    ranker.save(out)
    (out / "validation.json").write_text(json.dumps(said, indent=1) + "\n")


def write_student(
    ranker: RankerModel,
    shop: Prepared,
    given: LabelledLists,
    features: Features,
    first: Floats,
    folder: Path,
    *,
    seed: int,
) -> float:
    """Train a student of a ranker's order, and write it; its blended ndcg@10 on users it did not learn from.

    Args:
        ranker: the teacher.
        shop: whose users the lists are of, before the labels.
        given: lists with labels; these only weigh the student against the retriever, and calibrate it.
        features: of their pairs.
        first: the ranker's scores over features, by scorers that did not learn on them.
        folder: to write.
        seed: of everything random.
    """
    settings, reader = ranker.settings, ranker.cross_encoder
    if reader is not None:
        drawn = np.random.default_rng(seed).permutation(len(given.lists))[: settings.student.lists]
        pairs = given.lists.pairs_of(np.sort(drawn))
        given, features, first = given.take(np.sort(drawn)), features.take(pairs), first[pairs]
        first = reader.refined(shop, given.lists, features, first)
    read = features.without(settings.student.left_out)
    student, held_out = taught(given.lists, read, first, settings, seed=seed)
    mixed, said = choose_blend(given, {"network": held_out})
    calibration, _ = _calibrated(given, mixed.scores({"network": held_out}, given.lists.scores))
    replace(
        ranker,
        scorers={"network": student},
        blend=mixed,
        names=read.names,
        calibration=calibration,
        cross_encoder=None,
        about={"student of": "the ranker beside it", "validation": said},
    ).save(folder, knowing=False)
    return said["chosen"]


def _calibrated(given: LabelledLists, scores: Floats) -> tuple[Calibration, pl.DataFrame]:
    """Calibrated on the candidates, without what joined them to be learned from."""
    found = given.found
    return calibrate(scores[found], given.labels[found], given.lists.owner[found])


def _reviewed(shop: Prepared, settings: RankerSettings) -> tuple[ItemColumns, Reviewers | None]:
    """What reviewers think of items, and what they are like, unless it is left out."""
    if GROUP in settings.left_out:
        return ItemColumns({}, {}), None
    standing = settings.sentiment.standing
    return sentiment_columns(shop, standing), Reviewers.of(shop, standing)


def learn_to_read(
    prepared: Prepared,
    shop: Prepared,
    given: LabelledLists,
    features: Features,
    first: Floats,
    text: TextSettings,
    settings: RankerSettings,
    folder: Path,
    seed: int,
) -> tuple[CrossEncoder, dict[str, float]]:
    """A cross-encoder that learned from texts as they were before the labels, and reads those of today.

    What reviews say of an item may be its text: those of the labelled events must not be learned from.

    Args:
        prepared: the shop of today.
        shop: one step back, before the labels.
        given: lists with labels.
        features: of their pairs.
        first: scores over features, by scorers that did not learn on them.
        text: templates.
        settings: of the ranker.
        folder: for checkpoints.
        seed: of everything random.
    """
    texts = tuple(item_texts(shop, text, *PAST))
    recipe = settings.cross_encoder
    reader, said = cross_encoder.fit(shop, given, features, first, texts, text, recipe, folder, seed=seed)
    return replace(reader, items=tuple(item_texts(prepared, text, *PAST))), said


def choose_blend(
    given: LabelledLists, held_out: Mapping[str, Floats]
) -> tuple[blend.Blend, dict[str, float]]:
    """The blend with the best ndcg@10 on the candidates, without what joined them to be learned from."""
    lists, found = given.lists, given.found
    sizes = np.bincount(lists.owner[found], minlength=len(lists))
    return blend.choose(
        {kind: scores[found] for kind, scores in held_out.items()},
        lists.scores[found],
        given.labels[found],
        sizes,
        given.relevant,
    )


def retriever_of(shop: Prepared, model: Model) -> Retriever:
    """The retriever of a trained model, with its index in memory."""
    settings = IndexSettings()
    vectors = sources_of(shop, model).indexed(model.weights.fused, model.priors[FUSED])
    return Retriever(shop, model, ExactIndex(vectors, settings), settings)


def _earlier_model(
    shop: Prepared, retriever: Path, text: TextSettings, recipe: RetrieverSettings, work: Path, seed: int
) -> Model:
    """The retriever one step back; where its items have the same texts, they are not encoded again."""
    folder = work / "retriever"
    folder.mkdir(exist_ok=True)
    if not (folder / "model" / "config.json").is_file():
        if recipe.reads_text:
            _lend_vectors(shop, retriever, text, recipe, folder)
        LOG.info("training a retriever one step back")
        together(_train_earlier, shop.folder, text, recipe, folder, seed)
    return load(folder / "model")


def _train_earlier(
    shop: Path, text: TextSettings, recipe: RetrieverSettings, folder: Path, seed: int
) -> None:
    """Done by all processes that train together; the rest of the ranker's training by the first one."""
    train(Prepared(shop), text, recipe, folder, seed=seed)


def _lend_vectors(
    shop: Prepared, retriever: Path, text: TextSettings, recipe: RetrieverSettings, folder: Path
) -> None:
    encoder = Encoder.load(recipe.encoder)
    for past in (BEFORE["validation"], BEFORE["test"]):
        texts = item_texts(shop, text, *past)
        vectors = text_vectors(retriever, digest(encoder, texts))
        if vectors is not None:
            write_vectors(kept_at(folder / "vectors", encoder, texts), [vectors], len(texts), encoder.dim)


def _taught(given: LabelledLists) -> int:
    """Lists whose candidates hold a relevant item."""
    return len(np.unique(given.lists.owner[given.labels & given.found]))
