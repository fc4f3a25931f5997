"""The verbs of the command line.

What takes long to import is imported inside the verbs, so that `aisle --help` answers at once.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aisle.verbs import Answer, verb

if TYPE_CHECKING:
    from aisle.eval.report import Report
    from aisle.settings import Settings
    from aisle.stages import Done

app = typer.Typer(
    name="aisle",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A recommender for shops that reads: your files in, candidates and an evaluation out.",
)

Data = Annotated[Path, typer.Option("--data", help="Folder with the shop's files, or one file.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; each stage has its own below it.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML with settings [default: ./aisle.toml, if any].")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Of everything random; the same seed, the same candidates.")
]
Strategy = Literal["auto", "leave_one_out", "time", "ratio"]
Split = Annotated[
    Strategy | None, typer.Option("--split", help="How events become train, validation and test.")
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="TOML that explains the columns of tables.")
]
Encoder = Annotated[
    str | None, typer.Option("--encoder", help="Hugging Face name or folder of a language model.")
]
Redo = Annotated[bool, typer.Option("--redo", help="Do it although nothing has changed.")]
StageName = StrEnum("StageName", ["prepare", "train", "index", "candidates", "evaluate"])


def number(text: str) -> int:
    """A whole number such as 1000, 1e6 or 10_000.

    Raises:
        typer.BadParameter: it is not one.
    """
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = float("nan")
    if not value.is_integer() or value < 1:
        raise typer.BadParameter(f"expected a whole number such as 1000 or 1e6, found {text!r}")
    return int(value)


@app.callback(invoke_without_command=True)
def aisle(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, if asked."""
    if version:
        from importlib import metadata

        typer.echo(metadata.version("aisle"))
        raise typer.Exit


@verb(app)
def run(
    data: Data,
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    split: Split = None,
    mapping: MappingFile = None,
    encoder: Encoder = None,
    redo: Annotated[
        list[StageName] | None,
        typer.Option("--redo", help="A stage to do although nothing has changed; may be repeated."),
    ] = None,
) -> Answer:
    """Do all that follows: prepare, train, index, candidates, evaluate."""
    from aisle import pipeline

    settings = _settings(config, set_, seed=seed, split=split, mapping=mapping, encoder=encoder)
    done = pipeline.run(data, out, settings, redo=[stage.value for stage in redo or ()])
    report = _report(done["evaluate"].folder)
    return Answer({"out": str(out), **_stages(done), **report.data}, report.shown)


@verb(app)
def prepare(
    data: Data,
    out: Out,
    config: Config = None,
    set_: Set = None,
    split: Split = None,
    mapping: MappingFile = None,
    redo: Redo = False,
) -> Answer:
    """Clean the shop's files and split them by time or order."""
    from aisle import pipeline
    from aisle.data.prepared import Prepared
    from aisle.summary import of_counts

    done = pipeline.prepare(data, out, _settings(config, set_, split=split, mapping=mapping), redo=redo)
    counts = Prepared(done.folder).counts
    return Answer({"out": str(out), **_stages({"prepare": done}), "counts": counts}, of_counts(done, counts))


@verb(app)
def train(
    out: Out,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    encoder: Encoder = None,
    redo: Redo = False,
) -> Answer:
    """Train the two towers on the prepared shop."""
    from aisle import pipeline

    return _one(out, pipeline.train(out, _settings(config, set_, seed=seed, encoder=encoder), redo=redo))


@verb(app)
def index(out: Out, config: Config = None, set_: Set = None, redo: Redo = False) -> Answer:
    """Index the item vectors."""
    from aisle import pipeline

    return _one(out, pipeline.index(out, _settings(config, set_), redo=redo))


@verb(app)
def candidates(out: Out, config: Config = None, set_: Set = None, redo: Redo = False) -> Answer:
    """Retrieve the best unseen items of every user."""
    from aisle import pipeline

    return _one(out, pipeline.candidates(out, _settings(config, set_), redo=redo))


@verb(app)
def evaluate(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run; with --run: for the report.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="[NAME=]FILE",
            help="Anybody's run (Parquet or TREC), named by its file unless told; may be repeated.",
        ),
    ] = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="What the users of --run wanted.")] = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", help="Parquet with the item_id of the whole catalogue, for coverage."),
    ] = None,
    config: Config = None,
    set_: Set = None,
    seed: Seed = None,
    redo: Redo = False,
) -> Answer:
    """Hold candidates against baselines, or any runs (--run) against a truth."""
    settings = _settings(config, set_, seed=seed)
    if run:
        return _evaluate_files(run, truth, items, out, settings)
    from aisle.data.errors import InputError

    if out is None or truth is not None or items is not None:
        given = "--truth" if truth is not None else "--items" if items is not None else None
        found = f"{given} without --run" if given else "neither"
        raise InputError("--out alone, or --run and --truth", found, "see `aisle evaluate --help`")
    from aisle import pipeline

    done = pipeline.evaluate(out, settings, redo=redo)
    report = _report(done.folder)
    return Answer({"out": str(out), **_stages({"evaluate": done}), **report.data}, report.shown)


@verb(app)
def compare(
    before: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of a run, or its report.json.")],
    after: Annotated[
        Path, typer.Argument(metavar="RUN_B", help="Folder of a later run, or its report.json.")
    ],
) -> Answer:
    """Show what changed between two runs, if they were measured on the same."""
    from aisle.eval.report.compare import changes_table, compare_reports

    one, other = _read_report(before), _read_report(after)
    changes = compare_reports(one, other)
    facts = [{**change._asdict(), "difference": change.difference} for change in changes]
    return Answer({"changes": facts}, [changes_table(one, changes)])


@verb(app)
def shop(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for raw/ (the files) and truth/ (what was planted).")
    ],
    users: Annotated[
        int, typer.Option("--users", parser=number, metavar="N", help="Users, such as 1e6.")
    ] = 1000,
    items: Annotated[int, typer.Option("--items", parser=number, metavar="N", help="Products.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
    events_per_user: Annotated[
        float, typer.Option("--events-per-user", min=4, max=150, help="Mean events of a user.")
    ] = 30.0,
    dirt: Annotated[
        float, typer.Option("--dirt", min=0, max=0.05, help="Share of rows spoilt in each of several ways.")
    ] = 0.002,
) -> Answer:
    """Make the embedded shop: a planted world with files to run on."""
    from aisle.data.shop import generate_shop

    generate_shop(out, users=users, items=items, seed=seed, events_per_user=events_per_user, dirt=dirt)
    raw, truth = out / "raw", out / "truth"
    shown = [f"shop of {users:,} users and {items:,} items: {raw}", f"planted truth: {truth}"]
    return Answer(
        {"raw": str(raw), "truth": str(truth)}, [*shown, f"next: aisle run --data {raw} --out {out}-run"]
    )


@verb(app)
def fetch(
    what: Annotated[str, typer.Argument(help="Such as amazon-2023:All_Beauty.", metavar="WHAT")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
) -> Answer:
    """Download a public data set, going on where it stopped."""
    from aisle.data.fetch import fetch

    files = [str(path) for path in fetch(what, out)]
    return Answer({"files": files}, [*files, f"next: aisle run --data {out} --out {out}-run"])


@verb(app)
def settings(
    config: Config = None,
    set_: Set = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="All settings and defaults as a page.")
    ] = False,
) -> Answer:
    """Print all settings in effect, with descriptions, as TOML."""
    from aisle.settings_text import as_markdown, as_toml

    found = _settings(config, set_)
    return Answer(
        found.model_dump(mode="json"), [(as_markdown() if markdown else as_toml(found)).rstrip("\n")]
    )


def main() -> None:
    """Run the command line."""
    app()


def _settings(config: Path | None, overrides: list[str] | None, **own: object) -> "Settings":
    """Settings of the file and of --set, then of the options that have a name of their own."""
    import json

    from aisle.settings import load_settings

    keys = {
        "seed": "seed",
        "split": "data.split.strategy",
        "mapping": "data.mapping",
        "encoder": "retriever.encoder.model",
    }
    given = {keys[name]: value for name, value in own.items() if value is not None}
    named = [
        f"{key}={json.dumps(value if isinstance(value, int) else str(value))}" for key, value in given.items()
    ]
    return load_settings(config, [*(overrides or []), *named])


def _one(out: Path, done: "Done") -> Answer:
    from aisle.summary import of_stage

    return Answer({"out": str(out), **_stages({done.manifest.stage: done})}, of_stage(done))


def _stages(done: Mapping[str, "Done"]) -> dict[str, Any]:
    return {"stages": {name: one.facts() for name, one in done.items()}}


def _read_report(place: Path) -> "Report":
    """The report of a run's folder, of an evaluation's, or of a file."""
    from aisle.eval.report import Report

    stage = place / StageName.evaluate.value
    return Report.read(stage if stage.is_dir() else place)


def _report(folder: Path) -> Answer:
    from aisle.eval.report import Report, tables

    report = Report.read(folder)
    paths = {"json": str(folder / "report.json"), "html": str(folder / "report.html")}
    models = {
        model: {measure: estimate.model_dump() for measure, estimate in found.items()}
        for model, found in report.models.items()
    }
    return Answer({"report": paths, "models": models}, [*tables(report), f"report: {paths['html']}"])


def _named(runs: list[str]) -> dict[str, Path]:
    """Files of `[NAME=]FILE` by name.

    Raises:
        InputError: two have the same name.
    """
    from aisle.data.errors import InputError

    named: dict[str, Path] = {}
    for run in runs:
        name, given, file = run.rpartition("=")
        path = Path(file)
        if (name := name if given else path.stem) in named:
            fix = "name one of them: --run NAME=FILE"
            raise InputError("runs of different names", f"{named[name]} and {path} are both {name!r}", fix)
        named[name] = path
    return named


def _evaluate_files(
    runs: list[str], truth: Path | None, items: Path | None, out: Path | None, settings: "Settings"
) -> Answer:
    from aisle.data.errors import InputError
    from aisle.eval.evaluate import evaluate_files
    from aisle.eval.report import tables, write_report

    if truth is None:
        raise InputError("--truth FILE with --run", "--run alone", "name the file with what the users wanted")
    named = _named(runs)
    report = evaluate_files(named, truth, catalogue=items, settings=settings.evaluate, seed=settings.seed)
    if out is None:
        return Answer(report.model_dump(mode="json"), [*tables(report)])
    write_report(report, out)
    return _report(out)
