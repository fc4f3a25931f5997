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
from aisle.retriever.reporting import check_reporters
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


def pretrain_stage(settings: Settings, table: Path | None = None, column: str = "") -> Stage:
    """Pre-train the language model on the prepared shop's text, or on a column of a table.

    Raises:
        InputError: there is no such encoder or table.
    """

    def work(folders: Folders) -> None:
        source = (table, column) if table is not None else folders.inputs["prepare"]
        together(_pretrain, source, folders.work, settings)
        folders.keep("model", "curve.jsonl")

    chosen = settings.retriever.pretrain
    if table is not None and not table.is_file():
        raise InputError("a table with texts", f"no such file: {table}", "check --texts")
    return Stage(
        "pretrain",
        work,
        reads=("prepare",) if table is None else (),
        sources=({} if chosen.from_scratch else _encoder(settings))
        | ({} if table is None else {"texts": file_sha256(table)}),
        settings={
            "pretrain": _plain(chosen, exclude={"enabled"}),
            "encoder": _plain(settings.retriever.encoder),
            **({"column": column} if table is not None else {"text": _plain(settings.data.text)}),
        },
        seed=settings.seed,
        components=("data", "retriever"),
    )


def _pretrain(source: Path | tuple[Path, str], out: Path, settings: Settings) -> None:
    """Pre-train on the texts of a prepared shop, or of a table and its column."""
    from aisle.data.prepared import Prepared
    from aisle.retriever.corpus import shop_texts, table_texts
    from aisle.retriever.pretrain import pretrain

    if isinstance(source, Path):
        texts = shop_texts(Prepared(source), settings.data.text)
    else:
        texts = table_texts(*source)
    pretrain(texts, settings.retriever.encoder, settings.retriever.pretrain, out, seed=settings.seed)


def finetune_stage(settings: Settings) -> Stage:
    """Fine-tune the language model on what users take together.

    Raises:
        InputError: there is no such language model.
    """

    def work(folders: Folders) -> None:
        together(_finetune, folders.inputs["prepare"], folders.work, _with_language_model(settings, folders))
        folders.keep("model", "curve.jsonl", "finetune.json")

    retriever = settings.retriever
    made = ("pretrain",) if retriever.pretrain.enabled else ()
    return Stage(
        "finetune",
        work,
        reads=("prepare", *made),
        sources={} if made else _encoder(settings),
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
        InputError: there is no such encoder, no such file of a teacher, or no package for a `report_to`.
    """
    check_reporters(settings.retriever.report_to)

    def work(folders: Folders) -> None:
        used = _with_language_model(settings, folders)
        together(_train, folders.inputs["prepare"], folders.work, folders.logs, used)
        folders.keep("model", "curve.jsonl")

    retriever, made = settings.retriever, language_model_stages(settings)
    return Stage(
        "train",
        work,
        reads=("prepare", *made),
        sources=(_encoder(settings) if retriever.reads_text and not made else {}) | _teacher(settings),
        settings={
            "text": _plain(settings.data.text),
            "retriever": _plain(settings.retriever, exclude={"report_to"}),
        },
        seed=settings.seed,
        components=("data", "retriever"),
    )


def language_model_stages(settings: Settings) -> tuple[str, ...]:
    """Name of the stage that makes the language model of the towers; empty where none does."""
    retriever = settings.retriever
    enabled = [name for name in ("finetune", "pretrain") if getattr(retriever, name).enabled]
    return tuple(enabled[:1]) if retriever.reads_text else ()


def _train(prepare: Path, out: Path, logs: Path, settings: Settings) -> None:
    from aisle.data.prepared import Prepared
    from aisle.retriever.train import train

    prepared = Prepared(prepare)
    train(prepared, settings.data.text, settings.retriever, out, seed=settings.seed, logs=logs)


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
            "candidates": {"k": settings.candidates.k},
        },
        components=("data", "retriever", "index"),
    )


def ranker_stage(settings: Settings) -> Stage:
    """Train a ranker on what users took in validation."""
    made = language_model_stages(settings)

    def work(folders: Folders) -> None:
        _train_ranker(folders, _with_language_model(settings, folders))

    return Stage(
        "ranker",
        work,
        reads=("prepare", *made, "train"),
        settings={
            "text": _plain(settings.data.text),
            "retriever": _plain(settings.retriever, exclude={"report_to"}),
            "ranker": _plain(settings.ranker, exclude={"enabled"}),
        },
        seed=settings.seed,
        components=("data", "retriever", "index", "ranker"),
    )


def _train_ranker(folders: Folders, settings: Settings) -> None:
    from aisle.data.prepared import Prepared
    from aisle.ranker.folder import copy_retriever, write_shop
    from aisle.ranker.train import train_ranker

    prepared, model = Prepared(folders.inputs["prepare"]), folders.inputs["train"] / "model"
    train_ranker(
        prepared,
        model,
        settings.data.text,
        settings.retriever,
        settings.ranker,
        folders.work,
        folders.out,
        seed=settings.seed,
    )
    write_shop(prepared, settings.data.text, folders.out)
    copy_retriever(model, folders.out)


def rank_stage() -> Stage:
    """Put every user's candidates in the ranker's order."""

    def work(folders: Folders) -> None:
        from aisle.data.prepared import Prepared
        from aisle.ranker.model import RankerModel
        from aisle.ranker.ranking import rank_candidates

        rank_candidates(
            Prepared(folders.inputs["prepare"]),
            RankerModel.load(folders.inputs["ranker"]),
            folders.inputs["candidates"] / "candidates.parquet",
            folders.out / "ranked.parquet",
        )

    return Stage(
        "rank",
        work,
        reads=("prepare", "ranker", "candidates"),
        components=("data", "retriever", "index", "ranker"),
    )


def evaluate_stage(settings: Settings) -> Stage:
    """Hold the candidates against baselines and the truth; and, if there is a ranker, its order."""

    def work(folders: Folders) -> None:
        from aisle.evaluation import evaluate_candidates

        evaluate_candidates(folders, settings)

    untouched = "encoder" in settings.evaluate.baselines.names
    ranked, retriever = settings.ranker.enabled, settings.retriever
    made = [name for name in ("pretrain", "finetune") if getattr(retriever, name).enabled]
    return Stage(
        "evaluate",
        work,
        reads=("prepare", *made, "train", "index", "candidates", *(("ranker", "rank") if ranked else ())),
        sources=_encoder(settings) if untouched else {},
        settings={
            "evaluate": _plain(settings.evaluate),
            "encoder": _plain(settings.retriever.encoder) if untouched else None,
            "sentiment": _plain(settings.ranker.sentiment) if ranked else None,
        },
        seed=settings.seed,
        components=("data", "retriever", "index", *(("ranker",) if ranked else ()), "eval"),
        quotes=True,
    )


def _with_language_model(settings: Settings, folders: Folders) -> Settings:
    """Settings whose language model is the one that an earlier stage made, if the stage reads any."""
    folder = folders.inputs.get("finetune") or folders.inputs.get("pretrain")
    if folder is None:
        return settings
    made = {"model": str((folder / "model").resolve()), "pooling": "auto"}
    encoder = settings.retriever.encoder.model_copy(update=made)
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
