"""The same work on one block after another, a few blocks at a time, each with its share of the cores.

Libraries use all cores in a product or a transformer and one in a sort, a union or a sum. Two blocks side by
side keep a core busy with the one while the other core does the other.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from aisle.index.devices import gpus
from aisle.retriever.engine.threads import begin_lane, cores

Block = TypeVar("Block")
Result = TypeVar("Result")

MOST = 4
"""Lanes; more would wait for Python's lock."""


def in_lanes(work: Callable[[Block], Result], blocks: Sequence[Block]) -> Iterator[Result]:
    """Results of `work` in the order of `blocks`, computed a little ahead of who takes them.

    Meanwhile BLAS, OpenMP and torch have fewer threads in each lane, as many as torch has here in all. With
    GPUs, which several threads of FAISS must not use at once, there is one lane.
    """
    mine = min(torch.get_num_threads(), cores())
    lanes = 1 if torch.cuda.is_available() or gpus() else min(mine, MOST, len(blocks))
    if lanes < 2:
        yield from map(work, blocks)
        return
    share = mine // lanes
    waiting: deque[Future[Result]] = deque()
    with threadpool_limits(share, user_api="blas"):
        threads = ThreadPoolExecutor(lanes, "lane", initializer=begin_lane, initargs=(share,))
        try:
            for block in blocks:
                waiting.append(threads.submit(work, block))
                if len(waiting) > lanes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)
