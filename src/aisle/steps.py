"""What each stage reads, which settings bear on it, and which function does the work."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aisle.checksum import file_sha256
from aisle.data.detect import MAPPING_NAME, detect
from aisle.data.errors import InputError
from aisle.provenance import files_digest
from aisle.retriever.processes import together
from aisle.settings import Settings
from aisle.stage import Folders, Stage


def prepare_stage(data: Path, settings: Settings) -> Stage:
    """Clean and split the shop's files in `data`, a folder or one file.

    Raises:
        InputError: nothing in `data` can be read.
    """

    def work(folders: Folders) -> None:
        from aisle.data.prepare import prepare

        prepare(data, folders.out, settings.data, work=folders.work)

    return Stage(
        "prepare",
        work,
        sources=_shop_files(data, settings.data.mapping),
        settings={"data": _plain(settings.data, exclude={"text", "mapping"}), "dataset": data.resolve().name},
        components=("data",),
    )


def finetune_stage(settings: Settings) -> Stage:
    """Fine-tune the language model on what users take together.

    Raises:
        InputError: there is no such language model.
    """

    def work(folders: Folders) -> None:
        together(_finetune, folders.inputs["prepare"], folders.work, settings)
        folders.keep("model", "curve.jsonl", "finetune.json")

    retriever = settings.retriever
    return Stage(
        "finetune",
        work,
        reads=("prepare",),
        sources=_encoder(settings),
        settings={
            "text": _plain(settings.data.text),
            "encoder": _plain(retriever.encoder),
            "finetune": _plain(retriever.finetune, exclude={"enabled"}),
            "precision": retriever.precision,
        },
        seed=settings.seed,
        components=("data", "retriever"),
    )


def _finetune(prepare: Path, out: Path, settings: Settings) -> None:
    from aisle.data.prepared import Prepared
    from aisle.retriever.finetune.job import finetune

    finetune(Prepared(prepare), settings.data.text, settings.retriever, out, seed=settings.seed)


def train_stage(settings: Settings) -> Stage:
    """Train the two towers.

    Raises:
        InputError: there is no such encoder, or no such file of a teacher.
    """

    def work(folders: Folders) -> None:
        together(_train, folders.inputs["prepare"], folders.work, _with_language_model(settings, folders))
        folders.keep("model", "curve.jsonl")

    reads_text = settings.retriever.reads_text
    tuned = reads_text and settings.retriever.finetune.enabled
    return Stage(
        "train",
        work,
        reads=("prepare", "finetune") if tuned else ("prepare",),
        sources=(_encoder(settings) if reads_text and not tuned else {}) | _teacher(settings),
        settings={"text": _plain(settings.data.text), "retriever": _plain(settings.retriever)},
        seed=settings.seed,
        components=("data", "retriever"),
    )


def _train(prepare: Path, out: Path, settings: Settings) -> None:
    from aisle.data.prepared import Prepared
    from aisle.retriever.train import train

    train(Prepared(prepare), settings.data.text, settings.retriever, out, seed=settings.seed)


def index_stage(settings: Settings) -> Stage:
    """Index the item vectors."""

    def work(folders: Folders) -> None:
        from aisle.data.prepared import Prepared
        from aisle.retriever.candidates import build_index

        build_index(
            Prepared(folders.inputs["prepare"]),
            folders.inputs["train"] / "model",
            folders.out,
            settings.index,
        )

    return Stage(
        "index",
        work,
        reads=("prepare", "train"),
        settings={"index": _plain(settings.index)},
        components=("data", "retriever", "index"),
    )


def candidates_stage(settings: Settings) -> Stage:
    """Retrieve the best unseen items of every user."""

    def work(folders: Folders) -> None:
        from aisle.data.prepared import Prepared
        from aisle.retriever.candidates import retrieve

        retrieve(
            Prepared(folders.inputs["prepare"]),
            folders.inputs["train"] / "model",
            folders.inputs["index"],
            folders.work,
            settings.index,
            part="test",
            k=settings.candidates.k,
        )
        folders.keep("candidates.parquet", "sources")

    return Stage(
        "candidates",
        work,
        reads=("prepare", "train", "index"),
        settings={
            "index": _plain(settings.index),
            "candidates": _plain(settings.candidates),
        },
        components=("data", "retriever", "index"),
    )


def evaluate_stage(settings: Settings) -> Stage:
    """Hold the candidates against baselines and the truth."""

    def work(folders: Folders) -> None:
        from aisle.evaluation import evaluate_candidates

        evaluate_candidates(folders, settings)

    return Stage(
        "evaluate",
        work,
        reads=("prepare", "train", "index", "candidates"),
        sources=_encoder(settings) if "encoder" in settings.evaluate.baselines.names else {},
        settings={
            "text": _plain(settings.data.text),
            "encoder": _plain(settings.retriever.encoder),
            "evaluate": _plain(settings.evaluate),
            "candidates": _plain(settings.candidates),
        },
        seed=settings.seed,
        components=("data", "retriever", "index", "eval"),
    )


def _with_language_model(settings: Settings, folders: Folders) -> Settings:
    """Settings whose language model is the one that an earlier stage made, if the stage reads any."""
    if "finetune" not in folders.inputs:
        return settings
    made = str((folders.inputs["finetune"] / "model").resolve())
    encoder = settings.retriever.encoder.model_copy(update={"model": made})
    retriever = settings.retriever.model_copy(update={"encoder": encoder})
    return settings.model_copy(update={"retriever": retriever})


def _shop_files(data: Path, mapping: Path | None) -> dict[str, str]:
    """Digests of the files that the readers will take, and of the mapping."""
    plans = detect(data, mapping).plans
    folder = data if data.is_dir() else data.parent
    if mapping is None and (folder / MAPPING_NAME).is_file():
        mapping = folder / MAPPING_NAME
    names = sorted({plan.path.relative_to(folder).as_posix() for plan in plans})
    try:
        found = {"data": files_digest(folder, names)}
        return found | ({"mapping": file_sha256(mapping)} if mapping else {})
    except OSError as error:
        what = error.filename or data
        raise InputError(
            "files that can be read", f"{what}: {error.strerror}", "check its permissions"
        ) from error


def _encoder(settings: Settings) -> dict[str, str]:
    """Digest of the language model's weights, which a name or a folder does not pin."""
    from aisle.retriever.locate import locate, weights_sha256

    return {"encoder": weights_sha256(locate(settings.retriever.encoder.model))}


def _teacher(settings: Settings) -> dict[str, str]:
    """Digest of the teacher's scores, if there is a teacher."""
    path = settings.retriever.objective.teacher
    if path is None:
        return {}
    if not path.is_file():
        raise InputError("the file of retriever.objective.teacher", f"no file {path}", "give its path")
    return {"teacher": file_sha256(path)}


def _plain(settings: BaseModel, exclude: set[str] | None = None) -> dict[str, Any]:
    """Settings as JSON holds them."""
    return dict(json.loads(settings.model_dump_json(exclude=exclude)))
