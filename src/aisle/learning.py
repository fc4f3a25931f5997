"""Stages that learn a retriever: pre-training, fine-tuning, training."""

from pathlib import Path

from aisle.checksum import file_sha256
from aisle.data.errors import InputError
from aisle.retriever.processes import together
from aisle.retriever.reporting import check_reporters
from aisle.settings import Settings, plain
from aisle.stage import Folders, Stage


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
        sources=({} if chosen.from_scratch else encoder_digest(settings))
        | ({} if table is None else {"texts": file_sha256(table)}),
        settings={
            "pretrain": plain(chosen, exclude={"enabled"}),
            "encoder": plain(settings.retriever.encoder),
            **({"column": column} if table is not None else {"text": plain(settings.data.text)}),
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
    _give_memory_back()


def finetune_stage(settings: Settings) -> Stage:
    """Fine-tune the language model on what users take together.

    Raises:
        InputError: there is no such language model.
    """

    def work(folders: Folders) -> None:
        together(_finetune, folders.inputs["prepare"], folders.work, with_language_model(settings, folders))
        folders.keep("model", "curve.jsonl", "finetune.json")

    retriever = settings.retriever
    made = ("pretrain",) if retriever.pretrain.enabled else ()
    return Stage(
        "finetune",
        work,
        reads=("prepare", *made),
        sources={} if made else encoder_digest(settings),
        settings={
            "text": plain(settings.data.text),
            "encoder": plain(retriever.encoder),
            "finetune": plain(retriever.finetune, exclude={"enabled"}),
            "precision": retriever.precision,
        },
        seed=settings.seed,
        components=("data", "retriever"),
    )


def _finetune(prepare: Path, out: Path, settings: Settings) -> None:
    from aisle.data.prepared import Prepared
    from aisle.retriever.finetune.job import finetune

    finetune(Prepared(prepare), settings.data.text, settings.retriever, out, seed=settings.seed)
    _give_memory_back()


def train_stage(settings: Settings) -> Stage:
    """Train the two towers.

    Raises:
        InputError: there is no such encoder, no such file of a teacher, or no package for a `report_to`.
    """
    check_reporters(settings.retriever.report_to)

    def work(folders: Folders) -> None:
        used = with_language_model(settings, folders)
        together(_train, folders.inputs["prepare"], folders.work, folders.logs, used)
        folders.keep("model", "curve.jsonl")

    retriever, made = settings.retriever, language_model_stages(settings)
    return Stage(
        "train",
        work,
        reads=("prepare", *made),
        sources=(encoder_digest(settings) if retriever.reads_text and not made else {}) | _teacher(settings),
        settings={
            "text": plain(settings.data.text),
            "retriever": plain(settings.retriever, exclude={"report_to"}),
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
    _give_memory_back()


def _give_memory_back() -> None:
    """What a training has freed and kept for its next step serves nobody after it."""
    from aisle.retriever.arithmetic import return_freed_memory

    return_freed_memory()


def with_language_model(settings: Settings, folders: Folders) -> Settings:
    """Settings whose language model is the one that an earlier stage made, if the stage reads any."""
    folder = folders.inputs.get("finetune") or folders.inputs.get("pretrain")
    if folder is None:
        return settings
    made = {"model": str((folder / "model").resolve()), "pooling": "auto"}
    encoder = settings.retriever.encoder.model_copy(update=made)
    retriever = settings.retriever.model_copy(update={"encoder": encoder})
    return settings.model_copy(update={"retriever": retriever})


def encoder_digest(settings: Settings) -> dict[str, str]:
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
