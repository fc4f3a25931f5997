"""What each stage reads, which settings bear on it, and which function does the work."""

from pathlib import Path

from aisle.checksum import file_sha256
from aisle.data.detect import MAPPING_NAME, detect
from aisle.data.errors import InputError
from aisle.learning import encoder_digest, language_model_stages, with_language_model
from aisle.provenance import files_digest
from aisle.settings import Settings, plain
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
        settings={"data": plain(settings.data, exclude={"text", "mapping"}), "dataset": data.resolve().name},
        components=("data",),
    )


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
        settings={"index": plain(settings.index)},
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
            "index": plain(settings.index),
            "candidates": {"k": settings.candidates.k},
        },
        components=("data", "retriever", "index"),
    )


def ranker_stage(settings: Settings) -> Stage:
    """Train a ranker on what users took in validation."""
    made = language_model_stages(settings)

    def work(folders: Folders) -> None:
        _train_ranker(folders, with_language_model(settings, folders))

    return Stage(
        "ranker",
        work,
        reads=("prepare", *made, "train"),
        settings={
            "text": plain(settings.data.text),
            "retriever": plain(settings.retriever, exclude={"report_to"}),
            "ranker": plain(settings.ranker, exclude={"enabled"}),
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
        sources=encoder_digest(settings) if untouched else {},
        settings={
            "evaluate": plain(settings.evaluate),
            "encoder": plain(settings.retriever.encoder) if untouched else None,
            "sentiment": plain(settings.ranker.sentiment) if ranked else None,
        },
        seed=settings.seed,
        components=("data", "retriever", "index", *(("ranker",) if ranked else ()), "eval"),
        quotes=True,
    )


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
