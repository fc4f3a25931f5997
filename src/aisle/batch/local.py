"""The engine of one process: part after part."""

import logging

from aisle.batch.work import Work, Worker

LOG = logging.getLogger(__name__)


def local_engine(work: Work, parts: list[int]) -> None:
    """Do parts in this process, one after the other."""
    worker = Worker(work)
    for done, part in enumerate(parts, 1):
        note = worker.do(part)
        LOG.info(
            "%d of %d parts: %s users, %s candidates", done, len(parts), f"{note.users:,}", f"{note.rows:,}"
        )
