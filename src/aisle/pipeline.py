"""The stages as functions, one for each verb of the command line.

Each brings one folder below `out` up to date and returns what it found there; one that is up to date costs a
look at its checksums. Errors in the input raise :class:`aisle.data.errors.InputError`. What is being done is
logged to the logger `aisle`.
"""

import logging
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from aisle.data.errors import InputError
from aisle.learning import finetune_stage, pretrain_stage, train_stage
from aisle.lock import locked
from aisle.retriever.processes import lead
from aisle.settings import Settings
from aisle.stage import Done, Stage
from aisle.stages import Workshop
from aisle.steps import (
    candidates_stage,
    evaluate_stage,
    index_stage,
    prepare_stage,
    rank_stage,
    ranker_stage,
)

LOG = logging.getLogger(__name__)


def prepare(data: Path, out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Clean and split the shop's files in `data` into `out/prepare/`.

    Raises:
        InputError: `data` or `out` cannot be used.
    """
    _keep_apart(data, out)
    return _one(out, prepare_stage(data, settings or Settings()), redo)


def pretrain(
    out: Path,
    settings: Settings | None = None,
    *,
    texts: tuple[Path, str] | None = None,
    redo: bool = False,
) -> Done:
    """Pre-train the language model on the text of `out/prepare/`, or of a table, into `out/pretrain/`.

    Args:
        out: folder of the run.
        settings: the defaults where absent.
        texts: a table and its column; the prepared shop where absent.
        redo: do it although nothing has changed.

    Raises:
        InputError: `prepare` has not been done, or there is no such encoder, table or column.
    """
    stage = pretrain_stage(settings or Settings(), *(texts or ()))
    return _one(out, stage, redo)


def finetune(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Fine-tune the language model on `out/prepare/` into `out/finetune/`.

    `train` reads the result where `retriever.finetune.enabled` is set.

    Raises:
        InputError: `prepare` has not been done, its files have changed since, or the language model cannot be
            fine-tuned on them.
    """
    return _one(out, finetune_stage(settings or Settings()), redo)


def train(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Train the two towers on `out/prepare/` into `out/train/`.

    Raises:
        InputError: `prepare` has not been done, its files have changed since, or there is no such encoder.
    """
    return _one(out, train_stage(settings or Settings()), redo)


def index(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Index the item vectors of `out/train/` into `out/index/`.

    Raises:
        InputError: an earlier stage has not been done, or its files have changed since.
    """
    return _one(out, index_stage(settings or Settings()), redo)


def candidates(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Retrieve the best unseen items of every user into `out/candidates/`.

    Raises:
        InputError: an earlier stage has not been done, or its files have changed since.
    """
    return _one(out, candidates_stage(settings or Settings()), redo)


def ranker(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Train a ranker on the validation part of `out/prepare/` into `out/ranker/`.

    Raises:
        InputError: an earlier stage has not been done, or its files have changed since, or there is too
            little to learn from.
    """
    return _one(out, ranker_stage(settings or Settings()), redo)


def rank(out: Path, *, redo: bool = False) -> Done:
    """Put `out/candidates/` in the order of `out/ranker/`, into `out/rank/`.

    Raises:
        InputError: an earlier stage has not been done, or its files have changed since.
    """
    return _one(out, rank_stage(), redo)


def evaluate(out: Path, settings: Settings | None = None, *, redo: bool = False) -> Done:
    """Hold `out/candidates/` against baselines and the truth, into `out/evaluate/`.

    Raises:
        InputError: an earlier stage has not been done, or its files have changed since.
    """
    return _one(out, evaluate_stage(settings or Settings()), redo)


def run(
    data: Path, out: Path, settings: Settings | None = None, *, redo: Collection[str] = ()
) -> dict[str, Done]:
    """All stages, one after the other, each only where something it depends on has changed.

    Args:
        data: folder with the shop's files.
        out: folder for the stages' folders; made if need be.
        settings: the defaults where absent.
        redo: stages to do although nothing has changed.

    Returns:
        What each stage found, by its name, in their order.

    Raises:
        InputError: the input or `out` cannot be used.
    """
    settings = settings or Settings()
    _keep_apart(data, out)
    optional = {"pretrain": pretrain_stage, "finetune": finetune_stage}
    chosen = [name for name in optional if getattr(settings.retriever, name).enabled]
    if off := [name for name in redo if name in optional and name not in chosen]:
        raise InputError(
            "stages to redo that are part of this run",
            f"{off[0]}, which is switched off",
            f"add --set retriever.{off[0]}.enabled=true",
        )
    language = [optional[name](settings) for name in chosen]
    ranking = [ranker_stage(settings), rank_stage()] if settings.ranker.enabled else []
    if off := [name for name in redo if name in ("ranker", "rank") and not ranking]:
        raise InputError(
            "stages to redo that are part of this run",
            f"{off[0]}, which is switched off",
            "add --set ranker.enabled=true",
        )
    retrieval = [make(settings) for make in (train_stage, index_stage, candidates_stage)]
    stages = [prepare_stage(data, settings), *language, *retrieval, *ranking, evaluate_stage(settings)]
    return lead(partial(_all, out, stages, redo))


def run_stages(workshop: Workshop, stages: Iterable[Stage], *, redo: Collection[str] = ()) -> dict[str, Done]:
    """Bring stages up to date in the given order, whoever holds the lock of `workshop.out`."""
    found = {}
    for stage in stages:
        LOG.info("%s ...", stage.name)
        done = found[stage.name] = workshop.run(stage, redo=stage.name in redo)
        LOG.info("%s: %s", stage.name, done.outcome())
    return found


def _one(out: Path, stage: Stage, redo: bool) -> Done:
    return lead(partial(_all, out, [stage], [stage.name] if redo else []))[stage.name]


def _all(out: Path, stages: Iterable[Stage], redo: Collection[str]) -> dict[str, Done]:
    with locked(out):
        return run_stages(Workshop(out), stages, redo=redo)


def _keep_apart(data: Path, out: Path) -> None:
    if out.resolve().is_relative_to(data.resolve()):
        raise InputError("--out outside the data folder", f"{out} is inside {data}", "choose another --out")
