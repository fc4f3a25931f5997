"""The engine of many processes and machines: parts on Ray Data, each done by an actor with model and index.

Ray gives the parts to actors, starts those that died again, and gives what they had to others. A part that is
done twice is the same, and a part has its name only when it is whole: nothing else is needed to survive it.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from aisle.batch.work import Work, Worker
from aisle.data.errors import InputError
from aisle.data.progress import meter
from aisle.index.errors import IndexFault

LOG = logging.getLogger(__name__)

TRIES = 3
"""Times that a dead actor is started again, and its part given to another."""

STORE = 100 << 20
"""Bytes of the object store of a cluster that the job starts: only numbers of parts go through it."""

FAULTS: Mapping[str, type[InputError] | type[IndexFault]] = {
    "InputError": InputError,
    "IndexFault": IndexFault,
}

Columns = dict[str, Any]


class Parts:
    """An actor: does parts, and says in a row for each how it went.

    Args:
        work: what is to be done.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.worker: Worker | None = None

    def __call__(self, batch: Columns) -> Columns:
        """Do the parts of a batch; a fault of the input is told, and ends the job, and not Ray's patience."""
        rows: list[tuple[int, int, int, str, str, str, str]] = []
        for part in batch["part"].tolist():
            try:
                self.worker = self.worker or Worker(self.work)
                note = self.worker.do(part)
                rows.append((part, note.users, note.rows, "", "", "", ""))
            except (InputError, IndexFault) as fault:
                rows.append((part, 0, 0, type(fault).__name__, fault.expected, fault.found, fault.fix))
            except OSError as error:
                said = (str(error.errno or 0), error.strerror or str(error), str(error.filename or ""))
                rows.append((part, 0, 0, "OSError", *said))
        names = ("part", "users", "rows", "fault", "first", "second", "third")
        return {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


@dataclass(frozen=True)
class RayEngine:
    """Does parts on Ray.

    Attributes:
        address: of a cluster; None: one on this machine, started for the job and stopped behind it.
        workers: actors; None: one for each GPU, or for each processor core where there is no GPU.
        cores: of the cluster that is started; None: all of this machine.
    """

    address: str | None = None
    workers: int | None = None
    cores: int | None = None

    def __call__(self, work: Work, parts: list[int]) -> None:
        """Do parts, in any order.

        Raises:
            InputError: Ray is not installed or not reached, or what a worker raises.
            IndexFault: what a worker raises.
        """
        with cluster(self.address, self.cores) as ray, meter("parts", len(parts)) as progress:
            resources = ray.cluster_resources()
            gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
            workers = max(1, min(self.workers or gpus or cores, len(parts)))
            LOG.info("%d workers on %d cores and %d GPUs", workers, cores, gpus)
            done = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
            done = done.map_batches(
                Parts,
                fn_constructor_args=(work,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=share_of(cores, workers),
                num_gpus=min(1.0, gpus / workers) if gpus else None,
                max_restarts=TRIES,
                max_task_retries=TRIES,
            )
            for row in done.iter_rows():
                _raise(row)
                LOG.info(
                    "part %d: %s users, %s candidates", row["part"], f"{row['users']:,}", f"{row['rows']:,}"
                )
                progress.advance()


def share_of(cores: int, workers: int) -> float:
    """Cores of a worker: whole ones, or part of one where there are more workers than cores.

    Ray starts no worker without its share, and counts shares of a core in ten-thousandths.
    """
    return cores // workers if workers <= cores else floor(10_000 * cores / workers) / 10_000


@contextmanager
def cluster(address: str | None, cores: int | None) -> Iterator[Any]:
    """Ray, connected to the cluster at an address, or to one of this machine that ends with the body."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        fix = "pip install 'aisle[ray]', or leave --engine out"
        raise InputError("Ray, for --engine ray", f"it cannot be imported: {error}", fix) from None
    own: dict[str, Any] = {"address": "local", "num_cpus": cores, "object_store_memory": STORE}
    try:
        ray.init(
            **({"address": address} if address else own),
            include_dashboard=False if address is None else None,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            "a Ray cluster", f"{address or 'none could be started'}: {said}", "check it"
        ) from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name, level in (("ray.data", logging.WARNING), ("ray.data._internal.progress", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    try:
        yield ray
    finally:
        ray.shutdown()


def _raise(row: Mapping[str, Any]) -> None:
    """Raise here what a worker had to say."""
    said = (row["first"], row["second"], row["third"])
    if row["fault"] == "OSError":
        raise OSError(int(said[0]), said[1], said[2] or None)
    if row["fault"]:
        raise FAULTS[row["fault"]](*said)
