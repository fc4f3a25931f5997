"""Verbs about cost: what this machine can do, and what a job will take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aisle.cli.grids import grid
from aisle.cli.options import Config, Encoder, Set, settings_of
from aisle.cli.shops import number
from aisle.cli.verb import Answer

if TYPE_CHECKING:
    from aisle.planning.estimate import Plan
    from aisle.planning.figures import Figures, IndexFigures, IndexPoint

FIGURES = Path("bench.json")
GIB = 2**30


def bench(
    out: Annotated[Path, typer.Option("--out", help="JSON file for the figures.")] = FIGURES,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Kind of index; may be repeated [default: exact, ivf_flat, ivf_pq, hnsw]."
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option("--dim", min=4, help="Length of vectors in indices [default: the encoder's]."),
    ] = None,
    ranker: Annotated[
        Path | None, typer.Option("--ranker", help="A trained ranker, to measure what a pair takes.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="For each figure.")] = 3.0,
    encoder: Encoder = None,
    device: Annotated[str, typer.Option("--device", help="Of the encoder, such as cuda.")] = "cpu",
    config: Config = None,
    set_: Set = None,
) -> Answer:
    """Measure this machine in a few minutes: texts, indices, pairs, disk."""
    from aisle.data.errors import InputError
    from aisle.planning.bench import bench as measured
    from aisle.planning.curves import PLANNED
    from aisle.retriever.encoder import Encoder as LanguageModel

    wanted = kind or ["exact", "ivf_flat", "ivf_pq", "hnsw"]
    if strange := [one for one in wanted if one not in PLANNED]:
        raise InputError(f"kinds among {', '.join(PLANNED)}", repr(strange[0]), "correct --kind")
    if not out.parent.is_dir():
        raise InputError("a file in a folder that is there", str(out), "make the folder first")
    settings = settings_of(config, set_, encoder=encoder)
    trained = None
    if ranker is not None:
        from aisle.ranker import Ranker

        trained = Ranker.load(ranker)
    model = LanguageModel.load(settings.retriever.encoder, device)
    figures = measured(model, settings.index, kinds_measured=wanted, seconds=seconds, dim=dim, ranker=trained)
    figures.write(out)
    return Answer(
        {**figures.model_dump(mode="json"), "out": str(out)}, [*_figures_shown(figures), f"figures: {out}"]
    )


def plan(
    items: Annotated[int, typer.Option("--items", parser=number, metavar="N", help="Such as 1e8.")],
    users: Annotated[int, typer.Option("--users", parser=number, metavar="N", help="Such as 1e9.")],
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="What `aisle bench` wrote [default: ./bench.json, if any]."),
    ] = None,
    gpu: Annotated[str | None, typer.Option("--gpu", help="A card of the table, such as h100.")] = None,
    machines: Annotated[int, typer.Option("--machines", help="Equal ones.")] = 1,
    price: Annotated[float | None, typer.Option("--price", help="Dollars an hour of a machine.")] = None,
    tokens: Annotated[float, typer.Option("--tokens", help="Of an item's text, on average.")] = 48,
    user_tokens: Annotated[
        float, typer.Option("--user-tokens", help="Of a history as text; 0: users are not read as text.")
    ] = 128,
    k: Annotated[int, typer.Option("--k", help="Candidates of a user.")] = 100,
    rerank: Annotated[int, typer.Option("--rerank", help="Of them, scored again as pairs.")] = 0,
    pair_tokens: Annotated[float, typer.Option("--pair-tokens", help="Of a pair, where it is read.")] = 128,
    kind: Annotated[str, typer.Option("--kind", help="Of the index.")] = "auto",
    storage: Annotated[
        Literal["float32", "fp16", "int8"], typer.Option("--storage", help="Of item vectors.")
    ] = "float32",
    dim: Annotated[
        int | None, typer.Option("--dim", min=1, help="Of vectors in the index [default: the encoder's].")
    ] = None,
) -> Answer:
    """Estimate time, memory, disk and money of a job from what was measured."""
    from aisle.planning.estimate import estimate
    from aisle.planning.figures import Figures
    from aisle.planning.fleet import Fleet
    from aisle.planning.gpus import gpu_of
    from aisle.planning.job import Job

    card = None if gpu is None else gpu_of(gpu)
    place = figures or (FIGURES if card is None or FIGURES.is_file() else None)
    fleet = Fleet(None if place is None else Figures.read(place), card, machines, price)
    job = Job(items, users, tokens, user_tokens, k, rerank, pair_tokens, kind, storage, dim)
    found = estimate(job, fleet)
    return Answer(found.facts(), _plan_shown(found))


def _figures_shown(figures: "Figures") -> list[Any]:
    machine = figures.machine
    texts = [
        [f"text of {point.size:.0f} tokens", f"{1 / point.seconds:,.0f} a second"]
        for point in figures.language_model.texts
    ]
    indices = []
    for one in figures.indices:
        indices += [[_index_shown(one, point), f"built in {point.seconds:.2f} s"] for point in one.builds]
        indices += [
            [_index_shown(one, point), f"{1 / point.seconds:,.0f} queries a second"] for point in one.searches
        ]
    pairs = [] if figures.pair is None else [["pair", f"{1 / figures.pair:,.0f} a second"]]
    disk = [["disk", f"{figures.disk.write / 1e6:,.0f} MB/s written, {figures.disk.read / 1e6:,.0f} read"]]
    said = f"{machine.processor}, {machine.cores} cores, {machine.memory / GIB:.0f} GiB, {machine.device}"
    return [said, grid(["work", "measured"], [*texts, *indices, *pairs, *disk])]


def _index_shown(one: "IndexFigures", point: "IndexPoint") -> str:
    said = f"{one.kind}, {point.size:,.0f} x {one.dim}"
    if point.lists is not None:
        said += f", {point.lists:,} lists" + (
            "" if point.nprobe is None else f", {point.nprobe:,} of them read"
        )
    return said


def _plan_shown(found: "Plan") -> list[Any]:
    def money(dollars: float | None) -> str:
        return "-" if dollars is None else f"${dollars:,.2f}"

    rows = [
        [
            one.name,
            one.work,
            duration(one.seconds),
            f"{one.memory / GIB:,.1f} GiB",
            f"{one.disk / GIB:,.1f} GiB",
            money(one.dollars),
        ]
        for one in found.phases
    ]
    disk = sum(one.disk for one in found.phases)
    peak = max(one.memory for one in found.phases)
    rows.append(
        [
            "all",
            "",
            duration(found.seconds),
            f"{peak / GIB:,.1f} GiB",
            f"{disk / GIB:,.1f} GiB",
            money(found.dollars),
        ]
    )
    return [
        grid(["phase", "work", "time", "memory", "disk", "money"], rows),
        "assumed:",
        *(f"- {one}" for one in found.assumptions),
        *(f"warning: {one}" for one in found.warnings),
    ]


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(0.5), duration(90), duration(7200), duration(5 * 86400)
    ('0.5 s', '1.5 min', '2.0 h', '5.0 days')
    """
    for unit, size in (("days", 86400 * 2), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else size):,.1f} {unit}"
    return f"{seconds:.1f} s"
