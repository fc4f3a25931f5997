"""Time, memory, disk and money: catalogue encoded, index built, users searched for, lists reranked."""

from dataclasses import dataclass, field
from math import ceil
from typing import Any

from aisle.index.recipes import BYTES, chosen
from aisle.planning import gpus
from aisle.planning.fleet import BATCH, GUESSED_MEMORY, Fleet
from aisle.planning.job import Job

GUESSED_ROW = 15.0
"""Bytes of a candidate in Parquet where nothing was measured: two ids, a rank and a score, compressed."""

ROW_NUMBER = 8
"""Bytes of an item's row number in an inverted list."""

LINKS = 2 * 32 * 4
"""Bytes of an item's neighbours in a graph: 64 of them on its lowest level."""

USABLE = 0.8
"""Share of a machine's memory that an index may take."""

FAR = 100
"""Times the largest measured index from which on a plan says so."""


@dataclass(frozen=True)
class Phase:
    """One part of the job.

    Attributes:
        name: of it.
        work: how many units of what.
        seconds: by the clock, all machines together at it.
        memory: bytes on each machine.
        disk: bytes that it leaves, in all.
        dollars: of all machines; None without a price.
    """

    name: str
    work: str
    seconds: float
    memory: int
    disk: int
    dollars: float | None


@dataclass(frozen=True)
class Plan:
    """The whole.

    Attributes:
        kind: of the index.
        phases: in order.
        assumptions: on which all of it rests.
        warnings: what will not work as planned.
    """

    kind: str
    phases: list[Phase]
    assumptions: list[str]
    warnings: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of all phases, one after the other."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def dollars(self) -> float | None:
        """Of all phases; None without a price."""
        costs = [phase.dollars for phase in self.phases if phase.dollars is not None]
        return sum(costs) if len(costs) == len(self.phases) else None

    def facts(self) -> dict[str, Any]:
        """For machines."""
        phases = [dict(vars(phase)) for phase in self.phases]
        total = {"seconds": self.seconds, "dollars": self.dollars}
        return {
            "kind": self.kind,
            "phases": phases,
            **total,
            "assumptions": self.assumptions,
            "warnings": self.warnings,
        }


def index_bytes(kind: str, items: int, dim: int, job: Job) -> tuple[int, int]:
    """Bytes of an index in memory and on the disk, where vectors for re-scoring are."""
    vectors = items * dim * BYTES[job.storage]
    if kind == "exact":
        return vectors, vectors
    if kind == "hnsw":
        return vectors + items * LINKS, vectors + items * LINKS
    if kind == "ivf_flat":
        return vectors + items * ROW_NUMBER, vectors + items * ROW_NUMBER
    codes = {"ivf_sq8": dim, "ivf_sq4": dim // 2, "ivf_pq": -(-dim // 4)}[kind]
    coded = items * (codes + ROW_NUMBER)
    return coded, coded + vectors


def estimate(job: Job, fleet: Fleet) -> Plan:
    """What a job takes.

    An index that does not fit a machine is cut into equal shards, which all answer every query; machines
    beyond the shards share the queries. Phases come one after the other, and machines share their work
    evenly.

    Raises:
        InputError: a kind of index was not measured, or the arithmetic of a kind is not known.
    """
    dim = job.dim or fleet.shape.dim
    kind = _kind(job, fleet, dim)
    in_memory, on_disk = index_bytes(kind, job.items, dim, job)
    room = fleet.gpu.memory if fleet.gpu and kind == "exact" else fleet.memory
    shards = max(1, ceil(in_memory / (USABLE * room)))
    part = job.items / shards
    row = fleet.figures.disk.row if fleet.figures else GUESSED_ROW
    machines, kept = fleet.machines, int(job.users * job.k * row)
    vectors = int(job.items * dim * 4)

    def phase(name: str, work: str, seconds: float, memory: int, disk: int) -> Phase:
        return Phase(name, work, seconds, memory, disk, fleet.dollars(seconds))

    query = fleet.seconds_of_query(kind, part, dim, job) * shards
    phases = [
        phase(
            "encode items",
            f"{counted(job.items)} texts of {job.tokens:g} tokens",
            (job.items * fleet.seconds_of_text(job.tokens) + fleet.seconds_to_write(vectors)) / machines,
            fleet.process,
            vectors,
        ),
        phase(
            "build index",
            f"{kind}, {counted(job.items)} x {dim}" + (f" in {shards} shards" if shards > 1 else ""),
            fleet.seconds_of_build(kind, part, dim) * ceil(shards / machines)
            + fleet.seconds_to_write(on_disk / shards) * ceil(shards / machines),
            int((vectors + in_memory) / shards),
            on_disk,
        ),
    ]
    if job.user_tokens:
        phases.append(
            phase(
                "encode users",
                f"{counted(job.users)} texts of {job.user_tokens:g} tokens",
                job.users * fleet.seconds_of_text(job.user_tokens) / machines,
                fleet.process,
                0,
            )
        )
    phases.append(
        phase(
            "search",
            f"{counted(job.users)} queries, {job.k} candidates each",
            (job.users * query + fleet.seconds_to_write(kept)) / machines,
            fleet.process + int(in_memory / shards),
            kept,
        )
    )
    if job.rerank:
        pair = fleet.figures.pair if fleet.figures and fleet.figures.pair and not fleet.gpu else None
        phases.append(
            phase(
                "rerank",
                f"{counted(job.users * job.rerank)} pairs",
                job.users * job.rerank * (pair or fleet.seconds_of_text(job.pair_tokens)) / machines,
                fleet.process,
                int(job.users * job.rerank * row),
            )
        )
    return Plan(kind, phases, _assumptions(job, fleet, kind, dim), _warnings(job, fleet, kind, shards))


def _kind(job: Job, fleet: Fleet, dim: int) -> str:
    """The kind of index: as asked, as `auto` chooses, or the one whose arithmetic on a card is known."""
    if job.kind != "auto":
        return job.kind
    if fleet.figures is None:
        return "exact"
    cards = fleet.gpu.memory * fleet.machines if fleet.gpu else 0
    return chosen(job.items, dim, job.storage, "inner_product", memory=fleet.memory, gpu_memory=cards)


def counted(number: int) -> str:
    """A whole number as people say it.

    >>> counted(100_000_000), counted(1_500_000_000), counted(20_000)
    ('100 million', '1.5 billion', '20,000')
    """
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.4g} {name}"
    return f"{number:,}"


def _assumptions(job: Job, fleet: Fleet, kind: str, dim: int) -> list[str]:
    said = [
        f"{fleet.machines} equal machine(s), one phase after the other, work shared evenly, no pauses and "
        "no failures"
    ]
    if fleet.gpu is not None:
        said.append(
            f"{fleet.gpu.name}: {gpus.SHARE:.0%} of {fleet.gpu.teraflops:g} published TFLOPS, texts "
            f"to tokens at {counted(int(gpus.TOKENIZED))} tokens a second beside it, transfers hidden; "
            f"not measured ({fleet.gpu.source})"
        )
    if fleet.figures is None:
        said.append(
            f"language model of {fleet.shape.weights / 1e6:.1f} million weights (all-MiniLM-L6-v2); "
            f"{GUESSED_MEMORY >> 30} GiB a machine; "
            f"{GUESSED_ROW:g} bytes a candidate; disks are not counted"
        )
    else:
        machine = fleet.figures.machine
        model = fleet.figures.language_model.name
        said.append(
            f"measured on {machine.processor}, {machine.cores} cores, {machine.memory / 2**30:.0f} GiB, "
            f"{machine.device}, {machine.measured}; "
            f"language model {model}"
        )
    said.append(
        "texts all differ, and cost what one of their mean length does; equal ones are encoded once, and "
        "then cost nothing"
    )
    said.append(
        f"users are texts of {job.user_tokens:g} tokens to the language model"
        if job.user_tokens
        else "users cost nothing before the search: they are not read by the language model"
    )
    if fleet.gpu is None or kind != "exact":
        said.append(
            f"queries come {BATCH:,} at a time, index and vectors in memory, vectors that vary "
            "like those that were measured"
        )
    if fleet.figures is not None and any(
        one.kind == kind and one.dim != dim for one in fleet.figures.indices
    ):
        said.append(f"index times grow with the length of vectors ({dim} here)")
    if fleet.figures is not None and any(
        one.kind == kind and one.storage != job.storage for one in fleet.figures.indices
    ):
        said.append(f"{job.storage} vectors are searched as fast as those that were measured")
    if job.rerank:
        measured = fleet.figures is not None and fleet.figures.pair is not None and fleet.gpu is None
        said.append(
            "pairs are ranked as the measured ranker does"
            if measured
            else f"a pair costs what a text of {job.pair_tokens:g} tokens does"
        )
    if fleet.price is None:
        price = fleet.gpu.dollars_per_hour if fleet.gpu else None
        said.append(
            "no price is known: say --price, dollars an hour of a machine"
            if price is None
            else f"${price:.2f} an hour of a card, from the table"
        )
    else:
        said.append(f"${fleet.price:g} an hour of a machine")
    return said


def _warnings(job: Job, fleet: Fleet, kind: str, shards: int) -> list[str]:
    said = []
    if shards > fleet.machines:
        said.append(f"the index needs {shards} machines to be in memory, and there are {fleet.machines}")
    if fleet.figures is not None and not (fleet.gpu and kind == "exact"):
        largest = max(point.size for point in fleet.figures.index(kind).searches)
        if job.items / shards > FAR * largest:
            said.append(
                f"indices of at most {largest:,.0f} items were measured: the plan for more than {FAR} times "
                "as many is a guess"
            )
    return said
