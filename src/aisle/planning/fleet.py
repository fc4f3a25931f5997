"""The machines that do a job, and what one of them takes for a unit of work."""

from dataclasses import dataclass

from aisle.data.errors import InputError
from aisle.planning import curves, gpus
from aisle.planning.figures import Figures
from aisle.planning.gpus import Gpu, Shape
from aisle.planning.job import Job

GUESSED_MEMORY = 64 << 30
"""Of a machine that nobody measured, bytes."""

GUESSED_PROCESS = 2 << 30
"""Resident bytes of a process with a small language model, where nobody measured it."""

BATCH = 1024
"""Queries asked together."""


@dataclass(frozen=True)
class Fleet:
    """What does the job.

    Attributes:
        figures: of one machine, measured; None: nothing was.
        gpu: a card of the table in each machine, for the language model and exact search; None: as measured.
        machines: equal ones.
        price: dollars an hour of one machine; None: that of the card, if the table has one.
    """

    figures: Figures | None = None
    gpu: Gpu | None = None
    machines: int = 1
    price: float | None = None

    def __post_init__(self) -> None:
        if self.figures is None and self.gpu is None:
            raise InputError(
                "figures of a machine, or a GPU of the table", "neither", "run `aisle bench` first"
            )
        if self.machines < 1:
            raise InputError("a machine or more", f"{self.machines}", "correct --machines")
        if self.price is not None and self.price < 0:
            raise InputError("a price of 0 or more", f"{self.price}", "correct --price")

    @property
    def memory(self) -> int:
        """Of one machine, bytes."""
        return self.figures.machine.memory if self.figures else GUESSED_MEMORY

    @property
    def process(self) -> int:
        """Resident bytes of a process that encodes."""
        return self.figures.language_model.memory if self.figures else GUESSED_PROCESS

    @property
    def shape(self) -> Shape:
        """Of the language model: the measured one's, or MiniLM's."""
        if self.figures is None:
            return Shape()
        model = self.figures.language_model
        return Shape(model.weights, model.layers, model.width, model.dim)

    def dollars(self, seconds: float) -> float | None:
        """What all machines cost for so long."""
        price = self.price if self.price is not None else self.gpu.dollars_per_hour if self.gpu else None
        return None if price is None else price * self.machines * seconds / 3600

    def seconds_of_text(self, tokens: float) -> float:
        """Of one machine."""
        if self.gpu is not None:
            return gpus.seconds_of_text(self.gpu, self.shape, tokens)
        assert self.figures is not None
        return curves.seconds_of_text(self.figures.language_model.texts)(tokens)

    def seconds_of_build(self, kind: str, items: float, dim: int) -> float:
        """Of one machine; an exact index on a card of the table is not built."""
        if self.figures is None or (self.gpu is not None and kind == "exact"):
            if kind == "exact":
                return 0.0
            raise InputError(
                f"figures for an index of kind {kind}", "a GPU of the table alone", "run `aisle bench`, too"
            )
        measured = self.figures.index(kind)
        return curves.seconds_of_build(measured)(items) * dim / measured.dim

    def seconds_of_query(self, kind: str, items: float, dim: int, job: Job) -> float:
        """Of one machine."""
        if self.gpu is not None and kind == "exact":
            return gpus.seconds_of_query(self.gpu, items, dim, job.storage, BATCH)
        if self.figures is None:
            raise InputError(
                f"figures for an index of kind {kind}", "a GPU of the table alone", "run `aisle bench`, too"
            )
        measured = self.figures.index(kind)
        return curves.seconds_of_query(measured)(items) * dim / measured.dim

    def seconds_to_write(self, size: float) -> float:
        """Of one machine; 0 where nobody measured its disk."""
        return size / self.figures.disk.write if self.figures else 0.0
