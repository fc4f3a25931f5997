"""`aisle tune`: settings of the retriever that are best on validation, searched with Optuna.

A trial is a training on train with early stopping, as the search of `aisle train`; its value is ndcg@10 on
validation. Neither a refit nor the test part has a say. The study is kept in `<out>/tune/study.db` (SQLite):
a call that was killed goes on with the trial that it was at, from its last checkpoint, and comes to the same
end. Another shop, seed, space or other settings are another study in the same file.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.data.errors import InputError
from aisle.durable import remove, write_whole
from aisle.learning import language_model_stages
from aisle.lock import locked
from aisle.provenance import digest_of
from aisle.retriever import processes
from aisle.settings import Settings, keys, nearest, with_values
from aisle.settings_text import as_toml
from aisle.space import Range, Space, Value
from aisle.stages import Workshop

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

LOG = logging.getLogger(__name__)

FIRST, ROUNDS = 4, 2
"""Trials and rounds before pruning begins."""

DIVERGED = "diverged"
"""Mark of a trial whose loss was not finite."""

Score = Callable[[Settings, Path, Callable[[int, float], None]], float]
"""Validation ndcg@10 of settings, trained in a folder; told of each round, by its number from 1 on."""


@dataclass(frozen=True)
class Tuned:
    """What a study has found.

    Attributes:
        best: the whole settings with the best values.
        value: their validation ndcg@10.
        changed: the best values of what was searched.
        trials: of all that ended: number, state, rounds, ndcg@10 (none unless complete), values.
        folder: holds `best.toml` and `study.db`.
    """

    best: Settings
    value: float
    changed: dict[str, Value]
    trials: list[dict[str, Any]]
    folder: Path


def tune(out: Path, settings: Settings | None = None) -> Tuned:
    """Search the space of `settings.tune` on the prepared shop in `out`, and write `out/tune/best.toml`.

    Raises:
        InputError: `prepare` (or an enabled stage before training) has not been done, the space names no
            settings of the retriever, no trial could be trained to its end, or there are several processes.
    """
    settings = settings or Settings()
    if processes.count() > 1:
        raise InputError(
            "one process", f"{processes.count()} of torchrun", "run `aisle tune` without torchrun"
        )
    check_space(settings.tune.space)
    with locked(out):
        workshop = Workshop(out)
        made = language_model_stages(settings)
        digests = {name: workshop.input(name).digest for name in ("prepare", *made)}
        model = str((out / made[0] / "model").resolve()) if made else None
        return search(out / "tune", digest_of(digests), settings, validated(out / "prepare", model))


def search(folder: Path, shop: str, settings: Settings, score: Score) -> Tuned:
    """Ask for trials and score them until there are `settings.tune.trials` of them.

    Args:
        folder: for the study, scratch files and `best.toml`; made if need be.
        shop: digest of what is trained on.
        settings: where the search starts; they are the first trial.
        score: of a trial.
    """
    from optuna.exceptions import TrialPruned
    from optuna.trial import TrialState

    from aisle.retriever.trainer import DivergedError

    folder.mkdir(parents=True, exist_ok=True)
    space = settings.tune.space
    study = _study(folder, shop, settings)
    work = folder / f"work-{study.study_name}"
    _take_up(study, settings)
    while len(list(_ended(study))) < settings.tune.trials:
        trial = _ask(study, settings)
        values = {name: _suggested(trial, name, space[name]) for name in space}
        _make_room(work, values)
        state: TrialState = TrialState.COMPLETE
        value: float | None = None
        try:
            tried = with_values(settings, values)
            value = score(tried, work, lambda number, ndcg: _prune(trial, number, ndcg))  # noqa: B023
        except TrialPruned:
            state = TrialState.PRUNED
        except DivergedError:
            trial.set_user_attr(DIVERGED, True)
            state = TrialState.FAIL
        study.tell(trial, value, state=state)
        _tell(study, settings, values, value)
        if value is not None and study.best_trial.number == trial.number:
            _write_best(folder, study, tried)
    _make_room(work, {})
    return _tuned(folder, study, settings)


def check_space(space: Space) -> None:
    """Refuse a space that names what is no setting of the retriever.

    Raises:
        InputError: it does.
    """
    known = [key.name for key in keys(Settings()) if key.name.startswith("retriever.")]
    for name, values in space.items():
        if name not in known:
            near = " or ".join(nearest(name, known)) or "`aisle settings` lists them"
            raise InputError("settings of the retriever in tune.space", name, f"did you mean {near}?")
        if not isinstance(values, Range) and not values:
            raise InputError(f"values to choose from in tune.space for {name}", "none", "name some")
    if not space:
        raise InputError("settings to search in tune.space", "none", "name some, or leave tune.space out")


def validated(prepare: Path, model: str | None = None) -> Score:
    """Trains on the prepared shop in `prepare`, with the language model in `model`, if any."""

    def score(settings: Settings, work: Path, each_round: Callable[[int, float], None]) -> float:
        from aisle.data.prepared import Prepared
        from aisle.retriever.train import validate

        if model is not None:
            settings = with_values(settings, {"retriever.encoder.model": model})
        return validate(
            Prepared(prepare),
            settings.data.text,
            settings.retriever,
            work,
            seed=settings.seed,
            each_round=each_round,
        )

    return score


def _study(folder: Path, shop: str, settings: Settings) -> "Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = settings.model_dump(mode="json", include={"seed", "data", "retriever", "tune"})
    del asked["tune"]["trials"]
    name = digest_of({"shop": shop, "settings": json.dumps(asked, sort_keys=True)})[:12]
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=ROUNDS)
        if settings.tune.pruning
        else optuna.pruners.NopPruner()
    )
    url = f"sqlite:///{(folder / 'study.db').resolve()}"
    return optuna.create_study(
        storage=url, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )


def _take_up(study: "Study", settings: Settings) -> None:
    """Try again what a killed call was at; begin a new study with the settings as they are."""
    from optuna.trial import TrialState

    cut_off = study.get_trials(states=(TrialState.RUNNING,))
    for trial in cut_off:
        study.tell(trial.number, state=TrialState.FAIL)
        if set(trial.params) == set(settings.tune.space):
            study.enqueue_trial(trial.params)
    if not study.get_trials(deepcopy=False):
        now = {key.name: key.value for key in keys(settings)}
        inside = {
            name: now[name]
            for name, values in settings.tune.space.items()
            if (values.holds(now[name]) if isinstance(values, Range) else now[name] in values)
        }
        study.enqueue_trial(inside)


def _ask(study: "Study", settings: Settings) -> "Trial":
    """The next trial; what is drawn depends on the seed and the trials that ended, not on who asked."""
    import optuna

    ended = len(list(_ended(study)))
    study.sampler = optuna.samplers.TPESampler(seed=(settings.seed + 7919 * ended) % 2**32)
    return study.ask()


def _ended(study: "Study") -> Iterator["FrozenTrial"]:
    """Trials that count: not those that were cut off by a kill."""
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name in ("COMPLETE", "PRUNED") or DIVERGED in trial.user_attrs:
            yield trial


def _suggested(trial: "Trial", name: str, values: Range | tuple[Value, ...]) -> Value:
    if not isinstance(values, Range):
        return trial.suggest_categorical(name, values)  # type: ignore[return-value]
    if values.whole:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _prune(trial: "Trial", number: int, ndcg: float) -> None:
    from optuna.exceptions import TrialPruned

    trial.report(ndcg, number)
    if trial.should_prune():
        raise TrialPruned


def _make_room(work: Path, values: dict[str, Value]) -> None:
    """Keep in `work` the vectors of texts and, for the trial that a killed call was at, its checkpoints."""
    work.mkdir(parents=True, exist_ok=True)
    note = work / "trial.json"
    if note.is_file() and json.loads(note.read_text()) == values:
        return
    for path in work.iterdir():
        if path.name != "vectors":
            remove(path)
    write_whole(note, json.dumps(values, indent=1) + "\n")


def _tell(study: "Study", settings: Settings, values: dict[str, Value], value: float | None) -> None:
    number, of = len(list(_ended(study))), settings.tune.trials
    how = "stopped early" if value is None else f"validation ndcg@10 {value:.4f}"
    LOG.info("trial %d of %d: %s: %s", number, of, how, values)


def _write_best(folder: Path, study: "Study", best: Settings) -> None:
    lines = [
        f"# Best of study {study.study_name}, trial {study.best_trial.number}: validation ndcg@10 "
        f"{study.best_value:.6f}.",
        *(f"# {name} = {value}" for name, value in study.best_params.items()),
    ]
    write_whole(folder / "best.toml", "\n".join(lines) + "\n\n" + as_toml(best))


def _tuned(folder: Path, study: "Study", settings: Settings) -> Tuned:
    trials = [
        {
            "trial": trial.number,
            "state": DIVERGED if DIVERGED in trial.user_attrs else trial.state.name.lower(),
            "rounds": len(trial.intermediate_values),
            "ndcg@10": trial.value,
            **trial.params,
        }
        for trial in _ended(study)
    ]
    if not any(trial["state"] == "complete" for trial in trials):
        raise InputError(
            "a trial that can be trained to its end",
            f"{len(trials)} trials, all of which were stopped or whose loss was not finite",
            "narrow tune.space, above all retriever.learning_rate",
        )
    best = with_values(settings, study.best_params)
    _write_best(folder, study, best)
    return Tuned(best, study.best_value, study.best_params, trials, folder)
