"""The same work on one block after another, a few blocks at a time, each with its share of the cores.

Libraries use all cores in a product or a transformer and one in a sort, a union or a sum. Two blocks side by
side keep a core busy with the one while the other core does the other.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from aisle.index.devices import gpus
from aisle.retriever.arithmetic import device
from aisle.retriever.engine.lanes import Lanes

Block = TypeVar("Block")
Result = TypeVar("Result")

MOST = 4
"""Lanes; more would wait for Python's lock."""


def in_lanes(work: Callable[[Block], Result], blocks: Sequence[Block]) -> Iterator[Result]:
    """Results of `work` in the order of `blocks`, computed a little ahead of who takes them.

    Meanwhile BLAS, OpenMP and torch have fewer threads in each lane, as many as torch has here in all. With
    GPUs, which several threads of FAISS must not use at once, there is one lane.
    """
    lanes = Lanes(torch.device(device()), 1 if gpus() else min(MOST, len(blocks)))
    if lanes.count == 1:
        yield from map(work, blocks)
        return
    waiting: deque[Callable[[], Result]] = deque()
    with threadpool_limits(lanes.share, user_api="blas"):
        try:
            for block in blocks:
                waiting.append(lanes.begin(work, block))
                if len(waiting) > lanes.count:
                    yield waiting.popleft()()
            while waiting:
                yield waiting.popleft()()
        finally:
            lanes.end()
