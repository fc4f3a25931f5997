"""The cost planner: curves that were planted, plans against arithmetic, and a machine measured in seconds."""

import json
from collections.abc import Callable
from math import log, log2
from pathlib import Path

import numpy as np
import pytest
from language_models import tiny_bert
from typer.testing import CliRunner, Result

from aisle.cli import app
from aisle.cli.planning import duration
from aisle.data.errors import InputError
from aisle.index.recipes import POINTS, lists
from aisle.planning import bench as benches
from aisle.planning import curves
from aisle.planning.estimate import Plan, estimate, index_bytes
from aisle.planning.figures import Figures, IndexFigures, Point
from aisle.planning.fleet import Fleet
from aisle.planning.gpus import SHARE, TOKENIZED, Shape, gpu_of, known_gpus, seconds_of_query, seconds_of_text
from aisle.planning.job import Job

MEMORY = 10 << 30


def points(seconds: dict[float, float]) -> list[Point]:
    return [Point(size=size, seconds=value) for size, value in seconds.items()]


def index_figures(kind: str, **changes: object) -> IndexFigures:
    """A search takes a microsecond and a nanosecond an item; a build a second and a microsecond an item."""
    sizes = (1e4, 2e4, 4e4)
    given: dict[str, object] = {
        "kind": kind,
        "dim": 100,
        "storage": "float32",
        "batch": 1024,
        "k": 100,
        "nprobe": 64,
        "builds": [{"size": size, "seconds": 1 + 1e-6 * size} for size in sizes],
        "searches": [{"size": size, "seconds": 1e-6 + 1e-9 * size} for size in sizes],
    }
    return IndexFigures.model_validate({**given, **changes})


FIGURES = Figures.model_validate(
    {
        "machine": {
            "processor": "abacus",
            "cores": 2,
            "memory": MEMORY,
            "device": "cpu",
            "versions": {},
            "measured": "2026-03-01",
        },
        "language_model": {
            "name": "tiny",
            "dim": 100,
            "weights": 1000,
            "layers": 1,
            "width": 100,
            "memory": 1 << 30,
            "texts": [{"size": size, "seconds": 1e-3 + 1e-5 * size} for size in (16, 32, 64)],
        },
        "indices": [index_figures("exact"), index_figures("ivf_flat")],
        "disk": {"write": 1e9, "read": 1e9, "row": 10.0},
    }
)


def test_planted_curves_of_texts_and_exact_search_are_found() -> None:
    text = curves.seconds_of_text(points({t: 2 + 3 * t + 0.5 * t**2 for t in (16, 32, 64, 128)}))
    assert text(256) == pytest.approx(2 + 3 * 256 + 0.5 * 256**2)
    exact = measured_of("exact", lambda n, _: 0.01 + 1e-6 * n, lambda n, *_: 1e-4 + 2e-9 * n)
    assert curves.seconds_of_build(exact)(1e7) == pytest.approx(0.01 + 10)
    assert curves.seconds_of_query(exact)(1e7) == pytest.approx(1e-4 + 2e-2)


def measured_of(
    kind: str,
    build: Callable[[float, int], float],
    query: Callable[[float, int, int], float],
    noise: float = 0.0,
    seed: int = 0,
) -> IndexFigures:
    """What `aisle bench` would measure of a kind with these times of n items, L lists (and visited ones)."""
    rng = np.random.default_rng(seed)
    builds, searches = [], []
    for n, n_lists in benches.shapes(kind, 384):
        given = {"size": n, "lists": n_lists}
        builds.append({**given, "seconds": build(n, n_lists or 0) * (1 + noise * rng.uniform(-1, 1))})
        for nprobe in (16, 64, 256) if n_lists else (None,):
            seconds = query(n, n_lists or 0, nprobe or 0) * (1 + noise * rng.uniform(-1, 1))
            visited = read(n, n_lists, nprobe) if n_lists and nprobe else None
            searches.append({**given, "nprobe": nprobe, "visited": visited, "seconds": seconds})
    return index_figures(kind, builds=builds, searches=searches)


def read(n: float, n_lists: int, nprobe: int) -> float:
    """Items in the lists that a query visits."""
    share = nprobe / n_lists
    return share * n * (1 + 0.14 * log(1 / share))


@pytest.mark.parametrize("items", [1e5, 1e6, 1e8])
@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_sq8", "ivf_pq"])
def test_planted_curves_of_lists_are_found(kind: str, items: float) -> None:
    def build(n: float, n_lists: int) -> float:
        compared = n * n_lists + 10 * min(n, 256 * n_lists) * n_lists
        coded = n + (25 * min(n, 65_536) if kind == "ivf_pq" else 0)
        return 8e-6 * coded + 9e-9 * compared

    def query(n: float, n_lists: int, nprobe: int) -> float:
        return 2e-4 + 1e-8 * n_lists + 1.5e-6 * nprobe + 6e-8 * read(n, n_lists, nprobe)

    figures = measured_of(kind, build, query)
    n_lists = {1e5: 1024, 1e6: 4096, 1e8: 32_768}[items]
    assert curves.seconds_of_build(figures)(items) == pytest.approx(build(items, n_lists))
    assert curves.seconds_of_query(figures)(items) == pytest.approx(query(items, n_lists, 64))
    largest = max(point.size for point in figures.builds)
    builds, queries = [], []
    for seed in range(50):
        noisy = measured_of(kind, build, query, noise=0.05, seed=seed)
        builds.append(curves.seconds_of_build(noisy)(10 * largest) / build(10 * largest, 4096))
        queries.append(curves.seconds_of_query(noisy)(10 * largest) / query(10 * largest, 4096, 64))
    assert 0.85 < min(builds) < max(builds) < 1.15
    assert 0.85 < min(queries) < max(queries) < 1.15


@pytest.mark.parametrize("items", [1e5, 1e6, 1e8])
def test_planted_curves_of_graphs_are_found(items: float) -> None:
    def build(n: float, _: int) -> float:
        return n * 7e-5 * (log2(n) - 11)  # a line that is 0 at some size: measured ones are not small

    def query(n: float, *_: int) -> float:
        return 2e-4 * (log2(n) - 11)

    figures = measured_of("hnsw", build, query)
    assert curves.seconds_of_build(figures)(items) == pytest.approx(build(items, 0))
    assert curves.seconds_of_query(figures)(items) == pytest.approx(query(items))
    assert curves.seconds_of_query(figures)(100) == pytest.approx(query(figures.searches[0].size))


def test_lists_are_told_apart_from_items() -> None:
    """The most lists of a measured index are half of those of one ten times as large, and can be trained."""
    for dim in (32, 384, 1024):
        shapes = benches.shapes("ivf_pq", dim)
        assert 2 * max(n_lists or 0 for _, n_lists in shapes) >= lists(10 * shapes[-1][0])
        assert all(items >= POINTS * (n_lists or 0) for items, n_lists in shapes)


def test_noise_never_makes_larger_work_cheaper() -> None:
    falling = curves.seconds_of_text(points({16: 2.0, 32: 1.9, 64: 1.8}))
    assert falling(128) >= falling(64) > 0
    with pytest.raises(InputError, match="points that were measured"):
        curves.seconds_of_text([])


def by_name(plan: Plan) -> dict[str, float]:
    return {phase.name: phase.seconds for phase in plan.phases}


def test_a_plan_is_arithmetic() -> None:
    job = Job(items=100_000, users=1_000_000, tokens=48, user_tokens=64, k=50, rerank=10, pair_tokens=100)
    plan = estimate(job, Fleet(FIGURES, machines=4, price=2.0))
    assert plan.kind == "exact"
    seconds = by_name(plan)
    vectors = 100_000 * 100 * 4
    assert seconds["encode items"] == pytest.approx((1e5 * (1e-3 + 48e-5) + vectors / 1e9) / 4)
    assert seconds["build index"] == pytest.approx(1 + 0.1 + vectors / 1e9)
    assert seconds["encode users"] == pytest.approx(1e6 * (1e-3 + 64e-5) / 4)
    assert seconds["search"] == pytest.approx((1e6 * (1e-6 + 1e-4) + 1e6 * 50 * 10 / 1e9) / 4)
    assert seconds["rerank"] == pytest.approx(1e7 * (1e-3 + 100e-5) / 4)
    assert plan.seconds == pytest.approx(sum(seconds.values()))
    assert plan.dollars == pytest.approx(2 * 4 * plan.seconds / 3600)
    search = next(phase for phase in plan.phases if phase.name == "search")
    assert search.disk == 1_000_000 * 50 * 10
    assert search.memory == (1 << 30) + vectors
    assert plan.warnings == []


def test_what_is_left_out_costs_nothing() -> None:
    plan = estimate(Job(items=1000, users=10, user_tokens=0), Fleet(FIGURES))
    assert [phase.name for phase in plan.phases] == ["encode items", "build index", "search"]
    assert plan.dollars is None
    assert any("no price is known" in one for one in plan.assumptions)


def test_a_trained_ranker_sets_the_price_of_a_pair() -> None:
    figures = FIGURES.model_copy(update={"pair": 1e-4})
    plan = estimate(Job(items=1000, users=10, rerank=20), Fleet(figures))
    assert by_name(plan)["rerank"] == pytest.approx(10 * 20 * 1e-4)


def test_an_index_larger_than_a_machine_is_cut() -> None:
    items = 60_000_000
    plan = estimate(Job(items=items, users=1000, kind="exact"), Fleet(FIGURES, machines=2))
    shards = -(-items * 400 // int(0.8 * MEMORY))  # rounded up
    assert shards == 3
    assert any("needs 3 machines" in one for one in plan.warnings)
    assert any("a guess" in one for one in plan.warnings)
    written = 1000 * 100 * 10 / 1e9
    assert by_name(plan)["search"] == pytest.approx((1000 * 3 * (1e-6 + 1e-9 * items / 3) + written) / 2)


def test_memory_of_each_kind() -> None:
    job = Job(items=1000, users=1, storage="fp16")
    vectors = 1000 * 384 * 2
    assert index_bytes("exact", 1000, 384, job) == (vectors, vectors)
    assert index_bytes("ivf_flat", 1000, 384, job)[0] == vectors + 8000
    assert index_bytes("hnsw", 1000, 384, job)[0] == vectors + 1000 * 64 * 4
    assert index_bytes("ivf_pq", 1000, 384, job) == (1000 * (96 + 8), 1000 * (96 + 8) + vectors)


def test_a_card_of_the_table() -> None:
    card = gpu_of("h100")
    plan = estimate(Job(items=1_000_000, users=1000, tokens=48), Fleet(gpu=card, machines=2))
    operations = 2 * 6 * 12 * 384**2 * 48 + 4 * 6 * 384 * 48**2
    assert Shape().operations(48) == operations
    assert by_name(plan)["encode items"] == pytest.approx(1e6 * operations / (989e12 * SHARE) / 2)
    assert seconds_of_text(card, Shape(weights=1000), 48) == 48 / TOKENIZED
    assert by_name(plan)["build index"] == 0
    assert plan.kind == "exact"
    assert plan.dollars == pytest.approx(5 * 2 * plan.seconds / 3600)
    assert any("not measured" in one for one in plan.assumptions)
    many, few = (seconds_of_query(card, 1e6, 384, "float32", batch) for batch in (4096, 1))
    assert many == pytest.approx(2 * 384e6 / (989e12 * SHARE))
    assert few == pytest.approx(1e6 * 384 * 4 / 3350e9)


def test_several_cards_hold_what_one_does_not() -> None:
    job = Job(items=300_000_000, users=10)  # 112 GiB of vectors
    plan = estimate(job, Fleet(FIGURES, gpu_of("h100"), machines=8))
    assert plan.kind == "exact"
    assert plan.phases[1].work.endswith("in 2 shards")
    assert plan.warnings == []
    with pytest.raises(InputError, match="figures of ivf_pq"):
        estimate(job, Fleet(FIGURES, gpu_of("h100")))


def test_the_table_names_its_sources() -> None:
    for card in known_gpus().values():
        assert "." in card.source
        assert card.dollars_per_hour is None or "price:" in card.source
        assert card.teraflops > 0
    with pytest.raises(InputError, match="h100"):
        gpu_of("abacus")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": 0}, "items of 1 or more"),
        ({"tokens": 0}, "tokens above 0"),
        ({"tokens": float("nan")}, "tokens above 0"),
        ({"user_tokens": -1}, "user_tokens of 0 or more"),
        ({"rerank": 101}, "at most 100"),
        ({"kind": "cagra"}, "a kind of index among"),
    ],
)
def test_jobs_that_cannot_be(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Job(**{"items": 10, "users": 10, **arguments})  # type: ignore[arg-type]


def test_machines_that_cannot_be() -> None:
    with pytest.raises(InputError, match="neither"):
        Fleet()
    with pytest.raises(InputError, match="a machine or more"):
        Fleet(FIGURES, machines=0)
    with pytest.raises(InputError, match="a price of 0"):
        Fleet(FIGURES, price=-1)
    with pytest.raises(InputError, match="figures of hnsw"):
        estimate(Job(items=10, users=10, kind="hnsw"), Fleet(FIGURES))
    with pytest.raises(InputError, match="a GPU of the table alone"):
        estimate(Job(items=10, users=10, kind="hnsw"), Fleet(gpu=gpu_of("l4")))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.25, "0.2 s"), (90, "1.5 min"), (7200, "2.0 h"), (5 * 86400, "5.0 days")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize("verb", ["bench", "plan"])
def test_help_fits_80_columns(verb: str) -> None:
    assert max(map(len, call(verb, "--help").stdout.splitlines())) <= 80


def test_a_machine_is_measured_and_planned_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benches, "NUMBERS", 1)
    monkeypatch.setattr(benches, "ITEMS", 400)
    monkeypatch.setattr(benches, "fewest_vectors", lambda dim: 400)
    monkeypatch.setattr(benches, "WRITTEN", 1 << 16)
    monkeypatch.setattr(benches, "CANDIDATES", 1000)
    out = tmp_path / "bench.json"
    encoder = tiny_bert(tmp_path / "bert", texts=[benches.SHELF])
    options = ("--encoder", encoder, "--set", "retriever.encoder.max_tokens=40", "--seconds", 0.01)
    wanted = ("exact", "ivf_flat", "hnsw")
    measured = call("bench", *options, *(part for kind in wanted for part in ("--kind", kind)), "--out", out)
    assert measured.exit_code == 0, measured.stderr
    assert "queries a second" in measured.stdout
    figures = Figures.read(out)
    assert [one.kind for one in figures.indices] == list(wanted)
    inverted = figures.index("ivf_flat")
    assert [(point.size, point.lists) for point in inverted.builds] == [(400, 2), (400, 8), (800, 16)]
    assert {point.nprobe for point in inverted.searches} == {2, 8, 16}
    assert [point.visited for point in inverted.searches if point.nprobe == point.lists] == [400, 400, 800]
    assert "800 x 16, 16 lists, 16 of them read" in measured.stdout
    assert figures.language_model.dim == 16
    attention, norms, pooler = 4 * (16 * 16 + 16), 2 * (16 + 16), 16 * 16 + 16
    forward = (16 * 32 + 32) + (32 * 16 + 16)
    assert figures.language_model.weights == sum((attention, forward, norms, pooler))
    assert all(16 < point.size <= 40 for point in figures.language_model.texts)
    options = ("plan", "--items", "1e4", "--users", "1e5", "--figures", out, "--price", 1)
    planned = call(*options, "--json")
    facts = json.loads(planned.stdout)
    assert facts == estimate(Job(10_000, 100_000), Fleet(figures, price=1.0)).facts()
    shown = call(*options).stdout
    assert "assumed:" in shown
    assert "encode items" in shown


def test_plans_need_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lost = call("plan", "--items", 10, "--users", 10)
    assert (lost.exit_code, "aisle bench" in lost.stderr) == (2, True)
    assert call("plan", "--items", 10, "--users", 10, "--gpu", "l4").exit_code == 0
    assert "a GPU of the table" in call("plan", "--items", 10, "--users", 10, "--gpu", "x").stderr
    (tmp_path / "bench.json").write_text(FIGURES.model_dump_json().replace('"cores":2', '"cores":0'))
    assert "machine.cores" in call("plan", "--items", 10, "--users", 10).stderr
    (tmp_path / "bench.json").write_text(FIGURES.model_dump_json())
    assert call("plan", "--items", 10, "--users", 10).exit_code == 0
    assert "kinds among" in call("bench", "--kind", "abacus").stderr
    assert "a folder that is there" in call("bench", "--out", "no/folder/x.json").stderr


def test_the_kind_follows_the_memory() -> None:
    with pytest.raises(InputError, match="figures of ivf_pq"):
        estimate(Job(items=60_000_000, users=10), Fleet(FIGURES))
    assert estimate(Job(items=1_000_000, users=10), Fleet(FIGURES)).kind == "ivf_flat"
