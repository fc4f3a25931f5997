"""The engine of one process: part after part."""

import logging

from aisle.batch.work import Work, Worker
from aisle.data.progress import track

LOG = logging.getLogger(__name__)


def local_engine(work: Work, parts: list[int]) -> None:
    """Do parts in this process, one after the other."""
    worker = Worker(work)
    for part in track(parts, "parts"):
        note = worker.do(part)
        LOG.info("part %d: %s users, %s candidates", part, f"{note.users:,}", f"{note.rows:,}")
