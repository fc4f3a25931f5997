"""Batches side by side: a core with a batch to itself neither waits for other cores nor shares its cache.

Small products of one batch over all cores spend much of their time in waiting for the slowest core
(`benchmarks/encode.py speed`).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from aisle.retriever.engine.threads import begin_lane, cores, in_lane

Given = TypeVar("Given")
Result = TypeVar("Result")

MOST = 8
"""Lanes; more would wait for Python's lock."""


class Lanes:
    """Threads with a share of the cores each, which begin once there is work for them.

    Args:
        device: where the work is done.
        most: threads that are of use.

    Attributes:
        count: of the threads; 1 on a GPU, in a thread that is a lane itself, and where torch has one thread:
            everything is best computed by who asks for it.
        share: cores of each.
    """

    def __init__(self, device: torch.device, most: int = MOST) -> None:
        mine = min(torch.get_num_threads(), cores())
        self.count = 1 if device.type != "cpu" or in_lane() else max(1, min(mine, MOST, most))
        self.share = mine // self.count
        self._threads: ThreadPoolExecutor | None = None
        self._begun: list[Future[Any]] = []

    def begin(self, work: Callable[[Given], Result], given: Given) -> Callable[[], Result]:
        """Start `work` in a lane; what waits for its result, or raises what went wrong."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.count, "lane", begin_lane, (self.share,))
        future = self._threads.submit(work, given)
        self._begun = [*(one for one in self._begun if not one.done()), future]
        return future.result

    def idle(self) -> bool:
        """Whether all that was begun is done."""
        return all(one.done() for one in self._begun)

    def end(self) -> None:
        """Wait for what is being computed; the rest is not begun."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
